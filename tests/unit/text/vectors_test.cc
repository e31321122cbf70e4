#include "text/vectors.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unit/text/helpers.h"

using mnemo::Error;
using mnemo::PretrainedVectors;
using mnemo::VectorMatch;
using mnemo::Vocabulary;

namespace {

class Fixture {
 public:
  std::string path() const { return folder_ / "vectors.txt"; }

  PretrainedVectors read(const std::string& bytes, const std::function<bool(std::string_view)>& wanted = {},
                         std::size_t cap = 0, int expected_dimension = 0) const {
    write_file(path(), bytes);
    return PretrainedVectors::read(path(), wanted, cap, expected_dimension);
  }

  std::string error(const std::string& bytes, int expected_dimension = 0) const {
    return message_of<Error>([&] { read(bytes, {}, 0, expected_dimension); });
  }

 private:
  TemporaryFolder folder_;
};

std::string contents(const PretrainedVectors& vectors) {
  std::string text;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    text += fmt::format("{}=", vectors.word(i));
    for (int k = 0; k < vectors.dimension(); ++k) text += fmt::format("{}{}", k > 0 ? "," : "", vectors.vector(i)[k]);
    text += ";";
  }
  return text;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "GloVe's format has no header") {
  const auto vectors = read("the 0.5 -1\nof 1e-3 .25\n");
  CHECK(contents(vectors) == "the=0.5,-1;of=0.001,0.25;");
  CHECK(vectors.dimension() == 2);
  CHECK_FALSE(vectors.report().header);
  CHECK(vectors.report().lines == 2);
  CHECK(vectors.report().kept == 2);
  CHECK(vectors.report().odd == 0);
}

TEST_CASE_METHOD(Fixture, "word2vec's format has a header, and blanks at the ends of lines") {
  const auto vectors = read("2 3\nthe 1 2 3 \nof 4 5 6\t\n");
  CHECK(contents(vectors) == "the=1,2,3;of=4,5,6;");
  CHECK(vectors.report().header);
  CHECK(vectors.report().lines == 2);
}

TEST_CASE_METHOD(Fixture, "gzip data, a byte order mark and CRLF are accepted") {
  CHECK(contents(read(gzip("\uFEFFthe 1 2\r\nof 3 4\r\n"))) == "the=1,2;of=3,4;");
}

TEST_CASE_METHOD(Fixture, "words may contain blanks and other spaces") {
  const auto vectors = read("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n1\u00A0/2 7 8\nÉté\u3000x\t9 10\n1998 0 1\n");
  CHECK(contents(vectors) == "the=1,2;. . .=3,4;at name@domain.com=5,6;1\u00A0/2=7,8;Été\u3000x=9,10;1998=0,1;");
  CHECK(vectors.report().odd == 0);
}

TEST_CASE_METHOD(Fixture, "odd lines are counted, and the first is shown") {
  const auto vectors = read(
      "the 1 2\n"
      "short 1\n"
      "long 1 2 3\n"
      "nan 1 nan\n"
      "inf inf 2\n"
      "huge 1e99 2\n"
      "tiny 1e-99 2\n"
      "word 1 2x\n"
      "the 9 9\n"
      "\n"
      " 1 2\n"
      "b\xFF 1 2\n"
      "plus +1 2\n"
      "of 3 4\n");
  CHECK(contents(vectors) == "the=1,2;tiny=0,2;of=3,4;");
  CHECK(vectors.report().lines == 14);
  CHECK(vectors.report().kept == 3);
  CHECK(vectors.report().odd == 11);
  CHECK(vectors.report().first_odd == path() + ":2: expected a word and 2 numbers, found \"short 1\"");
  CHECK_THAT(read("a 1 2\nb nan 2\n").report().first_odd, contains_text(":2: \"nan\" is not finite"));
  CHECK_THAT(read("a 1 2\nb x 2\n").report().first_odd, contains_text(":2: \"x\" is not a number"));
  CHECK_THAT(read("a 1 2\na 3 4\n").report().first_odd, contains_text(":2: the word \"a\" is repeated"));
  CHECK_THAT(read("a 1 2\n\xFF 3 4\n").report().first_odd, contains_text(":2: invalid UTF-8"));
}

TEST_CASE_METHOD(Fixture, "an odd first line does not decide the dimension") {
  const auto vectors = read("# vectors made by hand\nthe 1 2 3\nof 4 5 6\nto 7 8 9\n");
  CHECK(vectors.dimension() == 3);
  CHECK(vectors.size() == 3);
  CHECK(vectors.report().odd == 1);
  CHECK_THAT(vectors.report().first_odd, contains_text(":1: "));
}

TEST_CASE_METHOD(Fixture, "odd lines are found far down as well") {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += fmt::format("w{} {}\n", i, i == 70 ? "1" : "1 2");
  const auto vectors = read(bytes);
  CHECK(vectors.size() == 99);
  CHECK_THAT(vectors.report().first_odd, contains_text(":71: "));
}

TEST_CASE_METHOD(Fixture, "files without a usable vector are errors") {
  CHECK_THAT(error(""), contains_text(path() + ": expected word vectors, found an empty file"));
  CHECK_THAT(error("just words\nand more\n"), contains_text("expected lines WORD NUMBER NUMBER"));
  CHECK_THAT(error("2 3\nthe 1 2\n"), contains_text("no usable word vectors; first odd line: " + path() + ":2: "));
  CHECK_THAT(error("2 0\n"), contains_text(":1: vectors of dimension 0, expected 1 to"));
  CHECK_THAT(error("2 9999999\n"), contains_text("dimension 9999999"));
  CHECK_THAT(error("the 1 2\n", 3), contains_text(path() + ": vectors of dimension 2, expected 3"));
  CHECK_THAT(error("1 2\nthe 1 2\n", 3), contains_text("vectors of dimension 2, expected 3"));
  CHECK_THAT(message_of<Error>([] { PretrainedVectors::read("/none/such"); }), contains_text("cannot open"));
}

TEST_CASE_METHOD(Fixture, "only wanted words are kept, and no more than the cap") {
  const std::string bytes = "a 1 2\nb 3 x\nc 5 6\nd 7 8\n";
  const auto wanted = read(bytes, [](std::string_view word) { return word != "b" && word != "a"; });
  CHECK(contents(wanted) == "c=5,6;d=7,8;");
  CHECK(wanted.report().odd == 0);
  CHECK(wanted.report().lines == 4);
  const auto capped = read(bytes, {}, 2);
  CHECK(contents(capped) == "a=1,2;c=5,6;");
  CHECK(capped.report().lines == 3);
  CHECK(read(bytes, [](std::string_view) { return false; }).size() == 0);
}

TEST_CASE_METHOD(Fixture, "look-up is exact, then lower-cased, then with digits as 0") {
  const auto vectors = read("Apple 1\napple 2\nword 3\n0000 4\n00th 5\n");
  VectorMatch match = VectorMatch::kNone;
  CHECK(vectors.find("Apple") == 0);
  CHECK(vectors.find("APPLE") == -1);
  CHECK(vectors.find_relaxed("Apple", &match) == 0);
  CHECK(match == VectorMatch::kExact);
  CHECK(vectors.find_relaxed("APPLE", &match) == 1);
  CHECK(match == VectorMatch::kLower);
  CHECK(vectors.find_relaxed("1998", &match) == 3);
  CHECK(match == VectorMatch::kDigits);
  CHECK(vectors.find_relaxed("19TH") == 4);
  CHECK(vectors.find_relaxed("none", &match) == -1);
  CHECK(match == VectorMatch::kNone);
}

TEST_CASE_METHOD(Fixture, "coverage is counted in words and in tokens") {
  mnemo::VocabularyBuilder builder;
  builder.add("the", 10);
  builder.add("Film", 4);
  builder.add("1998", 3);
  builder.add("absent", 2);
  builder.add("<unk>", 7);
  const Vocabulary vocabulary = builder.build(1, 0);
  auto vectors = read("the 1\nfilm 2\n0000 3\nother 4\n", wanted_by(vocabulary));
  CHECK(contents(vectors) == "the=1;film=2;0000=3;");
  for (int twice = 0; twice < 2; ++twice) {
    vectors.cover(vocabulary);
    const auto& report = vectors.report();
    CHECK(report.words == 4);
    CHECK(report.covered == 3);
    CHECK(report.tokens == 19);
    CHECK(report.tokens_covered == 17);
    CHECK(report.matched_exact == 1);
    CHECK(report.matched_lower == 1);
    CHECK(report.matched_digits == 1);
  }
}
