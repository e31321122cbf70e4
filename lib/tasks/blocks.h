// Work on many records on all threads, with results in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"

namespace mnemo {

/// Calls `make(first, end)` for blocks of the records 0 to `records` on the threads of `pool` (null: on the caller's),
/// then `use` with its results in the order of the blocks, on the caller's thread. So the result does not depend on the
/// number of threads. No more blocks than a few for each thread are in memory at a time.
template <class Make, class Use>
void in_blocks(std::int64_t records, std::int64_t block, ThreadPool* pool, const Make& make, const Use& use) {
  const std::int64_t together = pool ? 2 * std::int64_t{pool->threads()} : 1;
  for (std::int64_t begin = 0; begin < records; begin += together * block) {
    const std::int64_t blocks = std::min(together, (records - begin + block - 1) / block);
    std::vector<decltype(make(begin, begin))> made(static_cast<std::size_t>(blocks));
    const auto make_one = [&](std::int64_t b) {
      const std::int64_t first = begin + b * block;
      made[static_cast<std::size_t>(b)] = make(first, std::min(first + block, records));
    };
    if (pool && blocks > 1)
      pool->parallel_for(blocks, make_one);
    else
      for (std::int64_t b = 0; b < blocks; ++b) make_one(b);
    for (auto& one : made) use(std::move(one));
  }
}

}  // namespace mnemo
