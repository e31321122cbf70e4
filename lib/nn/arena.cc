#include "nn/arena.h"

#include <algorithm>

namespace mnemo {
namespace {
constexpr std::size_t kLine = AlignedVector::kAlignment / sizeof(float);
constexpr std::size_t kSmallestBlock = std::size_t{1} << 16;
}  // namespace

float* Arena::allocate(std::int64_t count) {
  const std::size_t wanted = (static_cast<std::size_t>(count) + kLine - 1) / kLine * kLine;
  if (blocks_.empty() || blocks_.back().size() - used_ < wanted) {
    AlignedVector block;
    block.resize(std::max({wanted, kSmallestBlock, blocks_.empty() ? 0 : 2 * blocks_.back().size()}));
    blocks_.push_back(std::move(block));
    used_ = 0;
  }
  float* memory = blocks_.back().data() + used_;
  used_ += wanted;
  return memory;
}

void Arena::reset() {
  if (blocks_.size() > 1) {
    std::size_t total = 0;
    for (const auto& block : blocks_) total += block.size();
    blocks_.clear();
    blocks_.emplace_back();
    blocks_.back().resize(total);
  }
  used_ = 0;
}

std::int64_t Arena::bytes() const {
  std::int64_t total = 0;
  for (const auto& block : blocks_) total += static_cast<std::int64_t>(block.size() * sizeof(float));
  return total;
}

}  // namespace mnemo
