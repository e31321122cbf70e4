// The choice of the next unit from a model's scores.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "decode/repeat_guard.h"

namespace mnemo {

struct SamplingOptions {
  double temperature = 1.0;  ///< what scores are divided by; 0: the most probable unit, the first of equals
  std::int64_t top_k = 0;    ///< only the k most probable units; 0: all
  double top_p = 1.0;  ///< the fewest most probable units that together have this probability (Holtzman et al. 2020)
  double min_p = 0.0;  ///< units at least this share as probable as the most probable one (Nguyen et al. 2024)
  /// Scores of units that occurred already are divided by this if positive, else multiplied (Keskar et al. 2019).
  double repetition_penalty = 1.0;
  std::int64_t no_repeat = 0;  ///< n: no sequence of n units occurs twice; 0: any may
};

/// Chooses units one after the other. First comes what forbids repetitions or makes them less probable, then top_k,
/// then the temperature, by whose probabilities top_p and min_p cut off.
class Sampler {
 public:
  /// `classes` scores; `stream` tells samples of one seed apart.
  Sampler(const SamplingOptions& options, std::int64_t classes, std::uint64_t seed, std::uint64_t stream);

  /// A unit that stands before the ones that will be chosen.
  void note(std::int32_t unit);

  /// The next unit, which is noted too. Of the units that are not `blocked` [classes] (1: never; empty: none is), or if
  /// none is left but by options.no_repeat, of those as if it were 0. Returns -1 if all are blocked. `scores` are kept.
  std::int32_t next(std::span<const float> scores, std::span<const std::uint8_t> blocked);

  /// The sum of log p of the units that `next` gave, p being the softmax of the scores as they came: what the model
  /// says of the text, whatever the options.
  double log_probability() const { return log_probability_; }

 private:
  // Of the units that are neither blocked nor in `repeating`.
  std::int32_t choose(std::span<const std::uint8_t> blocked, const RepeatGuard::Units* repeating);

  SamplingOptions options_;
  RandomStream random_;
  double log_probability_ = 0;
  std::vector<float> scores_, exponentials_;
  std::vector<std::int32_t> kept_;
  std::unordered_set<std::int32_t> seen_;
  RepeatGuard guard_;
};

}  // namespace mnemo
