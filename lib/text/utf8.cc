#include "text/utf8.h"

#include <cstring>

namespace mnemo {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080ull;

std::uint64_t eight_bytes(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// The end of the run of ASCII that begins at `from`.
std::size_t skip_ascii(std::string_view text, std::size_t from) {
  while (from + 8 <= text.size() && (eight_bytes(text.data() + from) & kHighBits) == 0) from += 8;
  while (from < text.size() && static_cast<unsigned char>(text[from]) < 0x80) ++from;
  return from;
}

// The bytes that may follow a lead byte: their number, and the bounds of the first (the Unicode Standard, table 3-7).
struct Follow {
  unsigned char count, low, high;
};

Follow follow(unsigned char lead) {
  if (lead < 0xC2 || lead > 0xF4) return {0, 0, 0};
  if (lead < 0xE0) return {1, 0x80, 0xBF};
  if (lead < 0xF0)
    return {2, static_cast<unsigned char>(lead == 0xE0 ? 0xA0 : 0x80),
            static_cast<unsigned char>(lead == 0xED ? 0x9F : 0xBF)};
  return {3, static_cast<unsigned char>(lead == 0xF0 ? 0x90 : 0x80),
          static_cast<unsigned char>(lead == 0xF4 ? 0x8F : 0xBF)};
}

struct Sequence {
  std::size_t length;  // of the code point, or of the maximal subpart
  bool valid;
};

Sequence sequence_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  Follow next = follow(byte(at));
  if (next.count == 0) return {1, byte(at) < 0x80};
  for (std::size_t i = 1; i <= next.count; ++i) {
    if (at + i >= text.size() || byte(at + i) < next.low || byte(at + i) > next.high) return {i, false};
    next.low = 0x80;
    next.high = 0xBF;
  }
  return {next.count + std::size_t{1}, true};
}

// Skips three-byte code points, most of Chinese, except those with lead byte E0 or ED, whose second byte has narrower
// bounds.
std::size_t skip_common_three(std::string_view text, std::size_t from) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  while (from + 3 <= text.size() && byte(from) > 0xE0 && byte(from) < 0xF0 && byte(from) != 0xED &&
         is_continuation(text[from + 1]) && is_continuation(text[from + 2]))
    from += 3;
  return from;
}

}  // namespace

std::string_view name_of(InvalidUtf8 policy) {
  switch (policy) {
    case InvalidUtf8::kReplace:
      return "replace";
    case InvalidUtf8::kSkip:
      return "skip";
    default:
      return "error";
  }
}

std::optional<InvalidUtf8> invalid_utf8_from_name(std::string_view name) {
  for (const auto policy : {InvalidUtf8::kError, InvalidUtf8::kReplace, InvalidUtf8::kSkip})
    if (name_of(policy) == name) return policy;
  return std::nullopt;
}

std::optional<InvalidSequence> find_invalid_utf8(std::string_view text, std::size_t from) {
  for (;;) {
    from = skip_common_three(text, skip_ascii(text, from));
    if (from >= text.size()) return std::nullopt;
    const Sequence sequence = sequence_at(text, from);
    if (!sequence.valid) return InvalidSequence{from, sequence.length};
    from += sequence.length;
  }
}

bool is_ascii(std::string_view text) { return skip_ascii(text, 0) == text.size(); }

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += !is_continuation(byte);
  return count;
}

std::uint32_t encode_utf8(char32_t value, char* to) {
  const auto tail = [value](int shift) { return static_cast<char>(0x80 | (value >> shift & 0x3F)); };
  if (value < 0x80) {
    to[0] = static_cast<char>(value);
    return 1;
  }
  if (value < 0x800) {
    to[0] = static_cast<char>(0xC0 | value >> 6);
    to[1] = tail(0);
    return 2;
  }
  if (value < 0x10000) {
    to[0] = static_cast<char>(0xE0 | value >> 12);
    to[1] = tail(6);
    to[2] = tail(0);
    return 3;
  }
  to[0] = static_cast<char>(0xF0 | value >> 18);
  to[1] = tail(12);
  to[2] = tail(6);
  to[3] = tail(0);
  return 4;
}

void append_utf8(std::string& text, char32_t value) {
  char bytes[4];
  text.append(bytes, encode_utf8(value, bytes));
}

std::string to_utf8(char32_t value) { return to_utf8(std::u32string_view(&value, 1)); }

std::string to_utf8(std::u32string_view values) {
  std::string out;
  for (const char32_t c : values) append_utf8(out, c);
  return out;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, length] = decode_utf8(text.data() + i);
    out.push_back(c);
    i += length;
  }
  return out;
}

}  // namespace mnemo
