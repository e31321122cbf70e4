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
  CHECK(found[0].lines.size() == 3);
  CHECK(found[0].line_tokens == std::vector<std::int32_t>{-1, 0, 1});
  // A hash mark is a token where its line has as many columns as others.
  CHECK(found[1].tokens == Texts{"#", "3"});

  // Of that form it is a comment whatever the number of columns, also before the first row and in a block of its own.
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

TEST_CASE("sentences: conll with a separator of its own, and positions behind characters") {
  SentenceOptions options{.format = SentenceFormat::kConll, .separator = "|"};
  CHECK(read_all("New York|B-LOC\n", options)[0].tokens == Texts{"New York"});
  options = {.format = SentenceFormat::kConll, .strip_position = true};
  CHECK(read_all("科0\tO\n技1\tO\n8\tO\n80\tO\n", options)[0].tokens == Texts{"科", "技", "8", "8"});
}

TEST_CASE("sentences: conllu keeps comments, multiword lines and empty nodes, which are no tokens") {
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

TEST_CASE("sentences: JSON lines with spans of characters, as objects, arrays, or behind a key of their own") {
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

TEST_CASE("sentences: a span that cuts a token is widened and counted, and what no tags can spell is refused") {
  const SentenceOptions options{.format = SentenceFormat::kJsonl};
  const auto reader = SentenceReader::open(
      LineReader::from_memory("f", R"({"text": "New York.", "spans": [[4, 8, "LOC"]]})", InvalidUtf8::kError), options);
  Sentence s;
  REQUIRE(reader->next(s));
  CHECK(s.tags[0] == Texts{"O", "B-LOC"});
  CHECK(reader->counts().widened_spans == 1);
  CHECK(reader->counts().first_widened == R"(f:1: span [4,8,"LOC"] read as "York.")");
  const auto refused = [&](const std::string& line) { return error_of(line, options); };
  CHECK(refused(R"({"text": "a b", "spans": [[0, 4, "X"]]})") ==
        "f:1: place 4 is none from 0 to 3, the text's characters");
  CHECK(refused(R"({"text": "a b", "spans": [[1, 1, "X"]]})") == "f:1: a place from 1 to 1 holds no character");
  CHECK(refused(R"({"text": "a b", "spans": [[1, 2, "X"]]})") == R"(f:1: span [1,2,"X"] holds no token)");
  CHECK(refused(R"({"text": "a b", "spans": [[0, 3, "X"], [2, 3, "Y"]]})") ==
        "f:1: spans of X and Y share the token \"b\", which can have one tag");
  CHECK(refused(R"({"text": "a b", "spans": [[0, 1]]})") ==
        "f:1: a span is an array, expected an object of start, end and type, or [start, end, type]");
  CHECK(refused(R"({"text": "a b", "spans": [{"start": 0, "end": 1}]})") ==
        "f:1: the type of a span is null, expected a text");
  CHECK(refused(R"({"text": "a b", "spans": [{"start": -1, "end": 1, "type": "X"}]})") ==
        "f:1: place -1 is none from 0 to 3, the text's characters");
  CHECK(refused(R"({"text": "a b"})") == "f:1: token 1 has no tag, and the object no \"spans\"");
  CHECK(refused(R"({"text": "a b", "tags": ["X"]})") ==
        "f:1: \"tags\" is an array of 1, expected an array of 2, one for each token");
  CHECK(refused(R"({"text": "a b", "tokens": ["c"], "tags": ["X"]})") ==
        "f:1: token 1, \"c\", is not in the rest of the text");
  CHECK(refused(R"({"spans": []})") == "f:1: no key \"text\" in the object, and no tokens");
  CHECK(refused(R"([])") == "f:1: expected a JSON object, found array");
  CHECK(refused(R"({"text": )").starts_with("f:1:10: not JSON"));
}

TEST_CASE("sentences: rows that do not fit are named by file and line") {
  const SentenceOptions conll{.format = SentenceFormat::kConll}, conllu{.format = SentenceFormat::kConllu};
  CHECK(error_of("a NN O\n\nb O\n", conll) == "f:3: 2 columns, expected 3 as in line 1");
  CHECK(error_of("a\n", conll) == "f:1: 1 columns, expected a tag in column 2");
  CHECK(error_of("a O\n", {.format = SentenceFormat::kConll, .tags = {"4"}}) ==
        "f:1: 2 columns, expected a tag in column 4");
  CHECK(error_of("1\ta\tb\n", conllu) == "f:1: 3 columns between tabs, expected 10");
  CHECK(error_of("a/b c\n", {.format = SentenceFormat::kSlashed}) == "f:1: \"c\" is no token, slash and tag");
  CHECK(error_of("", {.format = SentenceFormat::kConll, .tags = {"pos"}}) ==
        "data.columns: expected a column's number from 1, found pos");
  CHECK(
      error_of("", {.format = SentenceFormat::kConllu, .tags = {"pos"}}).starts_with("data.columns: expected one of"));
  CHECK(error_of("", {.format = SentenceFormat::kLines, .tags = {"2"}}) ==
        "data.columns has no meaning for the format lines");
  CHECK(read_all("a\nb\n", {.format = SentenceFormat::kConll, .require_tags = false})[0].tags[0] == Texts{"_", "_"});
}

TEST_CASE("sentences: a sentence of a hundred thousand tokens is read whole") {
  std::string bytes;
  for (int i = 0; i < 100000; ++i) bytes += "w O\n";
  CHECK(read_all(bytes, {.format = SentenceFormat::kConll})[0].tokens.size() == 100000);
}
