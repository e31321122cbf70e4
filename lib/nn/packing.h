// The layout of a batch of sequences in memory: sorted by length, longest first, and stored time-major without padding.
//
// Letters: B sequences, T steps (the longest length), N tokens in all. The rows of step 0 come first, then those of
// step 1, ...; each step holds only the sequences that have not ended, which are the first `rows_at(t)` of the sorted
// order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"

namespace mnemo {

class Packing {
 public:
  /// `lengths` of the sequences in their original order; 0 is allowed. The sort is stable.
  explicit Packing(std::span<const std::int32_t> lengths);

  Index sequences() const { return static_cast<Index>(order_.size()); }                     ///< B
  Index steps() const { return static_cast<Index>(offsets_.size()) - 1; }                   ///< T
  Index tokens() const { return offsets_.back(); }                                          ///< N
  Index rows_at(Index t) const { return t < steps() ? offsets_[t + 1] - offsets_[t] : 0; }  ///< sequences longer than t
  Index offset(Index t) const { return offsets_[t]; }                                       ///< first row of step t
  Index row(Index b, Index t) const { return offsets_[t] + b; }                             ///< of sorted sequence b
  Index length(Index b) const { return lengths_[b]; }                                       ///< of sorted sequence b
  Index original(Index b) const { return order_[b]; }  ///< sorted -> original index

  /// The same sequences in the sorted order, of which only steps [begin, end) are left. Their rows are consecutive
  /// here.
  Packing part(Index begin, Index end) const;

 private:
  std::vector<Index> order_, lengths_, offsets_;
};

}  // namespace mnemo
