// data.unlabelled and training.language_model: a language model first, then the classifier that starts from it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/json.h"
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

}  // namespace

TEST_CASE("a run with data.unlabelled starts from a language model of all its texts") {
  const Fixture f;
  write_more(f);
  const Outcome o = f.train("run", with_text());
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("texts of train and 4 without labels"));
  CHECK_THAT(o.err, contains_text("1 layers carried over"));
  const std::string text = f.bytes("run/language-model/text.txt");
  CHECK_THAT(text, contains_text("\na fine room, a warm soup\ndull film again\nthis walk is warm\n"));
  CHECK(std::ranges::count(text, '\n') == 44);  // without dev
  // The same as in two steps.
  const Outcome by_hand = f.train("by-hand", {"--init-from", f.path("run/language-model/model.safetensors"), "--set",
                                              "training.save_every=1 steps", "--set", "training.language_epochs=4"});
  INFO(by_hand.err);
  REQUIRE(by_hand.code == 0);
  CHECK(f.bytes("by-hand/model.safetensors") == f.bytes("run/model.safetensors"));
  // A finished run is left as it is, and one that would be lost is not replaced without being asked.
  CHECK_THAT(f.train("run", with_text({"--resume"})).err, contains_text("the run is finished, nothing to do"));
  std::filesystem::remove(f.path("run/model.safetensors"));
  std::filesystem::remove(f.path("run/resume.safetensors"));
  const Outcome again = f.train("run", with_text());
  CHECK(again.code == 2);
  CHECK_THAT(again.err, contains_text("language-model: holds a run already"));
  CHECK(f.train("run", with_text({"--overwrite"})).code == 0);
  CHECK(f.bytes("by-hand/model.safetensors") == f.bytes("run/model.safetensors"));
}

TEST_CASE("training.language_model starts a run from a language model of train alone") {
  const Fixture f;
  const std::vector<std::string> first{"--set", "training.language_model=true", "--set", "training.language_epochs=3",
                                       "--set", "training.sampled_softmax=7"};
  const Outcome o = f.train("run", first);
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("texts of train and 0 without labels"));
  CHECK_THAT(o.err, contains_text("1 layers carried over"));
  CHECK(std::ranges::count(f.bytes("run/language-model/text.txt"), '\n') == 40);  // without dev
  const Outcome language = f.mnemo({"inspect", f.path("run/language-model/model.safetensors"), "--format", "json"});
  REQUIRE(language.code == 0);
  const mnemo::Json training = mnemo::Json::parse(language.out).at("config").at("training");
  CHECK(training.at("epochs") == 3);
  CHECK(training.at("sampled_softmax") == 7);
  // The same start by hand.
  const Outcome by_hand = f.train("by-hand", {"--init-from", f.path("run/language-model/model.safetensors")});
  INFO(by_hand.err);
  REQUIRE(by_hand.code == 0);
  const auto weights = [&](const std::string& run) {
    const std::string bytes = f.bytes(run + "/model.safetensors");
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    return bytes.substr(sizeof(header) + header);
  };
  CHECK(weights("by-hand") == weights("run"));
  CHECK(f.train("plain").code == 0);
  CHECK(weights("plain") != weights("run"));
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
  const Outcome missing = f.train("missing", {"--set", "data.unlabelled=absent.txt"});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, contains_text("absent.txt"));
  write_text(f.path("latin.txt"), "caf\xe9\n");
  const Outcome unit = f.train("unit", {"--set", "data.unlabelled=more.txt", "--set", "text.unit=unicode-word"});
  CHECK(unit.code == 2);
  CHECK_THAT(unit.err, contains_text("data.unlabelled: its language model needs the blanks"));
  const Outcome latin = f.train("latin", {"--set", "data.unlabelled=latin.txt"});
  CHECK(latin.code == 1);
  CHECK_THAT(latin.err, contains_text("latin.txt:1"));
  const Outcome tag =
      f.mnemo({"config", "check", f.path("c.json"), "--set", "task=tag", "--set", "data.unlabelled=more.txt"});
  CHECK(tag.code == 2);
  CHECK_THAT(tag.err, contains_text("data.unlabelled"));
  const Outcome tune = f.mnemo({"tune", f.path("c.json"), "--trials", "1", "--minutes", "1", "--set",
                                "data.unlabelled=more.txt", "-o", f.path("tuned")});
  CHECK(tune.code == 2);
  CHECK_THAT(tune.err, contains_text("data.unlabelled"));
}
