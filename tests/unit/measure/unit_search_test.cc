// Units that follow a property by construction are found, and by chance none more often than the level says.
#include "measure/unit_search.h"

#include <cmath>

#include "base/random.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

// Texts of ten steps.
StepProperty property_of(std::vector<float> values, Exchange exchange, bool graded = false) {
  StepProperty out{std::move(values), {}, graded, exchange};
  for (Index end = 10; end <= std::ssize(out.values); end += 10) out.ends.push_back(end);
  return out;
}

std::vector<float> normal_values(Index count, std::uint64_t number) {
  RandomStream random(7, Purpose::kTest, number);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& one : out) one = static_cast<float>(random.normal());
  return out;
}

// Values that change slowly, as states do.
std::vector<float> smooth_values(Index steps, Index units, std::uint64_t number) {
  std::vector<float> out = normal_values(steps * units, number);
  for (Index i = units; i < steps * units; ++i) out[i] = 0.9f * out[i - units] + 0.4f * out[i];
  return out;
}

}  // namespace

TEST_CASE("the score of a unit is the share of pairs in order, ties counting half, or Spearman's correlation") {
  ThreadPool pool(1);
  const StepProperty property = property_of({1, 1, 0, 0, 1, 0, 0, 0, 0, 0}, Exchange::kRotate);
  //                               with      with        with
  const std::vector<float> first{3, 9, 2, 3, 1, -4, 0, 5, 7, 8}, second{1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  std::vector<float> values;
  for (std::size_t i = 0; i < 10; ++i) values.insert(values.end(), {first[i], -first[i], second[i]});
  double pairs = 0;
  for (const std::size_t i : {0, 1, 4})
    for (const std::size_t j : {2, 3, 5, 6, 7, 8, 9})
      pairs += first[i] > first[j] ? 1.0 : first[i] == first[j] ? 0.5 : 0.0;
  const auto found = find_following(values, 3, property, 1, pool);
  CHECK(found[0].score == Approx(pairs / 21));
  CHECK(found[1].score == Approx(1 - pairs / 21));
  CHECK(found[2].score == 0.5);
  CHECK(found[2].p_value == 1.0);
  CHECK(found[0].p_value == found[1].p_value);
  std::vector<float> again = first, positions(10);
  for (std::size_t i = 0; i < 10; ++i) positions[i] = static_cast<float>(i);
  const auto graded = find_following(again, 1, property_of(positions, Exchange::kRotateTexts, true), 1, pool);
  double sum = 0, squares = 0, others = 0;
  const std::vector<double> ranks{5.5, 10, 4, 5.5, 3, 1, 2, 7, 8, 9};
  for (std::size_t i = 0; i < 10; ++i) {
    const double x = ranks[i] - 5.5, y = static_cast<double>(i) - 4.5;
    sum += x * y, squares += x * x, others += y * y;
  }
  CHECK(graded[0].score == Approx(sum / std::sqrt(squares * others)));
}

TEST_CASE("a unit that follows a property is found among many that do not, for every exchange") {
  const Index steps = 3000, units = 40;
  for (const Exchange exchange : {Exchange::kRotate, Exchange::kRotateTexts, Exchange::kTexts}) {
    std::vector<float> property(static_cast<std::size_t>(steps));
    RandomStream random(1, Purpose::kTest, 31);
    for (Index i = 0; i < steps; ++i) {
      // Runs, by step or by text; or, within texts, their second half.
      const bool fresh = exchange == Exchange::kTexts ? i % 10 == 0 : random.uniform() < 0.2;
      property[i] = exchange == Exchange::kRotateTexts ? static_cast<float>(i % 10 >= 5)
                    : i > 0 && !fresh                  ? property[i - 1]
                                                       : static_cast<float>(random.uniform() < 0.4);
    }
    std::vector<float> values = smooth_values(steps, units, 5);
    for (Index i = 0; i < steps; ++i) values[i * units + 17] -= 3 * property[i];
    std::vector<float> copy = values;
    ThreadPool one(1), three(3);
    const auto found = find_following(values, units, property_of(property, exchange), 1, one);
    const auto again = find_following(copy, units, property_of(property, exchange), 1, three);
    for (Index unit = 0; unit < units; ++unit) {
      CHECK(found[unit].score == again[unit].score);
      CHECK(found[unit].p_value == again[unit].p_value);
      if (unit == 17) continue;
      CHECK(found[unit].p_value > 0.05);
      CHECK(std::abs(found[unit].score - 0.5) < 0.2);
    }
    CHECK(found[17].score < 0.1);
    CHECK(found[17].p_value == 0.001);
  }
}

TEST_CASE("where nothing follows the property, some unit is found about as rarely as the level says") {
  ThreadPool pool(1);
  const Index steps = 600, units = 30;
  for (const Exchange exchange : {Exchange::kRotate, Exchange::kRotateTexts, Exchange::kTexts}) {
    int found = 0;
    for (std::uint64_t round = 0; round < 60; ++round) {
      std::vector<float> values = smooth_values(steps, units, 100 + round), property(steps);
      RandomStream random(2, Purpose::kTest, round);
      for (Index i = 0; i < steps; ++i)
        property[i] =
            exchange == Exchange::kTexts && i % 10 != 0 ? property[i - 1] : static_cast<float>(random.uniform() < 0.3);
      double least = 1;
      for (const Following& one : find_following(values, units, property_of(property, exchange), round, pool))
        least = std::min(least, one.p_value);
      found += least < 0.05 ? 1 : 0;
    }
    // Binomial with 60 draws of 5%: more than 8 has a probability of 0.3%.
    CHECK(found <= 8);
  }
}
