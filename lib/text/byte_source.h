// Sources of a text's bytes. Internal to the readers.
#pragma once

#include <cstddef>
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

/// A file, or standard input for `-`, decompressed if it is gzip data. Throws Error, naming the path, if it cannot be
/// opened.
std::unique_ptr<ByteSource> open_byte_source(const std::string& path);

/// The same for bytes in memory.
std::unique_ptr<ByteSource> memory_byte_source(std::string bytes);

}  // namespace mnemo
