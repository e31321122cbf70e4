// The units of a network that follow a property of the text, found by rank statistics, with a permutation test that
// allows for looking at all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/index.h"
#include "base/thread_pool.h"

namespace mnemo {

/// What chance could have done: how the permutation test moves the property against the values.
enum class Exchange {
  kRotate,       ///< the whole row of steps is rotated by a random amount, which keeps runs together
  kRotateTexts,  ///< the steps of each text are rotated, each by an amount of its own
  kTexts,        ///< texts exchange their property, which is the same at all of their steps
};

/// A property of N steps, those of one text after the other.
struct StepProperty {
  std::vector<float> values;  ///< [N] 0 or 1 or, where it is graded, any numbers
  std::vector<Index> ends;    ///< [texts] the place after each text's last step, ascending; the last is N
  bool graded = false;
  Exchange exchange = Exchange::kRotate;
};

/// How one unit follows the property.
struct Following {
  /// The probability that a step with the property has a higher value than one without, ties counting half: the area
  /// under the ROC curve. Of a graded property Spearman's rank correlation.
  double score = 0;
  /// Of the hypothesis that no unit has to do with the property: the share of permutations, the one as it is among
  /// them, in which the best of all units follows it at least as well (Westfall & Young 1993, "Resampling-Based
  /// Multiple Testing", single-step maxT).
  double p_value = 1;
};

inline constexpr int kPermutations = 999;

/// Of each of U units. `values` [N, U] are replaced by their ranks. N < 2^24; a property that is not graded must be 0
/// somewhere and 1 somewhere. The same arguments give the same numbers for any number of threads.
std::vector<Following> find_following(std::vector<float>& values, Index units, const StepProperty& property,
                                      std::uint64_t seed, ThreadPool& pool);

}  // namespace mnemo
