// mnemo init: what it finds in files of many formats, and that training accepts what it writes.
#include <sys/stat.h>

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
    return refused_paths({f_.path(name)});
  }
  // The message, without the name of the program and the folder of the files.
  std::string refused_paths(std::vector<std::string> paths) const {
    paths.insert(paths.begin(), {"init", task_});
    const Outcome o = f_.mnemo(paths);
    CHECK(o.code == 1);
    CHECK(o.out.empty());
    std::string message = o.err;
    for (const std::string& part : {std::string("mnemo: "), f_.path("")})
      for (std::size_t at; (at = message.find(part)) != std::string::npos;) message.erase(at, part.size());
    return message;
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
  CHECK_THAT(Looked("classify").refused("empty.tsv", ""), contains_text("has no text"));
  CHECK_THAT(Looked("classify").refused("odd.tsv", many("a\tb c\nd\te f\n", 1200) + "a\n"),
             contains_text("odd.tsv:2401"));
  CHECK_THAT(Looked("tag").refused("d.txt", "plain text\nof words and more\n"), contains_text("found no tags"));
  CHECK_THAT(Looked("generate").refused("d.jsonl", "{\"text\": \"x\"}\n"), contains_text("expected plain text"));
  const Fixture f;
  CHECK_THAT(f.mnemo({"init", "summarise", "x"}).err, contains_text("expected classify, tag, generate or translate"));
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

TEST_CASE("init classify reads quotes as training does, or as characters") {
  const Looked looked("classify");
  const auto rows = [](const std::string& separator) {
    return forty([&](const auto& label, const auto& text, const auto&) { return label + separator + text + "\n"; });
  };
  SECTION("a quote at the beginning of a text is not one around a cell") {
    const json c = looked.at("d.tsv", rows("\t") + "pos\t\"Good\" is what it is\n");
    CHECK(c["data"]["format"] == "tsv");
  }
  SECTION("quotes that pair up over two lines do not make a row of them") {
    const json c = looked.at("d.tsv", rows("\t") + "pos\t\"open\nneg\tand shut\"\n");
    CHECK(c["data"]["format"] == "tsv");
    CHECK_THAT(looked.reasons(), contains_text("42 texts"));
  }
  SECTION("cells in quotes between tabs") {
    const json c = looked.at("d.tsv", rows("\t") + "\"pos\"\t\"a\tb\"\n");
    CHECK(c["data"]["format"] == "csv");
    CHECK(c["data"]["separator"] == "\\t");
  }
  SECTION("semicolons, with a quote that is not one around a cell") {
    const json c = looked.at("d.csv", rows(";") + "pos;\"Good\" is what it is\n");
    CHECK(c["data"]["format"] == "tsv");
    CHECK(c["data"]["separator"] == ";");
  }
  SECTION("a quote that is missing among cells in quotes is a mistake") {
    const std::string quoted = forty([](const auto& label, const auto& text, const auto& number) {
      return number + ",\"" + text + "\"," + label + "\n";
    });
    CHECK_THAT(looked.refused("d.csv", quoted + "41,\"open,pos\n"), contains_text("d.csv:41: a quote is opened here"));
    looked.at("d.csv", quoted);
  }
  looked.train();
}

TEST_CASE("init classify looks at the whole file, in whatever order") {
  const Looked looked("classify");
  const json sorted = looked.at("d.tsv", many("neg\tan awful walk\n", 3000) + many("pos\ta fine film\n", 3000));
  CHECK(sorted["data"]["label"] == 1);
  CHECK_THAT(looked.reasons(), contains_text("labels: 2, from \"neg\" with 3000 texts to \"pos\" with 3000"));
  const json in_turn = looked.at("d.txt", many("neg an awful walk\npos a fine film\n", 5000));
  CHECK(in_turn["data"]["format"] == "spaced");
  const json objects = looked.at("d.jsonl", many("{\"text\": \"an awful walk\", \"label\": 0}\n", 3000) +
                                                many("{\"text\": \"a fine film\", \"label\": 1}\n", 3000));
  CHECK(objects["data"]["label"] == "label");
}

TEST_CASE("init finds a header by its place above the labels") {
  const Looked looked("classify");
  const auto table = [](const std::string& separator) {
    return forty([&](const auto& label, const auto& text, const auto&) { return label + separator + text + "\n"; });
  };
  SECTION("unusual names") {
    const json c = looked.at("d.csv", "Verdict;What was said\n" + table(";"));
    CHECK(c["data"]["label"] == "Verdict");
    CHECK(c["data"]["text"] == "What was said");
  }
  SECTION("names with blanks around them, which the reader would not find") {
    const json c = looked.at("d.csv", " label ; text \n" + table(";"));
    CHECK(c["data"]["label"] == 1);
    CHECK(c["data"]["text"] == 2);
    CHECK_FALSE(c["data"].contains("header"));
  }
  SECTION("a label that is the usual name of a column is not a header") {
    const json c = looked.at("d.tsv", many("y\tgood and fine\nn\tbad and dull\n", 20));
    CHECK_FALSE(c["data"].contains("header"));
    CHECK_THAT(looked.reasons(), contains_text("40 texts"));
  }
  SECTION("a label that occurs only once is not a header where another does, too") {
    const json c = looked.at("d.tsv", "odd\tneither fish nor fowl\n" + table("\t") + "rare\tonce in a blue moon\n");
    CHECK_FALSE(c["data"].contains("header"));
    CHECK_THAT(looked.reasons(), contains_text("\"odd\" with 1 text to"));
  }
  looked.train();
}

TEST_CASE("init states the sizes that a run uses, which holds dev out") {
  const auto check = [](const Looked& looked) {
    const std::string mark = "so here: ", &reasons = looked.reasons();
    const std::string sizes = reasons.substr(reasons.find(mark) + mark.size());
    const Outcome trial = looked.fixture().mnemo({"train", looked.fixture().path("my.json"), "--dry-run"});
    CHECK_THAT(trial.out + trial.err, contains_text(sizes.substr(0, sizes.find('\n'))));
  };
  SECTION("texts") {
    // 520 records: 468 after dev is held out, on the other side of a limit of 500.
    const Looked looked("classify");
    std::string text;
    for (int i = 0; i < 260; ++i)
      text += "pos\ta fine film " + std::to_string(i) + "\nneg\tan awful walk " + std::to_string(i) + "\n";
    looked.at("d.tsv", text);
    check(looked);
  }
  SECTION("poems, with the units of what they are conditioned on") {
    // 44,400 characters of poems, 39,960 without dev, and with authors and titles more than 50,000.
    const Looked looked("generate");
    std::string poems;
    for (int i = 0; i < 3700; ++i)
      poems += (i > 0 ? "," : "") + ("{\"title\": \"静夜思\", \"author\": \"李白\", \"paragraphs\": [\"床前明月光，疑" +
                                     std::to_string(1000 + i) + "。\"]}");
    looked.at("d.json", "[" + poems + "]");
    check(looked);
  }
}

TEST_CASE("init says which line or key of JSON Lines is wrong") {
  const std::string good = many("{\"text\": \"good\", \"label\": \"a\"}\n{\"text\": \"bad\", \"label\": \"b\"}\n", 10);
  const Looked classify("classify"), tag("tag");
  CHECK_THAT(classify.refused("d.jsonl", good + "{\"text\": \"bad\", \"label\n"), contains_text("d.jsonl:21:"));
  CHECK_THAT(classify.refused("d.jsonl", good + "oops\n"), contains_text("d.jsonl:21:1: not JSON"));
  CHECK_THAT(classify.refused("d.jsonl", many("{\"data\": {\"text\": \"x\"}, \"label\": \"pos\"}\n"
                                              "{\"data\": {\"text\": \"y\"}, \"label\": \"neg\"}\n",
                                              9)),
             contains_text("found \"data\" (an object), \"label\" (a string)"));
  CHECK_THAT(classify.refused("d.jsonl", many("{'text': 'good', 'label': 'a'}\n{'text': 'bad', 'label': 'b'}\n", 9)),
             contains_text("d.jsonl:1:2: not JSON"));
  CHECK_THAT(classify.refused("d.txt", "{a} text\n{b} more\n"), contains_text("found no labels"));
  const json braces = classify.at("d.tsv", many("{a}\tgood\n{b}\tbad\n", 10));
  CHECK(braces["data"]["format"] == "tsv");
  CHECK_THAT(tag.refused("d.jsonl", many("{\"text\": \"Li sings\", \"spans\": []}\n", 9) + "{\n"),
             contains_text("d.jsonl:10:"));
  CHECK_THAT(tag.refused("d.jsonl", many("{\"text\": \"Li sings\", \"kind\": \"x\"}\n", 9)),
             contains_text("found \"text\" (a string), \"kind\" (a string)"));
  const json entities =
      tag.at("d.jsonl",
             many("{\"text\": \"Li Bai sings\", \"entities\": [{\"start\": 0, \"end\": 6, \"label\": \"PER\"}]}\n", 9));
  CHECK(entities["data"]["label"] == "entities");
  tag.train();
}

TEST_CASE("init takes neither prose nor measurements for labels") {
  const Looked classify("classify"), tag("tag");
  CHECK_THAT(classify.refused("d.txt", many("I went home late\nWe saw the sea\nHe slept well\n", 20)),
             contains_text("found no labels"));
  CHECK_THAT(classify.refused("d.txt", many("sun is what i like\nrain comes after the sun\n", 20)),
             contains_text("found no labels"));
  std::string scores = "text,score\n", names = "text,label\n";
  for (int i = 0; i < 200; ++i) {
    scores += "a film " + std::to_string(i) + "," + std::to_string(0.013 * i) + "\n";
    names += "a film " + std::to_string(i) + ",n" + std::to_string(i % 150) + "\n";
  }
  CHECK_THAT(classify.refused("d.csv", scores), contains_text("does not predict numbers"));
  CHECK_THAT(classify.refused("d.csv", names), contains_text("found 150 different labels in \"label\" for 200 texts"));
  const json marks = classify.at("d.txt", many("__label__a good __label__ here\n__label__b bad\n", 10));
  CHECK_FALSE(marks["data"].contains("multi_label"));
  CHECK_THAT(tag.refused("d.txt", many("row the boat\nthe boat row\nboat row the\n", 20)),
             contains_text("found no tags: the last column has words that are tokens, too"));
  const json grades = classify.at("d.txt", many("1 gave it 2 of 5\n2 see 3 or 4\n5 gave it 1 for once\n", 10));
  CHECK(grades["data"]["format"] == "spaced");
  std::string prose;
  for (int i = 0; i < 60; ++i) prose += "four words end" + std::to_string(i) + " w" + std::to_string(i) + "\n";
  CHECK_THAT(tag.refused("d.txt", prose), contains_text("found no tags: the last column has 60 different values"));
  CHECK_THAT(tag.refused("d.txt", many("all O\nof O\nit O\n\n", 9)), contains_text("all tokens have the tag \"O\""));
}

TEST_CASE("init tag finds the tokens beside their numbers and before their positions") {
  const Looked looked("tag");
  SECTION("numbered from 0") {
    CHECK(looked.at("d.txt", many("0\tLi\tNNP\tB\n1\tsings\tVBZ\tO\n\n0\tHe\tPRP\tO\n\n", 9))["data"]["text"] == 2);
  }
  SECTION("numbered from 1") { CHECK(looked.at("d.txt", many("1 Li B-PER\n2 sings O\n\n", 9))["data"]["text"] == 2); }
  SECTION("numbers that do not count") {
    CHECK_FALSE(looked.at("d.txt", many("1 CD O\n5 CD O\ngoals NN B\n\n", 9))["data"].contains("text"));
  }
  SECTION("one digit after each character, of whatever kind") {
    const json c = looked.at("d.txt", many("李0 B-PER\n白1 I-PER\n，0 O\n20 O\n01 O\n唱0 O\n歌1 O\nK0 O\n\n", 20));
    CHECK(c["data"]["strip_position"] == true);
    CHECK(c["text"]["unit"] == "char");
  }
  looked.train();
}

TEST_CASE("init generate takes for JSON only what is JSON") {
  const Looked looked("generate");
  CHECK(looked.at("d.txt", "[Verse 1]\n" + many("to be or not to be\n", 40))["data"]["format"] == "lines");
  CHECK(looked.at("d.txt", "{\n" + many("to be or not to be\n", 40))["data"]["format"] == "lines");
  CHECK_THAT(looked.reasons(), contains_text("41 lines"));
  CHECK_THAT(looked.refused("d.json", "[{\"title\": \"x\", \"paragraphs\": [\"y\"]},\n{\"title\""),
             contains_text(": not valid JSON"));
  CHECK_THAT(looked.refused("d.json", "[{\"title\": \"x\"}]"), contains_text("no key \"paragraphs\""));
}

TEST_CASE("init sorts files by the words of their names") {
  const Looked looked("classify");
  const Fixture& f = looked.fixture();
  const auto write = [&](const std::string& name, const std::string& text = tiny_data()) {
    std::filesystem::create_directories(std::filesystem::path(f.path(name)).parent_path());
    write_text(f.path(name), text);
    return f.path(name);
  };
  const json words = looked.for_paths(
      {write("device.tsv"), write("latest.tsv"), write("my-val.tsv"), write("x.testa"), write("test_2016.tsv")});
  CHECK(words["data"]["train"] == json::array({f.path("device.tsv"), f.path("latest.tsv")}));
  CHECK(words["data"]["dev"] == json::array({f.path("my-val.tsv"), f.path("x.testa")}));
  CHECK(words["data"]["test"] == f.path("test_2016.tsv"));
  write("alone/reviews.tsv");
  write("alone/README.md", "about\n");
  CHECK(looked.for_paths({f.path("alone")})["data"]["train"] == f.path("alone/reviews.tsv"));
  for (const char* name : {"parts/my-training.tsv", "parts/validation.tsv", "parts/testing.tsv", "parts/notes.tsv"})
    write(name);
  const json parts = looked.for_paths({f.path("parts")});
  CHECK(parts["data"]["train"] == f.path("parts/my-training.tsv"));
  CHECK(parts["data"]["dev"] == f.path("parts/validation.tsv"));
  CHECK(parts["data"]["test"] == f.path("parts/testing.tsv"));
  CHECK_THAT(looked.reasons(), contains_text("left out, as their names do not say what they are for"));
  CHECK_THAT(looked.reasons(), contains_text("parts/notes.tsv"));
  // The only file without a part is train; dev alone beside others is not.
  write("rest/reviews.tsv");
  write("rest/eval.tsv");
  CHECK(looked.for_paths({f.path("rest")})["data"]["train"] == f.path("rest/reviews.tsv"));
  write("unclear/one.tsv");
  write("unclear/two.tsv");
  write("unclear/dev.tsv");
  CHECK_THAT(looked.refused_paths({f.path("unclear")}), contains_text("found no file for train"));
  const std::string train = f.path("train.tsv");
  CHECK_THAT(looked.refused_paths({train, f.path("no/dev.tsv")}), contains_text("no/dev.tsv: cannot open"));
  CHECK_THAT(looked.refused_paths({train, write("test.tsv", "a b\n")}), contains_text("test.tsv:1: expected"));
  write("two/train.tsv");
  write("two/train.all.tsv", many("1\tgood\n2\tbad\n", 9));
  CHECK_THAT(looked.refused_paths({f.path("two")}),
             contains_text("two/train.tsv: two files for train without a label"));
  CHECK(looked.for_paths({f.path("two/train.tsv"), f.path("two/train.all.tsv")})["data"]["train"].size() == 2);
  CHECK_THAT(looked.reasons(), contains_text("two/train.all.tsv have no label in common"));
  const Outcome twice = f.mnemo({"init", "classify", f.path("two"), f.path("two/../two/train.tsv")});
  CHECK(twice.code == 2);
  CHECK_THAT(twice.err, contains_text("two/../two/train.tsv: named twice"));
}

TEST_CASE("init says what is wrong with a path") {
  const Looked looked("classify");
  const Fixture& f = looked.fixture();
  std::filesystem::create_symlink("loop", f.path("loop"));
  CHECK_THAT(looked.refused_paths({f.path("loop")}), contains_text("loop: cannot open: "));
  REQUIRE(mkfifo(f.path("pipe").c_str(), 0600) == 0);
  CHECK_THAT(looked.refused_paths({f.path("pipe")}), contains_text("pipe: is read several times: expected a file"));
  write_text(f.path("caf\xe9.tsv"), tiny_data());
  CHECK_THAT(looked.refused_paths({f.path("caf\xe9.tsv")}), contains_text("caf\\xe9.tsv: the name is not valid UTF-8"));
  write_text(f.path("bad.tsv"), tiny_data() + "pos\tcaf\xe9\n");
  CHECK_THAT(looked.refused_paths({f.path("bad.tsv")}), contains_text("bad.tsv:41:8: invalid UTF-8"));
  const Outcome replaced = f.mnemo({"init", "classify", f.path("bad.tsv"), "--invalid-utf8", "replace"});
  CHECK(replaced.code == 0);
  CHECK_THAT(replaced.err, contains_text("give --invalid-utf8 replace to train, too"));
}
