#include "tasks/record_store.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"

namespace mnemo {

void RecordStore::add(std::uint32_t file, std::uint64_t line, std::uint32_t tag,
                      std::initializer_list<std::string_view> pieces) {
  // Selections number records by 32 bits.
  if (size() >= std::numeric_limits<std::uint32_t>::max()) fail("more than {} records", size());
  for (const std::string_view piece : pieces) {
    bytes_.append({piece.data(), piece.size()});
    end_ += piece.size();
  }
  file_ends_.resize(std::max<std::size_t>(file_ends_.size(), std::size_t{file} + 1), size());
  Index index{};
  index.end = end_;
  index.line_high = static_cast<std::uint16_t>(line >> 32);
  index.line_low = static_cast<std::uint32_t>(line);
  index.tag = tag;
  index_.push_back(index);
  file_ends_.back() = size();
}

void RecordStore::finish() {
  bytes_.finish();
  index_.finish();
}

RecordStore::Copy RecordStore::copy(std::int64_t record) const {
  std::array<Index, 2> ends{};
  if (record == 0)
    index_.copy(0, {&ends[1], 1});
  else
    index_.copy(record - 1, ends);
  Copy out{std::string(ends[1].end - ends[0].end, '\0'), ends[1].tag};
  bytes_.copy(static_cast<std::int64_t>(ends[0].end), out.bytes);
  return out;
}

std::uint32_t RecordStore::file(std::int64_t record) const {
  return static_cast<std::uint32_t>(std::ranges::upper_bound(file_ends_, record) - file_ends_.begin());
}

}  // namespace mnemo
