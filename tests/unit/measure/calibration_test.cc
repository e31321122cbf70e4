#include "measure/calibration.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "measure/metrics.h"
#include "pipeline/temperature.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

struct Sample {
  std::vector<float> logits;
  std::vector<std::vector<std::int32_t>> gold;
};

// Gold labels drawn from softmax(logits / temperature): fitting must recover that temperature.
Sample draw(int records, int classes, double temperature, bool multi_label, std::uint64_t seed) {
  RandomStream random(seed, Purpose::kTest);
  Sample sample;
  for (int i = 0; i < records * classes; ++i) sample.logits.push_back(static_cast<float>(3 * random.normal()));
  const auto p = apply_temperature(sample.logits, classes, temperature, multi_label);
  for (int i = 0; i < records; ++i) {
    const float* row = p.data() + i * classes;
    std::vector<std::int32_t> gold;
    double u = random.uniform();
    for (int c = 0; c < classes; ++c) {
      if (u >= 0 && (u < row[c] || (!multi_label && c == classes - 1))) gold.push_back(c);
      u = multi_label ? random.uniform() : gold.empty() ? u - row[c] : -1;
    }
    if (multi_label) {
      gold.clear();
      for (int c = 0; c < classes; ++c)
        if (random.uniform() < row[c]) gold.push_back(c);
    }
    sample.gold.push_back(gold);
  }
  return sample;
}

double loss(const Sample& sample, int classes, double temperature, bool multi_label) {
  const Predictions predictions{classes, multi_label,
                                apply_temperature(sample.logits, classes, temperature, multi_label), sample.gold};
  double sum = 0;
  for (std::size_t i = 0; i < predictions.records(); ++i) sum += record_log_loss(predictions, i);
  return sum;
}

}  // namespace

TEST_CASE("the temperature that generated the data is recovered") {
  for (const bool multi_label : {false, true})
    for (const double truth : {0.4, 1.0, 1.7, 4.0}) {
      INFO(multi_label << " " << truth);
      const Sample sample = draw(20000, 3, truth, multi_label, 7);
      CHECK(fit_temperature(sample.logits, 3, sample.gold, multi_label) == Approx(truth).epsilon(0.04));
    }
}

TEST_CASE("no temperature nearby has a lower loss") {
  for (const bool multi_label : {false, true})
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      const Sample sample = draw(40, 4, 0.3 + 0.4 * static_cast<double>(seed), multi_label, seed);
      const double t = fit_temperature(sample.logits, 4, sample.gold, multi_label);
      if (t == 1) continue;
      const double best = loss(sample, 4, t, multi_label);
      for (const double factor : {0.5, 0.97, 1.03, 2.0}) {
        const double other = t * factor;
        if (other >= kMinTemperature && other <= kMaxTemperature) CHECK(loss(sample, 4, other, multi_label) >= best);
      }
    }
}

TEST_CASE("without anything to learn the temperature is 1") {
  CHECK(fit_temperature({}, 2, {}, false) == 1);
  CHECK(fit_temperature({1, 2, 3, 1}, 2, {{0}, {0}}, false) == 1);
  CHECK(fit_temperature({1, 2, 3, 1}, 2, {{1}, {0}}, false) == 1);
  CHECK(fit_temperature({1, 2, 3, 1}, 2, {{}, {}}, true) == 1);
  CHECK(fit_temperature({1, 2, 3, 1}, 2, {{0, 1}, {0, 1}}, true) == 1);
  CHECK(fit_temperature({1, -2, -3, 1}, 2, {{0}, {1}}, true) == 1);
  CHECK(fit_temperature({}, 2, {}, true) == 1);
}

TEST_CASE("the temperature stays within its bounds") {
  CHECK(fit_temperature({9, 1, 1, 9}, 2, {{1}, {0}}, false) == Approx(kMaxTemperature));
  std::vector<float> logits;
  std::vector<std::vector<std::int32_t>> gold;
  for (int i = 0; i < 1000; ++i) {
    const bool odd = i % 2 == 1;
    logits.insert(logits.end(), {odd ? 0.F : 0.01F, odd ? 0.01F : 0.F});
    gold.push_back({odd ? 1 : 0});
  }
  gold[0] = {1};
  CHECK(fit_temperature(logits, 2, gold, false) == Approx(kMinTemperature));
}

TEST_CASE("huge logits neither overflow nor mislead") {
  const std::vector<float> logits = {3e38F, -3e38F, -3e38F, 3e38F, 3e38F, -3e38F};
  const double t = fit_temperature(logits, 2, {{0}, {1}, {1}}, false);
  CHECK(t == Approx(kMaxTemperature));
  for (const bool multi_label : {false, true})
    for (const float p : apply_temperature(logits, 2, 1, multi_label)) CHECK((p == 0 || p == 1));
}

TEST_CASE("temperature 1 is softmax and sigmoid") {
  const auto p = apply_temperature({0, std::log(3.0F), 1, 1}, 2, 1, false);
  CHECK(p[0] == Approx(0.25));
  CHECK(p[1] == Approx(0.75));
  CHECK(p[2] == Approx(0.5));
  const auto q = apply_temperature({0, std::log(3.0F)}, 2, 1, true);
  CHECK(q[0] == Approx(0.5));
  CHECK(q[1] == Approx(0.75));
  CHECK(apply_temperature({0, 2 * std::log(3.0F)}, 2, 2, false)[1] == Approx(0.75));
}

TEST_CASE("logits of wrong size or value are refused") {
  CHECK_THROWS_WITH(fit_temperature({1}, 2, {{0}}, false), contains_text("expected 2 logits for 1 records"));
  CHECK_THROWS_WITH(fit_temperature({1, NAN}, 2, {{0}}, false), contains_text("record 1: a logit is nan"));
  CHECK_THROWS_WITH(fit_temperature({1, 2}, 2, {{2}}, false), contains_text("label id from 0 to 1, found 2"));
  CHECK_THROWS_WITH(fit_temperature({1, 2}, 2, {{}}, false), contains_text("one gold label, found 0"));
  CHECK_THROWS_AS(fit_temperature({}, 0, {}, false), Error);
}
