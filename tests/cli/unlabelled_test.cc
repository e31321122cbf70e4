// data.unlabelled and training.language_model: a language model first, then the classifier that starts from it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/json.h"
#include "base/sha256.h"
#include "tests/cli/fixture.h"

namespace {

// Texts with commas and a line end, as csv.
constexpr const char* kUnlabelled = "id,label,text\n1,,\"a fine room, a\nwarm soup\"\n2,,dull film again\n";

std::vector<std::string> with_text(std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--set", R"(data.unlabelled=[{"file": "more.csv", "format": "csv"}, "more.txt"])", "--set",
                           "training.language_epochs=4", "--set", "training.save_every=1 steps"});
  return more;
}

void write_more(const Fixture& f) {
  write_text(f.path("more.csv"), kUnlabelled);
  write_text(f.path("more.txt"), "this walk is warm\nthis song is cold\n");
}

// The weights alone, as the configuration in a model file differs between two ways to the same model.
std::string weights_of(const Fixture& f, const std::string& run) {
  const std::string bytes = f.bytes(run + "/model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return bytes.substr(sizeof(header) + header);
}

// A run that first trains a language model of train in one epoch.
Outcome train_both(const Fixture& f, const std::string& output, std::vector<std::string> sets,
                   std::vector<std::string> more = {}) {
  sets.insert(sets.end(), {"training.language_model=true", "training.language_epochs=1", "training.epochs=1"});
  for (const std::string& set : sets) more.insert(more.end(), {"--set", set});
  return f.train(output, more);
}

}  // namespace

TEST_CASE("a run with data.unlabelled starts from a language model of all its texts") {
  const Fixture f;
  write_more(f);
  const Outcome o = f.train("run", with_text());
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("texts of train and 4 without labels"));
  CHECK_THAT(o.err, contains_text("1 layer carried over"));
  const std::string text = f.bytes("run/language-model/text.txt");
  CHECK_THAT(text, contains_text("\na fine room, a warm soup\ndull film again\nthis walk is warm\n"));
  CHECK(std::ranges::count(text, '\n') == 44);  // without dev
  // The same as in two steps.
  const Outcome by_hand = f.train("by-hand", {"--init-from", f.path("run/language-model/model.safetensors"), "--set",
                                              "training.save_every=1 steps"});
  INFO(by_hand.err);
  REQUIRE(by_hand.code == 0);
  CHECK(weights_of(f, "by-hand") == weights_of(f, "run"));
  // Its defaults are those of a run that starts from a language model, and are told as such.
  CHECK_THAT(by_hand.err, contains_text("from the language model: model.bidirectional false\n"));
  const std::string implied = "\ndefaults of a run that starts from it: model.pooling [\"last\",\"max\",\"mean\"]\n";
  CHECK_THAT(by_hand.err, contains_text(implied));
  // Both models state the text, and the bytes of the model that they began with.
  for (const char* of : {"run", "by-hand"}) {
    const Outcome inspected = f.mnemo({"inspect", f.path(std::string(of) + "/model.safetensors"), "--format", "json"});
    const mnemo::Json start = mnemo::Json::parse(inspected.out).at("provenance").at("start");
    CHECK(start.at("sha256") == mnemo::sha256(f.bytes("run/language-model/model.safetensors")));
    CHECK(start.at("train").at(0).at("bytes") == text.size());
  }
  // A finished run is left as it is, and one that would be lost is not replaced without being asked.
  CHECK_THAT(f.train("run", with_text({"--resume"})).err, contains_text("the run is finished, nothing to do"));
  std::filesystem::remove(f.path("run/model.safetensors"));
  std::filesystem::remove(f.path("run/resume.safetensors"));
  const Outcome again = f.train("run", with_text());
  CHECK(again.code == 2);
  CHECK_THAT(again.err, contains_text("language-model: holds a run already"));
  CHECK(f.train("run", with_text({"--overwrite"})).code == 0);
  CHECK(weights_of(f, "by-hand") == weights_of(f, "run"));
  // Nothing of it is left when another run takes its place.
  CHECK(f.train("run", {"--overwrite"}).code == 0);
  CHECK_FALSE(std::filesystem::exists(f.path("run/language-model")));
}

TEST_CASE("texts of dev and test among those without labels are told") {
  const Fixture f;
  write_text(f.path("test.tsv"), "pos\tthe very last walk\n");
  write_text(f.path("more.csv"), kUnlabelled);
  const auto told = [&](const std::string& text) {
    write_text(f.path("more.txt"), text);
    const Outcome o = f.train("run", with_text({"--overwrite", "--set", "data.test=test.tsv"}));
    INFO(o.err);
    CHECK(o.code == 0);
    return o.err;
  };
  const std::string dev = f.bytes("dev.tsv"), first = dev.substr(dev.find('\t') + 1, dev.find('\n') - dev.find('\t'));
  const std::string warned = told("the very last walk\nanother walk\n" + first + "the very last walk\n");
  CHECK_THAT(warned, contains_text("warning: data.unlabelled: 1 text of dev:"));
  CHECK_THAT(warned, contains_text("warning: data.unlabelled: 2 texts of test:"));
  CHECK_THAT(told("another walk\n"), !contains_text("warning"));
}

TEST_CASE("a run is not resumed with other texts than its language model was trained on") {
  const Fixture f;
  write_more(f);
  REQUIRE(f.train("run", with_text()).code == 0);
  write_text(f.path("more.txt"), "another text\n");
  const Outcome other = f.train("run", with_text({"--resume"}));
  CHECK(other.code == 2);
  CHECK_THAT(other.err, contains_text("language-model/text.txt: the language model that the run began with was "
                                      "trained on other texts"));
  // A text that was removed to save room is not missed.
  std::filesystem::remove(f.path("run/language-model/text.txt"));
  CHECK(f.train("run", with_text({"--resume"})).code == 0);
  std::filesystem::remove(f.path("run/language-model/model.safetensors"));
  const Outcome missing = f.train("run", with_text({"--resume"}));
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, contains_text("is missing; the run in"));
}

TEST_CASE("the defaults that a language model brings about are told, and what is set in their place") {
  const Fixture f;
  write_more(f);
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--dry-run"}}) {
    const Outcome o = f.train("run", with_text(more));
    CHECK(o.code == 0);
    const std::string told = more.empty() ? o.err : o.out;
    CHECK_THAT(told, contains_text("defaults of a run that starts from a language model: model.bidirectional false, "
                                   "model.pooling [\"last\",\"max\",\"mean\"]\n"));
    CHECK_THAT(told, contains_text("set otherwise: model.embedding 8 (default 256), model.hidden 6 (default 256), "
                                   "training.learning_rate 0.02 (default 0.001)\n"));
  }
}

TEST_CASE("all layers of a language model are carried over, unless fewer are asked for") {
  const Fixture f;
  write_text(f.path("lm.json"), R"({"task": "generate", "data": {"train": "lm.txt"}, "text": {"unit": "word"},
 "model": {"hidden": 6, "embedding": 8, "layers": 2}, "training": {"epochs": 1}})");
  write_text(f.path("lm.txt"), "a fine film\nthis dull room again\na warm soup\nthis cold song again\n");
  REQUIRE(f.mnemo({"train", f.path("lm.json"), "-o", f.path("lm")}).code == 0);
  write_text(f.path("plain.json"), R"({"data": {"train": "train.tsv", "dev": "dev.tsv"}, "training": {"epochs": 1}})");
  const auto start = [&](const std::string& output, std::vector<std::string> more) {
    more.insert(more.begin(), {"train", f.path("plain.json"), "--set", "output.dir=" + f.path(output), "--init-from",
                               f.path("lm/model.safetensors")});
    return f.mnemo(more);
  };
  const Outcome all = start("all", {});
  INFO(all.err);
  CHECK(all.code == 0);
  CHECK_THAT(all.err, contains_text("from the language model: "));
  CHECK_THAT(all.err, contains_text("model.layers 2"));
  CHECK_THAT(all.err, contains_text(" and 2 layers carried over"));
  CHECK_THAT(start("one", {"--set", "model.layers=1"}).err, contains_text(" and 1 of 2 layers carried over"));
  // What cannot fit is said before the data are read.
  std::filesystem::remove(f.path("train.tsv"));
  CHECK_THAT(start("no", {"--set", "model.hidden=7"}).err, contains_text("model.hidden is 7, the model's is 6"));
}

TEST_CASE("training.language_model starts a run from a language model of train alone") {
  const Fixture f;
  const std::vector<std::string> first{"--set", "training.language_model=true", "--set", "training.language_epochs=3",
                                       "--set", "training.sampled_softmax=7"};
  const Outcome o = f.train("run", first);
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("texts of train and 0 without labels"));
  CHECK_THAT(o.err, contains_text("1 layer carried over"));
  CHECK(std::ranges::count(f.bytes("run/language-model/text.txt"), '\n') == 40);  // without dev
  const Outcome language = f.mnemo({"inspect", f.path("run/language-model/model.safetensors"), "--format", "json"});
  REQUIRE(language.code == 0);
  const mnemo::Json training = mnemo::Json::parse(language.out).at("config").at("training");
  CHECK(training.at("epochs") == 3);
  CHECK(training.at("sampled_softmax") == 7);
  CHECK(training.at("batch_size") == 8);  // by the size of its text, as for any language model
  // The same start by hand.
  const Outcome by_hand = f.train("by-hand", {"--init-from", f.path("run/language-model/model.safetensors")});
  INFO(by_hand.err);
  REQUIRE(by_hand.code == 0);
  CHECK(weights_of(f, "by-hand") == weights_of(f, "run"));
  CHECK(f.train("plain").code == 0);
  CHECK(weights_of(f, "plain") != weights_of(f, "run"));
}

TEST_CASE("a run with data.unlabelled is resumed to the same bytes, whichever model it was at") {
  const Fixture f;
  write_more(f);
  REQUIRE(f.train("whole", with_text()).code == 0);
  for (const char* until : {"language-model/resume.safetensors", "resume.safetensors"}) {
    INFO(until);
    const std::string output = std::string("cut-") + until[0];
    std::vector<std::string> arguments{"train", f.path("c.json"), "--set", "output.dir=" + f.path(output)};
    Process process(with_text(arguments), f.folder());
    for (int i = 0; i < 10000 && !std::filesystem::exists(f.path(output + "/" + until)); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send(SIGTERM);
    const int code = process.wait().code;
    CHECK((code == 128 + SIGTERM || code == 0));
    CHECK(f.train(output, with_text({"--resume"})).code == 0);
    CHECK(f.bytes(output + "/model.safetensors") == f.bytes("whole/model.safetensors"));
  }
}

TEST_CASE("what data.unlabelled does not go with is refused") {
  const Fixture f;
  write_more(f);
  for (auto [more, word] : {std::pair{std::vector<std::string>{"--folds", "2"}, "--folds"},
                            {{"--init-from", f.path("m")}, "--init-from"}}) {
    const Outcome o = f.train("no", with_text(more));
    CHECK(o.code == 2);
    CHECK_THAT(o.err, contains_text(std::string(word) + ": not with data.unlabelled"));
    more.insert(more.end(), {"--set", "training.language_model=true"});
    const Outcome own = f.train("no", more);
    CHECK(own.code == 2);
    CHECK_THAT(own.err, contains_text(std::string(word) + ": not with training.language_model"));
  }
  write_text(f.path("blank.txt"), "\n \n\n");
  const Outcome blank = f.train("blank", {"--set", "data.unlabelled=blank.txt", "--set", "training.epochs=1"});
  CHECK(blank.code == 0);
  CHECK_THAT(blank.err, contains_text("warning: data.unlabelled: " + f.path("blank.txt") + " has no text"));
  CHECK_THAT(blank.err, contains_text("and 0 without labels"));
  const Outcome missing = f.train("missing", {"--set", "data.unlabelled=absent.txt"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, contains_text("absent.txt"));
  write_text(f.path("latin.txt"), "caf\xe9\n");
  const Outcome latin = f.train("latin", {"--set", "data.unlabelled=latin.txt"});
  CHECK(latin.code == 1);
  CHECK_THAT(latin.err, contains_text("latin.txt:1"));
  const Outcome tag =
      f.mnemo({"config", "check", f.path("c.json"), "--set", "task=tag", "--set", "data.unlabelled=more.txt"});
  CHECK(tag.code == 2);
  CHECK_THAT(tag.err, contains_text("data.unlabelled"));
  // A language model that is given in a wrong way is not said to be missing.
  for (const char* wrong :
       {R"(data.unlabelled={"fil": "more.txt"})", R"(data.unlabelled={"file": "more.txt", "format": "foo"})"}) {
    const Outcome o =
        f.mnemo({"config", "check", f.path("c.json"), "--set", "training.language_epochs=2", "--set", wrong});
    CHECK(o.code == 2);
    CHECK_THAT(o.err, contains_text("data.unlabelled"));
    CHECK_THAT(o.err, !contains_text("needs a language model"));
  }
  const Outcome tune = f.mnemo({"tune", f.path("c.json"), "--trials", "1", "--minutes", "1", "--set",
                                "data.unlabelled=more.txt", "-o", f.path("tuned")});
  CHECK(tune.code == 2);
  CHECK_THAT(tune.err, contains_text("data.unlabelled"));
}

TEST_CASE("parts of the language model that do not fit a classifier keep their initial weights") {
  const Fixture f;
  for (const auto& [sets, part] :
       {std::pair{std::vector<std::string>{"model.self_attention.layer=1"}, "rnn.attention_l0 ([12] for [6])"},
        {{"model.residual=highway", "model.layers=2"}, "rnn.highway_l1 ([12, 12] for [6, 6])"},
        {{"model.mogrifier.rounds=2", "model.convolution.widths=[2]", "model.convolution.place=before"},
         "rnn.mogrifier_l0 ([108, 32] for [8, 32])"}}) {
    const Outcome o = train_both(f, "run", sets, {"--overwrite", "--set", "model.bidirectional=true"});
    INFO(o.err);
    CHECK(o.code == 0);
    CHECK_THAT(o.err, contains_text(std::string("left at their initial weights: ") + part));
    CHECK_THAT(o.err, contains_text("vectors of 16 of 16 units and "));
    CHECK_THAT(o.err, !contains_text("--init-from"));
  }
  // A tagger, whose characters are further inputs.
  REQUIRE(train_both(f, "run", {"model.mogrifier.rounds=1"}, {"--overwrite"}).code == 0);
  write_text(f.path("t.conll"), "a O\nfilm B-X\n\na O\nsong B-X\n\n");
  write_text(f.path("tag.json"), R"({"task": "tag", "data": {"train": "t.conll", "dev": "t.conll"},
 "training": {"epochs": 1}})");
  const Outcome tag = f.mnemo({"train", f.path("tag.json"), "--set", "output.dir=" + f.path("tagger"), "--init-from",
                               f.path("run/language-model/model.safetensors")});
  INFO(tag.err);
  CHECK(tag.code == 0);
  CHECK_THAT(tag.err, contains_text("left at their initial weights: rnn.mogrifier_l0"));
  CHECK_THAT(tag.err, contains_text("1 layer carried over"));
}

TEST_CASE("what cannot start from a language model is refused before that is trained") {
  const Fixture f;
  REQUIRE(train_both(f, "run", {}).code == 0);
  const std::string model = f.bytes("run/model.safetensors"), first = f.bytes("run/language-model/model.safetensors");
  for (const auto& [set, word] :
       {std::pair{"model.embedding=6", "training.language_model: rnn.weight_ih_l0 is [18, 6] in the language model"},
        {R"(training.class_weight={"x": 1})", "training.class_weight: no label"},
        {"data.unlabelled=absent.txt", "absent.txt"}}) {
    const Outcome o = train_both(f, "run", {"model.cell=sru", "model.bidirectional=true", set}, {"--overwrite"});
    INFO(o.err);
    CHECK(o.code == (std::string_view(word) == "absent.txt" ? 1 : 2));
    CHECK_THAT(o.err, contains_text(word));
    CHECK_THAT(o.err, !contains_text("done at step"));
    CHECK(f.bytes("run/model.safetensors") == model);
    CHECK(f.bytes("run/language-model/model.safetensors") == first);
  }
  const Outcome vectors = f.mnemo(
      {"config", "check", f.path("c.json"), "--set", "text.pretrained=v.txt", "--set", "data.unlabelled=more.txt"});
  CHECK(vectors.code == 2);
  CHECK_THAT(vectors.err, contains_text("text.pretrained: not with data.unlabelled"));
}

TEST_CASE("the language model has the classifier's sizes and limits") {
  const Fixture f;
  const Outcome o = train_both(
      f, "run",
      {"text.unit=subword", "text.merges=9", "text.max_vocab=300", "text.min_count=2", "training.max_minutes=50"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const Outcome inspected = f.mnemo({"inspect", f.path("run/language-model/model.safetensors"), "--format", "json"});
  REQUIRE(inspected.code == 0);
  const mnemo::Json config = mnemo::Json::parse(inspected.out).at("config");
  CHECK(config.at("text").at("merges") == 9);
  CHECK(config.at("text").at("max_vocab") == 300);
  CHECK(config.at("text").at("min_count") == 2);
  CHECK(config.at("training").at("max_minutes") == 50);
  CHECK_THAT(o.err, contains_text("subwords of the language model"));
  const Outcome words = train_both(f, "words", {"text.unit=unicode-word", "text.max_vocab=5"});
  INFO(words.err);
  CHECK(words.code == 0);
  CHECK_THAT(words.err, contains_text("vocabulary: 5 of 17 units"));
}

TEST_CASE("a trial run describes the language model that would be trained first") {
  const Fixture f;
  write_more(f);
  const Outcome o = f.train("dry", with_text({"--dry-run"}));
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK_THAT(o.out, contains_text("language model: 44 texts, 201 units, 4 epochs\n"));
  CHECK_THAT(o.out, contains_text("language model: parameters: "));
  CHECK_THAT(o.out, contains_text("language model: estimated: "));
  CHECK_FALSE(std::filesystem::exists(f.path("dry")));
  const Outcome missing = f.train("dry", {"--dry-run", "--set", "data.unlabelled=absent.txt"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, contains_text("absent.txt"));
}

TEST_CASE("options and files of a language model that would do nothing are refused or warned of") {
  const Fixture f;
  write_text(f.path("empty.txt"), "");
  const auto check = [&](const std::vector<std::string>& sets) {
    std::vector<std::string> arguments{"config", "check", f.path("c.json")};
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    return f.mnemo(arguments);
  };
  for (const std::string key : {"training.language_epochs", "training.sampled_softmax"}) {
    const Outcome o = check({key + "=7"});
    CHECK(o.code == 2);
    CHECK_THAT(o.err, contains_text(key + ": needs a language model"));
    CHECK(check({key + "=7", "data.unlabelled=empty.txt"}).code == 0);
  }
  const Outcome format = check({R"(data.unlabelled={"file": "t.conll", "format": "conll"})"});
  CHECK(format.code == 2);
  CHECK_THAT(format.err, contains_text("data.unlabelled: format of t.conll: conll is not a format"));
  CHECK(check({R"(data.unlabelled={"file": "t.txt", "format": "lines"})"}).code == 0);
  CHECK_THAT(check({R"(data.unlabelled={"file": "t.txt", "text": "2"})"}).err,
             contains_text("data.unlabelled: text of t.txt: the format lines has no such key"));
  const Outcome empty = train_both(f, "run", {"data.unlabelled=empty.txt"});
  CHECK(empty.code == 0);
  CHECK_THAT(empty.err, contains_text("empty.txt has no text"));
}

TEST_CASE("training.unfreeze warns where layers stay at random weights or are never trained") {
  const Fixture f;
  const Outcome alone = f.train("alone", {"--set", "training.unfreeze=1"});
  CHECK(alone.code == 0);
  CHECK_THAT(alone.err, contains_text("warning: training.unfreeze 1: this run starts from no other model"));
  CHECK_THAT(alone.err, !contains_text("never trained"));
  const Outcome late = train_both(f, "late", {"training.unfreeze=1"});
  CHECK(late.code == 0);
  CHECK_THAT(late.err, !contains_text("starts from no other model"));
  CHECK_THAT(late.err, contains_text("the lowest layers would join after 2 epochs, and training.epochs is 1"));
}
