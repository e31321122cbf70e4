// The rules of UAX #29 are applied to one character at a time, with the last two characters that are not ignored as
// context; rules that look ahead scan for the next such character. Properties come from a generated two-stage table,
// and runs of ASCII letters and digits, which never break, are skipped at once.
#include "text/word_break.h"

#include <cstdint>

#include "text/utf8.h"

namespace mnemo {
namespace {

// In the order of scripts/make_word_break.py.
enum WordBreak : std::uint8_t {
  kOther,
  kCr,
  kLf,
  kNewline,
  kExtend,
  kZwj,
  kFormat,
  kKatakana,
  kHebrewLetter,
  kALetter,
  kSingleQuote,
  kDoubleQuote,
  kMidNumLet,
  kMidLetter,
  kMidNum,
  kNumeric,
  kExtendNumLet,
  kRegionalIndicator,
  kWSegSpace,
};

struct WordBreakRange {
  char32_t first, last;
  std::uint8_t value;
};

#include "text/word_break_table.inc"

constexpr std::uint8_t kClassBits = 0x1F, kPictographicBit = 0x20, kWhiteSpaceBit = 0x40;

std::uint8_t properties(char32_t c) {
  if (c < kWordBreakTableEnd)
    return kWordBreakBlocks[kWordBreakIndex[c / kWordBreakBlock] * kWordBreakBlock + c % kWordBreakBlock];
  for (const WordBreakRange& range : kWordBreakRanges)
    if (c >= range.first && c <= range.last) return range.value;
  return kOther;
}

struct Character {
  WordBreak type = kOther;
  bool pictographic = false;
  bool white_space = false;
  std::size_t end = 0;
};

Character character_at(std::string_view text, std::size_t at) {
  const CodePoint c = decode_utf8(text.data() + at);
  const std::uint8_t value = properties(c.value);
  return {static_cast<WordBreak>(value & kClassBits), (value & kPictographicBit) != 0, (value & kWhiteSpaceBit) != 0,
          at + c.length};
}

bool is_newline(WordBreak c) { return c == kCr || c == kLf || c == kNewline; }
bool is_ignored(WordBreak c) { return c == kExtend || c == kZwj || c == kFormat; }
bool is_letter(WordBreak c) { return c == kALetter || c == kHebrewLetter; }
bool is_mid_letter(WordBreak c) { return c == kMidLetter || c == kMidNumLet || c == kSingleQuote; }
bool is_mid_number(WordBreak c) { return c == kMidNum || c == kMidNumLet || c == kSingleQuote; }
bool is_word_part(WordBreak c) { return is_letter(c) || c == kNumeric || c == kKatakana || c == kExtendNumLet; }

// The class of the next character at or after `at` that is not ignored (WB4), for the rules that look ahead.
WordBreak class_ahead(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Character c = character_at(text, at);
    if (!is_ignored(c.type)) return c.type;
    at = c.end;
  }
  return kOther;
}

// The characters of a segment so far, without the ignored ones.
struct Context {
  WordBreak before_last = kOther;
  WordBreak last = kOther;
  int regional_indicators = 0;
};

// Rules WB5 to WB16: whether there is no break between context.last and `next`; `ahead` is where the text continues
// after `next`.
bool joins(const Context& context, WordBreak next, std::string_view text, std::size_t ahead) {
  const WordBreak last = context.last, before = context.before_last;
  if (is_letter(last)) {
    if (is_letter(next) || next == kNumeric) return true;                         // WB5, WB9
    if (last == kHebrewLetter && next == kSingleQuote) return true;               // WB7a
    if (is_mid_letter(next) && is_letter(class_ahead(text, ahead))) return true;  // WB6
    if (last == kHebrewLetter && next == kDoubleQuote && class_ahead(text, ahead) == kHebrewLetter)
      return true;  // WB7b
  }
  if (is_letter(before) && is_mid_letter(last) && is_letter(next)) return true;                      // WB7
  if (before == kHebrewLetter && last == kDoubleQuote && next == kHebrewLetter) return true;         // WB7c
  if (last == kNumeric && (next == kNumeric || is_letter(next))) return true;                        // WB8, WB10
  if (before == kNumeric && is_mid_number(last) && next == kNumeric) return true;                    // WB11
  if (last == kNumeric && is_mid_number(next) && class_ahead(text, ahead) == kNumeric) return true;  // WB12
  if (last == kKatakana && next == kKatakana) return true;                                           // WB13
  if (next == kExtendNumLet) return is_word_part(last);                                              // WB13a
  if (last == kExtendNumLet) return is_word_part(next);                                              // WB13b
  return last == kRegionalIndicator && next == kRegionalIndicator &&
         context.regional_indicators % 2 == 1;  // WB15, WB16
}

// Skips ASCII letters, digits and _ that continue a word: between any two of them there is no boundary (WB5, WB8 to
// WB10, WB13a, WB13b).
std::size_t skip_ascii_word(std::string_view text, std::size_t at, Context& context) {
  const auto is_ascii_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (!is_letter(context.last) && context.last != kNumeric && context.last != kExtendNumLet) return at;
  const std::size_t begin = at;
  while (at < text.size() && is_ascii_word(text[at])) ++at;
  if (at - begin > 0) {
    context.before_last = at - begin > 1 ? character_at(text, at - 2).type : context.last;
    context.last = character_at(text, at - 1).type;
  }
  return at;
}

}  // namespace

WordSegment next_word_segment(std::string_view text, std::size_t begin) {
  Character previous = character_at(text, begin);
  WordSegment segment{previous.end, previous.white_space};
  if (is_newline(previous.type)) {  // WB3, WB3a
    if (previous.type == kCr && segment.end < text.size() && text[segment.end] == '\n') ++segment.end;
    return segment;
  }
  Context context{kOther, previous.type, previous.type == kRegionalIndicator};
  for (;;) {
    if (const auto end = skip_ascii_word(text, segment.end, context); end > segment.end) {
      segment.end = end;
      previous = character_at(text, end - 1);
    }
    if (segment.end == text.size()) break;
    const Character next = character_at(text, segment.end);
    if (is_newline(next.type)) break;                                            // WB3b
    const bool emoji = previous.type == kZwj && next.pictographic;               // WB3c
    const bool spaces = previous.type == kWSegSpace && next.type == kWSegSpace;  // WB3d
    if (!is_ignored(next.type)) {                                                // WB4
      if (!emoji && !spaces && !joins(context, next.type, text, next.end)) break;
      context = {context.last, next.type, context.regional_indicators + (next.type == kRegionalIndicator)};
    }
    segment.end = next.end;
    segment.white_space_only = segment.white_space_only && next.white_space;
    previous = next;
  }
  return segment;
}

std::string_view trim_white_space(std::string_view text) {
  while (!text.empty()) {
    const Character first = character_at(text, 0);
    if (!first.white_space) break;
    text.remove_prefix(first.end);
  }
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (is_continuation(text[last])) --last;
    if (!character_at(text, last).white_space) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

const char* word_break_unicode_version() { return kWordBreakUnicodeVersion; }

}  // namespace mnemo
