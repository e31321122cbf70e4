#include "base/shown.h"

#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("text without effect on a terminal is shown unchanged") {
  for (const char* text : {"", "a", "a fine film", "C:\\x", "\"quoted\"", "être", "李白乘舟", "𝔘🙂", "é"})
    CHECK(shown(text) == text);
}

TEST_CASE("controls, separators and changes of the writing direction are escaped") {
  CHECK(shown("\033]0;owned\007\033[31mred") == "\\x1b]0;owned\\x07\\x1b[31mred");
  CHECK(shown(std::string_view("a\0b\x7f", 4)) == "a\\x00b\\x7f");
  CHECK(shown("a\n\r\tb") == "a\\n\\r\\tb");
  CHECK(shown("\u009b31m\u0085") == "\\u009b31m\\u0085");
  CHECK(shown("\u202eabc\u2066\u2069\u061c\u200e\u200f\u2028\u2029") ==
        "\\u202eabc\\u2066\\u2069\\u061c\\u200e\\u200f\\u2028\\u2029");
  CHECK(shown("\u00a0\u200b\u200d\u2027\u202f\u2065\u206a") == "\u00a0\u200b\u200d\u2027\u202f\u2065\u206a");
}

TEST_CASE("bytes that are not UTF-8 are escaped one by one") {
  CHECK(shown("\xff\xfe") == "\\xff\\xfe");
  CHECK(shown("\x9b"
              "31m") == "\\x9b31m");
  CHECK(shown("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(shown("\xe0\x80\x9b") == "\\xe0\\x80\\x9b");           // overlong
  CHECK(shown("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(shown("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  CHECK(shown("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
  CHECK(shown("\xe6\x9d") == "\\xe6\\x9d");  // cut off
  CHECK(shown("\xe6\x9d"
              "a") ==
        "\\xe6\\x9d"
        "a");
}

TEST_CASE("a long text is cut at a character, and marked as continuing") {
  const std::string full(kShownCharacters, 'x');
  CHECK(shown(full) == full);
  CHECK(shown(full + "y") == full + "...");
  CHECK(shown("李白乘舟", 2) == "李白...");
  CHECK(shown(std::string(100'000'000, '\xff')).size() == 4 * kShownCharacters + 3);
  CHECK(escaped(full + full + "\033") == full + full + "\\x1b");
}

TEST_CASE("the first of many texts are listed, with the number of the rest") {
  CHECK(abridged({}).empty());
  CHECK(abridged({"a", "b"}) == "a; b");
  CHECK(abridged({"a", "b", "c"}, 2, ", ") == "a, b, and 1 more");
  CHECK(abridged({"a", "b"}, 2, ", ") == "a, b");
}
