// Lines are cut out of a buffer of raw bytes and validated one at a time, so that errors have a line and a column and
// memory is bounded by the longest line. A long line can be read in pieces, cut only where no unit of text can span the
// cut.
#include "text/line_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"
#include "text/byte_source.h"
#include "text/cut.h"

namespace mnemo {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

// The bytes as a message shows them: the invalid ones, and the one that should have continued the code point.
std::string hex(std::string_view line, InvalidSequence bad) {
  const auto lead = static_cast<unsigned char>(line[bad.offset]);
  const std::size_t shown = bad.length + (lead >= 0xC2 && lead <= 0xF4 ? 1 : 0);
  std::string text;
  for (const char byte : line.substr(bad.offset, shown))
    text += fmt::format("{}0x{:02X}", text.empty() ? "" : " ", static_cast<unsigned char>(byte));
  return text;
}

// The kind of UTF-16 that a line seems to be, by its byte order mark or, if it is mostly ASCII, by its NUL bytes;
// empty: none.
std::string_view utf16_kind(std::string_view line) {
  if (line.starts_with("\xFF\xFE") || line.starts_with("\xFE\xFF")) return "UTF-16";
  const std::size_t nul = line.find('\0');
  return nul == 0 ? "UTF-16BE" : nul == 1 ? "UTF-16LE" : "";
}

// The first invalid sequence or NUL at or after `from`.
std::optional<InvalidSequence> find_bad(std::string_view text, std::size_t from = 0) {
  const auto invalid = find_invalid_utf8(text, from);
  const std::size_t nul = text.substr(0, invalid ? invalid->offset : text.size()).find('\0', from);
  return nul == std::string_view::npos ? invalid : InvalidSequence{nul, 1};
}

// The last place after `from` that no unit spans: before a blank or an ideograph, and after ASCII or a character from
// U+3000 to U+9FFF, none of which joins the next character. 0: none.
std::size_t last_cut(std::string_view line, std::size_t from, bool words) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(line[i]); };
  for (std::size_t i = line.size(); i-- > std::max<std::size_t>(from, 3);) {
    const bool before = (byte(i) == ' ' && byte(i - 1) != ' ') || (!words && byte(i) >= 0xE4 && byte(i) <= 0xE9);
    const bool after = byte(i - 1) < 0x80 || (byte(i - 1) < 0xC0 && byte(i - 3) >= 0xE3 && byte(i - 3) <= 0xE9);
    if (before && after) return i;
  }
  return 0;
}

}  // namespace

std::string read_unpacked(const std::string& path) {
  const auto source = open_byte_source(path);
  std::string out;
  std::vector<char> block(kBufferBytes);
  for (ByteSource::Piece piece; !piece.end;) {
    piece = source->read(block.data(), block.size());
    out.append(block.data(), piece.bytes);
  }
  return out;
}

LineReader::LineReader(const std::string& path, InvalidUtf8 policy)
    : LineReader(path == "-" ? "standard input" : path, open_byte_source(path), policy) {}

LineReader::LineReader(std::string name, std::unique_ptr<ByteSource> source, InvalidUtf8 policy)
    : name_(std::move(name)), source_(std::move(source)), policy_(policy), buffer_(kBufferBytes) {}

LineReader::LineReader(const std::string& path, InvalidUtf8 policy, const std::optional<Part>& part)
    : LineReader(path == "-" ? "standard input" : path,
                 part ? std::make_unique<FileRange>(path) : open_byte_source(path), policy) {
  part_ = part;
}

LineReader LineReader::from_memory(std::string name, std::string bytes, InvalidUtf8 policy) {
  return {std::move(name), memory_byte_source(std::move(bytes)), policy};
}

LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

bool LineReader::next(std::string& line) {
  bool whole = true;
  if (!take_line(line, std::string::npos, false, whole)) return false;
  ++line_number_;
  check(line);
  return true;
}

bool LineReader::next_piece(std::string& piece, bool words, bool& ends) {
  if (!take_line(piece, kPieceBytes, words, ends)) return false;
  if (!inside_) ++line_number_;
  check(piece);
  inside_ = !ends;
  code_points_ = ends ? 0 : code_points_ + count_code_points(piece);
  return true;
}

void LineReader::check(std::string& piece) {
  if (const auto bad = find_bad(piece)) {
    if (policy_ == InvalidUtf8::kError) fail_invalid(piece, *bad);
    repair(piece);
  }
}

// Takes the bytes up to the next LF or the end, or in a line of more than `most` bytes those up to the last place where
// it may be cut; `whole`: it was not cut.
bool LineReader::take_line(std::string& line, std::size_t most, bool words, bool& whole) {
  line.clear();
  line.swap(rest_);
  bool ended = false;
  whole = true;
  std::size_t searched = 0;
  while (!ended) {
    if (line.size() > most) {
      if (const std::size_t cut = last_cut(line, searched, words); cut > 0) {
        rest_.assign(line, cut);
        line.resize(cut);
        whole = false;
        break;
      }
      searched = line.size();
    }
    if (line.size() > kMaxLineBytes) fail_long();
    if (begin_ == end_) {
      if (at_end_) break;
      begin_ = end_ = 0;
      fill();
      continue;
    }
    const char* from = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const std::size_t length = newline ? static_cast<std::size_t>(newline - from) : end_ - begin_;
    line.append(from, length);
    begin_ += length + (newline ? 1 : 0);
    ended = newline != nullptr;
  }
  if (line.size() > kMaxLineBytes) fail_long();
  if (!inside_) drop_bom(line);
  if (ended && line.ends_with('\r')) {
    line.pop_back();
    ++crlf_lines_;
  }
  return ended || !line.empty();
}

void LineReader::drop_bom(std::string& line) {
  if (!line.starts_with(kByteOrderMark)) return;
  if (line_number_ == 0)
    had_bom_ = true;
  else
    ++bom_lines_;
  while (line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
}

ByteDigest LineReader::digest() const {
  ByteDigest out = source_->digest();
  if (policy_ == InvalidUtf8::kSkip && invalid_sequences_ > 0) out.fnv1a64 = ~out.fnv1a64;
  return out;
}

void LineReader::enter_part(std::uint64_t head, const Cut& cut) {
  auto& file = static_cast<FileRange&>(*source_);  // as the constructor made it
  const auto place = [&](std::uint64_t at) { return std::max(head, cut(file, at)); };
  try {
    const std::uint64_t end = part_->index == part_->count ? file.size() : place(part_->end_of(file.size()));
    const std::uint64_t begin = part_->is_first() ? head : std::min(end, place(part_->begin_of(file.size())));
    if (!part_->is_first()) {
      had_bom_ = false;
      bom_lines_ = crlf_lines_ = invalid_sequences_ = invalid_bytes_ = 0;
    }
    line_number_ = line_ends_before(file, begin);
    file.select(begin, end);
  } catch (const Error& error) {
    mnemo::fail("{}: {}", name_, error.what());
  }
  begin_ = end_ = 0;
  at_end_ = false;
  part_.reset();
}

void LineReader::enter_lines() {
  if (part_) enter_part(0, line_after);
}

// Reads once from the source and appends to the buffer.
void LineReader::fill() {
  if (end_ == buffer_.size() && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  try {
    const ByteSource::Piece piece = source_->read(buffer_.data() + end_, buffer_.size() - end_);
    end_ += piece.bytes;
    filled_ += piece.bytes;
    at_end_ = piece.end;
  } catch (const Error& error) {
    mnemo::fail("{}:{}: {}", name_, line_number_ + 1, error.what());
  }
}

bool LineReader::next_is_ready() {
  std::size_t searched = 0;
  for (;;) {
    const char* from = buffer_.data() + begin_;
    const std::size_t available = end_ - begin_;
    if (at_end_ || std::memchr(from + searched, '\n', available - searched)) return true;
    if (available > kMaxLineBytes) return true;  // for `next` to refuse
    searched = available;
    if (!source_->ready()) return false;
    fill();
  }
}

void LineReader::repair(std::string& line) {
  std::string good;
  good.reserve(line.size());
  std::size_t at = 0;
  while (const auto bad = find_bad(line, at)) {
    good.append(line, at, bad->offset - at);
    if (policy_ == InvalidUtf8::kReplace) good += kReplacementText;
    ++invalid_sequences_;
    invalid_bytes_ += bad->length;
    at = bad->offset + bad->length;
  }
  good.append(line, at, line.size() - at);
  line.swap(good);
}

void LineReader::fail_invalid(const std::string& piece, InvalidSequence bad) const {
  const std::size_t column = code_points_ + count_code_points(std::string_view(piece).substr(0, bad.offset)) + 1;
  const std::string_view utf16 = line_number_ == 1 && code_points_ == 0 ? utf16_kind(piece) : "";
  const bool nul = piece[bad.offset] == '\0';
  mnemo::fail("{}:{}:{}: {}; {}", name_, line_number_, column,
              nul ? "a NUL byte, which text cannot contain" : fmt::format("invalid UTF-8 (bytes {})", hex(piece, bad)),
              utf16.empty() ? "convert the file to UTF-8, or use --invalid-utf8 replace or skip"
                            : fmt::format("this looks like UTF-16: convert it with iconv -f {} -t UTF-8", utf16));
}

void LineReader::fail_long() const {
  mnemo::fail("{}:{}: a line of more than {} MiB, the maximum; split it into several lines", name_,
              line_number_ + (inside_ ? 0 : 1), kMaxLineBytes >> 20);
}

}  // namespace mnemo
