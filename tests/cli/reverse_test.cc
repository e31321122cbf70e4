// text.reverse: texts read from their end to their beginning.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/fixture.h"

namespace {

// One line of error, with the message.
void check_refused_backwards(const Outcome& outcome, int code, const std::string& message) {
  check_fails(outcome, code, message);
  CHECK(std::ranges::count(outcome.err.substr(outcome.err.rfind("mnemo: ")), '\n') == 1);
}

std::vector<std::string> lines_of_text(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

// The words of a line in the opposite order.
std::string turned_line(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; in >> word;) words.push_back(word);
  std::string out;
  for (auto word = words.rbegin(); word != words.rend(); ++word) out += (out.empty() ? "" : " ") + *word;
  return out;
}

// The same of each line, after a label and a tab if `labels`; the last line first if `stream`.
std::string turned_text(const std::string& text, bool labels, bool stream) {
  std::vector<std::string> lines = lines_of_text(text);
  if (stream) std::ranges::reverse(lines);
  std::string out;
  for (const std::string& line : lines) {
    const std::size_t text_begins = labels ? line.find('\t') + 1 : 0;
    out += line.substr(0, text_begins) + turned_line(line.substr(text_begins)) + "\n";
  }
  return out;
}

// The same of a text that goes on: its last line has no end.
std::string turned_part(const std::string& text) {
  std::string out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out = turned_line(text.substr(begin, end - begin)) + (begin > 0 ? "\n" : "") + out;
    begin = end + 1;
  }
  return out;
}

constexpr const char* kTrainText = "one fine day we walk\n\nall of us sing a song\nand one fine night\nwe sleep\n";
constexpr const char* kDevText = "one fine song\nwe sing all day\n";

// Language models of words: "forward" of a text turned by hand, "backward" of the text as it is, "ahead" a forward one
// of the text as it is.
struct BackwardFixture {
  BackwardFixture() {
    const auto write = [this](const std::string& name, const std::string& text) {
      write_text(f.path(name), text);
      write_text(f.path("turned-" + name), turned_text(text, false, true));
    };
    std::string train;
    for (int i = 0; i < 12; ++i) train += kTrainText;
    write("lines.txt", train);
    write("dev.txt", kTrainText);
    write_text(f.path("lm.json"), R"({"task": "generate", "data": {"train": "lines.txt", "dev": "dev.txt"},
 "text": {"unit": "word"}, "model": {"embedding": 10, "hidden": 14, "dropout": 0.1, "weight_dropout": 0},
 "training": {"epochs": 30, "batch_size": 4, "bptt": 8, "learning_rate": 0.02}})");
    const auto make = [this](const std::string& name, std::vector<std::string> more) {
      more.insert(more.begin(), {"train", f.path("lm.json"), "--set", "output.dir=" + f.path(name)});
      const Outcome o = f.mnemo(more);
      if (o.code != 0) throw std::runtime_error(name + ": " + o.err);
    };
    make("backward", {"--set", "text.reverse=true"});
    make("ahead", {});
    make("forward", {"--set", "data.train=turned-lines.txt", "--set", "data.dev=turned-dev.txt"});
  }
  std::string model(const std::string& name) const { return f.path(name + "/model.safetensors"); }

  Fixture f;
};

const BackwardFixture& backward_models() {
  static const BackwardFixture models;
  return models;
}

}  // namespace

TEST_CASE("text.reverse: a classifier answers as one of texts that are turned by hand") {
  const Fixture f;
  write_text(f.path("turned.tsv"), turned_text(tiny_data(), true, false));
  write_text(f.path("turned-dev.tsv"), turned_text(f.bytes("dev.tsv"), true, false));
  const std::vector<std::string> one_way{"--set", "model.bidirectional=false", "--set", "model.pooling=last",
                                         "--set", "text.ngrams.unit=2"};
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), one_way.begin(), one_way.end());
    const Outcome o = f.train(name, more);
    INFO(o.err);
    REQUIRE(o.code == 0);
  };
  train("backward", {"--set", "text.reverse=true"});
  train("turned", {"--set", "data.train=turned.tsv", "--set", "data.dev=turned-dev.tsv"});
  train("ahead", {});
  const auto answers = [&](const std::string& name, const std::string& texts) {
    const Outcome o =
        f.mnemo({"classify", f.path(name + "/model.safetensors"), "-k", "2", "-f", "jsonl", "--explain"}, texts);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  const std::string texts = "a fine song\n\nthis stale unknown soup again\n";
  CHECK(answers("backward", texts) == answers("turned", turned_text(texts, false, false)));
  CHECK(answers("backward", texts) != answers("ahead", texts));
  // It is in the model file, and only where it is set.
  const std::string key = R"(\"reverse\")";
  CHECK(f.bytes("backward/model.safetensors").find(key) != std::string::npos);
  CHECK(f.bytes("ahead/model.safetensors").find(key) == std::string::npos);
  const std::string backward = f.path("backward/model.safetensors");
  CHECK(f.mnemo({"inspect", backward, "--verify"}).code == 0);
  CHECK(f.mnemo({"evaluate", backward, f.path("dev.tsv"), "--train", f.path("train.tsv"), "--report", f.path("r.html")})
            .code == 0);
  const Outcome gates = f.mnemo({"inspect", backward, "--text", "a fine song", "--gates", "-f", "tsv"});
  INFO(gates.err);
  CHECK(gates.code == 0);
  CHECK(gates.out.find("song") < gates.out.find("fine"));
  const Outcome context = f.mnemo({"inspect", backward, f.path("dev.tsv"), "--context"});
  INFO(context.err);
  CHECK(context.code == 0);
  CHECK(f.mnemo({"inspect", backward, f.path("dev.tsv"), "--saturation"}).code == 0);
  const Outcome found = f.mnemo({"inspect", backward, f.path("dev.tsv"), "--find", "label:pos"});
  check_refused_backwards(found, 2, "the model has text.reverse");
}

TEST_CASE("text.reverse: a forward and a backward classifier with other units answer together") {
  const Fixture& f = trained();
  const Outcome o = f.train("backward-characters", {"--set", "text.reverse=true", "--set", "text.unit=char", "--set",
                                                    "model.bidirectional=false", "--set", "training.epochs=3"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const std::string ahead = f.path("run/model.safetensors"), back = f.path("backward-characters/model.safetensors");
  using nlohmann::json;
  // The probability of the label pos of each text.
  const auto probabilities = [&](const std::string& first, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"classify", first, "-k", "2", "-f", "jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<double> out;
    for (const std::string& line : lines_of_text(f.mnemo(arguments, "a fine song\nstale soup\n\n").out)) {
      const json answer = json::parse(line);
      for (const json& one : answer["labels"])
        if (one["label"] == "pos") out.push_back(one["probability"].get<double>());
    }
    REQUIRE(out.size() == 3);
    return out;
  };
  const auto one = probabilities(ahead, {}), two = probabilities(back, {}),
             both = probabilities(ahead, {"--with", back});
  CHECK(one != two);
  for (std::size_t i = 0; i < both.size(); ++i) CHECK(both[i] == Approx((one[i] + two[i]) / 2).margin(1e-6));
  const Outcome measured = f.mnemo({"evaluate", ahead, f.path("dev.tsv"), "--with", back, "-f", "json"});
  INFO(measured.err);
  REQUIRE(measured.code == 0);
  CHECK(json::parse(measured.out)["model"] == ahead + " + " + back);
  CHECK(f.mnemo({"evaluate", back, f.path("dev.tsv"), "--with", ahead, "--report", f.path("both.html")}).code == 0);
  write_text(f.path("odd.tsv"), tiny_data() + "odd\ta strange walk\n");
  REQUIRE(f.train("backward-odd",
                  {"--set", "data.train=odd.tsv", "--set", "training.epochs=1", "--set", "text.reverse=true"})
              .code == 0);
  for (const char* command : {"classify", "evaluate"})
    check_refused_backwards(
        f.mnemo({command, ahead, f.path("dev.tsv"), "--with", f.path("backward-odd/model.safetensors")}), 1,
        "its label odd is not one of");
}

TEST_CASE("text.reverse: a language model of a stream predicts each unit from those after it") {
  const BackwardFixture& b = backward_models();
  const auto metrics = [&](const std::string& model, const std::string& data, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"evaluate", b.model(model), b.f.path(data), "-f", "json"});
    const Outcome o = b.f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return nlohmann::json::parse(o.out);
  };
  CHECK(metrics("backward", "dev.txt")["metrics"] == metrics("forward", "turned-dev.txt")["metrics"]);
  CHECK(metrics("backward", "dev.txt")["metrics"] != metrics("ahead", "dev.txt")["metrics"]);
  CHECK(metrics("backward", "dev.txt", {"--dynamic", "0.1"})["metrics"] ==
        metrics("forward", "turned-dev.txt", {"--dynamic", "0.1"})["metrics"]);
  // Line by line in the order of the file, whichever way each is read.
  const auto compared = metrics("backward", "lines.txt", {"--compare", b.model("ahead")});
  CHECK(compared["comparison"].contains("p_value"));
  const auto scores = [&](const std::string& model, const std::string& lines) {
    const Outcome o = b.f.mnemo({"score", b.model(model)}, lines);
    REQUIRE(o.code == 0);
    return o.out;
  };
  CHECK(scores("backward", kDevText) == scores("forward", turned_text(kDevText, false, false)));
  CHECK(b.f.mnemo({"inspect", b.model("backward"), "--verify"}).code == 0);
  const Outcome gates =
      b.f.mnemo({"inspect", b.model("backward"), "--text", "we walk\none day", "--gates", "-f", "tsv"});
  CHECK(gates.code == 0);
  CHECK(gates.out.find("day") < gates.out.find("walk"));
  CHECK(b.f.mnemo({"inspect", b.model("backward"), b.f.path("lines.txt"), "--saturation"}).code == 0);
  CHECK(b.f.mnemo({"inspect", b.model("backward"), b.f.path("lines.txt"), "--context"}).code == 0);
}

TEST_CASE("text.reverse: the last units of a stream are held out, whichever way it is read") {
  const BackwardFixture& b = backward_models();
  const auto dry = [&](const std::string& train, std::vector<std::string> more) {
    more.insert(more.begin(), {"train", b.f.path("lm.json"), "--dry-run", "--set", "data.dev=[]", "--set",
                               "data.dev_fraction=0.2", "--set", "data.train=" + train});
    const Outcome o = b.f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.err + o.out;
  };
  write_text(b.f.path("parts.txt"), "a a a a\na a a a\na a a a\na a a a\nb b b b\n");
  // Of 25 units the last line is held out, which is unknown.
  for (const char* reverse : {"false", "true"})
    CHECK_THAT(dry("parts.txt", {"--set", std::string("text.reverse=") + reverse}),
               contains_text("dev: 5 units, 4 unknown"));
}

TEST_CASE("text.reverse: generate writes what precedes the prompt") {
  const BackwardFixture& b = backward_models();
  const auto written = [&](const std::string& model, const std::string& prompt, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"generate", b.model(model), "--prompt", prompt, "-l", "9"});
    const Outcome o = b.f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--temperature", "0"}, {"--seed", "4"}, {"--beam", "3"}, {"--candidates", "3"}}) {
    std::string backward = written("backward", "a  song\nand one", how),
                forward = written("forward", "one and\nsong a", how);
    // The prompt stays as it was given.
    CHECK(backward.ends_with("a  song\nand one\n"));
    backward.pop_back();
    forward.pop_back();
    backward.replace(backward.find("a  song"), 7, "a song");
    CHECK(backward == turned_part(forward));
  }
  CHECK(b.f.mnemo({"generate", b.model("backward"), "-l", "5"}).code == 0);
  CHECK_THAT(written("backward", "we walk", {"--temperature", "0"}), contains_text("one fine day we walk\n"));
  const Outcome overlap = b.f.mnemo({"generate", b.model("backward"), "--prompt", "we walk", "--temperature", "0", "-l",
                                     "3", "-f", "jsonl", "--overlap", b.f.path("lines.txt")});
  INFO(overlap.err);
  REQUIRE(overlap.code == 0);
  const auto answer = nlohmann::json::parse(overlap.out);
  CHECK(answer["text"] == "one fine day we walk");
  CHECK(answer["overlap"]["run"] == "one fine day");
  const Outcome unknown = b.f.mnemo({"generate", b.model("backward"), "--prompt", "one day\nthe walk we"});
  check_refused_backwards(unknown, 1, "prompt, line 2, unit 1: the model does not know \"the\"");
  check_refused_backwards(b.f.mnemo({"generate", b.model("backward"), "--form", "七绝"}), 2,
                          "reads texts from their end (text.reverse)");
}

TEST_CASE("text.reverse: records, characters and subwords are joined in the order of the text") {
  const Fixture f;
  std::string text;
  for (int i = 0; i < 40; ++i) text += i % 2 == 0 ? "春眠不觉晓\n" : "to be or not\n";
  write_text(f.path("t.txt"), text);
  write_text(f.path("lm.json"), R"({"task": "generate", "data": {"train": "t.txt", "records": true},
 "text": {"reverse": true, "merges": 30}, "model": {"embedding": 12, "hidden": 24, "dropout": 0},
 "training": {"epochs": 15, "batch_size": 2, "learning_rate": 0.02}})");
  for (const std::string unit : {"char", "subword"}) {
    std::vector<std::string> arguments{"train", f.path("lm.json"),           "--set", "text.unit=" + unit,
                                       "--set", "output.dir=" + f.path(unit)};
    if (unit == "char") arguments.insert(arguments.end(), {"--set", "text.merges=8000"});
    const Outcome o = f.mnemo(arguments);
    INFO(o.err);
    REQUIRE(o.code == 0);
    const std::string model = f.path(unit + "/model.safetensors");
    const auto written = [&](const std::string& prompt) {
      return f.mnemo({"generate", model, "--prompt", prompt, "--temperature", "0"}).out;
    };
    // Subwords spell a prompt as the beginning of a word.
    if (unit == "char") CHECK(written("不觉晓") == "春眠不觉晓\n");
    CHECK(written("or not") == "to be or not\n");
    CHECK(f.mnemo({"evaluate", model, f.path("t.txt")}).code == 0);
  }
}

TEST_CASE("text.reverse: poems are read from their end after their conditions") {
  const Fixture f;
  std::string poems = "[";
  for (int i = 0; i < 12; ++i)
    poems +=
        std::string(i > 0 ? "," : "") +
        R"({"title": "秋", "author": "王", "paragraphs": ["空山新雨后，天气晚来秋。", "明月松间照，清泉石上流。"]})";
  write_text(f.path("p.json"), poems + "]");
  write_text(f.path("lm.json"), R"({"task": "generate", "data": {"train": "p.json", "dev": "p.json", "test": [],
 "format": "poems-json"}, "text": {"reverse": true}, "model": {"embedding": 12, "hidden": 24, "dropout": 0},
 "training": {"epochs": 1, "batch_size": 2, "learning_rate": 0.02}})");
  const Outcome o = f.mnemo({"train", f.path("lm.json"), "--set", "output.dir=" + f.path("poems"), "--set",
                             "data.dev=[]", "--set", "data.dev_fraction=0"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const std::string model = f.path("poems/model.safetensors");
  CHECK(f.mnemo({"score", model, "--form", "五绝"}, "空山新雨后，天气晚来秋。明月松间照，清泉石上流。\n").code == 0);
  check_refused_backwards(f.mnemo({"generate", model, "--form", "五绝"}), 2, "a poem is written from its beginning");
  const Outcome written = f.mnemo({"generate", model, "--title", "秋", "--prompt", "上流。", "-l", "4"});
  INFO(written.err);
  CHECK(written.code == 0);
  CHECK(written.out.ends_with("上流。\n"));
}

TEST_CASE("text.reverse: a run starts from a model that reads the same way") {
  const BackwardFixture& b = backward_models();
  const Fixture& f = b.f;
  const std::vector<std::string> sizes{"--set", "model.bidirectional=false", "--set", "training.epochs=2"};
  const auto start = [&](const std::string& name, const std::string& from, std::vector<std::string> more) {
    more.insert(more.end(), {"--init-from", b.model(from), "--set", "model.embedding=10", "--set", "model.hidden=14"});
    more.insert(more.end(), sizes.begin(), sizes.end());
    return f.train(name, more);
  };
  // The key of the model where the configuration does not say otherwise, as its units.
  const Outcome taken = start("taken", "backward", {});
  INFO(taken.err);
  REQUIRE(taken.code == 0);
  CHECK_THAT(taken.err, contains_text("1 layer carried over"));
  CHECK(f.bytes("taken/model.safetensors").find(R"(\"reverse\")") != std::string::npos);
  check_refused_backwards(start("a", "backward", {"--set", "text.reverse=false"}), 1,
                          "cannot start this configuration: text.reverse is false, the model's is true");
  check_refused_backwards(start("b", "ahead", {"--set", "text.reverse=true"}), 1,
                          "cannot start this configuration: text.reverse is true, the model's is false");
  // Of a classifier, too.
  const Outcome again = f.train("c", {"--init-from", f.path("taken/model.safetensors"), "--set", "text.reverse=false",
                                      "--set", "training.epochs=1"});
  check_refused_backwards(again, 1, "text.reverse is false, the model's is true");
  write_text(f.path("t.conll"), "we O\nwalk B-X\n\none O\nday B-X\n\n");
  write_text(f.path("tag.json"), R"({"task": "tag", "data": {"train": "t.conll", "dev": "t.conll"},
 "text": {"unit": "word"}, "model": {"char_encoder": {"kind": "none"}}})");
  const Outcome tag = f.mnemo(
      {"train", f.path("tag.json"), "--set", "output.dir=" + f.path("tagger"), "--init-from", b.model("backward")});
  check_refused_backwards(tag, 1, "a run of the task tag reads texts forwards, the model backwards");
}

TEST_CASE("text.reverse: the language model of data.unlabelled reads backwards, too") {
  const Fixture f;
  write_text(f.path("more.txt"), "this walk is warm\nthis song is cold\n");
  const Outcome o = f.train("run", {"--set", "data.unlabelled=more.txt", "--set", "training.language_epochs=2", "--set",
                                    "text.reverse=true", "--set", "model.bidirectional=false"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("1 layer carried over"));
  CHECK(f.bytes("run/language-model/model.safetensors").find(R"(\"reverse\")") != std::string::npos);
}

TEST_CASE("text.reverse: tasks without it refuse it") {
  const Fixture f;
  for (const char* task : {"tag", "translate"}) {
    const Outcome o = f.mnemo(
        {"config", "check", f.path("c.json"), "--set", std::string("task=") + task, "--set", "text.reverse=true"});
    CHECK(o.code == 2);
    CHECK_THAT(o.err, contains_text(std::string("text.reverse: the task ") + task +
                                    " has no such key; classify and generate have it"));
  }
}
