// Units that would repeat a sequence of the text so far.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "decode/constraint.h"

namespace mnemo {

/// The units of a text. A table of those that followed each sequence would have to be copied for every hypothesis of a
/// beam at every step, which costs far more than to look through the text.
class RepeatGuard {
 public:
  using Units = std::unordered_set<std::int32_t>;

  /// For sequences of n units; 0: nothing counts as a repetition.
  explicit RepeatGuard(std::int64_t n) : n_(n) {}

  void note(std::int32_t unit);

  /// The units that would complete a sequence of n that has already occurred, without those that `constraint`, which
  /// may be null, demands: put into `found`; null: none.
  const Units* repeating(const Constraint* constraint, Units& found) const;

 private:
  std::int64_t n_;
  std::vector<std::int32_t> history_;
};

}  // namespace mnemo
