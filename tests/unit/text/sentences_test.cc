#include "text/sentences.h"

#include "base/error.h"
#include "tests/catch.h"

using namespace mnemo;
using Texts = std::vector<std::string>;

namespace {

std::vector<Sentence> read_all(const std::string& bytes, const SentenceOptions& options) {
  const auto reader = SentenceReader::open(LineReader::from_memory("f", bytes, InvalidUtf8::kError), options);
  std::vector<Sentence> out;
  Sentence s;
  while (reader->next(s)) out.push_back(s);
  return out;
}

std::string error_of(const std::string& bytes, const SentenceOptions& options) {
  try {
    read_all(bytes, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("sentences: conll with any blanks, document lines, comments and a missing last empty line") {
  const auto found =
      read_all("-DOCSTART- -X- O O\n\n# of an agency\nEU NNP  B-ORG\nrejects\tVBZ O\n\n \t\n# NN O\n3 CD O",
               {.format = SentenceFormat::kConll});
  REQUIRE(found.size() == 2);
  CHECK(found[0].tokens == Texts{"EU", "rejects"});
  CHECK(found[0].tags == std::vector<Texts>{{"B-ORG", "O"}});
  CHECK(found[0].lines == Texts{"-DOCSTART- -X- O O", "", "# of an agency", "EU NNP  B-ORG", "rejects\tVBZ O"});
  CHECK(found[0].line_tokens == std::vector<std::int32_t>{-1, -1, -1, 0, 1});
  CHECK(found[0].line == 1);
  // A hash mark is a token if its line has as many columns as the others.
  CHECK(found[1].tokens == Texts{"#", "3"});

  // In that form it is a comment whatever the number of columns, also before the first row and in a block of its own.
  const auto noted = read_all("# sent_id = 1\nEU B NP O\n\n# sent_id = 2\n# text = x\n\n# alone\n\nUN B NP O\n",
                              {.format = SentenceFormat::kConll});
  REQUIRE(noted.size() == 4);
  CHECK(noted[0].tokens == Texts{"EU"});
  CHECK(noted[1].tokens.empty());
  CHECK(noted[1].lines == Texts{"# sent_id = 2", "# text = x"});
  CHECK(noted[2].lines == Texts{"# alone"});
  CHECK(noted[3].tokens == Texts{"UN"});
  CHECK(read_all("# newdoc id = w\nEU B NP O O\n", {.format = SentenceFormat::kConll})[0].tokens == Texts{"EU"});
  CHECK(read_all("# text = EU, UN\nEU,O\n", {.format = SentenceFormat::kConll, .separator = ","})[0].tokens ==
        Texts{"EU"});
  const auto alone = read_all("# a comment\n", {.format = SentenceFormat::kConll, .require_tags = false});
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].tokens.empty());
  CHECK(read_all("#\n", {.format = SentenceFormat::kConll, .require_tags = false})[0].tokens == Texts{"#"});

  const auto columns = read_all("a X 1\nb Y 2\n", {.format = SentenceFormat::kConll, .token = "1", .tags = {"3", "2"}});
  CHECK(columns[0].tags == std::vector<Texts>{{"1", "2"}, {"X", "Y"}});
}

TEST_CASE("sentences: conll with a separator of its own, and positions after characters") {
  SentenceOptions options{.format = SentenceFormat::kConll, .separator = "|"};
  CHECK(read_all("New York|B-LOC\n", options)[0].tokens == Texts{"New York"});
  options = {.format = SentenceFormat::kConll, .strip_position = true};
  CHECK(read_all("科0\tO\n技1\tO\n8\tO\n80\tO\n", options)[0].tokens == Texts{"科", "技", "8", "8"});
}

TEST_CASE("sentences: conllu keeps comments, multiword lines and empty nodes, which are not tokens") {
  const std::string tail = "\t_\t_\t_\t_\t_\t_\t_\n";
  const std::string bytes = "# text = vámonos\n1-2\tvámonos\t_" + tail + "1\tvamos\tir" + tail + "1.1\tx\tx" + tail +
                            "2\tnos\tnosotros" + tail + "\n";
  const auto found = read_all(bytes, {.format = SentenceFormat::kConllu});
  REQUIRE(found.size() == 1);
  CHECK(found[0].tokens == Texts{"vamos", "nos"});
  CHECK(found[0].line_tokens == std::vector<std::int32_t>{-1, -1, 0, -1, 1});
  CHECK(read_all(bytes, {.format = SentenceFormat::kConllu, .token = "lemma"})[0].tokens == Texts{"ir", "nosotros"});
}

TEST_CASE("sentences: words and tags with slashes, an empty line being an empty sentence") {
  const auto found = read_all("今天/t 天气/n 1/2/m\n\n好/a\n", {.format = SentenceFormat::kSlashed});
  REQUIRE(found.size() == 3);
  CHECK(found[0].tokens == Texts{"今天", "天气", "1/2"});
  CHECK(found[0].tags[0] == Texts{"t", "n", "m"});
  CHECK(found[1].tokens.empty());
}

TEST_CASE("sentences: plain text with the places of its tokens") {
  const SentenceOptions options{.format = SentenceFormat::kLines, .tokenizer = {.unit = Unit::kUnicodeWord}};
  const auto found = read_all("Ångström  met Li.\n\n", options);
  REQUIRE(found.size() == 2);
  CHECK(found[0].tokens == Texts{"Ångström", "met", "Li", "."});
  CHECK(found[0].places[1] == std::pair<std::uint32_t, std::uint32_t>{12, 15});
  CHECK(found[1].tokens.empty());
  const SentenceOptions characters{.format = SentenceFormat::kLines, .tokenizer = {.unit = Unit::kChar}};
  CHECK(read_all("我 爱\u3000北\n", characters)[0].tokens == Texts{"我", "爱", "北"});
  CHECK(read_all("我\u00a0爱\u2003北\n", characters)[0].tokens == Texts{"我", "爱", "北"});
}

TEST_CASE("sentences: JSON lines with spans of characters, as objects, arrays, or under a key of their own") {
  const SentenceOptions words{.format = SentenceFormat::kJsonl, .tokenizer = {.unit = Unit::kUnicodeWord}};
  const auto found = read_all(
      R"({"text": "Zoë met Li Bai.", "spans": [{"start": 8, "end": 14, "type": "PER"}, {"start": 0, "end": 3, "label": "PER"}]})"
      "\n"
      R"({"text": "", "spans": []})"
      "\n",
      words);
  REQUIRE(found.size() == 2);
  CHECK(found[0].tokens == Texts{"Zoë", "met", "Li", "Bai", "."});
  CHECK(found[0].tags[0] == Texts{"B-PER", "O", "B-PER", "I-PER", "O"});
  CHECK(found[0].places[1] == std::pair<std::uint32_t, std::uint32_t>{5, 8});
  CHECK(found[1].tokens.empty());
  SentenceOptions characters{.format = SentenceFormat::kJsonl, .token = "t", .spans = "label"};
  characters.tokenizer.unit = Unit::kChar;
  CHECK(read_all(R"({"t": "我爱北京", "label": [[2, 4, "LOC"]]})", characters)[0].tags[0] ==
        Texts{"O", "O", "B-LOC", "I-LOC"});
}

TEST_CASE("sentences: JSON lines with tokens of their own, and tags of tokens") {
  const SentenceOptions options{.format = SentenceFormat::kJsonl};
  const auto by_place = read_all(
      R"({"text": "a-b c", "tokens": [{"start": 0, "end": 1, "tag": "X"}, {"start": 1, "end": 3, "tag": "Y"}]})",
      options);
  CHECK(by_place[0].tokens == Texts{"a", "-b"});
  CHECK(by_place[0].tags[0] == Texts{"X", "Y"});
  const auto by_text = read_all(R"({"text": "a aa", "tokens": ["a", "a", "a"], "tags": ["1", "2", "3"]})", options);
  CHECK(by_text[0].places[2] == std::pair<std::uint32_t, std::uint32_t>{3, 4});
  const auto without = read_all(R"({"tokens": [{"text": "New York", "tag": "LOC"}]})", options);
  CHECK(without[0].tokens == Texts{"New York"});
  CHECK_FALSE(without[0].text);
}

TEST_CASE("sentences: a span that does not end with tokens is counted, and one that no tags can spell is refused") {
  const SentenceOptions options{.format = SentenceFormat::kJsonl};
  const auto reader = SentenceReader::open(
      LineReader::from_memory("f", R"({"text": "New York.", "spans": [[4, 8, "LOC"]]})", InvalidUtf8::kError), options);
  Sentence s;
  REQUIRE(reader->next(s));
  CHECK(s.tags[0] == Texts{"O", "B-LOC"});
  CHECK(reader->counts().moved_spans == 1);
  CHECK(reader->counts().first_moved == R"(f:1: span [4,8,"LOC"] read as "York.")");
  const auto refused = [&](const std::string& line) { return error_of(line, options); };
  CHECK(refused(R"({"text": "a b", "spans": [[0, 4, "X"]]})") ==
        "f:1: place 4 is not a whole number from 0 to 3, the number of characters");
  CHECK(refused(R"({"text": "a b", "spans": [[1, 1, "X"]]})") == "f:1: the range from 1 to 1 holds no character");
  CHECK(refused(R"({"text": "a b", "spans": [[1, 2, "X"]]})") == R"(f:1: span [1,2,"X"] holds no token)");
  CHECK(refused(R"({"text": "a b", "spans": [[0, 3, "X"], [2, 3, "Y"]]})") ==
        "f:1: spans of X and Y share the token \"b\", which can have only one tag");
  CHECK(refused(R"({"text": "a b", "spans": [[0, 1]]})") ==
        "f:1: a span is an array, expected an object of start, end and type, or [start, end, type]");
  CHECK(refused(R"({"text": "a b", "spans": [{"start": 0, "end": 1}]})") ==
        "f:1: the type of a span is null, expected a string under \"type\" or \"label\"");
  CHECK(refused(R"({"text": "a b", "spans": [{"start": -1, "end": 1, "type": "X"}]})") ==
        "f:1: place -1 is not a whole number from 0 to 3, the number of characters");
  CHECK(refused(R"({"text": "a b"})") == "f:1: token 1 has no tag, and the object has no \"spans\"");
  CHECK(refused(R"({"text": "a b", "tags": ["X"]})") ==
        "f:1: \"tags\" is an array of 1, expected an array of 2, one for each token");
  CHECK(refused(R"({"text": "a b", "tokens": ["c"], "tags": ["X"]})") ==
        "f:1: token 1, \"c\", is not in the rest of the text");
  CHECK(refused(R"({"spans": []})") == "f:1: no key \"text\" in the object, and no tokens");
  CHECK(refused(R"([])") == "f:1: expected a JSON object, found an array");
  CHECK(refused(R"({"text": )").starts_with("f:1:10: not JSON"));
}

TEST_CASE("sentences: rows that do not fit are reported with file and line") {
  const SentenceOptions conll{.format = SentenceFormat::kConll}, conllu{.format = SentenceFormat::kConllu};
  CHECK(error_of("a NN O\n\nb O\n", conll) == "f:3: 2 columns, expected 3 as in line 1");
  CHECK(error_of("a\n", conll) == "f:1: 1 columns, expected a tag in column 2");
  CHECK(error_of("a O\n", {.format = SentenceFormat::kConll, .tags = {"4"}}) ==
        "f:1: 2 columns, expected a tag in column 4");
  CHECK(error_of("1\ta\tb\n", conllu) == "f:1: 3 tab-separated columns, expected 10");
  CHECK(error_of("a/b c\n", {.format = SentenceFormat::kSlashed}) == "f:1: expected TOKEN/TAG, found \"c\"");
  CHECK(error_of("", {.format = SentenceFormat::kConll, .tags = {"pos"}}) ==
        "data.columns: expected a column number from 1, found pos");
  CHECK(
      error_of("", {.format = SentenceFormat::kConllu, .tags = {"pos"}}).starts_with("data.columns: expected one of"));
  CHECK(error_of("", {.format = SentenceFormat::kLines, .tags = {"2"}}) ==
        "data.columns does not apply to the format lines");
  CHECK(read_all("a\nb\n", {.format = SentenceFormat::kConll, .require_tags = false})[0].tags[0] == Texts{"_", "_"});
}

TEST_CASE("sentences: a sentence of a hundred thousand tokens is read whole") {
  std::string bytes;
  for (int i = 0; i < 100000; ++i) bytes += "w O\n";
  CHECK(read_all(bytes, {.format = SentenceFormat::kConll})[0].tokens.size() == 100000);
}

TEST_CASE("sentences: hashtags alone before the first other row are sentences of their own") {
  const auto tokens_of = [](const std::string& bytes, const SentenceOptions& options) {
    std::vector<Texts> out;
    for (const Sentence& s : read_all(bytes, options)) out.push_back(s.tokens);
    return out;
  };
  const SentenceOptions conll{.format = SentenceFormat::kConll};
  CHECK(tokens_of("#rain\tO\n\nin\tO\nOslo\tO\n\n", conll) == std::vector<Texts>{{"#rain"}, {"in", "Oslo"}});
  CHECK(tokens_of("#rain\tO\n\n#sun\tO\n\nin\tO\n", conll) == std::vector<Texts>{{"#rain"}, {"#sun"}, {"in"}});
  CHECK(tokens_of("#rain\tO\n\n#Oslo\tB-LOC\n\n", conll) == std::vector<Texts>{{"#rain"}, {"#Oslo"}});
  // Comments are still comments, before rows and before hashtags, and keep their lines' numbers right.
  const auto noted = read_all("# one of many words\n\n# x = y\n\n#rain O\n\nin O\n", conll);
  REQUIRE(noted.size() == 2);
  CHECK(noted[0].tokens == Texts{"#rain"});
  CHECK(noted[0].line == 1);
  CHECK(noted[0].lines == Texts{"# one of many words", "", "# x = y", "", "#rain O"});
  CHECK(noted[0].line_tokens == std::vector<std::int32_t>{-1, -1, -1, -1, 0});
  CHECK(error_of("# one two three\n\nin O\nOslo\n", conll) == "f:4: 1 columns, expected 2 as in line 3");
  // With nothing but comments there is no token.
  CHECK(tokens_of("# a comment\n\n# another one\n", conll) == std::vector<Texts>{{}});
}

TEST_CASE("sentences: conll keeps empty and document lines, so that they can be written again") {
  const auto found = read_all("\n\na O\n\n\n-DOCSTART- O\n\nb O\n\n\n", {.format = SentenceFormat::kConll});
  REQUIRE(found.size() == 2);
  CHECK(found[0].lines == Texts{"", "", "a O"});
  CHECK(found[0].line == 1);
  CHECK(found[1].lines == Texts{"", "-DOCSTART- O", "", "b O"});
  CHECK(found[1].line == 5);
  CHECK(read_all("\n\n-DOCSTART- O\n\n", {.format = SentenceFormat::kConll}).empty());
}

TEST_CASE("sentences: rows without an empty line between them are refused before they fill the memory") {
  std::string bytes = "a O\n\n";
  for (std::size_t i = 0; i <= kMaxLineBytes / 100; ++i) bytes += std::string(97, 'x') + " O\n";
  CHECK(error_of(bytes, {.format = SentenceFormat::kConll}).starts_with("f:3: a sentence of more than 16 MiB"));
}

TEST_CASE("sentences: brackets of compounds are not part of words and tags") {
  const auto read = [](const std::string& line, std::size_t compounds) {
    const auto reader = SentenceReader::open(LineReader::from_memory("f", line, InvalidUtf8::kError),
                                             {.format = SentenceFormat::kSlashed});
    Sentence s;
    REQUIRE(reader->next(s));
    CHECK(reader->counts().compounds == compounds);
    std::string out;
    for (std::size_t t = 0; t < s.tokens.size(); ++t) out += s.tokens[t] + "|" + s.tags[0][t] + " ";
    return out;
  };
  CHECK(read("[中国/ns 政府/n]nt 恢复/v", 1) == "中国|ns 政府|n 恢复|v ");
  CHECK(read("[[a/n b/n]nz c/n]nt d/v [e/n]x", 3) == "a|n b|n c|n d|v e|n ");
  CHECK(read("[a/n [b/n c/n]nz]nt", 2) == "a|n b|n c|n ");
  // Brackets that are never closed or never opened, and those that are tokens, stay.
  CHECK(read("[a/n b/n", 0) == "[a|n b|n ");
  CHECK(read("a/n b/n]nt", 0) == "a|n b|n]nt ");
  CHECK(read("[/w a/n ]/w", 0) == "[|w a|n ]|w ");
}

TEST_CASE("sentences: spans as other programs write them") {
  const auto reader_of = [](const std::string& line) {
    return SentenceReader::open(LineReader::from_memory("f", line, InvalidUtf8::kError),
                                {.format = SentenceFormat::kJsonl, .tokenizer = {.unit = Unit::kUnicodeWord}});
  };
  const auto tags_of = [&](const std::string& line) {
    Sentence s;
    REQUIRE(reader_of(line)->next(s));
    return s.tags[0];
  };
  const auto refused = [&](const std::string& line) {
    try {
      Sentence s;
      reader_of(line)->next(s);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(tags_of(R"({"text":"Anna left","spans":[{"start":0.0,"end":4.0,"type":"PER"}]})") == Texts{"B-PER", "O"});
  CHECK(refused(R"({"text":"Anna left","spans":[[0.5,4,"PER"]]})") ==
        "f:1: place 0.5 is not a whole number from 0 to 9, the number of characters");
  CHECK(refused(R"({"text":"Anna left","spans":[[-1,4,"PER"]]})").find("place -1") != std::string::npos);
  const std::string twice = R"({"text":"Anna left","spans":[[0,4,"PER"],[0,4,"PER"]]})";
  CHECK(tags_of(twice) == Texts{"B-PER", "O"});
  const auto reader = reader_of(twice);
  Sentence s;
  REQUIRE(reader->next(s));
  CHECK(reader->counts().repeated_spans == 1);
  CHECK(refused(R"({"text":"Anna left","spans":[[0,4,"PER"],[0,4,"LOC"]]})").find("share the token") !=
        std::string::npos);
  CHECK(refused(R"({"text":"Anna left","label":[[0,4,"PER"]]})")
            .ends_with("and the object has no \"spans\"; data.label=label would read its \"label\" as spans"));
  CHECK(refused(R"({"text":"Anna left","spans":[{"start":0,"end":4,"labels":["PER"]}]})")
            .find("its \"labels\" is a list") != std::string::npos);
}

TEST_CASE("sentences: no token of plain text begins or ends in white space") {
  for (const char* blank : {" ", "\u00A0", "\u2009", "\u202F", "\u3000"}) {
    const auto found = read_all("Oslo" + std::string(blank) + "!" + blank + "\u0301\n",
                                {.format = SentenceFormat::kLines, .tokenizer = {.unit = Unit::kUnicodeWord}});
    INFO(found[0].tokens.size());
    CHECK(found[0].tokens == Texts{"Oslo", "!", "\u0301"});
    CHECK(found[0].places[0] == std::pair<std::uint32_t, std::uint32_t>{0, 4});
  }
  // Within a number it stays.
  CHECK(read_all("10\u202F000 kr", {.format = SentenceFormat::kLines, .tokenizer = {.unit = Unit::kUnicodeWord}})[0]
            .tokens == Texts{"10\u202F000", "kr"});
}
