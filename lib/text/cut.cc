#include "text/cut.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kCutBlock = std::size_t{1} << 18;
constexpr std::string_view kMark = "\xEF\xBB\xBF";

// Calls `use` with the bytes of [from, to) block by block, until it returns false.
void for_blocks(const FileRange& file, std::uint64_t from, std::uint64_t to,
                const std::function<bool(std::string_view block, std::uint64_t at)>& use) {
  if (from >= to) return;
  std::vector<char> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kCutBlock, to - from)));
  while (from < to) {
    const std::size_t got = file.read_at(from, buffer.data(), std::min<std::uint64_t>(buffer.size(), to - from));
    if (got == 0 || !use({buffer.data(), got}, from)) return;
    from += got;
  }
}

// What a line is to a reader of rows. Lines that a policy for invalid bytes might change are neither.
enum class LineKind { kBlank, kContent, kUnclear };

LineKind kind_of(std::string_view line) {
  while (line.starts_with(kMark)) line.remove_prefix(kMark.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find_first_not_of(" \t") == std::string_view::npos) return LineKind::kBlank;
  const bool clear =
      !line.starts_with("-DOCSTART-") && line.find('\0') == std::string_view::npos && !find_invalid_utf8(line);
  return clear ? LineKind::kContent : LineKind::kUnclear;
}

// Follows the quotes of csv byte by byte, as the reader of rows does.
class RowScan {
 public:
  explicit RowScan(char separator) : separator_(separator) {}

  // Takes a byte; true if it ends a row.
  bool take(char byte) {
    const State before = state_;
    if (before == State::kQuoted) {
      if (byte == '"') state_ = State::kQuoteInQuoted;
      return false;
    }
    if (byte == '\n' || byte == separator_) {
      state_ = byte == '\n' ? State::kRow : State::kCell;
      mark_ = 0;
      return byte == '\n';
    }
    // A byte order mark at the beginning of a line is not part of the cell.
    if (before == State::kRow && byte == kMark[mark_]) {
      mark_ = (mark_ + 1) % kMark.size();
      return false;
    }
    const bool opens = before == State::kCell || (before == State::kRow && mark_ == 0);
    state_ = byte == '"' && (opens || before == State::kQuoteInQuoted) ? State::kQuoted : State::kPlain;
    return false;
  }

 private:
  enum class State { kRow, kCell, kPlain, kQuoted, kQuoteInQuoted };  // kRow, kCell: at the beginning of one

  char separator_;
  State state_ = State::kRow;
  std::size_t mark_ = 0;
};

}  // namespace

std::uint64_t line_after(const FileRange& file, std::uint64_t at) {
  if (at == 0) return 0;
  std::uint64_t found = file.size();
  // From the byte before, which may be the line end that `at` follows.
  for_blocks(file, at - 1, file.size(), [&](std::string_view block, std::uint64_t from) {
    const std::size_t newline = block.find('\n');
    if (newline == std::string_view::npos) return true;
    found = from + newline + 1;
    return false;
  });
  return found;
}

std::uint64_t sentence_after(const FileRange& file, std::uint64_t at) {
  if (at == 0) return 0;
  std::uint64_t found = file.size();
  std::string line;
  LineKind before = LineKind::kUnclear;
  bool cut_off = false;
  for_blocks(file, line_after(file, at), file.size(), [&](std::string_view block, std::uint64_t from) {
    for (std::size_t begin = 0; begin < block.size();) {
      const std::size_t newline = std::min(block.find('\n', begin), block.size());
      // A line longer than a block is unclear: its memory stays bounded, and no sentence ends in it.
      cut_off = cut_off || line.size() + newline - begin > kCutBlock;
      if (!cut_off) line.append(block, begin, newline - begin);
      if (newline == block.size()) return true;
      const LineKind kind = cut_off ? LineKind::kUnclear : kind_of(line);
      if (kind == LineKind::kBlank && before == LineKind::kContent) {
        found = from + newline + 1;
        return false;
      }
      before = kind;
      line.clear();
      cut_off = false;
      begin = newline + 1;
    }
    return true;
  });
  return found;
}

std::uint64_t row_after(const FileRange& file, std::uint64_t head, std::uint64_t at, char separator) {
  if (at <= head) return head;
  std::uint64_t found = file.size();
  RowScan scan(separator);
  for_blocks(file, head, file.size(), [&](std::string_view block, std::uint64_t from) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (!scan.take(block[i]) || from + i + 1 < at) continue;
      found = from + i + 1;
      return false;
    }
    return true;
  });
  return found;
}

std::uint64_t line_ends_before(const FileRange& file, std::uint64_t end) {
  std::uint64_t lines = 0;
  for_blocks(file, 0, end, [&](std::string_view block, std::uint64_t) {
    lines += static_cast<std::uint64_t>(std::count(block.begin(), block.end(), '\n'));
    return true;
  });
  return lines;
}

}  // namespace mnemo
