// UTF-8: validation, and reading and writing one code point at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mnemo {

/// How a reader handles bytes that are not UTF-8; named error, replace, skip in configuration and command line.
enum class InvalidUtf8 { kError, kReplace, kSkip };

std::string_view name_of(InvalidUtf8 policy);
std::optional<InvalidUtf8> invalid_utf8_from_name(std::string_view name);

/// Bytes that are not UTF-8: the maximal subpart of the Unicode Standard (section 3.9, table 3-8), 1 to 3 bytes.
struct InvalidSequence {
  std::size_t offset = 0;
  std::size_t length = 0;
};

/// The first invalid sequence at or after `from`, which must be a code point boundary. Strict: surrogates, overlong
/// forms and values above U+10FFFF are invalid.
std::optional<InvalidSequence> find_invalid_utf8(std::string_view text, std::size_t from = 0);

/// True if no byte is above 0x7F.
bool is_ascii(std::string_view text);

/// The number of code points of valid UTF-8 (bytes that do not continue one).
std::size_t count_code_points(std::string_view text);

struct CodePoint {
  char32_t value = 0;
  std::uint32_t length = 0;  ///< bytes, 1 to 4
};

/// The code point that starts at `at`. The text must be valid UTF-8 and `at` a boundary in it.
inline CodePoint decode_utf8(const char* at) {
  const auto byte = [at](int i) { return static_cast<char32_t>(static_cast<unsigned char>(at[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// The number of bytes of the code point whose first byte is `lead`; valid UTF-8 only.
inline std::uint32_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// True if the byte continues a code point that began before it.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Writes 1 to 4 bytes and returns how many. `value` must be a Unicode scalar value.
std::uint32_t encode_utf8(char32_t value, char* to);

/// Appends the code point to `text`.
void append_utf8(std::string& text, char32_t value);

/// Scalar values as UTF-8, and valid UTF-8 as code points.
std::string to_utf8(char32_t value);
std::string to_utf8(std::u32string_view values);
std::u32string to_code_points(std::string_view text);

}  // namespace mnemo
