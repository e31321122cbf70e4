#include "text/tokenizer.h"

#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/unit/text/helpers.h"
#include "text/word_break.h"

using mnemo::Normalization;
using mnemo::Tokenizer;
using mnemo::TokenizerOptions;
using mnemo::Tokens;
using mnemo::Unit;

namespace {

using Strings = std::vector<std::string>;

constexpr Unit kUnits[] = {Unit::kChar, Unit::kGrapheme, Unit::kWord, Unit::kUnicodeWord};
constexpr Normalization kForms[] = {Normalization::kNone, Normalization::kNfc, Normalization::kNfkc};

Strings texts(const std::string& line, TokenizerOptions options) {
  Tokens tokens;
  Tokenizer(options).tokenize(line, tokens);
  Strings found;
  for (std::size_t i = 0; i < tokens.size(); ++i) found.emplace_back(tokens.text(i));
  return found;
}

Strings originals(const std::string& line, TokenizerOptions options) {
  Tokens tokens;
  Tokenizer(options).tokenize(line, tokens);
  Strings found;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    found.push_back(line.substr(tokens.begin(i), tokens.end(i) - tokens.begin(i)));
  return found;
}

bool is_boundary(const std::string& text, std::size_t at) {
  return at == text.size() || !mnemo::is_continuation(text[at]);
}

// The promises of the header for every line.
bool is_sound(const std::string& line, TokenizerOptions options) {
  Tokens tokens;
  Tokenizer(options).tokenize(line, tokens);
  std::size_t begin = 0, end = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens.text(i).empty() || mnemo::find_invalid_utf8(tokens.text(i))) return false;
    if (tokens.begin(i) < begin || tokens.end(i) < end || tokens.begin(i) >= tokens.end(i)) return false;
    begin = tokens.begin(i);
    end = tokens.end(i);
    if (end > line.size() || !is_boundary(line, begin) || !is_boundary(line, end)) return false;
    const std::string original = line.substr(begin, end - begin);
    // The unit is part of the normal form of its range of the original.
    if (!options.lowercase && !options.zero_digits &&
        normalize(original, options.normalize).find(tokens.text(i)) == std::string::npos)
      return false;
  }
  return true;
}

// Units that leave nothing out cover the whole line without gaps.
bool is_complete(const std::string& line, TokenizerOptions options) {
  Tokens tokens;
  Tokenizer(options).tokenize(line, tokens);
  std::string joined;
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    joined += tokens.text(i);
    if (tokens.begin(i) > end) return false;
    end = tokens.end(i);
  }
  return joined == normalize(line, options.normalize) && end == line.size();
}

void run_break_test(const std::string& name, const std::string& version, Unit unit, std::size_t at_least) {
  const auto file = read_unicode_file(name, version);
  if (file.lines.empty()) {
    WARN("skipped: " << file.problem);
    return;
  }
  std::size_t tested = 0;
  for (const std::string& line : file.lines) {
    const Strings expected = break_test_segments(line);
    if (expected.empty()) continue;
    std::string text;
    for (const std::string& segment : expected) text += segment;
    Strings found;
    if (unit == Unit::kGrapheme) {
      found = texts(text, {unit, Normalization::kNone});
    } else {
      for (std::size_t at = 0, end; at < text.size(); at = end)
        found.push_back(text.substr(at, (end = mnemo::next_word_segment(text, at).end) - at));
    }
    if (found != expected) FAIL_CHECK(line);
    ++tested;
  }
  CHECK(tested >= at_least);
}

}  // namespace

TEST_CASE("characters are code points of the normalised line") {
  CHECK(texts("a b", {Unit::kChar}) == Strings{"a", " ", "b"});
  CHECK(texts("中文, e\u0301", {Unit::kChar}) == Strings{"中", "文", ",", " ", "\u00E9"});
  CHECK(originals("中文, e\u0301", {Unit::kChar}) == Strings{"中", "文", ",", " ", "e\u0301"});
  CHECK(texts("q\u0301", {Unit::kChar}) == Strings{"q", "\u0301"});
  CHECK(originals("q\u0301", {Unit::kChar}) == Strings{"q", "\u0301"});
  CHECK(texts("ﬁ", {Unit::kChar, Normalization::kNfkc}) == Strings{"f", "i"});
  CHECK(originals("ﬁ", {Unit::kChar, Normalization::kNfkc}) == Strings{"ﬁ", "ﬁ"});
  CHECK(texts("", {Unit::kChar}).empty());
}

TEST_CASE("grapheme clusters stay whole") {
  CHECK(texts("a\u0301\u0323b", {Unit::kGrapheme, Normalization::kNone}) == Strings{"a\u0301\u0323", "b"});
  CHECK(texts("👨‍👩‍👧🇩🇪🇫🇷", {Unit::kGrapheme}) == Strings{"👨‍👩‍👧", "🇩🇪", "🇫🇷"});
  CHECK(texts("中x国", {Unit::kGrapheme}) == Strings{"中", "x", "国"});
  CHECK(texts("a\r\nb", {Unit::kGrapheme}) == Strings{"a", "\r\n", "b"});
  CHECK(texts("", {Unit::kGrapheme}).empty());
}

TEST_CASE("words are separated by ASCII blanks") {
  CHECK(texts("  two  words\t\v\f\r\n. ", {Unit::kWord}) == Strings{"two", "words", "."});
  CHECK(texts(" \t ", {Unit::kWord}).empty());
  CHECK(texts("10\u00A0km 東\u3000京", {Unit::kWord}) == Strings{"10\u00A0km", "東\u3000京"});
  CHECK(texts("10\u00A0km", {Unit::kWord, Normalization::kNfkc}) == Strings{"10", "km"});
  CHECK(texts("nul\x01s", {Unit::kWord}) == Strings{"nul\x01s"});
}

TEST_CASE("words by Unicode's boundaries") {
  CHECK(texts("Can't stop: 3.5 km, isn't it?", {Unit::kUnicodeWord}) ==
        Strings{"Can't", "stop", ":", "3.5", "km", ",", "isn't", "it", "?"});
  CHECK(texts("中文 タワー a_b", {Unit::kUnicodeWord}) == Strings{"中", "文", "タワー", "a_b"});
  CHECK(texts(" \u00A0\u3000\u2028 x ", {Unit::kUnicodeWord}) == Strings{"x"});
  CHECK(texts("\u0301", {Unit::kUnicodeWord}) == Strings{"\u0301"});
}

TEST_CASE("Unicode's own test of grapheme clusters") {
  run_break_test("auxiliary/GraphemeBreakTest.txt", utf8proc_unicode_version(), Unit::kGrapheme, 600);
}

TEST_CASE("Unicode's own test of word boundaries") {
  run_break_test("auxiliary/WordBreakTest.txt", mnemo::word_break_unicode_version(), Unit::kUnicodeWord, 1800);
}

TEST_CASE("runs of ASCII do not change word boundaries") {
  // The same text without the shortcut for ASCII, which a soft hyphen (Format) after each letter prevents.
  mnemo::RandomStream random(3, mnemo::Purpose::kTest);
  for (int i = 0; i < 50000; ++i) {
    std::string text, slow;
    for (auto n = 1 + random.below(10); n > 0; --n) {
      text += "ab1_'.,: \"-"[random.below(11)];
      slow += text.back();
      if (text.back() != ' ') slow += "\u00AD";  // it would separate two blanks
    }
    Strings fast_segments, slow_segments;
    for (std::size_t at = 0, end; at < text.size(); at = end)
      fast_segments.push_back(text.substr(at, (end = mnemo::next_word_segment(text, at).end) - at));
    for (std::size_t at = 0, end; at < slow.size(); at = end) {
      std::string segment = slow.substr(at, (end = mnemo::next_word_segment(slow, at).end) - at);
      for (std::size_t hyphen; (hyphen = segment.find("\u00AD")) != std::string::npos;) segment.erase(hyphen, 2);
      slow_segments.push_back(segment);
    }
    if (fast_segments != slow_segments) FAIL(text);
  }
}

TEST_CASE("lower-casing and digits change only the look-up form") {
  const TokenizerOptions options{Unit::kWord, Normalization::kNfc, true, true};
  CHECK(texts("In 1999 ÄPFEL İ ４२", options) == Strings{"in", "0000", "äpfel", "i", "00"});
  CHECK(originals("In 1999 ÄPFEL İ ４२", options) == Strings{"In", "1999", "ÄPFEL", "İ", "４२"});
  CHECK(texts("In 1999", options) == Strings{"in", "0000"});
  CHECK(texts("In 1999", {Unit::kWord, Normalization::kNfc, false, true}) == Strings{"In", "0000"});
  CHECK(texts("In 1999", {Unit::kWord, Normalization::kNfc, true, false}) == Strings{"in", "1999"});
}

TEST_CASE("ranges lead back to the original through normalisation") {
  const TokenizerOptions options{Unit::kWord, Normalization::kNfkc, true, false};
  const std::string line = "Ａe\u0301 ﷺ x\u00A8y \u1100\u1161\u11A8Z";
  CHECK(texts(line, options) == Strings{"aé", "صلى", "الله", "عليه", "وسلم", "x", "\u0308y", "각z"});
  CHECK(originals(line, options) == Strings{"Ａe\u0301", "ﷺ", "ﷺ", "ﷺ", "ﷺ", "x", "\u00A8y", "\u1100\u1161\u11A8Z"});
}

TEST_CASE("random texts keep every promise for all units and forms") {
  mnemo::RandomStream random(4, mnemo::Purpose::kTest);
  for (int i = 0; i < 8000; ++i) {
    const std::string line = random_odd_text(random, 20);
    for (const Unit unit : kUnits) {
      for (const Normalization form : kForms) {
        for (const bool fold : {false, true})
          if (!is_sound(line, {unit, form, fold, fold})) FAIL(name_of(unit) << " " << name_of(form) << ": " << line);
        const bool whole = unit == Unit::kChar || unit == Unit::kGrapheme;
        if (whole && !is_complete(line, {unit, form})) FAIL(name_of(unit) << " " << name_of(form) << ": " << line);
      }
    }
  }
}

TEST_CASE("ASCII lines give the same as the general path") {
  mnemo::RandomStream random(5, mnemo::Purpose::kTest);
  for (int i = 0; i < 5000; ++i) {
    std::string line;
    for (auto n = random.below(20); n > 0; --n) line += static_cast<char>(random.below(128));
    for (const Unit unit : kUnits) {
      const TokenizerOptions options{unit, Normalization::kNfc, true, true};
      Strings general = texts(line + " 中", options);  // not ASCII
      for (int drop = unit == Unit::kWord || unit == Unit::kUnicodeWord ? 1 : 2; drop > 0; --drop) general.pop_back();
      if (line.find('\r') == std::string::npos && texts(line, options) != general) FAIL(name_of(unit) << ": " << line);
    }
  }
}

TEST_CASE("a line of 20 MB is cut like a short one") {
  std::string line;
  while (line.size() < 20000000) line += "long lines, 长行. ";
  Tokens tokens;
  Tokenizer({Unit::kWord}).tokenize(line, tokens);
  CHECK(tokens.size() == line.size() / std::string("long lines, 长行. ").size() * 3);
  CHECK(tokens.end(tokens.size() - 1) == line.size() - 1);
}

TEST_CASE("tokens are reused without a trace of the previous line") {
  Tokens tokens;
  const Tokenizer tokenizer({Unit::kWord, Normalization::kNfkc, true, true});
  tokenizer.tokenize("ﬁrst Ｌine with MANY words", tokens);
  tokenizer.tokenize("x", tokens);
  REQUIRE(tokens.size() == 1);
  CHECK(tokens.text(0) == "x");
  CHECK(tokens.begin(0) == 0);
  CHECK(tokens.end(0) == 1);
  tokens.clear();
  CHECK(tokens.empty());
}

TEST_CASE("units have the names of the configuration") {
  for (const Unit unit : kUnits) CHECK(mnemo::unit_from_name(name_of(unit)) == unit);
  CHECK(mnemo::name_of(Unit::kUnicodeWord) == "unicode-word");
  CHECK_FALSE(mnemo::unit_from_name("words"));
}

TEST_CASE("reversed units are the same with their places, the last one first") {
  for (const Unit unit : kUnits)
    for (const std::string& line : {std::string(), std::string("one"), std::string("Ein Fluß, ﬁn 12 e\u0301té。")}) {
      const TokenizerOptions ahead{unit, Normalization::kNfkc, true, true};
      TokenizerOptions back = ahead;
      back.reverse = true;
      for (const auto& what : {texts, originals}) {
        Strings turned = what(line, back);
        std::reverse(turned.begin(), turned.end());
        CHECK(turned == what(line, ahead));
      }
      CHECK_FALSE(Tokenizer(back).forward().options().reverse);
    }
}
