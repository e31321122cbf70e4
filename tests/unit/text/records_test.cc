#include "text/records.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unit/text/helpers.h"

using mnemo::Error;
using mnemo::Format;
using mnemo::InvalidUtf8;
using mnemo::LineReader;
using mnemo::Record;
using mnemo::RecordOptions;
using mnemo::UsageError;

namespace {

using Lines = std::vector<std::string>;

constexpr Format kFormats[] = {Format::kLines,    Format::kTsv,    Format::kCsv,  Format::kJsonl,
                               Format::kFasttext, Format::kSpaced, Format::kTrees};

std::unique_ptr<mnemo::RecordReader> open(const std::string& bytes, const RecordOptions& options) {
  return open_records(LineReader::from_memory("memory", bytes, options.invalid_utf8), options);
}

// Each record as LINE[LABEL|LABEL]TEXT.
Lines rows(const std::string& bytes, const RecordOptions& options, mnemo::ReadCounts* counts = nullptr) {
  const auto reader = open(bytes, options);
  Lines found;
  for (Record record; reader->next(record);) {
    std::string row = fmt::format("{}[", record.line);
    for (std::size_t i = 0; i < record.labels.size(); ++i) row += (i > 0 ? "|" : "") + record.labels[i];
    found.push_back(row + "]" + record.text);
  }
  if (counts) *counts = reader->counts();
  CHECK(reader->counts().records == found.size());
  return found;
}

std::string error_of(const std::string& bytes, const RecordOptions& options) {
  return message_of<Error>([&] { rows(bytes, options); });
}

std::string usage_error_of(const RecordOptions& options) {
  return message_of<UsageError>([&] { open("", options); });
}

RecordOptions of(Format format) {
  RecordOptions options;
  options.format = format;
  return options;
}

RecordOptions several(Format format) {
  RecordOptions options = of(format);
  options.multi_label = true;
  return options;
}

RecordOptions unlabelled(Format format) {
  RecordOptions options = of(format);
  options.require_label = false;
  return options;
}

RecordOptions columns(Format format, const std::string& label, const std::string& text) {
  RecordOptions options = of(format);
  options.label = label;
  options.text = text;
  return options;
}

}  // namespace

TEST_CASE("formats have names") {
  for (const Format format : kFormats) CHECK(mnemo::format_from_name(name_of(format)) == format);
  CHECK_FALSE(mnemo::format_from_name("xml"));
}

TEST_CASE("lines: every line is a text") {
  CHECK(rows("a\tb\n\n c \n", of(Format::kLines)) == Lines{"1[]a\tb", "2[]", "3[] c "});
  CHECK(rows("", of(Format::kLines)).empty());
}

TEST_CASE("tsv: label and text in the first two columns") {
  CHECK(rows("1\tgood film\n0\t \"bad\n0\t\n", of(Format::kTsv)) == Lines{"1[1]good film", "2[0] \"bad", "3[0]"});
  CHECK(rows("a\tx\t9\nb\ty\t8\n", of(Format::kTsv)) == Lines{"1[a]x", "2[b]y"});
}

TEST_CASE("tsv: columns by number, and by the header's name") {
  CHECK(rows("x\t7\ta\n", columns(Format::kTsv, "3", "1")) == Lines{"1[a]x"});
  CHECK(rows("review\tid\tstars\nx\t7\ta\n", columns(Format::kTsv, "stars", "review")) == Lines{"2[a]x"});
  RecordOptions options = of(Format::kTsv);
  options.header = true;
  CHECK(rows("label\ttext\na\tx\n", options) == Lines{"2[a]x"});
}

TEST_CASE("tsv: every row has as many columns as the first") {
  CHECK_THAT(error_of("a\tb\nc\td\te\n", of(Format::kTsv)),
             contains_text("memory:2: expected 2 columns as in line 1, found 3"));
  CHECK_THAT(error_of("a\tb\n\nc\n", of(Format::kTsv)),
             contains_text("memory:3: expected 2 columns as in line 1, found 1"));
  CHECK_THAT(error_of("only text\n", of(Format::kTsv)), contains_text("memory:1: expected at least 2 columns"));
}

TEST_CASE("csv: quotes, doubled quotes, separators and newlines inside quotes") {
  const std::string bytes = "label,text\r\n1,\"a, \"\"b\"\"\"\r\n0,\"two\r\nlines\n\"\r\n1,a \"b\" c\n\"0\",\"\"\n";
  mnemo::ReadCounts counts;
  CHECK(rows(bytes, of(Format::kCsv), &counts) == Lines{"2[1]a, \"b\"", "3[0]two\nlines\n", "6[1]a \"b\" c", "7[0]"});
  CHECK(counts.crlf_lines == 4);
}

TEST_CASE("csv: columns by name, number and without a header") {
  CHECK(rows("id,stars,review\n7,a,x\n", columns(Format::kCsv, "stars", "review")) == Lines{"2[a]x"});
  CHECK(rows("id,stars,review\n7,a,x\n", columns(Format::kCsv, "2", "3")) == Lines{"2[a]x"});
  RecordOptions options = of(Format::kCsv);
  options.header = false;
  CHECK(rows("a,x\n", options) == Lines{"1[a]x"});
  options.separator = ";";
  CHECK(rows("a;\"x;y\"\n", options) == Lines{"1[a]x;y"});
  options.separator = "\\t";
  CHECK(rows("a\t\"x\ty\"\n", options) == Lines{"1[a]x\ty"});
}

TEST_CASE("csv: an invalid row is an error with line and column") {
  CHECK_THAT(error_of("label,text\na,x\nb,\"y\nz\n", of(Format::kCsv)),
             contains_text("memory:3: a quote is opened here and never closed"));
  CHECK_THAT(error_of("label,text\na,\"x\"y\n", of(Format::kCsv)),
             contains_text("memory:2:6: text after a closing quote"));
  CHECK_THAT(error_of("label,review\na,x\n", of(Format::kCsv)),
             contains_text("memory:1: no column \"text\" in the header, which has \"label\", \"review\""));
  CHECK_THAT(error_of("label,text,label\n", of(Format::kCsv)), contains_text("the column \"label\" twice"));
  CHECK_THAT(error_of("label,text\na,\"x\ny\",z\n", of(Format::kCsv)), contains_text("memory:2: expected 2 columns"));
  CHECK_THAT(error_of("label,text\n,\"x\ny\"\n", of(Format::kCsv)), contains_text("memory:2: an empty label"));
}

TEST_CASE("csv: a row whose quote is not closed is refused before it fills the memory") {
  std::string bytes = "label,text\na,b\nc,\"";
  for (std::size_t i = 0; i <= mnemo::kMaxLineBytes / 100; ++i) bytes += std::string(99, 'x') + "\n";
  RecordOptions options;
  options.format = Format::kCsv;
  CHECK_THAT(error_of(bytes, options),
             contains_text("memory:3: a row of more than 16 MiB, the maximum; the last quote is opened in "
                           "line 3"));
}

TEST_CASE("jsonl: a key given twice, and a line of many objects") {
  RecordOptions options;
  options.format = Format::kJsonl;
  CHECK_THAT(error_of(R"({"text": "a", "label": "x", "text": "b"})", options),
             contains_text("memory:1: key \"text\" is given twice in one object"));
}

TEST_CASE("jsonl: labels of every simple type") {
  CHECK(rows("{\"text\": \"x\\ny\", \"label\": \"a\", \"more\": [1, {}]}\n{\"label\":1,\"text\":\"\"}\n"
             "{\"label\":-1.5,\"text\":\"中\"}\n{\"label\":true,\"text\":\"z\"}\n",
             of(Format::kJsonl)) == Lines{"1[a]x\ny", "2[1]", "3[-1.5]中", "4[true]z"});
  CHECK(rows("{\"stars\": 5, \"review\": \"x\"}", columns(Format::kJsonl, "stars", "review")) == Lines{"1[5]x"});
}

TEST_CASE("jsonl: an invalid line is an error with line and column") {
  const auto options = of(Format::kJsonl);
  CHECK_THAT(error_of("{\"label\": 1, \"text\": \"a\"}\n{\"label\": 中}\n", options),
             contains_text("memory:2:11: not JSON: "));
  CHECK_THAT(error_of("{\"label\": 1}", options), contains_text("memory:1: no key \"text\""));
  CHECK_THAT(error_of("{\"text\": \"a\"}", options), contains_text("memory:1: no key \"label\""));
  CHECK_THAT(error_of("{\"text\": \"a\", \"label\": null}", options), contains_text("no value for \"label\""));
  CHECK_THAT(error_of("{\"text\": 3, \"label\": 1}", options),
             contains_text("\"text\" is a number, expected a string"));
  CHECK_THAT(error_of("{\"text\": \"a\", \"label\": {}}", options),
             contains_text("\"label\" is an object, expected a string"));
  CHECK_THAT(error_of("{\"text\": \"a\", \"label\": [\"x\"]}", options), contains_text("set multi_label"));
  CHECK_THAT(error_of("{\"text\": \"a\", \"label\": \"\"}", options), contains_text("an empty label"));
  CHECK_THAT(error_of("[1]", options), contains_text("expected a JSON object, found an array"));
  CHECK_THAT(error_of("{\"text\": \"\\ud800\", \"label\": 1}", options), contains_text("memory:1:"));
  CHECK_THAT(error_of("{\"text\": 1e999, \"label\": 1}", options), contains_text("memory:1:"));
  CHECK_THAT(error_of(std::string(200000, '['), options), contains_text("nested deeper than 1000 levels"));
}

TEST_CASE("fasttext: labels are at the start of the line") {
  CHECK(rows("__label__a good film\n__label__b\t x __label__c\n__label__c\n", of(Format::kFasttext)) ==
        Lines{"1[a]good film", "2[b]x __label__c", "3[c]"});
  CHECK(rows("__label__a __label__b  x\n__label__a __label__a\nno label\n", several(Format::kFasttext)) ==
        Lines{"1[a|b]x", "2[a]", "3[]no label"});
  CHECK_THAT(error_of("__label__a __label__b x\n", of(Format::kFasttext)),
             contains_text("memory:1: several labels (\"a\", \"b\")"));
  CHECK_THAT(error_of("good film\n", of(Format::kFasttext)),
             contains_text("memory:1: no label: expected __label__LABEL"));
  CHECK_THAT(error_of("__label__ x\n", of(Format::kFasttext)), contains_text("an empty label"));
  CHECK(rows("good film\n__label__a x\n", unlabelled(Format::kFasttext)) == Lines{"1[]good film", "2[a]x"});
}

TEST_CASE("spaced: the label ends at the first space") {
  CHECK(rows("1 good film \n0  \tbad\nDESC:def What is x ?\n2\n3 \n", of(Format::kSpaced)) ==
        Lines{"1[1]good film", "2[0]bad", "3[DESC:def]What is x ?", "4[2]", "5[3]"});
  CHECK(rows("neg\tbad film\n", of(Format::kSpaced)) == Lines{"1[neg]bad film"});
  CHECK_THAT(error_of("1 a\n no label\n", of(Format::kSpaced)), contains_text("memory:2: an empty label"));
}

TEST_CASE("several labels in one cell") {
  CHECK(rows("a,b\tx\n\ty\n a , b,a\tz\n", several(Format::kTsv)) == Lines{"1[a|b]x", "2[]y", "3[a|b]z"});
  CHECK(rows("label,text\n\"a,b\",x\n", several(Format::kCsv)) == Lines{"2[a|b]x"});
  CHECK(rows("a,b x\n", several(Format::kSpaced)) == Lines{"1[a|b]x"});
  CHECK(rows("{\"text\":\"x\",\"label\":[\"a\",1,true]}\n{\"text\":\"y\",\"label\":[]}\n{\"text\":\"z\",\"label\":\"a,"
             "b\"}\n"
             "{\"text\":\"n\",\"label\":null}\n",
             several(Format::kJsonl)) == Lines{"1[a|1|true]x", "2[]y", "3[a,b]z", "4[]n"});
  RecordOptions options = several(Format::kTsv);
  options.label_separator = "; ";
  CHECK(rows("a; b,c\tx\n", options) == Lines{"1[a|b,c]x"});
  CHECK_THAT(error_of("a,,b\tx\n", several(Format::kTsv)), contains_text("memory:1: an empty label"));
}

TEST_CASE("trees: the sentence with the root's label") {
  CHECK(
      rows(
          "(3 (2 It) (4 (2 's) (2 -LRB-great-RRB-)))\n( 0 (1  No ) (2 -LRB-) (2 -RSB-) (2 1\\/2\\*) (2 a\\b))\n(2 x)\n",
          of(Format::kTrees)) == Lines{"1[3]It 's -LRB-great-RRB-", "2[0]No ( ] 1/2* a\\b", "3[2]x"});
}

TEST_CASE("trees: phrases that are not neutral, each once") {
  RecordOptions options = of(Format::kTrees);
  options.phrases = true;
  CHECK(rows("(3 (2 It) (4 (2 's) (3 GREAT)))\n(1 (0 (2 Not) (4 great)) (2 -LRB-))\n(1 (1 It) (1 's))\n", options) ==
        Lines{"1[1]it 's great", "1[1]'s great", "1[1]great", "2[0]not great (", "2[0]not great", "3[0]it 's", "3[0]it",
              "3[0]'s"});
  CHECK(rows("(2 (2 İX) (4 Y))\n", options) == Lines{"1[1]y"});
  CHECK_THAT(error_of("(3 (5 x))\n", options),
             contains_text("memory:1: a phrase with the label \"5\", expected 0 to 4"));
  const auto reader = open("(3 (2 It) (4 is))", options);
  Record record;
  CHECK(reader->next(record));
  CHECK(reader->next_is_ready());
}

TEST_CASE("trees: unbalanced brackets are an error with their column") {
  const auto options = of(Format::kTrees);
  CHECK_THAT(error_of("(3 (2 中) x", options), contains_text("memory:1:11: the tree is not closed: 1 brackets"));
  CHECK_THAT(error_of("(2 x)\n(2 中))", options), contains_text("memory:2:6: text after the end of the tree"));
  CHECK_THAT(error_of(")", options), contains_text("memory:1:1: a closing bracket without an opening one"));
  CHECK_THAT(error_of("(2 x) (2 y)", options), contains_text("memory:1:7: text after the end"));
  CHECK_THAT(error_of("( (2 x))", options), contains_text("memory:1:3: expected a label"));
  CHECK_THAT(error_of("(2 )", options), contains_text("memory:1:4: a phrase without a word"));
  CHECK_THAT(error_of("word", options), contains_text("memory:1:1: expected an opening bracket"));
  CHECK_THAT(error_of("   ", options), contains_text("not closed"));
}

TEST_CASE("trees: deep nesting does no harm") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "(3 ";
  deep += "x" + std::string(100000, ')');
  CHECK(rows(deep, of(Format::kTrees)) == Lines{"1[3]x"});
  RecordOptions options = of(Format::kTrees);
  options.phrases = true;
  CHECK(rows(deep, options) == Lines{"1[1]x"});
  CHECK_THAT(error_of(deep.substr(0, deep.size() - 1), options), contains_text("1 brackets are open"));
}

TEST_CASE("empty lines are skipped and counted if a label is required") {
  mnemo::ReadCounts counts;
  CHECK(rows("\na\tx\n\n\nb\ty\n\n", of(Format::kTsv), &counts) == Lines{"2[a]x", "5[b]y"});
  CHECK(counts.empty_lines == 4);
  CHECK(rows("\nlabel,text\n\na,x\n", of(Format::kCsv)) == Lines{"4[a]x"});
  CHECK(rows("\n{\"label\":1,\"text\":\"\"}\n", of(Format::kJsonl)) == Lines{"2[1]"});
  CHECK(rows("\n__label__a\n", of(Format::kFasttext)) == Lines{"2[a]"});
  CHECK(rows("\n1 x\n", of(Format::kSpaced)) == Lines{"2[1]x"});
  CHECK(rows("\n(2 x)\n", of(Format::kTrees)) == Lines{"2[2]x"});
}

TEST_CASE("empty lines are records if no label is required") {
  CHECK(rows("a\tx\n\nb\ty\n", unlabelled(Format::kTsv)) == Lines{"1[a]x", "2[]", "3[b]y"});
  CHECK(rows("text\nx\n\n", unlabelled(Format::kCsv)) == Lines{"2[]x", "3[]"});
  CHECK(rows("\n{\"text\":\"x\"}\n", unlabelled(Format::kJsonl)) == Lines{"1[]", "2[]x"});
  CHECK(rows("\n\n", unlabelled(Format::kFasttext)) == Lines{"1[]", "2[]"});
  CHECK(rows("\n1 x\n", unlabelled(Format::kSpaced)) == Lines{"1[]", "2[1]x"});
  CHECK(rows("\n(2 x)\n", unlabelled(Format::kTrees)) == Lines{"1[]", "2[2]x"});
}

TEST_CASE("a label may be missing in an unambiguous way if none is required") {
  CHECK(rows("id,text\n1,x\n", unlabelled(Format::kCsv)) == Lines{"2[]x"});
  CHECK(rows("label,text\n,x\na,y\n", unlabelled(Format::kCsv)) == Lines{"2[]x", "3[a]y"});
  CHECK(rows("{\"text\":\"x\"}\n{\"text\":\"y\",\"label\":null}\n{\"text\":\"z\",\"label\":\"\"}\n",
             unlabelled(Format::kJsonl)) == Lines{"1[]x", "2[]y", "3[]z"});
  CHECK_THAT(error_of("just text\n", unlabelled(Format::kTsv)), contains_text("expected at least 2 columns"));
}

TEST_CASE("options that do not fit the format are usage errors") {
  RecordOptions options = of(Format::kSpaced);
  options.label = "2";
  CHECK_THAT(usage_error_of(options), contains_text("label does not apply to the format spaced"));
  options = of(Format::kTsv);
  options.phrases = true;
  CHECK_THAT(usage_error_of(options), contains_text("phrases"));
  options = of(Format::kJsonl);
  options.header = true;
  CHECK_THAT(usage_error_of(options), contains_text("header"));
  options = columns(Format::kTsv, "stars", "2");
  options.header = false;
  CHECK_THAT(usage_error_of(options), contains_text("\"stars\" is given by name"));
  CHECK_THAT(usage_error_of(columns(Format::kTsv, "0", "2")), contains_text("counted from 1"));
  CHECK_THAT(usage_error_of(columns(Format::kTsv, "99999999999999999999", "2")), contains_text("column"));
  for (const char* separator : {"ab", "\"", "中", "\n"}) {
    options = of(Format::kCsv);
    options.separator = separator;
    CHECK_THAT(usage_error_of(options), contains_text("expected one ASCII character"));
  }
  options = several(Format::kTsv);
  options.label_separator = "";
  CHECK_THAT(usage_error_of(options), contains_text("label_separator"));
  CHECK_THAT(usage_error_of(several(Format::kTrees)), contains_text("multi_label"));
}

TEST_CASE("records come from files, gzipped ones as well, and their counts add up") {
  const TemporaryFolder folder;
  write_file(folder / "data.tsv", gzip("\uFEFFa\tx\r\n\r\nb\t\xFFy\r\n"));
  RecordOptions options = of(Format::kTsv);
  options.invalid_utf8 = InvalidUtf8::kReplace;
  const auto reader = open_records(folder / "data.tsv", options);
  CHECK(reader->name() == folder / "data.tsv");
  Record record;
  CHECK(reader->next(record));
  CHECK(record.labels == std::vector<std::string>{"a"});
  CHECK(reader->next(record));
  CHECK(record.text == "\uFFFDy");
  CHECK_FALSE(reader->next(record));
  const auto counts = reader->counts();
  CHECK(counts.records == 2);
  CHECK(counts.empty_lines == 1);
  CHECK(counts.crlf_lines == 3);
  CHECK(counts.invalid_sequences == 1);
  CHECK(counts.had_bom);
  CHECK_THAT(message_of<Error>([&] { open_records(folder / "none", options); }), contains_text("cannot open"));
}
