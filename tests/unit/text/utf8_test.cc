#include "text/utf8.h"

#include <set>
#include <string>

#include "tests/catch.h"
#include "tests/unit/text/helpers.h"

using mnemo::find_invalid_utf8;

namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

// All valid encodings of up to three bytes, made from the definition: the shortest form of each scalar value.
std::set<std::string> short_encodings() {
  std::set<std::string> encodings;
  for (char32_t c = 0; c < 0x10000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if (c < 0x80)
      encodings.insert({static_cast<char>(c)});
    else if (c < 0x800)
      encodings.insert(bytes({0xC0 | static_cast<int>(c >> 6), 0x80 | static_cast<int>(c & 63)}));
    else
      encodings.insert(bytes(
          {0xE0 | static_cast<int>(c >> 12), 0x80 | static_cast<int>(c >> 6 & 63), 0x80 | static_cast<int>(c & 63)}));
  }
  return encodings;
}

void check_invalid(const std::string& text, std::size_t offset, std::size_t length) {
  const auto bad = find_invalid_utf8(text);
  REQUIRE(bad);
  CHECK(bad->offset == offset);
  CHECK(bad->length == length);
}

}  // namespace

TEST_CASE("every scalar value survives encoding and decoding") {
  for_all_scalars([](char32_t c) {
    std::string text;
    mnemo::append_utf8(text, c);
    const auto decoded = mnemo::decode_utf8(text.data());
    if (decoded.value != c || decoded.length != text.size() || mnemo::utf8_length(text[0]) != text.size() ||
        find_invalid_utf8(text) || mnemo::count_code_points(text) != 1)
      FAIL("code point " << static_cast<std::uint32_t>(c));
  });
}

TEST_CASE("validation agrees with the definition for all strings of one to three bytes") {
  const auto encodings = short_encodings();
  const auto is_valid = [&](const std::string& text) {  // some way to cut it into encodings
    for (std::size_t at = 0; at < text.size();) {
      std::size_t length = 1;
      while (length <= text.size() - at && !encodings.count(text.substr(at, length))) ++length;
      if (length > text.size() - at) return false;
      at += length;
    }
    return true;
  };
  std::size_t wrong = 0;
  const int interesting[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2,
                             0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
  for (int a = 0; a < 256; ++a) {
    wrong += is_valid(bytes({a})) == find_invalid_utf8(bytes({a})).has_value();
    for (int b = 0; b < 256; ++b) {
      wrong += is_valid(bytes({a, b})) == find_invalid_utf8(bytes({a, b})).has_value();
      for (const int c : interesting)
        wrong += is_valid(bytes({a, b, c})) == find_invalid_utf8(bytes({a, b, c})).has_value();
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("invalid sequences are maximal subparts") {
  check_invalid(bytes({0x80}), 0, 1);
  check_invalid(bytes({0x61, 0xC3, 0x28}), 1, 1);
  check_invalid(bytes({0xC0, 0xAF}), 0, 1);        // overlong
  check_invalid(bytes({0xE0, 0x80, 0xAF}), 0, 1);  // overlong
  check_invalid(bytes({0xED, 0xA0, 0x80}), 0, 1);  // a surrogate
  check_invalid(bytes({0xE4, 0xB8}), 0, 2);        // cut off
  check_invalid(bytes({0xF0, 0x9F, 0x98}), 0, 3);  // cut off
  check_invalid(bytes({0xF0, 0x9F, 0x41}), 0, 2);
  check_invalid(bytes({0xF0, 0x8F, 0xBF, 0xBF}), 0, 1);  // overlong
  check_invalid(bytes({0xF4, 0x90, 0x80, 0x80}), 0, 1);  // above U+10FFFF
  check_invalid(bytes({0xF5, 0x80}), 0, 1);
  check_invalid("0123456789\xFF", 10, 1);
  check_invalid("中文中文中\xE6\x96", 15, 2);
}

TEST_CASE("the search for invalid UTF-8 can start anywhere") {
  const std::string text = "\xFFok\xFE";
  CHECK(find_invalid_utf8(text, 1)->offset == 3);
  CHECK_FALSE(find_invalid_utf8(text, 4));
  CHECK_FALSE(find_invalid_utf8(""));
}

TEST_CASE("ASCII is recognised at every length") {
  for (std::size_t n = 0; n < 40; ++n) {
    CHECK(mnemo::is_ascii(std::string(n, 'x')));
    for (std::size_t i = 0; i < n; ++i) {
      std::string text(n, 'x');
      text[i] = '\x80';
      CHECK_FALSE(mnemo::is_ascii(text));
    }
  }
}

TEST_CASE("policies have the names of the command line") {
  CHECK(mnemo::invalid_utf8_from_name("error") == mnemo::InvalidUtf8::kError);
  CHECK(mnemo::invalid_utf8_from_name("replace") == mnemo::InvalidUtf8::kReplace);
  CHECK(mnemo::invalid_utf8_from_name("skip") == mnemo::InvalidUtf8::kSkip);
  CHECK_FALSE(mnemo::invalid_utf8_from_name("ignore"));
}
