// Samples of the classes of a large softmax.
#pragma once

#include <cstdint>
#include <vector>

#include "base/index.h"

namespace mnemo {

/// Chooses some of V classes that are ordered by frequency, the most frequent first. With the log-uniform distribution
///   q_v = log((v + 2) / (v + 1)) / log(V + 1),
/// which is near Zipf's law, class v is in a sample with the probability that T draws contain it,
///   P_v = 1 - (1 - q_v)^T,
/// each class independently of the others, and with the T by which a sample has `expected` classes on average. So a sum
/// over the sample of f(v) / P_v has the sum over all classes as its mean.
class ClassSampler {
 public:
  /// 0 < expected < classes. Probabilities are rounded to multiples of 2^-32.
  ClassSampler(Index classes, Index expected);

  /// The sample of a step, ascending.
  std::vector<std::int32_t> draw(std::uint64_t seed, std::uint64_t step) const;

  /// P_v, above 0.
  double probability(std::int32_t v) const;

 private:
  std::vector<std::uint64_t> thresholds_;  // [V] P_v * 2^32
};

}  // namespace mnemo
