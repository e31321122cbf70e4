// Units that would repeat a sequence of the text so far.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "decode/constraint.h"

namespace mnemo {

/// The units of a text, and those that followed each sequence of n - 1 of them.
class RepeatGuard {
 public:
  using Units = std::unordered_set<std::int32_t>;

  /// For sequences of n units; 0: nothing counts as a repetition.
  explicit RepeatGuard(std::int64_t n) : n_(n) {}

  void note(std::int32_t unit);

  /// The units that would complete a sequence of n that has already occurred; null: none.
  const Units* repeating() const;
  /// The same without those that `constraint`, which may be null, demands; `kept` holds them if there are such.
  const Units* repeating(const Constraint* constraint, Units& kept) const;

 private:
  std::int64_t n_;
  std::vector<std::int32_t> history_;
  std::unordered_map<std::uint64_t, Units> followers_;  // of the hash of n - 1 units
  std::uint64_t last_ = 0;                              // the hash of the last ones
};

}  // namespace mnemo
