// Language models from the shell.
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/temporary_folder.h"

namespace {

using nlohmann::json;

class LanguageFixture {
 public:
  LanguageFixture() {
    std::string text;
    for (int i = 0; i < 60; ++i) text += i % 3 == 0 ? "春眠不觉晓\n" : "to be or not to be\n";
    write_text(path("train.txt"), text);
    write_text(path("c.json"), R"({"task": "generate", "data": {"train": "train.txt", "dev_fraction": 0.1},
 "model": {"embedding": 12, "hidden": 24, "dropout": 0.1, "embedding_dropout": 0.0},
 "training": {"epochs": 12, "batch_size": 4, "bptt": 16, "learning_rate": 0.02, "clip_norm": 1}})");
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  std::string bytes(const std::string& name) const { return Process::text(path(name)); }
  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder_.path(), input);
  }
  std::vector<std::string> arguments(const std::string& output, const std::vector<std::string>& more) const {
    std::vector<std::string> out{"train", path("c.json"), "--set", "output.dir=" + path(output)};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  Outcome train(const std::string& output, const std::vector<std::string>& more = {}) const {
    return mnemo(arguments(output, more));
  }
  json last_line(const std::string& output) const {
    const std::string log = bytes(output + "/log.jsonl");
    return json::parse(log.substr(log.rfind('\n', log.size() - 2) + 1));
  }

 private:
  TemporaryFolder folder_;
};

const LanguageFixture& trained_language() {
  static const std::unique_ptr<const LanguageFixture> fixture = [] {
    auto made = std::make_unique<LanguageFixture>();
    const Outcome outcome = made->train("run");
    if (outcome.code != 0) throw std::runtime_error("training the tiny language model: " + outcome.err);
    return made;
  }();
  return *fixture;
}

// A run that is killed again and again ends with the bytes of the run `undisturbed`.
void check_killed(const LanguageFixture& f, const std::vector<std::string>& options, const std::string& undisturbed) {
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), options.begin(), options.end());
    return more;
  };
  for (int kill = 0; kill < 4; ++kill) {
    Process process(f.arguments("killed", with({"--resume", "--threads", "2"})), f.path(""));
    usleep(20000 + 15000 * kill);
    process.send(SIGKILL);
    process.wait();
  }
  REQUIRE(f.train("killed", with({"--resume"})).code == 0);
  CHECK(f.bytes(undisturbed + "/model.safetensors") == f.bytes("killed/model.safetensors"));
}

// A model that has learnt the fixture's text goes on with it.
void check_writes(const LanguageFixture& f, const std::string& model) {
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
  CHECK(f.mnemo({"generate", model, "--prompt", "春眠", "--temperature", "0", "--length", "4"}).out ==
        "春眠不觉晓\n\n");
}

void check_quantised(const LanguageFixture& f, const std::string& model, const std::string& precision) {
  const std::string small = f.path("small-" + precision);
  const Outcome quantised = f.mnemo(
      {"quantize", model, "--dev", f.path("train.txt"), "--precision", precision, "--max-drop", "0.2", "-o", small});
  INFO(quantised.err);
  CHECK(quantised.code == 0);
  CHECK(f.mnemo({"generate", small, "--prompt", "春眠", "--temperature", "0", "--length", "3"}).out == "春眠不觉晓\n");
}

}  // namespace

TEST_CASE("a language model learns its text: the last tenth of the units is dev") {
  const LanguageFixture f;
  const Outcome o = f.train("run", {"--set", "data.test=train.txt"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  // 40 lines of 19 units and 20 of 6.
  CHECK_THAT(o.err, contains_text("train: 792 units, 0 unknown"));
  CHECK_THAT(o.err, contains_text("dev: 88 units, 0 unknown"));
  CHECK_THAT(o.err, contains_text("test: perplexity"));
  const json end = f.last_line("run");
  CHECK(end["metrics"]["nats"].get<double>() < 0.35);
  CHECK(end["metrics"]["perplexity"].get<double>() == Approx(std::exp(end["metrics"]["nats"].get<double>())));
  CHECK(end["metrics"]["bits"].get<double>() == Approx(end["metrics"]["nats"].get<double>() / std::log(2.0)));
}

TEST_CASE("language models: the same bytes for any number of threads, and after an interruption within an epoch") {
  const LanguageFixture f;
  const std::vector<std::string> more{"--set", "training.save_every=3 steps", "--set", "model.tied=true",
                                      "--set", "model.embedding=24",          "--set", "training.average_from=4"};
  const auto with = [&](const std::vector<std::string>& others) {
    auto all = others;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  REQUIRE(f.train("one", with({"--threads", "1"})).code == 0);
  REQUIRE(f.train("three", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("three/model.safetensors"));
  for (int kill = 0; kill < 4; ++kill) {
    Process process(f.arguments("killed", with({"--resume"})), f.path(""));
    usleep(20000 + 15000 * kill);
    process.send(SIGKILL);
    process.wait();
  }
  REQUIRE(f.train("killed", with({"--resume"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("killed/model.safetensors"));
}

TEST_CASE("training.rotate: other bytes than without, the same ones for any threads and after interruptions") {
  const LanguageFixture f;
  const std::vector<std::string> rotate{"--set", "training.rotate=true", "--set", "training.save_every=3 steps"};
  const auto with = [&](const std::vector<std::string>& others) {
    auto all = others;
    all.insert(all.end(), rotate.begin(), rotate.end());
    return all;
  };
  REQUIRE(f.train("plain", {"--set", "training.save_every=3 steps"}).code == 0);
  REQUIRE(f.train("one", with({"--threads", "1"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") != f.bytes("plain/model.safetensors"));
  CHECK(f.last_line("one")["metrics"]["nats"].get<double>() < 0.35);
  check_killed(f, with({}), "one");
}

TEST_CASE("model.sum_layers: trained, continued, generated from and quantised, models with and without do not mix") {
  const LanguageFixture f;
  const std::vector<std::string> two{"--set", "model.layers=2",        "--set", "model.layer_dropout=0",
                                     "--set", "model.cell=capped_lstm"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), two.begin(), two.end());
    return more;
  };
  const Outcome trained = f.train("sum", with({"--set", "model.sum_layers=true"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  REQUIRE(f.train("last", with({})).code == 0);
  CHECK(f.bytes("sum/model.safetensors") != f.bytes("last/model.safetensors"));
  CHECK(f.last_line("sum")["metrics"]["nats"].get<double>() < 0.35);
  const std::string model = f.path("sum/model.safetensors");
  check_writes(f, model);
  CHECK(f.mnemo({"evaluate", model, f.path("train.txt"), "--dynamic", "0.1"}).code == 0);
  check_quantised(f, model, "int8");
  CHECK(f.train("again", with({"--set", "model.sum_layers=true", "--init-from", model})).code == 0);
  const Outcome mixed = f.train("mixed", with({"--set", "model.sum_layers=false", "--init-from", model}));
  CHECK(mixed.code == 1);
  CHECK_THAT(mixed.err, contains_text("model.sum_layers is false, the model's is true"));
}

TEST_CASE("model.mogrifier: the same bytes for any threads, generated from, quantised, refused for other cells") {
  const LanguageFixture f;
  const std::vector<std::string> rounds{"--set", "model.mogrifier.rounds=4", "--set", "model.mogrifier.rank=6"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), rounds.begin(), rounds.end());
    return more;
  };
  const Outcome trained = f.train("run", with({"--threads", "1"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  REQUIRE(f.train("three", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("run/model.safetensors") == f.bytes("three/model.safetensors"));
  CHECK(f.last_line("run")["metrics"]["nats"].get<double>() < 0.35);
  const std::string model = f.path("run/model.safetensors");
  check_writes(f, model);
  check_quantised(f, model, "int8");
  const Outcome without = f.train("without", {"--init-from", model, "--set", "model.mogrifier.rounds=0"});
  CHECK(without.code == 1);
  CHECK_THAT(without.err, contains_text("model.mogrifier.rounds is 0, the model's is 4"));
  const Outcome gru = f.train("gru", with({"--set", "model.cell=gru"}));
  CHECK(gru.code == 2);
  CHECK_THAT(gru.err, contains_text("model.mogrifier.rounds: only for an lstm"));
}

TEST_CASE("model.self_attention: any threads, resumed, generated from, scored, adapted, quantised and looked into") {
  const LanguageFixture f;
  const std::vector<std::string> block{
      "--set", "model.self_attention.layer=1",         "--set", "model.self_attention.memory=5",
      "--set", "model.self_attention.feed_forward=20", "--set", "training.save_every=3 steps"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), block.begin(), block.end());
    return more;
  };
  const Outcome trained = f.train("run", with({"--threads", "1"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  REQUIRE(f.train("three", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("run/model.safetensors") == f.bytes("three/model.safetensors"));
  CHECK(f.last_line("run")["metrics"]["nats"].get<double>() < 0.35);
  check_killed(f, with({}), "run");
  const std::string model = f.path("run/model.safetensors");
  check_writes(f, model);
  CHECK(f.mnemo({"generate", model, "--prompt", "春眠", "--beam", "3", "--length", "4"}).code == 0);
  CHECK(f.mnemo({"score", model}, "春眠不觉晓\n").code == 0);
  CHECK(f.mnemo({"evaluate", model, f.path("train.txt"), "--dynamic", "0.1"}).code == 0);
  CHECK(f.mnemo({"inspect", model, "--gates", "--text", "春眠不觉晓"}).code == 0);
  const Outcome attention = f.mnemo({"inspect", model, "--attention", "--text", "春眠不觉晓", "--format", "json"});
  INFO(attention.err);
  REQUIRE(attention.code == 0);
  const json matrix = json::parse(attention.out)["attention"][0];
  CHECK(matrix["name"] == "self-attention");
  for (std::size_t t = 0; t < matrix["shares"].size(); ++t) {
    double sum = 0;
    for (std::size_t j = 0; j < matrix["shares"][t].size(); ++j) {
      const double share = matrix["shares"][t][j].get<double>();
      sum += share;
      CHECK((share > 0) == (j <= t && j + 5 >= t));
    }
    CHECK(sum == Approx(1.0));
  }
  for (const char* precision : {"int8", "bfloat16"}) check_quantised(f, model, precision);
  const Outcome without = f.train("without", {"--init-from", model, "--set", "model.self_attention.layer=0"});
  CHECK(without.code == 1);
  CHECK_THAT(without.err, contains_text("model.self_attention.layer is 0, the model's is 1"));
  const Outcome high = f.train("high", {"--set", "model.self_attention.layer=4"});
  CHECK(high.code == 2);
  CHECK_THAT(high.err, contains_text("model.self_attention.layer: 4, above the number of recurrent layers"));
}

TEST_CASE("a configuration that does not suit a language model is refused by its keys") {
  const LanguageFixture f;
  const auto refused = [&](const std::vector<std::string>& more) {
    const Outcome o = f.train("refused", more);
    CHECK(o.code == 2);
    return o.err;
  };
  CHECK_THAT(refused({"--set", "model.bidirectional=true"}), contains_text("model.bidirectional"));
  CHECK_THAT(refused({"--set", "model.tied=true"}), contains_text("model.tied: model.embedding 12 must equal"));
  CHECK_THAT(refused({"--set", "data.format=tsv"}), contains_text("tsv is not a value for the task generate"));
  CHECK_THAT(refused({"--set", "text.ngrams.unit=2"}), contains_text("text.ngrams"));
  CHECK_THAT(refused({"--set", "data.records=true", "--set", "training.rotate=true"}),
             contains_text("training.rotate: not with data.records"));
  CHECK_THAT(refused({"--folds", "3"}), contains_text("--folds"));
  write_text(f.path("empty.txt"), "");
  const Outcome empty = f.train("refused", {"--set", "data.train=empty.txt"});
  CHECK(empty.code == 1);
  CHECK_THAT(empty.err, contains_text("empty.txt: train has no text of at least two units"));
  // A corpus of one line is accepted, poor as it is.
  write_text(f.path("line.txt"), "春眠不觉晓");
  CHECK(f.train("line", {"--set", "data.train=line.txt", "--set", "training.epochs=1"}).code == 0);
  CHECK(f.train("line2", {"--set", "data.train=line.txt", "--set", "data.dev_fraction=0", "--set", "training.epochs=1"})
            .code == 0);
}

TEST_CASE("generate continues a prompt: the same seed gives the same text, whatever is generated beside it") {
  const LanguageFixture& f = trained_language();
  const std::string model = f.path("run/model.safetensors");
  const Outcome greedy = f.mnemo({"generate", model, "--prompt", "春眠", "--temperature", "0", "--length", "4"});
  INFO(greedy.err);
  REQUIRE(greedy.code == 0);
  CHECK(greedy.out == "春眠不觉晓\n\n");
  const Outcome beam = f.mnemo({"generate", model, "--prompt", "to be o", "--beam", "3", "--length", "11"});
  CHECK(beam.out == "to be or not to be\n");
  // A beam draws nothing.
  for (const char* option : {"--temperature", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--candidates"})
    CHECK(f.mnemo({"generate", model, "--beam", "3", option, "1"}).code == 2);

  const auto lines = [&](const std::string& seed, const std::vector<std::string>& more) {
    std::vector<std::string> all{"generate", model,   "--length",      "30", "--seed", seed,
                                 "--format", "jsonl", "--temperature", "1.5"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome o = f.mnemo(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    std::vector<json> out;
    std::istringstream in(o.out);
    for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
    return out;
  };
  const auto five = lines("7", {"--samples", "5", "--threads", "3"}),
             two = lines("7", {"--samples", "2", "--threads", "1"});
  REQUIRE(five.size() == 5);
  CHECK(five[0] == two[0]);
  CHECK(five[1] == two[1]);
  CHECK(five[0]["text"] != five[1]["text"]);
  CHECK(five[0]["units"] == 30);
  CHECK(five[0]["log_prob"].get<double>() < 0.0);
  // A single sample is written as it grows: the same text.
  const Outcome text = f.mnemo({"generate", model, "--length", "30", "--seed", "7", "--temperature", "1.5"});
  CHECK(text.out == five[0]["text"].get<std::string>() + "\n");
  CHECK(lines("8", {})[0]["text"] != five[0]["text"]);
}

TEST_CASE("generate reads its prompt from a file or a pipe, and refuses what the model does not know") {
  const LanguageFixture& f = trained_language();
  const std::string model = f.path("run/model.safetensors");
  CHECK(
      f.mnemo({"generate", model, "--prompt-file", "-", "--temperature", "0", "--length", "3"}, "to be\n春眠\n").out ==
      "to be\n春眠不觉晓\n");
  CHECK(f.mnemo({"generate", model, "--prompt", "春", "--length", "0"}).out == "春\n");
  const Outcome unknown = f.mnemo({"generate", model, "--prompt", "to be\n春天"});
  CHECK(unknown.code == 1);
  CHECK_THAT(unknown.err, contains_text("prompt, line 2, unit 2: the model does not know \"天\""));
  CHECK(f.mnemo({"generate", model, "--prompt", "a\xFF"}).code == 2);
  CHECK(f.mnemo({"generate", model, "--temperature", "-1"}).code == 2);
  CHECK(f.mnemo({"classify", model}, "a\n").code == 1);
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
}

TEST_CASE("a full disk or a closed pipe ends generation and scoring with the reason") {
  const auto& f = trained_language();
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"generate", f.path("run/model.safetensors"), "--length", "100000"},
        {"score", f.path("run/model.safetensors"), f.path("train.txt")}}) {
    Process process(arguments, f.path(""), "/dev/null", "/dev/full");
    const Outcome o = process.wait();
    CHECK(o.code == 1);
    CHECK_THAT(o.err, contains_text("standard output: cannot write"));
  }
}

TEST_CASE("words are joined by blanks, and never the unknown one") {
  const LanguageFixture f;
  const Outcome o = f.train("words", {"--set", "text.unit=word", "--set", "text.min_count=25"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const Outcome text =
      f.mnemo({"generate", f.path("words/model.safetensors"), "--prompt", "to be or", "--length", "40"});
  INFO(text.err);
  CHECK(text.out.starts_with("to be or not to be\n"));
  CHECK_THAT(text.out, !contains_text("<unk>"));
  CHECK_THAT(text.out, !contains_text("  "));
}

TEST_CASE("evaluate reports perplexity, nats and bits per unit, with an interval and a paired comparison") {
  const LanguageFixture& f = trained_language();
  const std::string model = f.path("run/model.safetensors");
  const Outcome o = f.mnemo({"evaluate", model, f.path("train.txt"), "--format", "json", "--min", "perplexity=2"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const json found = json::parse(o.out);
  CHECK(found["records"] == 60);
  CHECK(found["units"] == 880);
  CHECK(found["unknown_units"] == 0);
  const double nats = found["metrics"]["nats"].get<double>();
  CHECK(found["metrics"]["perplexity"].get<double>() == Approx(std::exp(nats)));
  CHECK(found["interval"]["low"].get<double>() <= nats);
  CHECK(found["interval"]["high"].get<double>() >= nats);
  CHECK(f.mnemo({"evaluate", model, f.path("train.txt"), "--min", "perplexity=1"}).code == 3);
  CHECK_THAT(f.mnemo({"evaluate", model}, "to be 天\n").out, contains_text("1 lines, 8 units, 1 unknown"));
  REQUIRE(f.train("worse", {"--set", "training.epochs=1"}).code == 0);
  const Outcome compared = f.mnemo(
      {"evaluate", model, f.path("train.txt"), "--compare", f.path("worse/model.safetensors"), "--format", "json"});
  INFO(compared.err);
  CHECK(json::parse(compared.out)["comparison"]["difference"]["high"].get<double>() < 0.0);
  CHECK(f.mnemo({"evaluate", model}, "").code == 1);
  // Standard input is read once, for both models.
  const Outcome piped = f.mnemo({"evaluate", model, "--compare", f.path("worse/model.safetensors"), "--format", "json"},
                                f.bytes("train.txt"));
  INFO(piped.err);
  REQUIRE(piped.code == 0);
  CHECK(json::parse(piped.out)["comparison"] == json::parse(compared.out)["comparison"]);
}

TEST_CASE("a language model is trained on standard input as on a file") {
  const LanguageFixture& f = trained_language();
  std::vector<std::string> arguments = f.arguments("piped", {"--set", "data.train=-"});
  const Outcome o = f.mnemo(arguments, f.bytes("train.txt"));
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(f.bytes("piped/model.safetensors") == f.bytes("run/model.safetensors"));
}

TEST_CASE("score gives the log-probability of each line by itself, in order, and rescores lists of candidates") {
  const LanguageFixture& f = trained_language();
  const std::string model = f.path("run/model.safetensors");
  const Outcome o = f.mnemo({"score", model}, "to be or not to be\n\n春眠不觉晓\nbe to\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("4 lines, 32 units, 0 unknown; perplexity"));
  std::vector<std::string> lines;
  std::istringstream in(o.out);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("1\t19\t-"));
  CHECK(lines[1].starts_with("2\t1\t-"));
  CHECK(lines[2].starts_with("3\t6\t-"));
  // A line's score does not depend on the others, or on threads.
  CHECK(f.mnemo({"score", model, "--threads", "3"}, "to be or not to be\n").out == lines[0] + "\n");
  const Outcome units = f.mnemo({"score", model, "--format", "jsonl"}, "春眠\n");
  const json found = json::parse(units.out);
  double sum = 0;
  for (const json& unit : found["unit_log_probs"]) sum += unit[1].get<double>();
  CHECK(found["unit_log_probs"].size() == 3);
  CHECK(found["unit_log_probs"][2][0] == "\n");
  CHECK(sum == Approx(found["log_prob"].get<double>()));

  write_text(f.path("nbest.txt"), "7 ||| to be or not to be ||| x=1\n7 ||| not or be to be to\n");
  const Outcome nbest = f.mnemo({"score", model, "--nbest", f.path("nbest.txt")});
  INFO(nbest.err);
  std::istringstream scored(nbest.out);
  std::string good, bad;
  std::getline(scored, good);
  std::getline(scored, bad);
  CHECK(good.starts_with("7 ||| to be or not to be ||| x=1 ||| -"));
  CHECK(std::stod(good.substr(good.rfind(' '))) > std::stod(bad.substr(bad.rfind(' '))));
  const Outcome wrong = f.mnemo({"score", model, "--nbest", f.path("train.txt")});
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.err, contains_text("train.txt:1: expected ID ||| TEXT"));
  // Longer than a block of steps.
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "to be ";
  CHECK(f.mnemo({"score", model}, text + "\nto be\n").out.starts_with("1\t30001\t-"));
}

TEST_CASE("a classifier and a tagger start from a language model, and refuse one that does not fit") {
  const LanguageFixture f;
  write_text(f.path("words.json"), R"({"task": "generate", "data": {"train": "train.txt", "dev_fraction": 0},
 "text": {"unit": "word"}, "model": {"embedding": 12, "hidden": 10}, "training": {"epochs": 1, "batch_size": 2}})");
  REQUIRE(f.mnemo({"train", f.path("words.json"), "--set", "output.dir=" + f.path("lm")}).code == 0);
  write_text(f.path("reviews.tsv"), "good\tto be kind\nbad\tnot to be\ngood\tkind or kind\nbad\tnot not\n");
  write_text(f.path("tags.txt"), "to X\nbe Y\n\nkind Y\nnot X\n");
  write_text(f.path("classify.json"), R"({"task": "classify", "data": {"train": "reviews.tsv", "dev_fraction": 0},
 "model": {"embedding": 12, "hidden": 10}, "training": {"epochs": 1, "batch_size": 2}})");
  write_text(f.path("tag.json"), R"({"task": "tag", "data": {"train": "tags.txt", "dev_fraction": 0, "scheme": "none"},
 "model": {"embedding": 12, "hidden": 10, "char_encoder": {"kind": "cnn", "embedding": 4, "hidden": 5}},
 "training": {"epochs": 1, "batch_size": 2}})");
  const auto start = [&](const std::string& config, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"train",
                                 f.path(config),
                                 "--overwrite",
                                 "--init-from",
                                 f.path("lm/model.safetensors"),
                                 "--set",
                                 "output.dir=" + f.path("started")};
    all.insert(all.end(), more.begin(), more.end());
    return f.mnemo(all);
  };
  for (const std::string config : {"classify.json", "tag.json"}) {
    const Outcome o = start(config);
    INFO(o.err);
    CHECK(o.code == 0);
    // to, be, not, or and the Chinese line are the language model's; kind is not.
    CHECK_THAT(o.err, contains_text("vectors of 5 of 6 units and 1 layer carried over"));
    const Outcome wide = start(config, {"--set", "model.hidden=11"});
    CHECK(wide.code == 1);
    CHECK_THAT(wide.err, contains_text("model.hidden is 11, the model's is 10"));
  }
  // Contradictions are those of the values that the model brings along: a classifier of its own would be bidirectional.
  CHECK(start("classify.json", {"--set", "training.bptt=4"}).code == 0);
  const Outcome contradicting =
      start("classify.json", {"--set", "training.bptt=4", "--set", "model.bidirectional=true"});
  CHECK(contradicting.code == 2);
  CHECK_THAT(contradicting.err,
             contains_text("training.bptt: texts are read in pieces only without model.bidirectional"));
  const Outcome alone = f.mnemo({"train", f.path("classify.json"), "--resume", "--set", "training.bptt=4", "--set",
                                 "output.dir=" + f.path("alone")});
  CHECK(alone.code == 2);
  // A language model is trained further on other text, and keeps the units that only the old one has.
  write_text(f.path("new.txt"), "kind to be kind\n");
  const Outcome again = start("words.json", {"--set", "data.train=new.txt"});
  INFO(again.err);
  CHECK(again.code == 0);
  CHECK_THAT(again.err, contains_text("vocabulary: 4 of 4 units"));
  CHECK_THAT(again.err, contains_text("3 more units from the language model"));
  CHECK_THAT(again.err, contains_text("vectors of 6 of 7 units and 1 layer carried over"));
  // A run is resumed with the vocabulary that it started with, and a finished one is left as it is.
  for (const std::string config : {"words.json", "classify.json", "tag.json"}) {
    INFO(config);
    const std::vector<std::string> more =
        config == "words.json" ? std::vector<std::string>{"--set", "data.train=new.txt"} : std::vector<std::string>{};
    REQUIRE(start(config, more).code == 0);
    const std::string bytes = f.bytes("started/model.safetensors");
    const auto resumed = [&](std::vector<std::string> others) {
      others.insert(others.begin(), {"train", f.path(config), "--resume", "--set", "output.dir=" + f.path("started")});
      others.insert(others.end(), more.begin(), more.end());
      return f.mnemo(others);
    };
    CHECK(resumed({}).code == 0);
    CHECK(resumed({"--init-from", f.path("lm/model.safetensors")}).code == 0);
    CHECK(resumed({"--init-from", f.path("classifier/model.safetensors")}).code == 2);
    CHECK(f.bytes("started/model.safetensors") == bytes);
  }
  REQUIRE(start("words.json", {"--set", "data.train=new.txt"}).code == 0);
  const Outcome other = f.mnemo({"train", f.path("words.json"), "--init-from", f.path("started/model.safetensors"),
                                 "--set", "model.hidden=11", "--set", "output.dir=" + f.path("other")});
  CHECK(other.code == 1);
  // A language model cannot start from a classifier.
  REQUIRE(f.mnemo({"train", f.path("classify.json"), "--set", "output.dir=" + f.path("classifier")}).code == 0);
  CHECK(f.mnemo({"train", f.path("words.json"), "--init-from", f.path("classifier/model.safetensors"), "--set",
                 "output.dir=" + f.path("other")})
            .code == 2);
  for (const std::string set : {"model.word_dropout=0.5", "data.label=x", "training.batch_tokens=100"})
    CHECK(f.mnemo({"train", f.path("words.json"), "--set", set, "--set", "output.dir=" + f.path("other")}).code == 2);
  write_text(f.path("empty.txt"), "");
  for (const std::string part : {"data.dev", "data.test"}) {
    const Outcome empty = f.mnemo(
        {"train", f.path("words.json"), "--set", part + "=empty.txt", "--set", "output.dir=" + f.path("other")});
    CHECK(empty.code == 1);
    CHECK_THAT(empty.err, contains_text("empty.txt: " + part.substr(5) + " has no text"));
  }
}

TEST_CASE("a language model of Unicode's words is trained, measured and writes blanks between them") {
  const LanguageFixture f;
  std::string text;
  for (int i = 0; i < 30; ++i) text += "Don't go, my dear; it is cold.\nA warm room, a song!\n";
  write_text(f.path("words.txt"), text);
  write_text(f.path("words.json"), R"({"task": "generate", "data": {"train": "words.txt", "dev_fraction": 0},
 "text": {"unit": "unicode-word"}, "model": {"embedding": 16, "hidden": 16, "dropout": 0},
 "training": {"epochs": 30, "learning_rate": 0.02, "batch_size": 2, "bptt": 20}})");
  const Outcome trained = f.mnemo({"train", f.path("words.json"), "--set", "output.dir=" + f.path("words")});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err, contains_text("train: 570 units, 0 unknown"));
  const std::string model = f.path("words/model.safetensors");
  const Outcome written = f.mnemo({"generate", model, "--prompt", "Don't go,", "--length", "8", "--temperature", "0"});
  CHECK(written.code == 0);
  CHECK_THAT(written.out, contains_text("Don't go, my dear ; it is cold ."));
  const auto score_of = [&](const std::string& line) { return f.mnemo({"score", model}, line + "\n").out; };
  CHECK(score_of("A warm room, a song!") == score_of("A warm room , a song !"));
  const Outcome measured = f.mnemo({"evaluate", model, f.path("words.txt")});
  CHECK(measured.code == 0);
  CHECK_THAT(measured.out, contains_text("60 lines, 570 units, 0 unknown"));
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
  // A line that is read in pieces.
  std::string longer;
  for (int i = 0; i < 20000; ++i) longer += "A warm room, a song! ";
  write_text(f.path("long.txt"), longer + "\n");
  CHECK_THAT(f.mnemo({"evaluate", model, f.path("long.txt")}).out, contains_text("1 lines, 140001 units, 0 unknown"));
}

TEST_CASE("evaluate and score adapt if they are asked to") {
  const auto& f = trained_language();
  const auto nats = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"evaluate", f.path("run/model.safetensors"), f.path("other.txt"), "--format", "json"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome o = f.mnemo(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return json::parse(o.out)["metrics"]["nats"].get<double>();
  };
  std::string text;
  for (int i = 0; i < 30; ++i) text += "question question the the\n";
  write_text(f.path("other.txt"), text);
  const double plain = nats({});
  CHECK(nats({"--cache", "100", "--cache-share", "0.5"}) < plain - 0.3);
  CHECK(nats({"--dynamic", "0.5"}) < plain - 0.5);
  const Outcome s = f.mnemo({"score", f.path("run/model.safetensors"), "--dynamic", "0.5"}, text);
  REQUIRE(s.code == 0);
  const auto log_p = [&](std::size_t line) {
    std::istringstream all(s.out);
    std::string one;
    for (std::size_t i = 0; i < line; ++i) std::getline(all, one);
    return std::stod(one.substr(one.find('\t', one.find('\t') + 1) + 1));
  };
  CHECK(log_p(30) > log_p(1) + 5);
}

TEST_CASE("averaging over all steps begins when dev stops improving, and is resumed to the bit") {
  const LanguageFixture f;
  const std::vector<std::string> more{"--set", "training.average_after=2",   "--set", "training.optimizer=sgd",
                                      "--set", "training.learning_rate=5.0", "--set", "training.epochs=30",
                                      "--set", "training.save_every=2 steps"};
  REQUIRE(f.train("one", more).code == 0);
  Process process(f.arguments("cut", more), f.path(""));
  usleep(150000);
  process.send(SIGKILL);
  process.wait();
  auto again = more;
  again.push_back("--resume");
  REQUIRE(f.train("cut", again).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("cut/model.safetensors"));
  // One kind of average at a time.
  const Outcome both = f.train("both", {"--set", "training.average_after=2", "--set", "training.average_from=1"});
  CHECK(both.code == 2);
  CHECK_THAT(both.err, contains_text("training.average_after: not with training.average_from"));
}

TEST_CASE("an adaptive softmax learns, generates and is loaded as it was saved") {
  const LanguageFixture f;
  const Outcome o = f.train("run", {"--set", "model.cutoffs=[5, 12]"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(f.last_line("run")["metrics"]["nats"].get<double>() < 0.5);
  CHECK(f.mnemo({"inspect", f.path("run/model.safetensors"), "--verify"}).code == 0);
  CHECK_THAT(f.mnemo({"generate", f.path("run/model.safetensors"), "--prompt", "to be or", "--temperature", "0",
                      "--length", "10"})
                 .out,
             contains_text("to be or not to be"));
  const Outcome large = f.train("large", {"--set", "model.cutoffs=[5, 1000]"});
  CHECK(large.code == 1);
  CHECK_THAT(large.err, contains_text("model.cutoffs: expected less than the vocabulary's"));
  CHECK(f.train("bad", {"--set", "model.cutoffs=[5, 3]"}).code == 2);
  CHECK(
      f.train("bad", {"--set", "model.cutoffs=[5]", "--set", "model.tied=true", "--set", "model.embedding=24"}).code ==
      2);
}

TEST_CASE("quantised language models give nearly the same probabilities") {
  const auto& f = trained_language();
  const std::string model = f.path("run/model.safetensors"), out = f.path("small.safetensors");
  const Outcome o = f.mnemo({"quantize", model, "--dev", f.path("train.txt"), "--max-drop", "0.05", "-o", out,
                             "--overwrite", "--format", "json"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const json report = json::parse(o.out);
  CHECK(report["after"]["megabytes"] < report["before"]["megabytes"]);
  CHECK(report["after"]["nats"].get<double>() == Approx(report["before"]["nats"].get<double>()).margin(0.05));
  CHECK(report["before"]["units_per_s"] > 0.0);
  CHECK(f.mnemo({"inspect", out, "--verify"}).code == 0);
  const std::vector<std::string> more{"--prompt", "to be", "--temperature", "0", "--length", "12"};
  const auto generate = [&](const std::string& from) {
    std::vector<std::string> all{"generate", from};
    all.insert(all.end(), more.begin(), more.end());
    return f.mnemo(all).out;
  };
  CHECK(generate(out) == generate(model));
  CHECK(f.mnemo({"evaluate", out, f.path("train.txt"), "--dynamic", "0.1"}).code == 1);
}
