// Bytes that are written before they are read: in memory as long as they are few, then in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mnemo {

class Spool {
 public:
  Spool() = default;
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Throws Error if a temporary file, which has no name, cannot be made or written.
  void append(std::string_view bytes);

  /// After the last byte, before the first is read. Throws as `append`.
  void finish();

  std::uint64_t size() const { return size_; }
  std::size_t in_memory() const { return text_.size(); }
  bool is_file() const { return descriptor_ >= 0; }
  /// The bytes, if they are in memory.
  std::string take_text() { return std::move(text_); }
  /// The file, which the caller is to close.
  int take_file() { return std::exchange(descriptor_, -1); }

 private:
  void write_out();

  std::string text_;  // not yet in the file
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace mnemo
