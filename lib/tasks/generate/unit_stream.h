// A corpus as one long sequence of units.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <vector>

namespace mnemo {

/// A sequence of ids. All but the last kInMemory at most are in a temporary file without a name, so that a corpus of
/// any size takes little memory.
class UnitStream {
 public:
  static constexpr std::int64_t kInMemory = std::int64_t{1} << 24;

  /// `in_memory`: the largest number of ids kept in memory.
  explicit UnitStream(std::int64_t in_memory = kInMemory) : in_memory_(in_memory) {}

  /// Throws Error if the temporary file cannot be made or written.
  void add(std::int32_t id);
  std::int64_t size() const { return size_; }
  /// From now on `read` gives the ids in the opposite order, the last one first. Once, after the last one was added.
  void reverse() { reversed_ = true; }

  /// Ids [first, first + out.size()). Throws Error if the file cannot be read.
  void read(std::int64_t first, std::span<std::int32_t> out) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void write_out();
  // As `read`, in the order in which they were added.
  void read_added(std::int64_t first, std::span<std::int32_t> out) const;

  std::int64_t in_memory_, size_ = 0, written_ = 0;
  bool reversed_ = false;
  std::vector<std::int32_t> ids_;  // those after the written ones
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace mnemo
