#include "text/script.h"

#include <algorithm>
#include <iterator>

#include "text/utf8.h"

namespace mnemo {
namespace {

// Blocks of scripts without blanks between words: Thai to Myanmar, Khmer, kana, ideographs and their extensions.
struct Block {
  char32_t first, last;
};
constexpr Block kUnsegmented[] = {{0x0E00, 0x0EFF}, {0x1000, 0x109F}, {0x1780, 0x17FF},
                                  {0x3040, 0x30FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF},
                                  {0xF900, 0xFAFF}, {0xFF66, 0xFF9F}, {0x20000, 0x3FFFF}};

struct ScriptRange {
  char32_t first, last;
  std::uint8_t value;
};

#include "text/script_table.inc"

}  // namespace

std::uint8_t character_class(char32_t value) {
  if (value < kScriptTableEnd)
    return kScriptBlocks[kScriptIndex[value / kScriptBlock] * kScriptBlock + value % kScriptBlock];
  for (const ScriptRange& range : kScriptRanges)
    if (value >= range.first && value <= range.last) return range.value;
  return kOtherCharacter;
}

std::size_t subword_word_end(std::string_view text, std::size_t at) {
  const std::size_t size = text.size();
  if (text[at] == ' ') {
    std::size_t end = at;
    while (end < size && text[end] == ' ') ++end;
    // The last blank of several goes with the next word; so does a single one.
    if (end == size) return size;
    if (end - at > 1) return end - 1;
    ++at;
  }
  CodePoint c = decode_utf8(text.data() + at);
  std::uint8_t of_word = character_class(c.value);
  at += c.length;
  while (at < size) {
    c = decode_utf8(text.data() + at);
    const std::uint8_t next = character_class(c.value);
    // A mark at the beginning joins whatever comes.
    if (next != of_word && next != kJoiningMark && of_word != kJoiningMark) break;
    if (text[at] == ' ') break;
    if (next != kJoiningMark) of_word = next;
    at += c.length;
  }
  return at;
}

bool is_unsegmented(char32_t value) {
  return std::any_of(std::begin(kUnsegmented), std::end(kUnsegmented),
                     [value](const Block& block) { return value >= block.first && value <= block.last; });
}

bool within_word(char32_t before, char32_t after) {
  const std::uint8_t left = character_class(before), right = character_class(after);
  if (is_unsegmented(before) || (left < kFirstScript && left != kNumber)) return false;
  return left == right || right == kJoiningMark;
}

}  // namespace mnemo
