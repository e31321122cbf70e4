#include "decode/sampler.h"

#include <cmath>
#include <map>
#include <numeric>

#include "tests/catch.h"

using namespace mnemo;

namespace {

const std::vector<float> kScores{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};

// How often each unit is chosen first.
std::map<std::int32_t, double> shares(const SamplingOptions& options, const std::vector<std::uint8_t>& blocked = {}) {
  std::map<std::int32_t, double> out;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    Sampler sampler(options, 4, 1, static_cast<std::uint64_t>(i));
    out[sampler.next(kScores, blocked)] += 1.0 / kDraws;
  }
  return out;
}

}  // namespace

TEST_CASE("sampled units have the frequencies of the scores and the temperature") {
  const auto plain = shares({});
  CHECK(plain.at(0) == Approx(0.5).margin(0.015));
  CHECK(plain.at(1) == Approx(0.3).margin(0.015));
  CHECK(plain.at(3) == Approx(0.05).margin(0.01));
  // p^2 over its sum.
  const auto cold = shares({.temperature = 0.5});
  CHECK(cold.at(0) == Approx(0.25 / 0.365).margin(0.015));
  CHECK(shares({.temperature = 0}).size() == 1);
}

TEST_CASE("sampling cuts off by number, by sum and by fraction, and blocked units never occur") {
  const auto top_k = shares({.top_k = 2});
  CHECK(top_k.size() == 2);
  CHECK(top_k.at(0) == Approx(0.625).margin(0.015));
  // 0.5 and 0.3 are the fewest that reach 0.7.
  CHECK(shares({.top_p = 0.7}).size() == 2);
  CHECK(shares({.top_p = 0.4}).size() == 1);
  // At least 0.25 of 0.5.
  CHECK(shares({.min_p = 0.25}).size() == 3);
  const auto blocked = shares({}, {1, 0, 0, 1});
  CHECK(blocked.size() == 2);
  CHECK(blocked.at(1) == Approx(2.0 / 3.0).margin(0.015));
  Sampler none({}, 4, 1, 1);
  CHECK(none.next(kScores, std::vector<std::uint8_t>(4, 1)) == -1);
}

TEST_CASE("sampling reports the model's own probability, whatever the options") {
  for (const SamplingOptions& options : {SamplingOptions{}, SamplingOptions{.temperature = 0.1},
                                         SamplingOptions{.top_k = 1, .repetition_penalty = 3.0}}) {
    Sampler sampler(options, 4, 5, 6);
    double expected = 0;
    for (int i = 0; i < 5; ++i) expected += static_cast<double>(kScores[sampler.next(kScores, {})]);
    CHECK(sampler.log_probability() == Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("a penalty makes units that occurred less probable, with scores of either sign") {
  Sampler positive({.temperature = 0, .repetition_penalty = 2.0}, 2, 1, 1);
  positive.note(0);
  CHECK(positive.next(std::vector<float>{3.0f, 2.0f}, {}) == 1);
  Sampler negative({.temperature = 0, .repetition_penalty = 2.0}, 2, 1, 1);
  negative.note(0);
  CHECK(negative.next(std::vector<float>{-2.0f, -3.0f}, {}) == 1);
  CHECK(Sampler({.temperature = 0}, 2, 1, 1).next(std::vector<float>{-2.0f, -3.0f}, {}) == 0);
}

TEST_CASE("no sequence of n units occurs twice, as long as there is an alternative") {
  for (const std::int64_t n : {1, 2, 3, 5}) {
    Sampler sampler({.no_repeat = n}, 4, 9, 1);
    std::vector<std::int32_t> units{0, 1, 0};
    for (const std::int32_t unit : units) sampler.note(unit);
    // There are 4^n sequences; with one unit the fourth is the last that can be new.
    const int draws = n == 1 ? 2 : n == 2 ? 8 : 40;
    for (int i = 0; i < draws; ++i) units.push_back(sampler.next(kScores, {}));
    std::map<std::vector<std::int32_t>, int> counts;
    for (std::size_t i = 3; i + static_cast<std::size_t>(n) <= units.size(); ++i)
      ++counts[{units.begin() + static_cast<std::ptrdiff_t>(i), units.begin() + static_cast<std::ptrdiff_t>(i) + n}];
    for (const auto& [sequence, count] : counts) CHECK(count == 1);
  }
  // If each unit would be a repetition, one is chosen nevertheless.
  Sampler all({.no_repeat = 1}, 2, 1, 1);
  all.note(0);
  all.note(1);
  CHECK(all.next(std::vector<float>{0.0f, 1.0f}, {}) >= 0);
}
