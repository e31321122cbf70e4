// Properties of units, on texts where they can be told by eye.
#include "tasks/unit_property.h"

#include <cmath>

#include "base/error.h"
#include "tests/catch.h"
#include "text/utf8.h"

using namespace mnemo;

namespace {

UnitPlaces characters(const std::string& text) {
  UnitPlaces out;
  for (std::size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    out.emplace_back(at, at + utf8_length(text[at]));
  return out;
}

UnitPlaces words_by_blanks(const std::string& text) {
  UnitPlaces out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    out.emplace_back(begin, end);
    begin = end + 1;
  }
  return out;
}

// One character for each unit: 0, 1, or - for neither.
std::string spelled(const std::string& property, const std::string& text, const UnitPlaces& places) {
  std::string out;
  for (const float value : UnitProperty(property).values(text, places))
    out += std::isnan(value) ? "-" : value == 0 ? "0" : "1";
  return out;
}

std::string by_character(const std::string& property, const std::string& text) {
  return spelled(property, text, characters(text));
}

}  // namespace

TEST_CASE("a unit is inside brackets between marks that belong together, in any script") {
  CHECK(by_character("brackets", "a(b)c") == "0-1-0");
  CHECK(by_character("brackets", "a(b[c]d)e)f") == "0-1-1-1-000");
  CHECK(by_character("brackets", "（一）《二》三［四］") == "-1--1-0-1-");
  CHECK(by_character("brackets", "a(b\nc)") == "0-111-");
  const std::string text = "one (two three) four";
  CHECK(spelled("brackets", text, words_by_blanks(text)) == "0110");
}

TEST_CASE("a bracket without its counterpart in the paragraph is a character as any other") {
  CHECK(by_character("brackets", "a(b\n\nc)") == "0000000");
  CHECK(by_character("brackets", "(a[b)c]d") == "-111-000");
  CHECK(by_character("brackets", ":( a (b) c") == "00000-1-00");
  CHECK(by_character("brackets", "a) b] (c)") == "000000-1-");
  const std::string deep(200'000, '('), other(200'000, ']');
  CHECK(by_character("brackets", deep + other) == std::string(400'000, '0'));
}

TEST_CASE("a unit is inside quotation marks, of which straight ones open and close by turns") {
  CHECK(by_character("quotes", "a \"b\" \"c\" d") == "00-1-0-1-00");
  CHECK(by_character("quotes", "他说\"好\"。") == "00-1-0");
  CHECK(by_character("quotes", "“a”„b“„c”«d»「e」f") == "-1--1--1--1--1-0");
  CHECK(by_character("quotes", "it's ‘so’") == "000000000");
  CHECK(by_character("quotes", "”a") == "00");
  CHECK(by_character("quotes", "a 5\" disk") == "000000000");
  CHECK(by_character("quotes", "\"5\" disk") == "-1-00000");
  CHECK(by_character("quotes", "\"open\n\nnext") == "00000000000");
}

TEST_CASE("a unit's position counts from the beginning of its line") {
  const std::string text = "ab\nc";
  CHECK(UnitProperty("position").values(text, characters(text)) == std::vector<float>{0, 1, 2, 0});
}

TEST_CASE("a unit matches a regular expression if it overlaps a match in the text") {
  CHECK(by_character("regex:b+", "abbab") == "01101");
  CHECK(by_character("regex:^b", "ba\nba") == "10010");
  CHECK(by_character("regex:\\d", "a5٣") == "011");
  CHECK(by_character("regex:x*", "äxä") == "010");
  const std::string text = "in New York today";
  CHECK(spelled("regex:New York", text, words_by_blanks(text)) == "0110");
  CHECK_THROWS_AS(UnitProperty("regex:["), UsageError);
  CHECK_THROWS_AS(UnitProperty("regex:"), UsageError);
  CHECK_THROWS_AS(UnitProperty("regex:\\C"), UsageError);
  CHECK_THROWS_AS(UnitProperty("regex:\xff"), UsageError);
  CHECK_THROWS_AS(UnitProperty("bracket"), UsageError);
  const std::string hostile(40, 'a');
  CHECK_THROWS_AS(UnitProperty("regex:(a+)+$").values(hostile + "b", characters(hostile + "b")), Error);
}

TEST_CASE("a label is one of a unit's, whole") {
  const UnitProperty property("label:PER");
  CHECK(property.among({"PER"}));
  CHECK(property.among({"B-PER", "PER"}));
  CHECK_FALSE(property.among({"B-PER"}));
  CHECK_FALSE(property.among({"e-PER", "PERSON"}));
  CHECK_FALSE(property.among({}));
}
