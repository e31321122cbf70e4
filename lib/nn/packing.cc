#include "nn/packing.h"

#include <algorithm>
#include <numeric>

namespace mnemo {

Packing::Packing(std::span<const std::int32_t> lengths) : order_(lengths.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](Index a, Index b) { return lengths[a] > lengths[b]; });
  for (Index original : order_) lengths_.push_back(lengths[original]);
  const Index steps = lengths_.empty() ? 0 : lengths_.front();
  offsets_.reserve(steps + 1);
  offsets_.push_back(0);
  Index running = sequences();
  for (Index t = 0; t < steps; ++t) {
    while (running > 0 && lengths_[running - 1] <= t) --running;
    offsets_.push_back(offsets_.back() + running);
  }
}

Packing Packing::part(Index begin, Index end) const {
  std::vector<std::int32_t> lengths;
  for (const Index length : lengths_)
    lengths.push_back(static_cast<std::int32_t>(std::clamp<Index>(length - begin, 0, end - begin)));
  return Packing(lengths);
}

}  // namespace mnemo
