#include "text/pairs.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unit/text/helpers.h"

using mnemo::Error;
using mnemo::InvalidUtf8;
using mnemo::PairFormat;
using mnemo::PairOptions;
using mnemo::PairReader;
using mnemo::TextPair;
using mnemo::UsageError;

namespace {

using PairRows = std::vector<std::string>;

// Files of pairs with their content.
struct PairFolder {
  // Each pair as LINE[SOURCE|TARGET].
  PairRows rows(const std::string& source, const std::string& target, const PairOptions& options) {
    write_file(folder / "source", source);
    write_file(folder / "target", target);
    const auto reader =
        PairReader::open(folder / "source", options.format == PairFormat::kParallel ? folder / "target" : "", options);
    PairRows out;
    for (TextPair pair; reader->next(pair);)
      out.push_back(fmt::format("{}[{}|{}]", pair.line, pair.source, pair.target));
    files = reader->files();
    for (const PairReader::File& file : files) CHECK(file.counts.records == out.size());
    return out;
  }
  PairRows rows(const std::string& bytes, const PairOptions& options) { return rows(bytes, "", options); }

  std::string error(const std::string& source, const std::string& target, const PairOptions& options) {
    return message_of<Error>([&] { rows(source, target, options); });
  }
  std::string error(const std::string& bytes, const PairOptions& options) { return error(bytes, "", options); }

  std::string source() const { return folder / "source"; }
  std::string target() const { return folder / "target"; }

  TemporaryFolder folder;
  std::vector<PairReader::File> files;
};

PairOptions pairs_of(PairFormat format, const std::string& source = "", const std::string& target = "",
                     InvalidUtf8 policy = InvalidUtf8::kError) {
  return {format, source, target, policy};
}

}  // namespace

TEST_CASE("formats of pairs have names") {
  CHECK(mnemo::pair_format_from_name("parallel") == PairFormat::kParallel);
  CHECK(mnemo::pair_format_from_name("tsv") == PairFormat::kTsv);
  CHECK(mnemo::pair_format_from_name("jsonl") == PairFormat::kJsonl);
  for (const char* name : {"", "csv", "lines", "Parallel"}) CHECK_FALSE(mnemo::pair_format_from_name(name));
}

TEST_CASE("two files are read line by line, empty lines included") {
  PairFolder f;
  CHECK(f.rows("a b\n\nc\r\n", "x\ny\n\n", pairs_of(PairFormat::kParallel)) == PairRows{"1[a b|x]", "2[|y]", "3[c|]"});
  REQUIRE(f.files.size() == 2);
  CHECK(f.files[0].name == f.source());
  CHECK(f.files[1].name == f.target());
  CHECK(f.files[0].counts.crlf_lines == 1);
  CHECK(f.files[1].counts.crlf_lines == 0);
  CHECK(f.files[0].counts.empty_lines == 0);
  CHECK(f.files[0].digest.bytes == 8);
  CHECK(f.files[1].digest.bytes == 5);
  CHECK(f.files[0].digest.fnv1a64 != f.files[1].digest.fnv1a64);
  CHECK(f.rows("", "", pairs_of(PairFormat::kParallel)).empty());
  // The end of the last line may lack on one side; a tab is a character of the line.
  CHECK(f.rows("a\tb", "x\n", pairs_of(PairFormat::kParallel)) == PairRows{"1[a\tb|x]"});
}

TEST_CASE("files of unequal length are an error with both counts") {
  PairFolder f;
  const auto message = [&](const std::string& source_lines, const std::string& target_lines) {
    return f.source() + " has " + source_lines + ", " + f.target() + " has " + target_lines +
           ": expected as many, line by line";
  };
  const PairOptions options = pairs_of(PairFormat::kParallel);
  CHECK(f.error("a\nb\nc\nd\n", "x\ny\n", options) == message("4 lines", "2 lines"));
  CHECK(f.error("a\n", "x\ny\n\n", options) == message("1 line", "3 lines"));
  CHECK(f.error("", "x\n", options) == message("0 lines", "1 line"));
  CHECK(f.error("a\n", "", options) == message("1 line", "0 lines"));
}

TEST_CASE("parallel text needs two files that exist") {
  PairFolder f;
  write_file(f.source(), "a\n");
  CHECK(message_of<UsageError>([&] { PairReader::open(f.source(), "", pairs_of(PairFormat::kParallel)); }) ==
        f.source() + ": parallel text needs a file for the target, too");
  for (const auto& files : {std::pair{f.source(), f.folder / "none"}, {f.folder / "none", f.source()}})
    CHECK_THAT(message_of<Error>([&] { PairReader::open(files.first, files.second, pairs_of(PairFormat::kParallel)); }),
               contains_text(f.folder / "none"));
}

TEST_CASE("columns between tabs are chosen by number, without quotes") {
  PairFolder f;
  CHECK(f.rows("a b\tx\n\n\"q\ty\"\n\t\n", pairs_of(PairFormat::kTsv)) == PairRows{"1[a b|x]", "3[\"q|y\"]", "4[|]"});
  REQUIRE(f.files.size() == 1);
  CHECK(f.files[0].counts.empty_lines == 1);
  CHECK(f.files[0].digest.bytes == 15);
  const std::string three = "7\ta\tx\n8\tb\t\n";
  CHECK(f.rows(three, pairs_of(PairFormat::kTsv)) == PairRows{"1[7|a]", "2[8|b]"});
  CHECK(f.rows(three, pairs_of(PairFormat::kTsv, "2", "3")) == PairRows{"1[a|x]", "2[b|]"});
  CHECK(f.rows(three, pairs_of(PairFormat::kTsv, "3", "1")) == PairRows{"1[x|7]", "2[|8]"});
  CHECK(f.rows(three, pairs_of(PairFormat::kTsv, "", "3")) == PairRows{"1[7|x]", "2[8|]"});
}

TEST_CASE("a row of another width is an error with its line") {
  PairFolder f;
  CHECK(f.error("a\n", pairs_of(PairFormat::kTsv)) ==
        f.source() +
            ":1: expected 2 columns or more, separated by tabs (source in column 1, target in column 2), found 1");
  CHECK_THAT(f.error("a\tb\n", pairs_of(PairFormat::kTsv, "1", "3")), contains_text(":1: expected 3 columns or more"));
  for (const char* row : {"c", "c\td\te", "c\td\t"})
    CHECK_THAT(f.error("\na\tb\n" + std::string(row) + "\n", pairs_of(PairFormat::kTsv)),
               contains_text(f.source() + ":3: expected 2 columns as in line 2, found "));
}

TEST_CASE("columns that are no numbers from 1 are refused") {
  PairFolder f;
  write_file(f.source(), "a\tb\n");
  for (const char* wish : {"0", "-1", "1.5", "source", "2 ", "99999999999999999999"}) {
    CHECK_THAT(message_of<UsageError>([&] { PairReader::open(f.source(), "", pairs_of(PairFormat::kTsv, wish)); }),
               contains_text("data.source: expected the number of a column, from 1, found \"" + std::string(wish)));
    CHECK_THAT(message_of<UsageError>([&] { PairReader::open(f.source(), "", pairs_of(PairFormat::kTsv, "", wish)); }),
               contains_text("data.target: "));
  }
}

TEST_CASE("objects are read by key") {
  PairFolder f;
  CHECK(f.rows("{\"target\": \"x\", \"id\": 3, \"source\": \"a \\\"b\\\"\"}\n\n{\"source\": \"\", \"target\": "
               "\"\\u00fc\"}",
               pairs_of(PairFormat::kJsonl)) == PairRows{"1[a \"b\"|x]", "3[|\u00fc]"});
  CHECK(f.files[0].counts.empty_lines == 1);
  CHECK(f.rows(R"({"de": "a", "en": "x", "source": 1})", pairs_of(PairFormat::kJsonl, "en", "de")) ==
        PairRows{"1[x|a]"});
}

TEST_CASE("objects that lack a text are an error with their line") {
  PairFolder f;
  const std::string good = "{\"source\": \"a\", \"target\": \"b\"}\n";
  const auto error = [&](const std::string& line) { return f.error(good + line + "\n", pairs_of(PairFormat::kJsonl)); };
  const std::string place = f.source() + ":2: ";
  CHECK(error(R"({"source": "a"})") == place + "no key \"target\" in the object");
  CHECK(error(R"({"target": "a"})") == place + "no key \"source\" in the object");
  CHECK_THAT(error(R"({"source": "a", "target": 3})"), Catch::Matchers::StartsWith(place + "\"target\" is "));
  CHECK_THAT(error(R"({"source": ["a"], "target": "b"})"), contains_text("expected a string"));
  CHECK_THAT(error(R"(["a", "b"])"), Catch::Matchers::StartsWith(f.source() + ":2"));
  CHECK_THAT(error(R"({"source": "a", "target": "b")"), Catch::Matchers::StartsWith(f.source() + ":2:"));
  CHECK_THAT(error("a\tb"), Catch::Matchers::StartsWith(f.source() + ":2:"));
}

TEST_CASE("a text with a line break is an error, as a line could not be its translation") {
  PairFolder f;
  const auto error = [&](const std::string& line) { return f.error(line, pairs_of(PairFormat::kJsonl)); };
  CHECK(error(R"({"source": "a\nb", "target": "x"})") ==
        f.source() + ":1: \"source\" has a line break, expected one line");
  CHECK(error(R"({"source": "a", "target": "x\n"})") ==
        f.source() + ":1: \"target\" has a line break, expected one line");
  CHECK(f.rows(R"({"source": "a", "target": "x", "note": "1\n2"})", pairs_of(PairFormat::kJsonl)).size() == 1);
}

TEST_CASE("gzip data of pairs are read as what they hold") {
  PairFolder f;
  CHECK(f.rows(gzip("a\nb\n"), "x\ny\n", pairs_of(PairFormat::kParallel)) == PairRows{"1[a|x]", "2[b|y]"});
  CHECK(f.rows(gzip("a\nb\n"), gzip("x\ny\n"), pairs_of(PairFormat::kParallel)) == PairRows{"1[a|x]", "2[b|y]"});
  CHECK(f.rows(gzip("a\tx\n"), pairs_of(PairFormat::kTsv)) == PairRows{"1[a|x]"});
  CHECK(f.rows(gzip("{\"source\": \"a\", \"target\": \"x\"}\n"), pairs_of(PairFormat::kJsonl)) == PairRows{"1[a|x]"});
  const std::string packed = gzip("a\nb\nc\n");
  CHECK_FALSE(f.error(packed.substr(0, packed.size() - 6), "x\ny\nz\n", pairs_of(PairFormat::kParallel)).empty());
}

TEST_CASE("invalid UTF-8 in either text follows the policy") {
  PairFolder f;
  const auto with = [](PairFormat format, InvalidUtf8 policy) { return pairs_of(format, "", "", policy); };
  const std::string bad = "b\xFC";
  CHECK_THAT(f.error("a\n" + bad + "\n", "x\ny\n", with(PairFormat::kParallel, InvalidUtf8::kError)),
             Catch::Matchers::StartsWith(f.source() + ":2:2: "));
  CHECK_THAT(f.error("a\nb\n", "x\n" + bad + "\n", with(PairFormat::kParallel, InvalidUtf8::kError)),
             Catch::Matchers::StartsWith(f.target() + ":2:2: "));
  CHECK_THAT(f.error("a\t" + bad + "\n", with(PairFormat::kTsv, InvalidUtf8::kError)),
             Catch::Matchers::StartsWith(f.source() + ":1:4: "));
  CHECK_THAT(
      f.error("{\"source\": \"" + bad + "\", \"target\": \"\"}\n", with(PairFormat::kJsonl, InvalidUtf8::kError)),
      Catch::Matchers::StartsWith(f.source() + ":1:"));
  for (const auto& [policy, read] : {std::pair{InvalidUtf8::kReplace, "b\uFFFD"}, {InvalidUtf8::kSkip, "b"}}) {
    const std::string text = read;
    CHECK(f.rows(bad + "\n", "x" + bad + "\n", with(PairFormat::kParallel, policy)) ==
          PairRows{"1[" + text + "|x" + text + "]"});
    CHECK(f.files[0].counts.invalid_sequences == 1);
    CHECK(f.files[1].counts.invalid_sequences == 1);
    CHECK(f.rows("a\t" + bad + "\n", with(PairFormat::kTsv, policy)) == PairRows{"1[a|" + text + "]"});
    CHECK(f.rows("{\"source\": \"" + bad + "\", \"target\": \"x\"}\n", with(PairFormat::kJsonl, policy)) ==
          PairRows{"1[" + text + "|x]"});
    CHECK(f.files[0].counts.invalid_sequences == 1);
  }
}

TEST_CASE("a byte order mark is no part of a pair") {
  PairFolder f;
  CHECK(f.rows("\uFEFFa\n", "\uFEFFx\n", pairs_of(PairFormat::kParallel)) == PairRows{"1[a|x]"});
  CHECK(f.files[0].counts.had_bom);
  CHECK(f.rows("\uFEFFa\tx\n", pairs_of(PairFormat::kTsv)) == PairRows{"1[a|x]"});
}
