// Sources of a text's bytes. Internal to the readers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "text/line_reader.h"

namespace mnemo {

/// A stream of bytes. Errors are thrown as Error with the bare reason; the reader adds file and line.
class ByteSource {
 public:
  struct Piece {
    std::size_t bytes = 0;
    bool end = false;  ///< there are no more; with 0 bytes and no end, read again
  };

  virtual ~ByteSource() = default;
  /// Reads up to `capacity` bytes (at least 1). Waits for them unless `ready`.
  virtual Piece read(char* to, std::size_t capacity) = 0;
  /// True if the next `read` does not wait.
  virtual bool ready() = 0;
  /// Of the bytes read so far, before decompression.
  virtual const ByteDigest& digest() const = 0;
};

/// A regular file that is read from one place to another: at first from its beginning to its end.
class FileRange : public ByteSource {
 public:
  /// Throws Error if the file cannot be opened, UsageError if it is not a regular file of which a range can be read:
  /// a pipe, standard input of which some has been read, gzip data.
  explicit FileRange(const std::string& path);
  ~FileRange() override;
  FileRange(const FileRange&) = delete;
  FileRange& operator=(const FileRange&) = delete;

  /// When it was opened.
  std::uint64_t size() const { return size_; }
  /// Reads up to `capacity` bytes at a place; 0 only at the end of the file. Throws Error.
  std::size_t read_at(std::uint64_t at, char* to, std::size_t capacity) const;
  /// `read` continues at `begin` and ends before `end`.
  void select(std::uint64_t begin, std::uint64_t end);

  Piece read(char* to, std::size_t capacity) override;
  bool ready() override { return true; }
  const ByteDigest& digest() const override { return digest_; }

 private:
  void check_kind(const std::string& path);

  int descriptor_;
  bool owned_;
  std::uint64_t size_ = 0, at_ = 0, end_ = 0;
  ByteDigest digest_;
};

/// A file, or standard input for `-`, decompressed if it is gzip data. Throws Error, naming the path, if it cannot be
/// opened.
std::unique_ptr<ByteSource> open_byte_source(const std::string& path);

/// The same for bytes in memory.
std::unique_ptr<ByteSource> memory_byte_source(std::string bytes);

}  // namespace mnemo
