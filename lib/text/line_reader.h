// Lines of a file, of standard input or from memory, as valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/part.h"
#include "text/utf8.h"

namespace mnemo {

class ByteSource;
class FileRange;

/// The longest line that is read as a whole, and the longest record of several lines: the data derived from a line take
/// up to fifty times its memory.
inline constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;

/// The number of bytes read from a file, and their hash.
struct ByteDigest {
  std::int64_t bytes = 0;
  std::uint64_t fnv1a64 = 0xcbf29ce484222325ull;  ///< FNV-1a, 64 bits

  void add(std::string_view read);
  bool operator==(const ByteDigest&) const = default;
};

/// The bytes of a file, or of standard input for `-`, decompressed. Throws Error if it cannot be opened or read.
std::string read_unpacked(const std::string& path);

/// Reads text line by line. A line ends at LF or at the end of the input; the CR of a CRLF belongs to the line's end.
/// Input that begins with gzip's magic bytes is decompressed, whatever its name. U+FEFF at the start of a line is a
/// byte order mark (after the first line, that of a file appended to another) and is removed; anywhere else it is a
/// character. NUL, which text cannot contain, is treated as invalid UTF-8.
class LineReader {
 public:
  /// `path` is a file, or `-` for standard input. Throws Error if it cannot be opened or is a folder.
  LineReader(const std::string& path, InvalidUtf8 policy);
  /// The lines of a part of a file, if `part` is not empty; `enter_part` is then to be called before the lines of the
  /// part are read. Throws UsageError too, if the file is not one of which a part can be read.
  LineReader(const std::string& path, InvalidUtf8 policy, const std::optional<Part>& part);
  /// Reads from memory; `name` stands for the file in messages.
  static LineReader from_memory(std::string name, std::string bytes, InvalidUtf8 policy);

  LineReader(LineReader&&) noexcept;
  LineReader& operator=(LineReader&&) noexcept;
  ~LineReader();

  /// Reads the next line without its end into `line`, or returns false at the end of the input. Throws Error on a
  /// failed read, damaged or truncated gzip data, a line of more than kMaxLineBytes, and, with InvalidUtf8::kError, on
  /// bytes that are not UTF-8 ("FILE:LINE:COLUMN: ...", the column counted in code points from 1).
  bool next(std::string& line);

  /// Continues reading the line, up to its end or, in a long one, up to a place that no unit of text spans: before a
  /// blank or, unless units are separated by blanks (`words`), before an ideograph. `ends`: whether it was the line's
  /// end. Memory does not grow with a line's length if it has such places; if there is none within kMaxLineBytes, Error
  /// is thrown.
  bool next_piece(std::string& piece, bool words, bool& ends);

  /// True if `next` would return without waiting: a whole line or the end has arrived. May read available input.
  bool next_is_ready();

  /// The part of a reader that has not entered it; null for the whole file, and afterwards.
  const Part* awaited_part() const { return part_ ? &*part_ : nullptr; }
  /// The first place at or after `at` at which a file can be cut.
  using Cut = std::function<std::uint64_t(const FileRange& file, std::uint64_t at)>;
  /// Goes on with the lines of the part. Until then the lines are those of the file from its beginning, for a reader
  /// that learns something from them. Nothing is cut before `head`, a place that this reader has not passed: the first
  /// part begins there, and what is before it belongs to none. Line numbers remain those of the file; other counts are
  /// those of the part.
  void enter_part(std::uint64_t head, const Cut& cut);
  /// The same, cut at line ends. Nothing happens if there is no part.
  void enter_lines();
  /// The place in the file of the next line, before decompression; for a reader that awaits its part.
  std::uint64_t offset() const { return filled_ - (end_ - begin_); }

  /// The number of the line that `next` returned last, from 1.
  std::size_t line_number() const { return line_number_; }
  /// The file as messages name it: the path, or "standard input".
  const std::string& name() const { return name_; }

  /// Of the bytes read so far (at the end, of the whole file), before decompression. Where invalid sequences were
  /// skipped, it is another than where they were replaced, as the lines are.
  ByteDigest digest() const;

  bool had_bom() const { return had_bom_; }
  /// Lines after the first one that began with a byte order mark.
  std::size_t bom_lines() const { return bom_lines_; }
  std::size_t crlf_lines() const { return crlf_lines_; }
  /// Invalid sequences that were replaced or skipped so far.
  std::size_t invalid_sequences() const { return invalid_sequences_; }
  /// The bytes of these.
  std::size_t invalid_bytes() const { return invalid_bytes_; }

 private:
  LineReader(std::string name, std::unique_ptr<ByteSource> source, InvalidUtf8 policy);

  bool take_line(std::string& line, std::size_t most, bool words, bool& whole);
  void check(std::string& piece);
  void drop_bom(std::string& line);
  void fill();
  void repair(std::string& line);
  [[noreturn]] void fail_long() const;
  [[noreturn]] void fail_invalid(const std::string& piece, InvalidSequence bad) const;

  std::string name_;
  std::unique_ptr<ByteSource> source_;
  InvalidUtf8 policy_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // the part of buffer_ still to be read
  bool at_end_ = false;              // the source has no more
  std::size_t line_number_ = 0;
  std::string rest_;             // of the current line, after the pieces already returned
  bool inside_ = false;          // a line of which pieces were returned
  std::size_t code_points_ = 0;  // of those pieces
  bool had_bom_ = false;
  std::size_t bom_lines_ = 0;
  std::size_t crlf_lines_ = 0;
  std::size_t invalid_sequences_ = 0, invalid_bytes_ = 0;
  std::uint64_t filled_ = 0;  // bytes that the source has given
  std::optional<Part> part_;
};

}  // namespace mnemo
