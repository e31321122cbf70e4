// Records of subwords that training reads in another way in each epoch.
#pragma once

#include <cstdint>
#include <functional>

#include "pipeline/corpus.h"
#include "text/subwords.h"

namespace mnemo {

/// Encodes a record of train, with merges left out as `dropout` says.
using EncodeRecord = std::function<void(std::int64_t record, EncodedText& out, const MergeDropout& dropout)>;

/// All records of train with merges left out at `rate` (text.merge_dropout), drawn by seed, epoch and record, so that a
/// resumed run sees the same units.
Corpus cut_anew(std::int64_t records, double rate, std::uint64_t seed, std::int64_t epoch, const EncodeRecord& encode);

}  // namespace mnemo
