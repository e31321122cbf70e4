// The records of a data set as bytes, in memory or in a file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/storage.h"

namespace mnemo {

/// Records are added first and read later. Each has its bytes, its place and a number of the task's own, `tag`; beside
/// the bytes it takes 16 bytes.
class RecordStore {
 public:
  explicit RecordStore(const std::shared_ptr<Storage>& storage) : bytes_(storage), index_(storage) {}

  /// Files are numbered from 0, in order. The bytes are those of the pieces together.
  void add(std::uint32_t file, std::uint64_t line, std::uint32_t tag, std::initializer_list<std::string_view> pieces);
  /// Ends the adding. Until then nothing can be read.
  void finish();

  std::int64_t size() const { return index_.size(); }
  std::string_view bytes(std::int64_t record) const {
    const std::uint64_t begin = record == 0 ? 0 : index_[record - 1].end;
    const std::span<const char> found =
        bytes_.values(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(index_[record].end - begin));
    return {found.data(), found.size()};
  }
  struct Copy {
    std::string bytes;
    std::uint32_t tag;
  };
  /// For records in no order.
  Copy copy(std::int64_t record) const;
  std::uint32_t tag(std::int64_t record) const { return index_[record].tag; }
  std::uint32_t file(std::int64_t record) const;
  std::uint64_t line(std::int64_t record) const {
    return std::uint64_t{index_[record].line_high} << 32 | index_[record].line_low;
  }
  bool in_file() const { return bytes_.in_file() || index_.in_file(); }

 private:
  struct Index {
    std::uint64_t end : 48, line_high : 16;  // of the record's bytes; the upper half of its line
    std::uint32_t line_low, tag;
  };

  StoredArray<char> bytes_;
  StoredArray<Index> index_;
  std::vector<std::int64_t> file_ends_;  // the records of file f end here
  std::uint64_t end_ = 0;
};

}  // namespace mnemo
