// mnemo init: what it finds in files of many formats, and that training accepts what it writes.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/fixture.h"

namespace {

using nlohmann::json;

const std::vector<std::string> kGood{"a fine film", "a lovely song", "superb, warm soup", "such a warm room"},
    kBad{"this dull film again", "an awful walk", "stale, cold soup", "a cold room"};

// Forty records, each made from a label and a text.
template <class Record>
std::string forty(const Record& record) {
  std::string out;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    out += record(std::string("pos"), kGood[i % 4] + " " + number, number);
    out += record(std::string("neg"), kBad[i % 4] + " " + number, number);
  }
  return out;
}

std::string many(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

class Looked {
 public:
  explicit Looked(const std::string& task) : task_(task) {}

  // The configuration for a file of this name and text; it must be valid.
  json at(const std::string& name, const std::string& text) const {
    write_text(f_.path(name), text);
    return for_paths({f_.path(name)});
  }
  json for_paths(std::vector<std::string> paths) const {
    paths.insert(paths.begin(), {"init", task_});
    const Outcome o = f_.mnemo(paths);
    INFO(o.err);
    REQUIRE(o.code == 0);
    reasons_ = o.err;
    write_text(f_.path("my.json"), o.out);
    const Outcome check = f_.mnemo({"config", "check", f_.path("my.json")});
    INFO(o.out << check.err);
    CHECK(check.code == 0);
    return json::parse(o.out);
  }
  // Trains the last configuration for one epoch.
  void train() const {
    const Outcome o =
        f_.mnemo({"train", f_.path("my.json"), "--overwrite", "-o", f_.path("run"), "-s", "training.epochs=1"});
    INFO(o.err);
    CHECK(o.code == 0);
  }
  std::string refused(const std::string& name, const std::string& text) const {
    write_text(f_.path(name), text);
    const Outcome o = f_.mnemo({"init", task_, f_.path(name)});
    CHECK(o.code == 1);
    CHECK(o.out.empty());
    return o.err;
  }
  const std::string& reasons() const { return reasons_; }
  const Fixture& fixture() const { return f_; }

 private:
  Fixture f_;
  std::string task_;
  mutable std::string reasons_;
};

}  // namespace

TEST_CASE("init classify finds format, columns and labels of every kind of file") {
  const Looked looked("classify");
  SECTION("ordinary tsv") {
    const json c = looked.at(
        "d.tsv", forty([](const auto& label, const auto& text, const auto&) { return label + ("\t" + text) + "\n"; }));
    CHECK(c["data"]["format"] == "tsv");
    CHECK(c["data"]["label"] == 1);
    CHECK(c["data"]["text"] == 2);
    CHECK(c["data"]["dev_fraction"] == 0.2);
    CHECK(c["text"]["unit"] == "unicode-word");
    CHECK_THAT(looked.reasons(), contains_text("labels: 2"));
  }
  SECTION("tsv with a header, the text first") {
    const json c = looked.at(
        "d.tsv", "Review\tid\tSentiment\n" + forty([](const auto& label, const auto& text, const auto& number) {
                   return text + "\t" + number + "\t" + label + "\n";
                 }));
    CHECK(c["data"]["header"] == true);
    CHECK(c["data"]["label"] == "Sentiment");
    CHECK(c["data"]["text"] == "Review");
  }
  SECTION("csv with quotes, separators and line ends inside them, and names that say nothing") {
    const json c = looked.at("d.csv", "a,b,c\n" + forty([](const auto& label, const auto& text, const auto& number) {
                                        return number + ",\"" + text + ",\n\"\"so\"\" it is\"," + label + "\n";
                                      }));
    CHECK(c["data"]["format"] == "csv");
    CHECK(c["data"]["label"] == "c");
    CHECK(c["data"]["text"] == "b");
    CHECK_FALSE(c["data"].contains("header"));
  }
  SECTION("csv with semicolons and no header") {
    const json c = looked.at(
        "d.csv", forty([](const auto& label, const auto& text, const auto&) { return text + ";" + label + "\n"; }));
    CHECK(c["data"]["separator"] == ";");
    CHECK(c["data"]["header"] == false);
    CHECK(c["data"]["label"] == 2);
  }
  SECTION("several labels in a cell") {
    const json c = looked.at("d.tsv", many("food,staff\tgood and friendly\nfood\tgood\nstaff\tfriendly\n", 10));
    CHECK(c["data"]["multi_label"] == true);
    CHECK_FALSE(c["data"].contains("label_separator"));
  }
  SECTION("jsonl with lists of labels") {
    const json c = looked.at("d.jsonl", many("{\"body\": \"good food\", \"topics\": [\"food\"], \"labels\": [\"a\"]}\n"
                                             "{\"body\": \"nice staff\", \"labels\": [\"a\", \"b\"]}\n",
                                             12));
    CHECK(c["data"]["format"] == "jsonl");
    CHECK(c["data"]["label"] == "labels");
    CHECK(c["data"]["text"] == "body");
    CHECK(c["data"]["multi_label"] == true);
  }
  SECTION("fasttext") {
    const json c = looked.at("d.txt", forty([](const auto& label, const auto& text, const auto&) {
                               return "__label__" + (label + " ") + text + "\n";
                             }));
    CHECK(c["data"]["format"] == "fasttext");
  }
  SECTION("label and text separated by a blank") {
    const json c = looked.at(
        "d.txt", forty([](const auto& label, const auto& text, const auto&) { return label + (" " + text) + "\n"; }));
    CHECK(c["data"]["format"] == "spaced");
  }
  SECTION("trees") {
    const json c = looked.at("d.txt", many("(3 (2 It) (4 (2 is) (3 great)))\n(1 (2 It) (1 (2 is) (0 bad)))\n", 10));
    CHECK(c["data"]["format"] == "trees");
  }
  SECTION("Chinese, with unbalanced labels") {
    const json c = looked.at("d.tsv", many("好\t房间干净，服务员很热情\n", 60) + many("坏\t又脏又吵，不会再来\n", 5));
    CHECK(c["text"]["unit"] == "char");
    CHECK_THAT(looked.reasons(), contains_text("training.epochs 30"));
    CHECK(c["training"]["early_stopping"]["metric"] == "macro_f1");
  }
  looked.train();
}

TEST_CASE("init refuses files without labels or tags, and says what it looked for") {
  CHECK_THAT(Looked("classify").refused("d.txt", "one thing\nanother thing\nand a third one\n"),
             contains_text("found no labels"));
  CHECK_THAT(Looked("classify").refused("empty.tsv", ""), contains_text("has no lines"));
  CHECK_THAT(Looked("classify").refused("odd.tsv", many("a\tb c\nd\te f\n", 1200) + "a\n"),
             contains_text("odd.tsv:2401"));
  CHECK_THAT(Looked("tag").refused("d.txt", "plain text\nof words and more\n"), contains_text("found no tags"));
  CHECK_THAT(Looked("generate").refused("d.jsonl", "{\"text\": \"x\"}\n"), contains_text("expected plain text"));
  const Fixture f;
  CHECK_THAT(f.mnemo({"init", "translate", "x"}).err, contains_text("expected classify, tag or generate"));
  CHECK(f.mnemo({"init", "classify", f.path("none.csv")}).code == 1);
  CHECK(f.mnemo({"init", "classify", "-"}).code == 2);
}

TEST_CASE("init assigns files to train, dev and test by their names, also those of a folder") {
  const Looked looked("classify");
  const Fixture& f = looked.fixture();
  std::filesystem::create_directory(f.path("set"));
  for (const char* name : {"set/train.tsv", "set/valid.tsv", "set/test.tsv"}) write_text(f.path(name), tiny_data());
  write_text(f.path("set/README.md"), "about\n");
  const json folder = looked.for_paths({f.path("set")});
  CHECK(folder["data"]["train"] == f.path("set/train.tsv"));
  CHECK(folder["data"]["dev"] == f.path("set/valid.tsv"));
  CHECK(folder["data"]["test"] == f.path("set/test.tsv"));
  CHECK_FALSE(folder["data"].contains("dev_fraction"));
  looked.train();
  CHECK(looked.for_paths({f.path("set/test.tsv")})["data"]["train"] == f.path("set/test.tsv"));
  const json two = looked.for_paths({f.path("set/train.tsv"), f.path("train.tsv")});
  CHECK(two["data"]["train"].size() == 2);
}

TEST_CASE("init tag finds format, columns and units of every kind of file") {
  const Looked looked("tag");
  SECTION("conll, English names") {
    const json c =
        looked.at("d.conll", many("Li NNP B-PER\nBai NNP I-PER\nsings VBZ O\n\nHe PRP O\nsleeps VBZ O\n\n", 20));
    CHECK(c["data"]["format"] == "conll");
    CHECK(c["text"]["lowercase"] == true);
    CHECK(c["text"]["digits"] == "zero");
    CHECK_THAT(looked.reasons(), contains_text("scheme bio"));
  }
  SECTION("conll, Chinese characters") {
    const json c = looked.at("d.conll", many("李 B-PER\n白 I-PER\n唱 O\n歌 O\n\n", 20));
    CHECK(c["text"]["unit"] == "char");
    CHECK_FALSE(c["data"].contains("strip_position"));
  }
  SECTION("conll, characters with their position") {
    const json c = looked.at("d.conll", many("李0 B-PER\n白1 I-PER\n唱0 O\n歌1 O\n\n", 20));
    CHECK(c["data"]["strip_position"] == true);
  }
  SECTION("conll with blanks inside columns") {
    const json c = looked.at("d.conll", many("New York\tB-LOC\nsleeps\tO\n\n", 20));
    CHECK(c["data"]["separator"] == "\\t");
  }
  SECTION("conllu") {
    const std::string rest = "\t_\t_\t_\t_\t_\n";
    const json c = looked.at(
        "d.conllu", many("# text = He sings\n1\tHe\the\tPRON\t_" + rest + "2\tsings\tsing\tVERB\t_" + rest + "\n", 20));
    CHECK(c["data"]["format"] == "conllu");
    CHECK(c["data"]["columns"] == json::array({"upos"}));
  }
  SECTION("slashed, English") {
    const json c = looked.at("d.txt", many("He/PRP sings/VBZ ./.\nLi/NNP sleeps/VBZ ./.\n", 20));
    CHECK(c["data"]["format"] == "slashed");
    CHECK_FALSE(c["data"].contains("columns"));
  }
  SECTION("slashed, Chinese words") {
    const json c = looked.at("d.txt", many("中国/ns 人民/n 银行/n 宣布/v\n他/r 唱歌/v\n", 20));
    CHECK(c["data"]["columns"] == "tagged-words");
    CHECK(c["text"]["unit"] == "char");
  }
  SECTION("jsonl with spans") {
    const json c = looked.at(
        "d.jsonl",
        many("{\"text\": \"Li Bai sings\", \"spans\": [{\"start\": 0, \"end\": 6, \"type\": \"PER\"}]}\n", 20));
    CHECK(c["data"]["format"] == "jsonl");
  }
  looked.train();
}

TEST_CASE("init generate distinguishes plain text from poems, and sizes the model by the text") {
  const Looked looked("generate");
  const json small = looked.at("d.txt", many("to be or not to be\n", 40));
  CHECK(small["data"]["format"] == "lines");
  CHECK(small["text"]["unit"] == "char");
  CHECK_FALSE(small.contains("model"));
  CHECK_THAT(looked.reasons(), contains_text("model.hidden 128"));
  looked.train();
  looked.at("large.txt", many("to be or not to be\n", 20000));
  CHECK_THAT(looked.reasons(), contains_text("model.hidden 256"));
  const json poems = looked.at(
      "d.json",
      "[" + many("{\"title\": \"静夜思\", \"author\": \"李白\", \"paragraphs\": [\"床前明月光，疑是地上霜。\"]},", 19) +
          "{\"title\": \"静夜思\", \"author\": \"李白\", \"paragraphs\": [\"举头望明月，低头思故乡。\"]}]");
  CHECK(poems["data"]["format"] == "poems-json");
  looked.train();
}
