// Resampled metrics are compared with the metrics of the records written out, and intervals and tests with their
// nominal rates on synthetic predictions.
#include "measure/bootstrap.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

std::vector<std::string> class_names(int classes) {
  return std::vector<std::string>(static_cast<std::size_t>(classes), "x");
}

// `skill` is the fraction of records in which the gold class is certain to be the most probable one.
Predictions draw(std::size_t records, int classes, bool multi_label, double skill, std::uint64_t seed) {
  RandomStream random(seed, Purpose::kTest), truth(99, Purpose::kTest);
  Predictions predictions{classes, multi_label, {}, {}};
  for (std::size_t i = 0; i < records; ++i) {
    std::vector<float> row;
    row.reserve(static_cast<std::size_t>(classes));
    for (int c = 0; c < classes; ++c) row.push_back(static_cast<float>(random.below(20)) / 40.0F);
    const auto gold = static_cast<std::int32_t>(truth.below(static_cast<std::uint64_t>(classes)));
    predictions.gold.push_back({gold});
    if (multi_label && i % 3 == 0) predictions.gold.back() = {(gold + 1) % classes, gold};
    if (multi_label && i % 7 == 0) predictions.gold.back().clear();
    if (random.uniform() < skill) row[static_cast<std::size_t>(gold)] += 0.5F;
    float sum = 0;
    for (const float p : row) sum += p;
    for (float& p : row) p = multi_label ? p : sum == 0 ? 1.0F / static_cast<float>(classes) : p / sum;
    predictions.probabilities.insert(predictions.probabilities.end(), row.begin(), row.end());
  }
  return predictions;
}

// The records of the k-th resample, written out.
Predictions resampled(const Predictions& predictions, std::uint64_t seed, std::uint64_t k) {
  RandomStream random(seed, Purpose::kBootstrap, k);
  Predictions result{predictions.classes, predictions.multi_label, {}, {}};
  for (std::size_t i = 0; i < predictions.records(); ++i) {
    const auto from = random.below(predictions.records());
    result.gold.push_back(predictions.gold[from]);
    result.probabilities.insert(result.probabilities.end(), predictions.row(from),
                                predictions.row(from) + predictions.classes);
  }
  return result;
}

double metric_of(const Predictions& predictions, const std::string& metric, double threshold) {
  return evaluate(predictions, class_names(predictions.classes), threshold).metrics().at(metric);
}

}  // namespace

TEST_CASE("a metric of counted records is the metric of the records written out") {
  for (const bool multi_label : {false, true})
    for (const std::string& metric : metric_names()) {
      if (multi_label && metric == "auc") continue;
      INFO(metric << " " << multi_label);
      const Predictions predictions = draw(41, metric == "auc" ? 2 : 5, multi_label, 0.6, 3);
      for (const std::uint64_t seed : {1, 2, 3}) {
        const BootstrapOptions one{1, seed, 0.95, 0.4};
        const Interval interval = bootstrap_interval(predictions, metric, one);
        CHECK(interval.value == Approx(metric_of(predictions, metric, 0.4)).epsilon(1e-9).margin(1e-12));
        CHECK(interval.low ==
              Approx(metric_of(resampled(predictions, seed, 0), metric, 0.4)).epsilon(1e-9).margin(1e-12));
        CHECK(interval.high == interval.low);
      }
    }
}

TEST_CASE("the interval of an accuracy is that of a binomial proportion") {
  const Predictions predictions = draw(2000, 2, false, 0.7, 4);
  const Interval interval = bootstrap_interval(predictions, "accuracy");
  const double error = 1.96 * std::sqrt(interval.value * (1 - interval.value) / 2000);
  CHECK(interval.low == Approx(interval.value - error).margin(0.003));
  CHECK(interval.high == Approx(interval.value + error).margin(0.003));
}

TEST_CASE("the interval covers the truth about as often as its level says") {
  int held = 0;
  for (std::uint64_t round = 0; round < 200; ++round) {
    RandomStream random(round, Purpose::kTest);
    Predictions predictions{2, false, {}, {}};
    for (int i = 0; i < 200; ++i) {
      predictions.probabilities.insert(predictions.probabilities.end(), {1, 0});
      predictions.gold.push_back({random.uniform() < 0.8 ? 0 : 1});
    }
    const Interval interval = bootstrap_interval(predictions, "accuracy", {200, round});
    held += interval.low <= 0.8 && 0.8 <= interval.high;
  }
  CHECK(held >= 180);
  CHECK(held <= 199);
}

TEST_CASE("the seed decides the interval") {
  const Predictions predictions = draw(100, 3, false, 0.5, 5);
  const auto a = bootstrap_interval(predictions, "macro_f1", {200, 1}),
             b = bootstrap_interval(predictions, "macro_f1", {200, 1}),
             c = bootstrap_interval(predictions, "macro_f1", {200, 2});
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK((a.low != c.low || a.high != c.high));
}

TEST_CASE("McNemar's exact test") {
  CHECK(mcnemar_exact(0, 0) == 1);
  CHECK(mcnemar_exact(5, 5) == 1);
  CHECK(mcnemar_exact(1, 0) == 1);
  CHECK(mcnemar_exact(10, 0) == Approx(2.0 / 1024));
  CHECK(mcnemar_exact(2, 8) == Approx(2.0 * (1 + 10 + 45) / 1024));
  CHECK(mcnemar_exact(8, 2) == Approx(2.0 * (1 + 10 + 45) / 1024));
  CHECK(mcnemar_exact(500000, 502000) == Approx(0.04580).margin(2e-4));
}

TEST_CASE("two models are distinguished if they differ, and not otherwise") {
  const Predictions good = draw(600, 3, false, 0.8, 6), bad = draw(600, 3, false, 0.4, 7),
                    like = draw(600, 3, false, 0.8, 8);
  for (const std::string metric : {"accuracy", "macro_f1", "log_loss"}) {
    INFO(metric);
    const Comparison apart = compare_models(good, bad, metric);
    CHECK(apart.p_value < 0.01);
    CHECK(apart.first == Approx(metric_of(good, metric, 0.5)));
    CHECK(apart.second == Approx(metric_of(bad, metric, 0.5)));
    CHECK(apart.difference.value == Approx(apart.first - apart.second));
    CHECK(apart.difference.low * apart.difference.high > 0);
    const Comparison alike = compare_models(good, like, metric);
    CHECK(alike.p_value > 0.05);
    CHECK(alike.difference.low * alike.difference.high < 0);
    const Comparison same = compare_models(good, good, metric);
    CHECK(same.p_value == 1);
    CHECK(same.difference.low == 0);
    CHECK(compare_models(bad, good, metric).p_value == apart.p_value);
  }
  CHECK(compare_models(good, bad, "accuracy").test == "exact McNemar test");
  CHECK(compare_models(good, bad, "macro_f1").test == "paired bootstrap test");
}

TEST_CASE("under the null hypothesis the bootstrap test rejects about as often as its level says") {
  int rejected = 0;
  for (std::uint64_t round = 0; round < 100; ++round) {
    const Predictions a = draw(150, 2, false, 0.5, 1000 + round), b = draw(150, 2, false, 0.5, 5000 + round);
    rejected += compare_models(a, b, "log_loss", {200, round}).p_value < 0.05;
  }
  CHECK(rejected <= 13);
}

TEST_CASE("auc skips resamples without one of the classes, and is refused if all records lack it") {
  Predictions predictions = draw(6, 2, false, 0.5, 9);
  for (std::size_t i = 0; i < 6; ++i) predictions.gold[i] = {i == 0 ? 1 : 0};
  const Interval interval = bootstrap_interval(predictions, "auc");
  CHECK(std::isfinite(interval.low));
  CHECK(std::isfinite(interval.high));
  predictions.gold[0] = {0};
  CHECK_THROWS_WITH(bootstrap_interval(predictions, "auc"), contains_text("auc is undefined on these records"));
  CHECK_THROWS_WITH(bootstrap_interval(draw(9, 3, false, 1, 1), "auc"), contains_text("this model has 3 classes"));
  CHECK_THROWS_AS(bootstrap_interval(predictions, "f1"), UsageError);
}

TEST_CASE("models evaluated on different records are not compared") {
  const Predictions a = draw(20, 3, false, 0.5, 1);
  Predictions b = a;
  b.gold[4] = {(a.gold[4][0] + 1) % 3};
  CHECK_THROWS_WITH(compare_models(a, b, "accuracy"), contains_text("record 5: the gold labels given"));
  CHECK_THROWS_WITH(compare_models(a, draw(21, 3, false, 0.5, 1), "accuracy"), contains_text("20 and 21 records"));
}
