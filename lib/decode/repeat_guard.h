// Which units would repeat what stands in a text already.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace mnemo {

/// The units of a text, and what came behind each sequence of n - 1 of them.
class RepeatGuard {
 public:
  using Units = std::unordered_set<std::int32_t>;

  /// Of sequences of n units; 0: none is ever a repetition.
  explicit RepeatGuard(std::int64_t n) : n_(n) {}

  void note(std::int32_t unit);

  /// The units that would end a sequence of n that occurred already; null: none.
  const Units* repeating() const;

 private:
  std::int64_t n_;
  std::vector<std::int32_t> history_;
  std::unordered_map<std::uint64_t, Units> followers_;  // of the hash of n - 1 units
  std::uint64_t last_ = 0;                              // the hash of the last ones
};

}  // namespace mnemo
