// Metrics compared with scikit-learn's stored results and with direct counts, at the edges of their definitions too:
// ties, empty bins, classes that do not occur.
#include "measure/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;
using nlohmann::json;

namespace {

std::vector<std::string> names(int classes) {
  std::vector<std::string> result;
  result.reserve(static_cast<std::size_t>(classes));
  for (int c = 0; c < classes; ++c) result.push_back("label " + std::to_string(c));
  return result;
}

Predictions from_json(const json& value) {
  Predictions predictions;
  predictions.classes = value["classes"];
  predictions.multi_label = value["multi_label"];
  predictions.probabilities = value["probabilities"].get<std::vector<float>>();
  predictions.gold = value["gold"].get<std::vector<std::vector<std::int32_t>>>();
  return predictions;
}

void check_per_class(const Evaluation& evaluation, const json& expected) {
  REQUIRE(evaluation.per_class.size() == expected.size());
  for (std::size_t c = 0; c < expected.size(); ++c) {
    const ClassScores& scores = evaluation.per_class[c];
    CHECK(scores.precision == Approx(expected[c][0].get<double>()).margin(1e-12));
    CHECK(scores.recall == Approx(expected[c][1].get<double>()).margin(1e-12));
    CHECK(scores.f1 == Approx(expected[c][2].get<double>()).margin(1e-12));
    CHECK(scores.support == expected[c][3].get<double>());
  }
}

std::int64_t confused(const Evaluation& evaluation, std::int32_t gold, std::int32_t predicted) {
  const auto found = evaluation.confusion.find({gold, predicted});
  return found == evaluation.confusion.end() ? 0 : found->second;
}

// Scores drawn from a few values, so that many are equal.
Predictions random_two_classes(RandomStream& random, std::size_t records) {
  Predictions predictions{2, false, {}, {}};
  for (std::size_t i = 0; i < records; ++i) {
    const float p = static_cast<float>(random.below(7)) / 6.0F;
    predictions.probabilities.insert(predictions.probabilities.end(), {1 - p, p});
    predictions.gold.push_back({static_cast<std::int32_t>(i < 2 ? i : random.below(2))});
  }
  return predictions;
}

}  // namespace

TEST_CASE("metrics are scikit-learn's") {
  const json cases = json::parse(read_file(source_folder() + "/tests/golden/metrics.json"));
  REQUIRE(cases.size() == 7);
  for (const json& each : cases) {
    INFO(each["name"].get<std::string>());
    const Predictions predictions = from_json(each);
    const Evaluation evaluation = evaluate(predictions, names(predictions.classes), each["threshold"]);
    const auto metrics = evaluation.metrics();
    CHECK(metrics.size() == each["metrics"].size());
    for (const auto& [key, value] : each["metrics"].items()) {
      INFO(key);
      REQUIRE(metrics.count(key));
      CHECK(metrics.at(key) == Approx(value.get<double>()).epsilon(1e-9).margin(1e-12));
    }
    check_per_class(evaluation, each["per_class"]);
    if (predictions.multi_label) {
      CHECK(evaluation.confusion.empty());
      continue;
    }
    for (int gold = 0; gold < predictions.classes; ++gold)
      for (int predicted = 0; predicted < predictions.classes; ++predicted)
        CHECK(
            confused(evaluation, gold, predicted) ==
            each["confusion"][static_cast<std::size_t>(gold)][static_cast<std::size_t>(predicted)].get<std::int64_t>());
  }
}

TEST_CASE("auc counts pairs") {
  RandomStream random(1, Purpose::kTest);
  for (int round = 0; round < 20; ++round) {
    const Predictions predictions = random_two_classes(random, 2 + random.below(60));
    double wins = 0, pairs = 0;
    for (std::size_t i = 0; i < predictions.records(); ++i)
      for (std::size_t j = 0; j < predictions.records(); ++j) {
        if (predictions.gold[i][0] != 1 || predictions.gold[j][0] != 0) continue;
        const float a = predictions.row(i)[1], b = predictions.row(j)[1];
        wins += a > b ? 1 : a == b ? 0.5 : 0;
        pairs += 1;
      }
    CHECK(evaluate(predictions, names(2)).auc.value() == Approx(wins / pairs).epsilon(1e-12));
  }
}

TEST_CASE("calibration bins are half open and cover every answer") {
  CHECK(calibration_bin(0.0) == 0);
  CHECK(calibration_bin(1e-9) == 0);
  CHECK(calibration_bin(1.0) == 14);
  CHECK(calibration_bin(1.00001) == 14);
  CHECK(calibration_bin(0.5) == 7);
  RandomStream random(2, Purpose::kTest);
  const Predictions predictions = random_two_classes(random, 500);
  const Evaluation evaluation = evaluate(predictions, names(2));
  REQUIRE(evaluation.bins.size() == 15);
  std::int64_t count = 0;
  double ece = 0;
  for (const CalibrationBin& bin : evaluation.bins) {
    count += bin.count;
    ece += static_cast<double>(bin.count) / 500 * std::abs(bin.accuracy - bin.confidence);
    if (bin.count == 0) continue;
    CHECK(bin.confidence > bin.lower - 1e-6);
    CHECK(bin.confidence <= bin.upper + 1e-6);
  }
  CHECK(count == 500);
  CHECK(evaluation.ece == Approx(ece).epsilon(1e-12));
}

TEST_CASE("a probability of 0 for the gold label costs -log 1e-15, not infinity") {
  const Predictions predictions{2, false, {1, 0}, {{1}}};
  CHECK(evaluate(predictions, names(2)).log_loss == Approx(15 * std::log(10.0)));
  const Predictions several{2, true, {1, 0}, {{1}}};
  CHECK(evaluate(several, names(2)).log_loss == Approx(15 * std::log(10.0)));
}

TEST_CASE("equal probabilities go to the first class, and a probability at the threshold predicts the label") {
  CHECK(predicted_labels({3, false, {0.25F, 0.375F, 0.375F}, {{0}}}, 0) == std::vector<std::int32_t>{1});
  CHECK(predicted_labels({3, true, {0.5F, 0.49F, 0.7F}, {{0}}}, 0) == std::vector<std::int32_t>{0, 2});
  CHECK(predicted_labels({3, true, {0.5F, 0.49F, 0.7F}, {{0}}}, 0, 0.8).empty());
}

TEST_CASE("records without labels count as right when nothing is predicted") {
  const Evaluation evaluation = evaluate({2, true, {0.1F, 0.2F, 0.9F, 0.1F}, {{}, {}}}, names(2));
  CHECK(evaluation.accuracy == 0.5);
  CHECK(evaluation.micro_f1 == 0);
  CHECK(evaluation.weighted_f1 == 0);
}

TEST_CASE("predictions of wrong size or value are refused") {
  CHECK_THROWS_WITH(evaluate({0, false, {}, {}}, {}), contains_text("expected at least one class, found 0"));
  CHECK_THROWS_WITH(evaluate({2, false, {}, {}}, names(2)), contains_text("there are no records"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, 0, 1}, {{0}}}, names(2)),
                    contains_text("expected 2 probabilities for 1 records of 2 classes, found 3"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, 0}, {{0}}}, names(3)), contains_text("expected 2 labels, found 3"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, 0}, {{2}}}, names(2)), contains_text("label id from 0 to 1, found 2"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, 0}, {{-1}}}, names(2)), contains_text("found -1"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, 0}, {{}}}, names(2)), contains_text("one gold label, found 0"));
  CHECK_THROWS_WITH(evaluate({2, true, {1, 0}, {{1, 1}}}, names(2)), contains_text("label id 1 occurs twice"));
  CHECK_THROWS_WITH(evaluate({2, false, {NAN, 0}, {{0}}}, names(2)), contains_text("record 1: expected a probability"));
  CHECK_THROWS_WITH(evaluate({2, false, {1.5F, 0}, {{0}}}, names(2)), contains_text("found 1.5"));
  CHECK_THROWS_WITH(evaluate({2, false, {1, -INFINITY}, {{0}}}, names(2)), contains_text("found -inf"));
}

TEST_CASE("names of metrics") {
  const auto& all = metric_names();
  CHECK(std::set<std::string>(all.begin(), all.end()) ==
        std::set<std::string>{"accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_precision",
                              "macro_recall", "macro_f1", "weighted_precision", "weighted_recall", "weighted_f1",
                              "log_loss", "ece", "auc"});
  CHECK(drop_of("accuracy", 0.9, 0.8) == Approx(0.1));
  CHECK(drop_of("log_loss", 0.3, 0.5) == Approx(0.2));
  CHECK(drop_of("loss", 0.5, 0.3) == Approx(-0.2));
  for (const char* metric : {"bleu", "chrf"}) CHECK(admissible_drop(metric) == 0.5);
  for (const char* metric : {"accuracy", "f1", "loss", "perplexity"}) CHECK(admissible_drop(metric) == 0.01);
  CHECK(higher_is_better("macro_f1"));
  CHECK(higher_is_better("auc"));
  CHECK_FALSE(higher_is_better("log_loss"));
  CHECK_FALSE(higher_is_better("ece"));
  CHECK_FALSE(higher_is_better("loss"));
  CHECK_THROWS_WITH(check_metric("acc"), contains_text("unknown metric acc, expected one of accuracy, auc"));
}
