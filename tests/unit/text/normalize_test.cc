#include "text/normalize.h"

#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/unit/text/helpers.h"

using mnemo::ChangedPiece;
using mnemo::Normalization;
using mnemo::normalize;

namespace {

bool is_boundary(std::string_view text, std::size_t at) {
  return at >= text.size() || !mnemo::is_continuation(text[at]);
}

// Checks that the normal form equals the library's for the whole text, and that the pieces map it to the original.
bool is_right(std::string_view text, Normalization form) {
  const bool compatibility = form == Normalization::kNfkc;
  std::string normal;
  std::vector<ChangedPiece> pieces;
  std::vector<std::int32_t> scratch;
  normalize_mapped(text, form, normal, pieces, scratch);
  std::string rebuilt;
  std::size_t original_at = 0;
  for (const ChangedPiece& piece : pieces) {
    if (piece.original_begin < original_at || piece.original_begin >= piece.original_end) return false;
    if (!is_boundary(text, piece.original_begin) || !is_boundary(text, piece.original_end)) return false;
    rebuilt += text.substr(original_at, piece.original_begin - original_at);
    if (rebuilt.size() != piece.normal_begin) return false;
    rebuilt += normalized_by_utf8proc(text.substr(piece.original_begin, piece.original_end - piece.original_begin),
                                      compatibility);
    if (rebuilt.size() != piece.normal_end) return false;
    original_at = piece.original_end;
  }
  rebuilt += text.substr(original_at);
  return rebuilt == normal && normal == normalized_by_utf8proc(text, compatibility);
}

void check_right(const std::string& text) {
  for (const auto form : {Normalization::kNfc, Normalization::kNfkc})
    if (!is_right(text, form)) FAIL("normalising \"" << text << "\" to " << name_of(form));
}

std::u32string full_decomposition(char32_t c) {
  std::int32_t buffer[32];
  int boundary_class = 0;
  const auto n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), buffer, 32,
                              static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &boundary_class);
  return {buffer, buffer + n};
}

}  // namespace

TEST_CASE("every character normalises in pieces as in the whole") {
  for_all_scalars([](char32_t c) { check_right(mnemo::to_utf8(std::u32string{U'a', c, U'b', c, 0x308, c})); });
}

TEST_CASE("every canonical decomposition composes again as in the library") {
  for_all_scalars([](char32_t c) {
    const auto parts = full_decomposition(c);
    if (parts.size() < 2) return;
    check_right(mnemo::to_utf8(U"x" + parts + U"y"));
    check_right(mnemo::to_utf8(parts + parts + parts.back() + parts));
    check_right(mnemo::to_utf8(parts.substr(0, 1) + U"\u0323\u0301" + parts.substr(1)));
  });
}

TEST_CASE("random texts of odd characters normalise as in the library") {
  mnemo::RandomStream random(1, mnemo::Purpose::kTest);
  for (int i = 0; i < 50000; ++i) check_right(random_odd_text(random, 12));
  for (int i = 0; i < 200; ++i) check_right(random_odd_text(random, 2000));
}

TEST_CASE("random Hangul jamo normalise as in the library") {
  mnemo::RandomStream random(2, mnemo::Purpose::kTest);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (int n = 0; n < 6; ++n) {
      const char32_t starts[] = {0x1100, 0x1161, 0x11A7, 0xAC00, 0x3131, 0xFFA1};
      mnemo::append_utf8(text, starts[random.below(6)] + static_cast<char32_t>(random.below(30)));
    }
    check_right(text);
  }
}

TEST_CASE("Unicode's own test of normalisation") {
  const auto file = read_unicode_file("NormalizationTest.txt", utf8proc_unicode_version());
  if (file.lines.empty()) {
    WARN("skipped: " << file.problem);
    return;
  }
  std::size_t tested = 0, wrong = 0;
  for (const std::string& line : file.lines) {
    std::vector<std::string> c(1);  // from 1, as the file counts them
    for (std::size_t at = 0, end; c.size() < 6 && (end = line.find(';', at)) != std::string::npos; at = end + 1)
      c.push_back(from_hex(line.substr(at, end - at)));
    if (c.size() < 6) continue;
    ++tested;
    for (const int i : {1, 2, 3}) wrong += normalize(c[static_cast<std::size_t>(i)], Normalization::kNfc) != c[2];
    for (const int i : {4, 5}) wrong += normalize(c[static_cast<std::size_t>(i)], Normalization::kNfc) != c[4];
    for (const int i : {1, 2, 3, 4, 5})
      wrong += normalize(c[static_cast<std::size_t>(i)], Normalization::kNfkc) != c[4];
  }
  CHECK(tested > 18000);
  CHECK(wrong == 0);
}

TEST_CASE("NFC leaves full-width forms alone, NFKC does not") {
  CHECK(normalize("你好，Ａ！", Normalization::kNfc) == "你好，Ａ！");
  CHECK(normalize("你好，Ａ！", Normalization::kNfkc) == "你好,A!");
  CHECK(normalize("e\u0301", Normalization::kNone) == "e\u0301");
  CHECK(normalize("e\u0301", Normalization::kNfc) == "\u00E9");
  CHECK(normalize("", Normalization::kNfkc).empty());
}

TEST_CASE("very long runs of marks are ordered in reasonable time") {
  std::string text = "a";
  for (int i = 0; i < 300000; ++i) text += i % 2 ? "\u0323" : "\u0301";
  const std::string normal = normalize(text, Normalization::kNfc);
  CHECK(normal.starts_with("\u1EA1\u0323"));
  CHECK(mnemo::count_code_points(normal) == 300000);
  CHECK(normalize(normal, Normalization::kNfc) == normal);
}

TEST_CASE("lower-casing follows the simple mapping") {
  CHECK(mnemo::to_lower("ABC ÄÖÜ ΣΑΣ ПРИВЕТ") == "abc äöü σασ привет");
  CHECK(mnemo::to_lower("İI") == "ii");
  CHECK(mnemo::to_lower("ẞ") == "ß");
  CHECK(mnemo::to_lower("中文123") == "中文123");
}

TEST_CASE("decimal digits of every script become 0") {
  CHECK(mnemo::zero_digits("1990 ٣४ ９ x²Ⅷ½") == "0000 00 0 x²Ⅷ½");
}

TEST_CASE("normalisation forms have the names of the configuration") {
  for (const auto form : {Normalization::kNone, Normalization::kNfc, Normalization::kNfkc})
    CHECK(mnemo::normalization_from_name(name_of(form)) == form);
  CHECK_FALSE(mnemo::normalization_from_name("nfd"));
}
