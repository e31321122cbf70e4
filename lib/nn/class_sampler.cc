#include "nn/class_sampler.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace mnemo {
namespace {

constexpr double kDraws = 4294967296.0;  // values of one draw

double log_uniform(Index v, Index classes) {
  const auto place = static_cast<double>(v);
  return std::log((place + 2.0) / (place + 1.0)) / std::log(static_cast<double>(classes) + 1.0);
}

double inclusion(Index v, Index classes, double draws) {
  return -std::expm1(draws * std::log1p(-log_uniform(v, classes)));
}

double expected_classes(Index classes, double draws) {
  double sum = 0;
  for (Index v = 0; v < classes; ++v) sum += inclusion(v, classes, draws);
  return sum;
}

// The number of draws by which a sample has `expected` classes on average.
double draws_for(Index classes, double expected) {
  double low = 0, high = expected;
  while (expected_classes(classes, high) < expected) high *= 2.0;
  constexpr int kHalvings = 50;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (low + high);
    (expected_classes(classes, middle) < expected ? low : high) = middle;
  }
  return high;
}

}  // namespace

ClassSampler::ClassSampler(Index classes, Index expected) {
  const double draws = draws_for(classes, static_cast<double>(expected));
  for (Index v = 0; v < classes; ++v)
    thresholds_.push_back(
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(inclusion(v, classes, draws) * kDraws))));
}

std::vector<std::int32_t> ClassSampler::draw(std::uint64_t seed, std::uint64_t step) const {
  RandomStream random(seed, Purpose::kSampledClasses, step);
  std::vector<std::int32_t> out;
  for (std::int32_t v = 0; v < static_cast<std::int32_t>(thresholds_.size()); ++v)
    if (random.next() < thresholds_[static_cast<std::size_t>(v)]) out.push_back(v);
  return out;
}

double ClassSampler::probability(std::int32_t v) const {
  return static_cast<double>(thresholds_[static_cast<std::size_t>(v)]) / kDraws;
}

}  // namespace mnemo
