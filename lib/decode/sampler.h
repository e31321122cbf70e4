// The choice of the next unit from a model's scores.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "decode/repeat_guard.h"

namespace mnemo {

struct SamplingOptions {
  double temperature = 1.0;  ///< divisor of the scores; 0: the most probable unit, the first of equals
  std::int64_t top_k = 0;    ///< only the k most probable units; 0: all
  double top_p = 1.0;  ///< the fewest most probable units that together have this probability (Holtzman et al. 2020)
  double min_p = 0.0;  ///< least probability, as a fraction of the most probable unit's (Nguyen et al. 2024)
  /// Scores of units that have occurred are divided by this if positive, else multiplied (Keskar et al. 2019).
  double repetition_penalty = 1.0;
  std::int64_t no_repeat = 0;  ///< n: no sequence of n units occurs twice; 0: any may
};

/// Sets the scores of blocked units [V, or empty for none] to -infinity.
inline void block_scores(std::span<const std::uint8_t> blocked, std::span<float> scores) {
  // Without a branch, so that the loop runs in vectors.
  for (std::size_t v = 0; v < blocked.size(); ++v) scores[v] = blocked[v] != 0 ? -INFINITY : scores[v];
}

/// Chooses units one after the other. Repetitions are blocked or penalised first, then top_k applies, then the
/// temperature, and top_p and min_p cut off by the resulting probabilities.
class Sampler {
 public:
  /// For `classes` scores; `stream` distinguishes samples of one seed.
  Sampler(const SamplingOptions& options, std::int64_t classes, std::uint64_t seed, std::uint64_t stream);

  /// Notes a unit that precedes those to be chosen.
  void note(std::int32_t unit);

  /// Chooses the next unit, and notes it. It is one that is not `blocked` [classes] (1: never; empty: none is); if
  /// options.no_repeat leaves none, it is ignored, and for units that `constraint` demands. Returns -1 if all are
  /// blocked. `scores` are not changed.
  std::int32_t next(std::span<const float> scores, std::span<const std::uint8_t> blocked,
                    const Constraint* constraint = nullptr);

  /// The sum of log p of the units that `next` chose, p being the softmax of the unmodified scores: the model's own
  /// probability of the text, whatever the options.
  double log_probability() const { return log_probability_; }

 private:
  std::int32_t likeliest(std::span<const std::uint8_t> blocked, const RepeatGuard::Units* repeating);
  // Chooses among the units that are neither blocked nor in `repeating`.
  std::int32_t choose(std::span<const std::uint8_t> blocked, const RepeatGuard::Units* repeating);

  SamplingOptions options_;
  RandomStream random_;
  double log_probability_ = 0;
  std::vector<float> scores_, exponentials_;
  std::vector<std::int32_t> kept_;
  std::unordered_set<std::int32_t> seen_;
  RepeatGuard guard_;
  RepeatGuard::Units repeating_;
};

}  // namespace mnemo
