// A run that is killed at any moment or interrupted is resumed to the very bytes of one that was not; a full disk stops
// it with the reason.
#include <sys/mount.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/random.h"
#include "tests/cli/fixture.h"

namespace {

// Enough steps for a kill to land in the middle, with saves at odd moments.
const std::vector<std::string> kLong{
    "--set", "training.epochs=150", "--set", "training.save_every=7 steps", "--set", "training.evaluate_every=13 steps",
    "--set", "model.hidden=48",     "--set", "model.word_dropout=0.1",      "--set", "training.schedule=plateau"};

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.end(), kLong.begin(), kLong.end());
  return more;
}

}  // namespace

TEST_CASE("killed at random moments and resumed, a run gives the bytes of an uninterrupted one") {
  const Fixture f;
  REQUIRE(f.train("whole", with({"--threads", "1"})).code == 0);
  mnemo::RandomStream random(5, mnemo::Purpose::kTest);
  for (int round = 0; round < 4; ++round) {
    const std::string output = "killed" + std::to_string(round);
    int kills = 0;
    for (;;) {
      std::vector<std::string> arguments{"train",    f.path("c.json"), "--set", "output.dir=" + f.path(output),
                                         "--resume", "--threads",      "2"};
      arguments.insert(arguments.end(), kLong.begin(), kLong.end());
      Process process(arguments, f.folder());
      if (kills < 6) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5 + random.below(80)));
        process.send(SIGKILL);
      }
      const Outcome outcome = process.wait();
      if (outcome.code == 0) break;
      INFO(outcome.err);
      REQUIRE(outcome.code == 128 + SIGKILL);
      ++kills;
    }
    INFO(kills << " kills");
    CHECK(kills > 0);
    CHECK(f.bytes(output + "/model.safetensors") == f.bytes("whole/model.safetensors"));
  }
}

TEST_CASE("SIGINT and SIGTERM save and exit with 130 and 143, and the resumed run gives the same bytes") {
  const Fixture f;
  REQUIRE(f.train("whole", kLong).code == 0);
  for (int signal : {SIGINT, SIGTERM}) {
    const std::string output = "signal" + std::to_string(signal);
    std::vector<std::string> arguments{"train", f.path("c.json"), "--set", "output.dir=" + f.path(output)};
    arguments.insert(arguments.end(), kLong.begin(), kLong.end());
    Process process(arguments, f.folder());
    // The log's first line shows that the loop runs and listens.
    for (int i = 0; i < 10000 && f.bytes(output + "/log.jsonl").empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.send(signal);
    const Outcome outcome = process.wait();
    INFO(outcome.err);
    CHECK(outcome.code == 128 + signal);
    CHECK_THAT(outcome.err, contains_text("--set output.dir=" + f.path(output)));
    CHECK_THAT(outcome.err, contains_text("--resume"));
    CHECK(f.train(output, with({"--resume"})).code == 0);
    CHECK(f.bytes(output + "/model.safetensors") == f.bytes("whole/model.safetensors"));
  }
}

TEST_CASE("resuming where nothing was saved starts a run, and another configuration or a damaged state is refused") {
  const Fixture f;
  const Outcome fresh = f.train("run", {"--resume"});
  CHECK(fresh.code == 0);
  CHECK_THAT(fresh.err, contains_text("no saved state, starting from the beginning"));
  const Outcome other = f.train("run", {"--resume", "--set", "training.learning_rate=0.5"});
  CHECK(other.code == 2);
  CHECK_THAT(other.err, contains_text("training.learning_rate was 0.02 and is 0.5"));
  std::string swapped = tiny_data();
  swapped.replace(0, 3, "neg");
  write_text(f.path("train.tsv"), swapped);
  const Outcome changed = f.train("run", {"--resume"});
  CHECK(changed.code == 2);
  CHECK_THAT(changed.err, contains_text("other training data"));
  write_text(f.path("train.tsv"), tiny_data());
  const std::string state = f.bytes("run/resume.safetensors");
  write_text(f.path("run/resume.safetensors"), state.substr(0, state.size() / 2));
  const Outcome damaged = f.train("run", {"--resume"});
  CHECK(damaged.code == 1);
  CHECK_THAT(damaged.err, contains_text("resume.safetensors"));
}

TEST_CASE("resuming leaves another configuration's model alone, and a second run in a folder is refused") {
  const Fixture f;
  REQUIRE(f.train("run").code == 0);
  const std::string model = f.bytes("run/model.safetensors");
  std::filesystem::remove(f.path("run/resume.safetensors"));
  const Outcome other = f.train("run", {"--resume", "--set", "model.hidden=7"});
  CHECK(other.code == 2);
  CHECK_THAT(other.err, contains_text("model.hidden was 6 and is 7"));
  CHECK(f.bytes("run/model.safetensors") == model);
  // So does other data.
  write_text(f.path("other.tsv"), tiny_data() + "pos\ta fine walk again\n");
  const Outcome data = f.train("run", {"--resume", "--set", "data.train=other.tsv"});
  CHECK(data.code == 2);
  CHECK_THAT(data.err, contains_text("was made from other training data"));
  CHECK(f.bytes("run/model.safetensors") == model);
  // A run that was killed between writing its first model and its state starts over.
  const Outcome same = f.train("run", {"--resume"});
  CHECK(same.code == 0);
  CHECK_THAT(same.err, contains_text("starting from the beginning"));
  CHECK(f.bytes("run/model.safetensors") == model);
  // A missing model is written again from the finished run's state.
  std::filesystem::remove(f.path("run/model.safetensors"));
  CHECK(f.train("run", {"--resume"}).code == 0);
  CHECK(f.bytes("run/model.safetensors") == model);

  Process first(
      with({"train", f.path("c.json"), "--set", "output.dir=" + f.path("shared"), "--set", "training.epochs=100000"}),
      f.folder());
  while (!std::filesystem::exists(f.path("shared/resume.safetensors")))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const TemporaryFolder elsewhere;
  const Outcome second =
      run({"train", f.path("c.json"), "--set", "output.dir=" + f.path("shared"), "--overwrite"}, elsewhere.path());
  CHECK(second.code == 1);
  CHECK_THAT(second.err, contains_text("another run is writing to this folder"));
  first.send(SIGTERM);
  CHECK(first.wait().code == 143);
}

TEST_CASE("a run whose sizes were left to train keeps them when it is resumed with more epochs") {
  const Fixture f;
  write_text(f.path("bare.json"), R"({"data": {"train": "train.tsv", "dev": "dev.tsv"}, "model": {"hidden": 6}})");
  const auto train = [&](const char* folder, std::vector<std::string> more) {
    std::vector<std::string> arguments{"train", f.path("bare.json"), "-o", f.path(folder)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return f.mnemo(arguments);
  };
  REQUIRE(train("grown", {"--set", "training.epochs=2"}).code == 0);
  const Outcome grown = train("grown", {"--set", "training.epochs=4", "--resume"});
  INFO(grown.err);
  CHECK(grown.code == 0);
  CHECK_THAT(grown.err, contains_text("training.epochs was 2 and is 4"));
  CHECK_THAT(train("grown", {"--set", "training.epochs=4", "--resume"}).err, contains_text("the run is finished"));
  // Other data are named as such, not the sizes that they would have had.
  std::string more;
  for (int i = 0; i < 41; ++i) more += tiny_data();
  write_text(f.path("train.tsv"), more);
  const Outcome other = train("grown", {"--set", "training.epochs=5", "--resume"});
  CHECK(other.code == 2);
  CHECK_THAT(other.err, contains_text("other training data"));
  CHECK_THAT(other.err, !contains_text("buckets"));
}

TEST_CASE("a finished run's model that is damaged is written again") {
  const Fixture f;
  REQUIRE(f.train("run").code == 0);
  const std::string model = f.bytes("run/model.safetensors");
  write_text(f.path("run/model.safetensors"), model.substr(0, model.size() / 2));
  const Outcome resumed = f.train("run", {"--resume"});
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  CHECK_THAT(resumed.err, contains_text("it is written again"));
  CHECK(f.bytes("run/model.safetensors") == model);
}

TEST_CASE("a run that ends before its page is written gets it when it is resumed, whatever ended it") {
  const Fixture f;
  REQUIRE(f.train("run").code == 0);
  const std::string page = f.bytes("run/report.html"), model = f.bytes("run/model.safetensors");
  REQUIRE(!page.empty());
  std::filesystem::remove(f.path("run/report.html"));
  const Outcome resumed = f.train("run", {"--resume"});
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  CHECK(f.bytes("run/report.html") == page);
  CHECK(f.bytes("run/model.safetensors") == model);
}

TEST_CASE("a signal after the last step ends the program while it measures on test, and nothing is lost") {
  const Fixture f;
  std::string test;
  for (int i = 0; i < 3000; ++i) test += tiny_data();
  write_text(f.path("test.tsv"), test);
  const std::vector<std::string> arguments{"train",     f.path("c.json"),
                                           "-o",        f.path("run"),
                                           "--set",     "data.test=\"test.tsv\"",
                                           "--set",     "training.epochs=1",
                                           "--threads", "1"};
  Process process(arguments, f.folder());
  while (f.bytes("run/log.jsonl").find("\"kind\":\"end\"") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  process.send(SIGTERM);
  const Outcome outcome = process.wait();
  INFO(outcome.err);
  CHECK(outcome.code == 128 + SIGTERM);
  CHECK_FALSE(std::filesystem::exists(f.path("run/report.html")));
  const std::string model = f.bytes("run/model.safetensors");
  std::vector<std::string> again = arguments;
  again.emplace_back("--resume");
  const Outcome resumed = f.mnemo(again);
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  CHECK_THAT(resumed.err, contains_text("nothing to do"));
  CHECK(std::filesystem::exists(f.path("run/report.html")));
  CHECK(f.bytes("run/model.safetensors") == model);
}

TEST_CASE("a full file system stops the run with the reason, and leaves no partial file under a final name") {
  const Fixture f;
  const std::string disk = f.path("disk");
  REQUIRE(mkdir(disk.c_str(), 0700) == 0);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=24k") != 0) {
    WARN("skipped: this user may not mount a small file system");
    return;
  }
  const Outcome outcome = f.train("disk", {"--set", "model.hidden=64"});
  const bool model = std::filesystem::exists(disk + "/model.safetensors");
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, contains_text("No space left on device"));
  CHECK_FALSE(model);
  umount(disk.c_str());
}

TEST_CASE("with options that change the steps, a run is resumed to the same bytes from any step") {
  const std::vector<std::vector<std::string>> cases{
      {"training.unfreeze=1", "training.layer_rate=0.5", "training.schedule=slanted"},
      {"training.bptt=2", "model.bidirectional=false"},
      {"text.reverse=true", "text.unit=char"}};
  for (const auto& keys : cases) {
    const Fixture f;
    std::vector<std::string> options;
    for (const std::string& key : keys) options.insert(options.end(), {"--set", key});
    options.insert(options.end(), {"--set", "training.epochs=4", "--set", "training.batch_size=2", "--set",
                                   "training.save_every=1 steps"});
    const auto all = [&](std::vector<std::string> more) {
      more.insert(more.end(), options.begin(), options.end());
      return more;
    };
    INFO(keys.front());
    REQUIRE(f.train("whole", all({})).code == 0);
    const std::string plain = f.bytes("whole/model.safetensors");
    for (int round = 0; round < 3; ++round) {
      const std::string output = "cut" + std::to_string(round);
      Process process(all({"train", f.path("c.json"), "--set", "output.dir=" + f.path(output)}), f.folder());
      for (int i = 0; i < 10000 && !std::filesystem::exists(f.path(output + "/resume.safetensors")); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(7 * round));
      process.send(SIGKILL);
      process.wait();
      CHECK(f.train(output, all({"--resume"})).code == 0);
      CHECK(f.bytes(output + "/model.safetensors") == plain);
    }
  }
}

TEST_CASE("a run that is prolonged gives the bytes of one that was so long from the beginning") {
  const Fixture f;
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{},
        {"--set", "data.dev_fraction=0", "--set", "data.dev=[]", "--set", "training.average_from=1"}}) {
    const auto train = [&](const char* folder, const char* epochs, bool resume) {
      std::vector<std::string> arguments{"--set", std::string("training.epochs=") + epochs, "--set",
                                         "training.schedule=constant"};
      arguments.insert(arguments.end(), more.begin(), more.end());
      arguments.emplace_back(resume ? "--resume" : "--overwrite");
      return f.train(folder, arguments);
    };
    REQUIRE(train("whole", "4", false).code == 0);
    REQUIRE(train("grown", "2", false).code == 0);
    const Outcome grown = train("grown", "4", true);
    CHECK(grown.code == 0);
    CHECK_THAT(grown.err, contains_text("training.epochs was 2 and is 4"));
    CHECK(f.bytes("grown/model.safetensors") == f.bytes("whole/model.safetensors"));
    CHECK_THAT(train("grown", "4", true).err, contains_text("the run is finished"));
    const Outcome past = train("grown", "3", true);
    CHECK_THAT(past.err, contains_text("training.epochs was 4 and is 3; the run is past that already"));
    CHECK_THAT(past.err, contains_text("the run is finished"));
  }
}

TEST_CASE("a run that was cut by time continues with more time, and a schedule with an end follows the new one") {
  const Fixture f;
  const std::vector<std::string> cut{"--set", "training.epochs=20000", "--set", "training.max_minutes=0.003"};
  REQUIRE(f.train("run", cut).code == 0);
  const auto with = [](std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Outcome same = f.train("run", with(cut, {"--resume"}));
  CHECK(same.code == 0);
  CHECK_THAT(same.err,
             contains_text("training.max_minutes 0.003 cut this run short; with a larger value it continues"));
  const Outcome on = f.train("run", with(cut, {"--set", "training.max_minutes=0.006", "--resume"}));
  CHECK(on.code == 0);
  CHECK_THAT(on.err, contains_text("resuming after step"));
  CHECK_THAT(on.err, contains_text("stopped by training.max_minutes"));

  const std::vector<std::string> linear{"--set", "training.schedule=linear"};
  REQUIRE(f.train("linear", with(linear, {"--set", "training.epochs=2"})).code == 0);
  const Outcome longer = f.train("linear", with(linear, {"--set", "training.epochs=3", "--resume"}));
  CHECK(longer.code == 0);
  CHECK_THAT(longer.err, contains_text("the learning rate follows the new end"));
  CHECK(f.train("linear", with(linear, {"--set", "training.learning_rate=0.5", "--resume"})).code == 2);
}

TEST_CASE("a run that starts from a model has its sizes, unless the configuration sets others") {
  const Fixture f;
  std::string corpus;
  for (int i = 0; i < 60; ++i) corpus += "a fine film and a warm song\n";
  write_text(f.path("corpus.txt"), corpus);
  write_text(f.path("lm.json"), R"({"task": "generate", "data": {"train": "corpus.txt"},
    "model": {"hidden": 20, "embedding": 24}, "training": {"epochs": 1, "batch_size": 4, "bptt": 16}})");
  REQUIRE(f.mnemo({"train", f.path("lm.json"), "-o", f.path("lm")}).code == 0);
  const std::string lm = f.path("lm/model.safetensors");

  // A classifier, and a language model of other text, that set nothing of the network.
  write_text(f.path("c.json"), R"({"data": {"train": "train.tsv", "dev": "dev.tsv"}, "training": {"epochs": 1}})");
  const Outcome classifier = f.mnemo({"train", f.path("c.json"), "-o", f.path("c"), "--init-from", lm});
  INFO(classifier.err);
  CHECK(classifier.code == 0);
  CHECK_THAT(classifier.err, contains_text("model.embedding 24"));
  CHECK_THAT(classifier.err, contains_text("carried over"));
  write_text(f.path("more.json"),
             R"({"task": "generate", "data": {"train": "corpus.txt"}, "training": {"epochs": 1, "batch_size": 4}})");
  CHECK(f.mnemo({"train", f.path("more.json"), "-o", f.path("more"), "--init-from", lm}).code == 0);
  const Outcome resumed =
      f.mnemo({"train", f.path("more.json"), "-o", f.path("more"), "--resume", "--set", "training.epochs=2"});
  INFO(resumed.err);
  CHECK(resumed.code == 0);

  // A classifier of more data keeps the n-grams of the old one.
  const std::string old = f.path("c/model.safetensors");
  std::string many;
  for (int i = 0; i < 40; ++i) many += tiny_data();
  write_text(f.path("train.tsv"), many);
  const Outcome grown = f.mnemo({"train", f.path("c.json"), "-o", f.path("grown"), "--init-from", old});
  INFO(grown.err);
  CHECK(grown.code == 0);
  CHECK_THAT(grown.err, !contains_text("not carried over"));

  const Outcome set =
      f.mnemo({"train", f.path("c.json"), "-o", f.path("set"), "--init-from", lm, "--set", "model.hidden=7"});
  CHECK(set.code == 1);
  CHECK_THAT(set.err, contains_text("model.hidden is 7, the model's is 20"));
}
