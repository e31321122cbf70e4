// A file read in any number of parts: the records of all parts, one after another, are those of the whole, with the
// same line numbers and, where a record is refused, the same message.
#include "text/part.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unit/text/helpers.h"
#include "text/pairs.h"
#include "text/records.h"
#include "text/sentences.h"

namespace mnemo {
namespace {

// What a reader gave before it ended or failed, the message last.
using PartRead = std::vector<std::string>;
using ReadPart = std::function<void(const std::string& path, const std::optional<Part>& part, PartRead& out)>;

PartRead all_of(const ReadPart& read, const std::string& path, const std::optional<Part>& part, bool& failed) {
  PartRead out;
  try {
    read(path, part, out);
  } catch (const Error& error) {
    out.emplace_back(error.what());
    failed = true;
  }
  return out;
}

// Returns the largest number of parts that had records.
std::int64_t check_parts(const ReadPart& read, const std::string& path) {
  bool whole_failed = false;
  const PartRead whole = all_of(read, path, std::nullopt, whole_failed);
  std::int64_t most = 0;
  for (const std::int64_t count : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 64}) {
    PartRead joined;
    std::int64_t filled = 0;
    bool failed = false;
    for (std::int64_t index = 1; index <= count && !failed; ++index) {
      const PartRead part = all_of(read, path, Part{index, count}, failed);
      filled += part.empty() ? 0 : 1;
      joined.insert(joined.end(), part.begin(), part.end());
    }
    INFO(count << " parts");
    REQUIRE(joined == whole);
    REQUIRE(failed == whole_failed);
    most = std::max(most, filled);
  }
  return most;
}

ReadPart records(RecordOptions options) {
  return [options](const std::string& path, const std::optional<Part>& part, PartRead& out) {
    RecordOptions own = options;
    own.part = part;
    const auto reader = open_records(path, own);
    for (Record r; reader->next(r);)
      out.push_back(
          fmt::format("{}[{}|{}|{}]", r.line, r.id ? r.id->text : "", r.labels.empty() ? "" : r.labels[0], r.text));
  };
}

ReadPart sentences(SentenceOptions options) {
  options.require_tags = options.read_tags = false;
  return [options](const std::string& path, const std::optional<Part>& part, PartRead& out) {
    SentenceOptions own = options;
    own.part = part;
    const auto reader = SentenceReader::open(path, own);
    for (Sentence s; reader->next(s);) {
      std::string one = fmt::format("{}[{}|", s.line, s.id ? s.id->text : "");
      for (const std::string& line : s.lines) one += line + "\n";
      for (const std::string& token : s.tokens) one += " " + token;
      out.push_back(one + "]");
    }
  };
}

ReadPart pairs(const PairOptions& options) {
  return [options](const std::string& path, const std::optional<Part>& part, PartRead& out) {
    PairOptions own = options;
    own.part = part;
    const auto reader = PairReader::open(path, "", own);
    for (TextPair p; reader->next(p);)
      out.push_back(fmt::format("{}[{}|{}|{}]", p.line, p.id ? p.id->text : "", p.source, p.target));
  };
}

RecordOptions unlabelled(Format format, InvalidUtf8 policy = InvalidUtf8::kError) {
  RecordOptions out;
  out.format = format;
  out.require_label = false;
  out.invalid_utf8 = policy;
  return out;
}

PairOptions tsv_pairs() {
  PairOptions out;
  out.format = PairFormat::kTsv;
  return out;
}

// `count` pieces drawn at random.
std::string drawn(const std::vector<std::string>& pieces, int count, std::uint64_t seed) {
  RandomStream random(seed, Purpose::kTest);
  std::string out;
  for (int i = 0; i < count; ++i) out += pieces[random.next() % pieces.size()];
  return out;
}

// Files of up to 40 pieces, beginning in each of the ways given.
void check_drawn(const ReadPart& read, const std::vector<std::string>& beginnings,
                 const std::vector<std::string>& pieces) {
  const TemporaryFolder folder;
  std::uint64_t seed = 0;
  for (const std::string& beginning : beginnings)
    for (int count = 0; count < 40; count += 1 + count / 8) {
      const std::string bytes = beginning + drawn(pieces, count, ++seed);
      INFO("file: " << bytes);
      write_file(folder / "file", bytes);
      check_parts(read, folder / "file");
    }
}

const std::vector<std::string> kLinePieces{"\n", "\r\n", "a\n", "two words\r\n", "\xEF\xBB\xBF", "漢字\n", " \n", "é"};

}  // namespace

TEST_CASE("parts of lines joined are the whole file") {
  const auto lines = records(unlabelled(Format::kLines));
  check_drawn(lines, {"", "\xEF\xBB\xBF"}, kLinePieces);
  for (const auto policy : {InvalidUtf8::kError, InvalidUtf8::kReplace, InvalidUtf8::kSkip})
    check_drawn(records(unlabelled(Format::kLines, policy)), {""}, {"a\n", "\xFF\n", "b\xC3", "\n", "c"});
  check_drawn(records(unlabelled(Format::kFasttext)), {""}, {"__label__a x\n", "y\n", "\n"});
  check_drawn(records(unlabelled(Format::kSpaced)), {""}, {"a x y\n", "y\n", "\n"});
  check_drawn(records(unlabelled(Format::kTrees)), {""}, {"(1 (2 x) (3 y))\n", "(1 z)\n", "\n", "(oops\n"});
  check_drawn(records(unlabelled(Format::kJsonl)), {""},
              {"{\"text\": \"x\"}\n", "{\"text\": \"a\\nb\", \"label\": 1}\r\n", "\n", "{]\n"});
}

TEST_CASE("parts of a file of one enormous line, of less bytes than parts, and of nothing") {
  const TemporaryFolder folder;
  const auto lines = records(unlabelled(Format::kLines));
  write_file(folder / "file", std::string(600'000, 'x'));
  CHECK(check_parts(lines, folder / "file") == 1);
  write_file(folder / "file", "a\nb\n" + std::string(600'000, 'x') + "\nc\nd\n");
  CHECK(check_parts(lines, folder / "file") == 2);
  for (const char* bytes : {"", "\n", "x", "a\nb", "\n\n\n"}) {
    write_file(folder / "file", bytes);
    check_parts(lines, folder / "file");
  }
}

TEST_CASE("parts of columns have the header and the width of the file") {
  RecordOptions named = unlabelled(Format::kTsv);
  named.text = "text";
  named.label = "label";
  check_drawn(records(named), {"label\ttext\n", "\xEF\xBB\xBFtext\tx\tlabel\r\n", "wrong\n", ""},
              {"a\tb\n", "c\td\te\r\n", "\n"});
  check_drawn(records(unlabelled(Format::kTsv)), {"", "\n\n", "a\tb\tc\n"}, {"a\tb\n", "c\td\n", "\n", "e\tf\tg\n"});
  check_drawn(records(unlabelled(Format::kCsv)), {"label,text\n", "text\n", "\"te\nxt\",text\n"},
              {"a,b\n", "c,\"d\ne\"\r\n", "\n", ",\"\"\"\n\n\"\n", "x,y\"z\n"});
  RecordOptions plain = unlabelled(Format::kCsv, InvalidUtf8::kReplace);
  plain.header = false;
  plain.separator = ";";
  check_drawn(
      records(plain), {"", "\xEF\xBB\xBF"},
      {"a;b\n", "\"c\n\n\";\"d;\n\"\n", "\xEF\xBB\xBF\"e\n\";f\n", "g;\xFF\"\n", "\"h", "\";i\n", "\"\"", "\n"});
}

TEST_CASE("parts of sentences are cut after an empty line") {
  SentenceOptions conll;
  const std::vector<std::string> rows{"a B\n",         "b O\n",      "\n",    "\n\n",           " \t\r\n",
                                      "# a comment\n", "# id = 1\n", "# O\n", "-DOCSTART- O\n", "\xEF\xBB\xBF\n",
                                      "漢 X\r\n",      "a B",        "# \n"};
  check_drawn(sentences(conll), {"", "\n", "# x\n\n", "# x\n\n# y z\n\n", "-DOCSTART- O\n\n"}, rows);
  for (const auto policy : {InvalidUtf8::kReplace, InvalidUtf8::kSkip}) {
    conll.invalid_utf8 = policy;
    check_drawn(sentences(conll), {""}, {"a B\n", "\n", "\xFF\n", std::string("\0\n", 2), "b\xFF O\n"});
  }
  SentenceOptions conllu;
  conllu.format = SentenceFormat::kConllu;
  const std::string row = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n";
  check_drawn(sentences(conllu), {"", "\n\n"}, {row, row + "\n", "\n", "# sent_id = 1\n", "1-2\tx\n", "\r\n"});
  SentenceOptions jsonl, slashed, lines;
  jsonl.format = SentenceFormat::kJsonl;
  slashed.format = SentenceFormat::kSlashed;
  lines.format = SentenceFormat::kLines;
  check_drawn(sentences(jsonl), {""}, {"{\"text\": \"a b\"}\n", "{\"tokens\": [\"x\"]}\r\n", "\n"});
  check_drawn(sentences(slashed), {""}, {"a/x b/y\n", "\n", "c\r\n"});
  check_drawn(sentences(lines), {""}, kLinePieces);
}

TEST_CASE("sentences are spread over the parts") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "word TAG\nother TAG\n\n";
  write_file(folder / "file", text);
  CHECK(check_parts(sentences({}), folder / "file") == 64);
}

TEST_CASE("parts of pairs joined are the whole file") {
  PairOptions jsonl;
  jsonl.format = PairFormat::kJsonl;
  check_drawn(pairs(tsv_pairs()), {"", "\n", "a\tb\tc\n"}, {"a\tb\n", "\n", "c\td\r\n", "e\tf\tg\n"});
  check_drawn(pairs(jsonl), {""}, {"{\"source\": \"a\", \"target\": \"b\"}\n", "\n", "{}\n"});
}

TEST_CASE("ids come with the records of every part") {
  const auto with_ids = [](Format format) {
    RecordOptions out = unlabelled(format);
    out.ids = true;
    return records(out);
  };
  check_drawn(with_ids(Format::kLines), {""},
              {"1\ta\n", "x y\ta\tb\r\n",
               "\xEF\xBB\xBF"
               "2\t\n",
               "3\t", "none\n"});
  check_drawn(with_ids(Format::kFasttext), {""}, {"1\t__label__a x\n", "2\ty\n"});
  check_drawn(with_ids(Format::kTsv), {"", "\n"}, {"1\ta\tb\n", "2\tc\td\n", "\n"});
  check_drawn(with_ids(Format::kCsv), {"id,label,text\n", "\"i\nd\",text\n"}, {"1,a,b\n", "2,c\n", "\"3\",\"\n\"\n"});
  check_drawn(with_ids(Format::kJsonl), {""},
              {"{\"id\": 7, \"text\": \"x\"}\n", "{\"id\": \"7\", \"text\": \"x\"}\n", "{\"text\": \"\"}\n"});
  PairOptions tsv = tsv_pairs();
  tsv.ids = true;
  check_drawn(pairs(tsv), {"", "0\ta\tb\n"}, {"1\ta\tb\n", "\n", "2\tc\n"});
  SentenceOptions lines;
  lines.ids = true;
  lines.format = SentenceFormat::kLines;
  check_drawn(sentences(lines), {""}, {"1\ta b\n", "2\t\n"});
  lines.format = SentenceFormat::kConllu;
  const std::string row = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n";
  check_drawn(sentences(lines), {""}, {"# sent_id = s1\n" + row + "\n", "# x\n# sent_id = 2\n" + row + "\n\n"});
}

TEST_CASE("an id that is missing, empty or not one field is refused by its line") {
  const TemporaryFolder folder;
  const auto error = [&](const ReadPart& read, const std::string& bytes) {
    write_file(folder / "f", bytes);
    bool failed = false;
    const PartRead out = all_of(read, folder / "f", std::nullopt, failed);
    REQUIRE(failed);
    return out.back().substr(out.back().rfind("/f:") + 1);
  };
  RecordOptions options = unlabelled(Format::kLines);
  options.ids = true;
  CHECK(error(records(options), "1\ta\nb\n") ==
        "f:2: no id: with --id a line is an id, a tab and the rest, found no tab");
  CHECK(error(records(options), "\ta\n") == "f:1: the id is empty");
  options.format = Format::kCsv;
  CHECK(error(records(options), "id,text\n\"1\n2\",a\n") == "f:2: the id \"1\\n2\" has control characters");
  CHECK(error(records(options), "id,text\n\n") ==
        "f:2: no id: with --id the first column is one, found a single column");
  options.format = Format::kJsonl;
  CHECK(error(records(options), "{\"text\": \"\"}\n") == "f:1: no id: with --id an object has the key \"id\"");
  CHECK(error(records(options), "{\"id\": null, \"text\": \"\"}\n") ==
        "f:1: \"id\" is null, expected a string or a whole number of at most 64 bits");
  // They would not come out as they were written.
  for (const char* number : {"1.50", "18446744073709551617"})
    CHECK_THAT(error(records(options), "{\"id\": " + std::string(number) + ", \"text\": \"\"}\n"),
               contains_text("expected a string or a whole number of at most 64 bits"));
  SentenceOptions sentence;
  sentence.ids = true;
  CHECK(error(sentences(sentence), "a B\n") ==
        "--id: sentences of conll have none; expected conllu, jsonl, lines or slashed");
  sentence.format = SentenceFormat::kConllu;
  CHECK(error(sentences(sentence), "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n") ==
        "f:1: no id: with --id a sentence has a comment \"# sent_id = ID\"");
}

TEST_CASE("only regular files that are not packed have parts") {
  const TemporaryFolder folder;
  write_file(folder / "packed", gzip("a\nb\n"));
  const auto open = [&](const std::string& path) {
    return message_of<UsageError>([&] {
      RecordOptions options = unlabelled(Format::kLines);
      options.part = Part{1, 2};
      open_records(path, options);
    });
  };
  CHECK_THAT(open(folder / "packed"), contains_text("gzip data, which can only be read from the beginning"));
  CHECK_THAT(open("/dev/null"), contains_text("is not a regular file, which alone can be read in parts"));
  RecordOptions skip = unlabelled(Format::kCsv, InvalidUtf8::kSkip);
  skip.part = Part{1, 2};
  CHECK_THAT(message_of<UsageError>([&] { open_records(folder / "packed", skip); }),
             contains_text("csv is not read in parts with --invalid-utf8 skip"));
}

TEST_CASE("a file that becomes shorter while a part is read is an error") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "a line\n";
  write_file(folder / "f", text);
  RecordOptions options = unlabelled(Format::kLines);
  options.part = Part{1, 2};
  const auto reader = open_records(folder / "f", options);
  Record record;
  REQUIRE(reader->next(record));
  std::filesystem::resize_file(folder / "f", 1000);
  CHECK_THAT(message_of<Error>([&] {
               while (reader->next(record)) {
               }
             }),
             contains_text("the file has become shorter while it is read in parts"));
}

TEST_CASE("a part is a number, a slash and a number") {
  const auto message = [](const std::string& text) {
    return message_of<UsageError>([&] { parse_part(text, "--part"); });
  };
  const Part part = parse_part("3/8", "--part");
  CHECK((part.index == 3 && part.count == 8));
  for (const char* text : {"", "/", "1", "0/8", "9/8", "1/0", "-1/8", "1/8/2", "a/b", "1 /8", "1/1000001", "01x/2",
                           "1/99999999999999999999"})
    CHECK(message(text) ==
          fmt::format("--part {}: expected I/N, part I of N, with I from 1 to N and N up to 1000000", text));
  // Every byte belongs to one part, also of sizes whose product with a number of parts is no number.
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}})
    for (std::int64_t i = 1; i < 8; ++i) CHECK(Part{i, 8}.end_of(size) == Part{i + 1, 8}.begin_of(size));
  CHECK(Part{8, 8}.end_of(~std::uint64_t{0}) == ~std::uint64_t{0});
}

}  // namespace mnemo
