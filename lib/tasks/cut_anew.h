// Records of subwords that training reads in another way in each epoch.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "text/subwords.h"

namespace mnemo {

/// Calls `encode` with the dropout of merges of a record of train: at `rate` (text.merge_dropout), drawn by seed, epoch
/// and record, so that a resumed run sees the same units. Without a rate it is no dropout.
template <class Encode>
void cut_anew(double rate, std::uint64_t seed, std::int64_t epoch, std::int64_t record, const Encode& encode) {
  if (rate <= 0) return encode(MergeDropout());
  RandomStream random(seed, Purpose::kSubword, static_cast<std::uint64_t>(epoch), static_cast<std::uint32_t>(record));
  encode(MergeDropout{rate, &random});
}

}  // namespace mnemo
