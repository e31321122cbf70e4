#include "measure/unit_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "kernels/product.h"

namespace mnemo {
namespace {

// An integer that is ordered as the floats are, -0 being 0.
std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value == 0.0f ? 0.0f : value);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// Replaces `count` values, `stride` apart, by their ranks minus the mean rank; equal values share the mean of theirs.
void rank(float* values, Index count, Index stride, std::vector<std::uint64_t>& sorted) {
  sorted.resize(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i)
    sorted[i] = std::uint64_t{ordered_bits(values[i * stride])} << 32 | static_cast<std::uint64_t>(i);
  std::ranges::sort(sorted);
  const double middle = static_cast<double>(count - 1) / 2;
  for (Index begin = 0, end = 0; begin < count; begin = end) {
    while (end < count && sorted[end] >> 32 == sorted[begin] >> 32) ++end;
    const auto shared = static_cast<float>(static_cast<double>(begin + end - 1) / 2 - middle);
    for (Index i = begin; i < end; ++i) values[static_cast<Index>(sorted[i] & 0xffffffffu) * stride] = shared;
  }
}

// Where a permutation takes the property of a step from.
class Permutation {
 public:
  Permutation(const StepProperty& property, std::uint64_t seed, int number) : property_(property) {
    RandomStream random(seed, Purpose::kPermutation, static_cast<std::uint64_t>(number));
    const auto steps = static_cast<std::uint64_t>(property.values.size());
    if (property.exchange == Exchange::kRotate) {
      // Rotations by little leave smooth properties almost as they are.
      const std::uint64_t least = steps / 20;
      moved_.push_back(static_cast<Index>(least + random.below(std::max<std::uint64_t>(1, steps - 2 * least))));
      return;
    }
    if (property.exchange == Exchange::kTexts) {
      moved_.resize(property.ends.size());
      std::iota(moved_.begin(), moved_.end(), Index{0});
      random.shuffle(moved_);
      return;
    }
    for (std::size_t text = 0; text < property.ends.size(); ++text) {
      const Index length = property.ends[text] - begin(text);
      moved_.push_back(static_cast<Index>(random.below(static_cast<std::uint64_t>(std::max<Index>(1, length)))));
    }
  }

  // The source of a step of a text.
  Index source(Index step, std::size_t text) const {
    switch (property_.exchange) {
      case Exchange::kRotate:
        return (step + moved_[0]) % std::ssize(property_.values);
      case Exchange::kTexts:
        return begin(static_cast<std::size_t>(moved_[text]));
      case Exchange::kRotateTexts:
        break;
    }
    const Index first = begin(text), length = property_.ends[text] - first;
    return first + (step - first + moved_[text]) % length;
  }

 private:
  Index begin(std::size_t text) const { return text == 0 ? 0 : property_.ends[text - 1]; }

  const StepProperty& property_;
  std::vector<Index> moved_;
};

// The sums over the steps of weight times rank, [1 + kPermutations, units]; of the property as it is first. Weights are
// moved for some steps at a time, so that memory does not grow with permutations times steps.
std::vector<float> weighted_ranks(const std::vector<float>& ranks, Index units, const std::vector<float>& weights,
                                  const StepProperty& property, std::uint64_t seed, ThreadPool& pool) {
  constexpr Index kRows = 1 + kPermutations, kSteps = 2048;
  const Index steps = std::ssize(weights);
  std::vector<Permutation> permutations;
  permutations.reserve(kPermutations);
  for (int number = 0; number < kPermutations; ++number) permutations.emplace_back(property, seed, number);
  std::vector<std::size_t> text_of(static_cast<std::size_t>(steps));
  for (std::size_t text = 0, step = 0; text < property.ends.size(); ++text)
    for (; static_cast<Index>(step) < property.ends[text]; ++step) text_of[step] = text;
  std::vector<float> moved(static_cast<std::size_t>(kRows * kSteps)), sums(static_cast<std::size_t>(kRows * units));
  kernels::PackedMatrix packed;
  for (Index first = 0; first < steps; first += kSteps) {
    const Index count = std::min(kSteps, steps - first);
    pool.parallel_for(kRows, [&](std::int64_t row) {
      float* out = moved.data() + row * kSteps;
      for (Index i = 0; i < count; ++i) {
        const Index step = first + i;
        out[i] = weights[row == 0 ? step : permutations[row - 1].source(step, text_of[step])];
      }
    });
    kernels::pack(pool, ranks.data() + first * units, units, false, count, units, packed);
    const kernels::Product product{kRows,   moved.data(), kSteps, &packed, kernels::Start::kResult,
                                   nullptr, sums.data(),  units};
    kernels::multiply(pool, {&product, 1});
  }
  return sums;
}

}  // namespace

std::vector<Following> find_following(std::vector<float>& values, Index units, const StepProperty& property,
                                      std::uint64_t seed, ThreadPool& pool) {
  const Index steps = std::ssize(property.values);
  pool.parallel_for(units, [&](std::int64_t unit) {
    std::vector<std::uint64_t> sorted;
    rank(values.data() + unit, steps, units, sorted);
  });
  std::vector<float> weights = property.values;
  double present = 0;
  if (property.graded) {
    std::vector<std::uint64_t> sorted;
    rank(weights.data(), steps, 1, sorted);
  } else {
    for (const float one : weights) present += static_cast<double>(one);
    for (float& one : weights) one -= static_cast<float>(present / static_cast<double>(steps));
  }
  const std::vector<float> sums = weighted_ranks(values, units, weights, property, seed, pool);
  std::vector<float> best;
  for (Index row = 1; row <= kPermutations; ++row) {
    best.push_back(0);
    for (Index unit = 0; unit < units; ++unit) best.back() = std::max(best.back(), std::abs(sums[row * units + unit]));
  }
  std::ranges::sort(best);
  std::vector<Following> out(static_cast<std::size_t>(units));
  double of_weights = 0;
  for (const float one : weights) of_weights += static_cast<double>(one) * static_cast<double>(one);
  pool.parallel_for(units, [&](std::int64_t unit) {
    double sum = 0, of_ranks = 0;
    for (Index step = 0; step < steps; ++step) {
      const auto r = static_cast<double>(values[step * units + unit]);
      sum += r * static_cast<double>(property.graded ? weights[step] : property.values[step]);
      of_ranks += r * r;
    }
    Following& following = out[static_cast<std::size_t>(unit)];
    if (property.graded)
      following.score = of_ranks > 0 && of_weights > 0 ? sum / std::sqrt(of_ranks * of_weights) : 0;
    else
      following.score = 0.5 + sum / (present * (static_cast<double>(steps) - present));
    const auto reached = best.end() - std::ranges::lower_bound(best, std::abs(sums[unit]));
    following.p_value = static_cast<double>(1 + reached) / (1 + kPermutations);
  });
  return out;
}

}  // namespace mnemo
