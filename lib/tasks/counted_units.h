// Units of many records, counted on all threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "tasks/blocks.h"
#include "tasks/dataset.h"
#include "text/encoder.h"
#include "text/vocabulary.h"

namespace mnemo {

/// What `count(first, end, builder)` adds for blocks of records: a builder, or a pair of builders. The order of its
/// units does not depend on the number of threads.
template <class Builder = VocabularyBuilder, class Count>
Builder counted_units(const RecordSet& records, const Count& count) {
  // A block holds the different units of its records once more.
  constexpr std::int64_t kBlock = std::int64_t{1} << 16;
  Builder out;
  in_blocks(
      records.size(), kBlock, records.storage() ? records.storage()->pool : nullptr,
      [&](std::int64_t first, std::int64_t end) {
        Builder own;
        count(first, end, own);
        return own;
      },
      [&](Builder&& own) { out.append(std::move(own)); });
  return out;
}

/// Lengths of texts in units, and how many of those are unknown.
struct LengthCounts {
  std::map<std::int64_t, std::int64_t> texts;  ///< how many have a length
  std::int64_t units = 0, unknown = 0;

  void add(UnitCount text) {
    ++texts[text.units];
    units += text.units;
    unknown += text.unknown;
  }
  void append(LengthCounts&& other) {
    for (const auto& [length, count] : other.texts) texts[length] += count;
    units += other.units;
    unknown += other.unknown;
  }
  std::int64_t size() const;
  /// "length min A, median B, ..., unknown units C%"; of at least one text.
  std::string shown() const;
};

}  // namespace mnemo
