// Every command with its output and exit codes, as a user sees them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "checkpoint/safetensors.h"
#include "tests/cli/fixture.h"
#include "tests/places.h"
#include "text/vocabulary.h"

namespace {

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

// And nothing was answered.
void check_fails_at_once(const Outcome& outcome, int code, const std::string& message) {
  CHECK(outcome.out.empty());
  check_fails(outcome, code, message);
}

std::string model() { return trained().path("run/model.safetensors"); }

}  // namespace

TEST_CASE("help goes to stdout with the examples first, and every command has it") {
  const Fixture f;
  for (const char* command : {"train", "evaluate", "classify", "tag", "quantize", "inspect", "config", "bench"}) {
    const Outcome o = f.mnemo({command, "--help"});
    INFO(command);
    CHECK(o.code == 0);
    CHECK(o.err.empty());
    CHECK_THAT(o.out, contains_text("Examples:"));
    CHECK(o.out.find("Examples:") < o.out.find("Usage:"));
  }
  CHECK(f.mnemo({"--help"}).code == 0);
  const Outcome version = f.mnemo({"--version"});
  CHECK(version.code == 0);
  for (const char* part : {"compiler:", "instruction set:", "matrix products:", "OpenBLAS core", "model format: 1"})
    CHECK_THAT(version.out, contains_text(part));
}

TEST_CASE("usage errors exit with 2 and say what is valid") {
  const Fixture f;
  check_fails_at_once(f.mnemo({}), 2, "a command is missing");
  check_fails_at_once(f.mnemo({"sing"}), 2, "sing");
  check_fails_at_once(f.mnemo({"train"}), 2, "CONFIG.json is missing");
  check_fails_at_once(f.mnemo({"classify", "m", "--top", "none"}), 2, "top");
  check_fails_at_once(f.mnemo({"classify", "m", "--format", "xml"}), 2, "format");
  check_fails_at_once(f.mnemo({"classify", "m", "--threshold", "nan"}), 2,
                      "--threshold: expected a number from 0 to 1, found \"nan\"");
  check_fails_at_once(f.mnemo({"classify", "m", "--threshold", "1.5"}), 2,
                      "--threshold: expected a number from 0 to 1, found \"1.5\"");
  check_fails_at_once(f.mnemo({"bench", "lstm", "--lengths", "9..3"}), 2, "--lengths");
  check_fails_at_once(f.mnemo({"bench", "grue"}), 2, "grue");
  check_fails_at_once(f.mnemo({"bench", "gru", "--projection", "8"}), 2,
                      "--projection: only the plain lstm supports it");
  check_fails_at_once(f.mnemo({"bench", "gru", "--mode", "step", "--bidirectional"}), 2,
                      "--mode step: takes one direction");
  check_fails_at_once(f.mnemo({"bench", "gru", "--self-attention", "8", "--bidirectional"}), 2,
                      "--self-attention: takes one direction, or with both of them all steps");
  check_fails_at_once(f.mnemo({"bench", "gru", "--self-attention", "all", "--mode", "step"}), 2,
                      "--mode step: takes --self-attention with a number of steps, not all");
  for (const char* bad : {"0", "65537", "some", "8 ", "-1"})
    check_fails_at_once(f.mnemo({"bench", "gru", "--self-attention", bad}), 2, ": expected 1 to 65536, or all");
  for (const char* bad : {"2", "2,x3", "2x0", "2x4097", "32x3", "0x3", "2,3x4x5", "2;3x4", "x4"})
    check_fails_at_once(f.mnemo({"bench", "gru", "--convolution", bad}), 2, ": expected WIDTH[,WIDTH]...xFILTERS");
  check_fails_at_once(f.mnemo({"bench", "gru", "--convolution", "2x3", "--mode", "step"}), 2,
                      "--mode step: takes no --convolution");
  check_fails_at_once(f.mnemo({"bench", "lstm", "--mogrifier", "3"}), 2, "--mogrifier 3: expected ROUNDS,RANK");
  check_fails_at_once(f.mnemo({"bench", "lstm", "--mogrifier", "17,8"}), 2, "--mogrifier 17,8: expected ROUNDS,RANK");
  check_fails_at_once(f.mnemo({"bench", "gru", "--mogrifier", "3,8"}), 2, "--mogrifier: only for an lstm");
  check_fails_at_once(f.mnemo({"bench", "rnn", "--layer-norm"}), 2, "--layer-norm: only for the cell lstm");
  check_fails_at_once(f.mnemo({"bench", "lstm", "--target", "MMX"}), 2, "no instruction set 'MMX'");
  check_fails_at_once(f.train("x", {"--resume", "--overwrite"}), 2, "overwrite");
  check_fails_at_once(f.train("x", {"--set", "training.epoch=1"}), 2, "nearest is training.epochs");
}

TEST_CASE("training writes the run's files, learns the data, and prints the next command") {
  const Fixture f;
  const Outcome o = f.train("run");
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK_THAT(o.err, contains_text("next: " + program_path() + " classify " + f.path("run") + "/model.safetensors"));
  const auto log = lines(f.bytes("run/log.jsonl"));
  REQUIRE(log.size() > 12);
  std::set<std::string> kinds;
  for (const auto& line : log) {
    const auto object = nlohmann::json::parse(line);
    kinds.insert(object.at("kind"));
    for (const char* key : {"step", "epoch", "peak_mb"}) CHECK(object.contains(key));
  }
  CHECK(kinds == std::set<std::string>{"train", "eval", "end"});
  const auto end = nlohmann::json::parse(log.back());
  CHECK(end.at("metrics").at("accuracy").get<double>() == 1.0);
  CHECK(end.at("tokens_per_s").get<double>() > 0);
  CHECK_THAT(f.bytes("run/report.html"), contains_text("<!DOCTYPE html>"));

  check_fails_at_once(f.train("run"), 2, "holds a run already");
  const std::string before = f.bytes("run/model.safetensors");
  const Outcome again = f.train("run", {"--resume"});
  CHECK(again.code == 0);
  CHECK_THAT(again.err, contains_text("finished, nothing to do"));
  CHECK(f.bytes("run/model.safetensors") == before);
  CHECK(f.train("run", {"--overwrite"}).code == 0);
  CHECK(f.bytes("run/model.safetensors") == before);
}

TEST_CASE("on a terminal a bar is redrawn and cleared, within its width, and NO_COLOR is respected") {
  const Fixture f;
  // A tenth of a second or more, so that the bar is drawn.
  const auto train = [&](const std::string& name, int columns) {
    return run_on_terminal({"train", f.path("c.json"), "--set", "output.dir=" + f.path(name), "--set",
                            "training.epochs=100", "--set", "model.hidden=64"},
                           f.folder(), columns);
  };
  const Outcome wide = train("wide", 200);
  INFO(wide.err);
  REQUIRE(wide.code == 0);
  CHECK_THAT(wide.err, contains_text("\r\033[K\033[36m") && contains_text("tokens/s  best accuracy") &&
                           contains_text(" left  ") && contains_text("%  epoch "));
  const Outcome narrow = train("narrow", 40);
  REQUIRE(narrow.code == 0);
  CHECK_THAT(narrow.err, contains_text("%  epoch ") && !contains_text("tokens/s  best accuracy"));
  const Outcome tiny = train("tiny", 16);
  REQUIRE(tiny.code == 0);
  CHECK_THAT(tiny.err, contains_text("%  epoch ") && !contains_text("━"));
  setenv("NO_COLOR", "1", 1);
  const Outcome plain = train("plain", 200);
  unsetenv("NO_COLOR");
  CHECK_THAT(plain.err, contains_text("%  epoch ") && !contains_text("\033[36m"));
  CHECK(f.bytes("wide/model.safetensors") == f.bytes("narrow/model.safetensors"));
}

TEST_CASE("a run ends when its minutes are up, and evaluates at intervals of minutes") {
  const Fixture f;
  const Outcome o = f.train("run", {"--set", "training.epochs=1000000", "--set", "training.max_minutes=0.02", "--set",
                                    "training.evaluate_every=0.005 minutes"});
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK_THAT(o.err, contains_text("stopped by training.max_minutes"));
  int evaluations = 0;
  for (const auto& line : lines(f.bytes("run/log.jsonl"))) evaluations += line.find("\"kind\":\"eval\"") < line.size();
  CHECK(evaluations >= 2);
  CHECK(evaluations <= 6);
  CHECK(f.mnemo({"inspect", f.path("run/model.safetensors"), "--verify"}).code == 0);
}

TEST_CASE("the model's bytes depend on the seed, but not on threads or folder") {
  const Fixture f;
  REQUIRE(f.train("one", {"--threads", "1"}).code == 0);
  for (const char* threads : {"2", "3", "7"}) {
    REQUIRE(f.train("other", {"--threads", threads, "--overwrite"}).code == 0);
    INFO(threads << " threads");
    CHECK(f.bytes("other/model.safetensors") == f.bytes("one/model.safetensors"));
  }
  REQUIRE(f.train("seed", {"--set", "training.seed=2"}).code == 0);
  CHECK(f.bytes("seed/model.safetensors") != f.bytes("one/model.safetensors"));
}

TEST_CASE("bad data stops training with file, line and what was expected") {
  const Fixture f;
  const auto with = [&](const std::string& data) {
    write_text(f.path("bad.tsv"), data);
    return f.train("bad", {"--set", "data.train=" + f.path("bad.tsv")});
  };
  check_fails_at_once(with(""), 1, "bad.tsv: train has no records");
  check_fails_at_once(with("pos\ta\tb\nneg\tx\n"), 1, "bad.tsv:2: expected 3 columns");
  check_fails_at_once(with("pos\tgood\nneg\n"), 1, "bad.tsv:2");
  check_fails_at_once(with("pos\t \nneg\t\n"), 1, "bad.tsv: train has no text of at least one unit");
  check_fails_at_once(with("pos\tgood\npos\tfine\n"), 1, "all records have the label \"pos\"");
  check_fails_at_once(with("pos\tgood\nneg\tb\xff"
                           "ad\n"),
                      1, "bad.tsv:2:");
  write_text(f.path("dev2.tsv"), "pos\tfine\nneutral\tso so\n");
  const Outcome unseen = f.train("unseen", {"--set", "data.dev=" + f.path("dev2.tsv")});
  CHECK(unseen.code == 0);
  CHECK_THAT(unseen.err, contains_text("dev: labels that do not occur in train and so count as missed: 1, the first "
                                       "\"neutral\" at " +
                                       f.path("dev2.tsv") + ":2"));
  check_fails_at_once(f.train("bad", {"--set", "data.train=" + f.path("absent")}), 1, "absent: cannot open");
  check_fails_at_once(f.train("bad", {"--set", "data.train=" + f.folder()}), 1, "is a folder");
  check_fails_at_once(f.train("bad", {"--set", "text.pretrained=" + f.path("absent")}), 1, "absent");
  check_fails_at_once(f.train("bad", {"--set", R"(training.class_weight={"maybe": 2})"}), 2,
                      "no label \"maybe\" in train");
  check_fails_at_once(f.train("train.tsv/run"), 1, "train.tsv/run: cannot make the folder");
  check_fails_at_once(f.mnemo({"train", f.path("absent.json")}), 1, "absent.json: cannot open");
  const auto repaired = [&](const std::string& way, const char* how) {
    return f.train("bad", {"--set", "data.train=" + f.path("bad.tsv"), "--set", "data.dev_fraction=0", "--set",
                           "data.dev=[]", "--invalid-utf8", way, how});
  };
  CHECK(repaired("replace", "--quiet").code == 0);
  CHECK(repaired("replace", "--resume").code == 0);
  check_fails_at_once(repaired("skip", "--resume"), 2, "other training data");
}

TEST_CASE("values that are not finite stop training and name the parameter") {
  const Fixture f;
  REQUIRE(f.train("good").code == 0);
  std::string bytes = f.bytes("good/model.safetensors");
  std::uint64_t header = 0;
  memcpy(&header, bytes.data(), 8);
  const float nan = NAN;
  for (std::size_t row = 1; row < 16; ++row) memcpy(bytes.data() + 8 + header + row * 8 * 4, &nan, 4);
  write_text(f.path("nan.safetensors"), bytes);
  const Outcome o = f.train("nan", {"--init-from", f.path("nan.safetensors")});
  CHECK(o.code == 1);
  CHECK_THAT(o.err, contains_text("embedding.weight holds a value that is not finite"));

  // Weights that are finite, but so large that a product overflows: the layer is named.
  const float huge = 3e38f;
  const auto object = nlohmann::json::parse(bytes.substr(8, header));
  const std::size_t at = 8 + header + object.at("output.weight").at("data_offsets").at(0).get<std::size_t>();
  bytes = f.bytes("good/model.safetensors");
  for (std::size_t i = 0; i < 12; ++i) memcpy(bytes.data() + at + 4 * i, &huge, 4);
  write_text(f.path("huge.safetensors"), bytes);
  const Outcome far = f.train("huge", {"--init-from", f.path("huge.safetensors"), "--set", "training.epochs=300",
                                       "--set", "training.learning_rate=900"});
  INFO(far.err);
  CHECK(far.code == 1);
  CHECK_THAT(far.err, contains_text("output"));
  CHECK_THAT(far.err, contains_text("not finite"));
}

TEST_CASE("classify writes one record per line, in order, whatever else is classified") {
  const Fixture& f = trained();
  const std::string text =
      "a fine film\n\nthis awful walk again\nwords never seen\n" + std::string(3000, 'x') + "\na superb soup";
  const Outcome all = f.mnemo({"classify", model()}, text);
  INFO(all.err);
  REQUIRE(all.code == 0);
  const auto records = lines(all.out);
  REQUIRE(records.size() == 6);
  CHECK(records[0].starts_with("pos\t0."));
  CHECK(records[2].starts_with("neg\t0."));
  CHECK(records[5].starts_with("pos\t"));
  const auto inputs = lines(text);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Outcome alone = f.mnemo({"classify", model(), "--threads", i % 2 ? "1" : "3"}, inputs[i] + "\n");
    CHECK(alone.out == records[i] + "\n");
  }
  std::string many;
  for (int i = 0; i < 5000; ++i) many += inputs[(i * 7) % 6] + (i % 3 ? "" : " film") + "\n";
  const auto a = lines(f.mnemo({"classify", model(), "--threads", "1"}, many).out);
  const auto b = lines(f.mnemo({"classify", model(), "--threads", "2"}, many).out);
  REQUIRE(a.size() == 5000);
  CHECK(a == b);
  CHECK(f.mnemo({"classify", model()}, "").out.empty());
}

TEST_CASE("classify reads files, formats and labels as asked") {
  const Fixture& f = trained();
  write_text(f.path("a.txt"), "a fine film\r\n");
  write_text(f.path("b.txt"), "this dull walk again\n");
  const auto two = lines(f.mnemo({"classify", model(), f.path("a.txt"), f.path("b.txt")}).out);
  REQUIRE(two.size() == 2);
  CHECK(two[0].starts_with("pos"));
  CHECK(two[1].starts_with("neg"));
  const auto top = f.mnemo({"classify", model(), "--top", "2"}, "a fine film\n").out;
  CHECK(std::count(top.begin(), top.end(), '\t') == 3);
  const auto object =
      nlohmann::json::parse(f.mnemo({"classify", model(), "--format", "jsonl", "--top", "5"}, "a fine film\n").out);
  REQUIRE(object.at("labels").size() == 2);
  CHECK(object["labels"][0]["label"] == "pos");
  CHECK(object["labels"][0]["probability"].get<double>() + object["labels"][1]["probability"].get<double>() ==
        Approx(1.0));
  CHECK(f.mnemo({"classify", model(), "--threshold", "1"}, "a fine film\n").out == "-\n");
  CHECK(f.mnemo({"classify", model(), "--format-in", "tsv"}, "pos\ta fine film\n").out ==
        f.mnemo({"classify", model()}, "a fine film\n").out);
  CHECK(f.mnemo({"classify", model(), "--format-in", "jsonl"}, "{\"text\": \"a fine film\"}\n").out ==
        f.mnemo({"classify", model()}, "a fine film\n").out);
  CHECK(f.mnemo({"classify", model(), "--raw"}, "a fine film\n").code == 0);

  const Outcome bad = f.mnemo({"classify", model()}, "a fine film\nb\xff\n");
  CHECK(bad.code == 1);
  CHECK(lines(bad.out).size() == 1);
  CHECK_THAT(bad.err, contains_text("standard input:2:2"));
  CHECK(lines(f.mnemo({"classify", model(), "--invalid-utf8", "skip"}, "a fine film\nb\xff\n").out).size() == 2);
  check_fails_at_once(f.mnemo({"classify", f.path("absent")}), 1, "absent: cannot open");
  check_fails_at_once(f.mnemo({"classify", f.path("train.tsv")}), 1, "train.tsv");
  check_fails_at_once(f.mnemo({"classify", f.path("run/resume.safetensors")}), 1, "the state of a run");
  check_fails_at_once(f.mnemo({"classify", model(), f.path("absent")}), 1, "absent");
}

TEST_CASE("a pipe that pauses gets its answers at once") {
  const Fixture& f = trained();
  int in[2], out[2];
  REQUIRE(pipe(in) == 0);
  REQUIRE(pipe(out) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    for (int end : {in[0], in[1], out[0], out[1]}) close(end);
    const std::string path = model();
    execl(program_path().c_str(), program_path().c_str(), "classify", path.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  for (const char* line : {"a fine film\n", "this stale soup again\n"}) {
    REQUIRE(write(in[1], line, strlen(line)) == static_cast<ssize_t>(strlen(line)));
    pollfd ready{out[0], POLLIN, 0};
    REQUIRE(poll(&ready, 1, 60000) == 1);
    char answer[64];
    const ssize_t got = read(out[0], answer, sizeof(answer));
    REQUIRE(got > 0);
    CHECK(answer[got - 1] == '\n');
  }
  close(in[1]);
  close(out[0]);
  waitpid(pid, nullptr, 0);
  (void)f;
}

TEST_CASE("classify and evaluate --with: the mean of the probabilities of models of the same labels") {
  const Fixture& f = trained();
  const Outcome trained_other =
      f.train("with-other", {"--set", "training.seed=7", "--set", "model.hidden=5", "--set", "training.epochs=3"});
  INFO(trained_other.err);
  REQUIRE(trained_other.code == 0);
  const std::string other = f.path("with-other/model.safetensors"), texts = "a fine song\nstale soup\n\n";
  using nlohmann::json;
  const auto probabilities = [&](const std::vector<std::string>& models) {
    std::vector<std::string> arguments{"classify", models[0], "-k", "2", "-f", "jsonl"};
    for (std::size_t m = 1; m < models.size(); ++m) arguments.insert(arguments.end(), {"--with", models[m]});
    const Outcome o = f.mnemo(arguments, texts);
    INFO(o.err);
    REQUIRE(o.code == 0);
    std::vector<std::map<std::string, double>> out;
    std::istringstream in(o.out);
    for (std::string line; std::getline(in, line);) {
      out.emplace_back();
      const json answer = json::parse(line);
      for (const json& one : answer["labels"])
        out.back()[one["label"].get<std::string>()] = one["probability"].get<double>();
    }
    REQUIRE(out.size() == 3);
    return out;
  };
  const auto one = probabilities({model()}), two = probabilities({other}), both = probabilities({model(), other}),
             turned_round = probabilities({other, model()}), twice = probabilities({model(), model()});
  CHECK(one != two);
  CHECK(twice == one);
  for (std::size_t i = 0; i < both.size(); ++i)
    for (const auto& [label, p] : both[i]) {
      CHECK(p == Approx((one[i].at(label) + two[i].at(label)) / 2).margin(1e-6));
      CHECK(turned_round[i].at(label) == Approx(p).margin(1e-6));
    }
  const auto loss = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"evaluate", model(), f.path("dev.tsv"), "-f", "json"});
    const Outcome o = f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    const json report = json::parse(o.out);
    CHECK((report["model"] == model()) == (more.size() == 5));
    return report["metrics"]["log_loss"].get<double>();
  };
  CHECK(loss({"--with", model()}) == loss({}));
  CHECK(loss({"--with", other}) > loss({}));
  CHECK(f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--with", other, "--compare", other, "--report",
                 f.path("with.html")})
            .code == 0);
  write_text(f.path("third.tsv"), tiny_data() + "odd\ta strange walk\n");
  REQUIRE(f.train("with-third", {"--set", "data.train=third.tsv", "--set", "training.epochs=1"}).code == 0);
  const std::string third = f.path("with-third/model.safetensors");
  for (const auto& [first, second] : {std::pair{model(), third}, {third, model()}}) {
    const Outcome classified = f.mnemo({"classify", first, "--with", second}, texts);
    check_fails_at_once(classified, 1, "its label odd is not one of");
    CHECK(f.mnemo({"evaluate", first, f.path("dev.tsv"), "--with", second}).code == 1);
  }
  CHECK(f.mnemo({"classify", model(), "--with", other, "--explain"}, texts).code == 2);
}

TEST_CASE("evaluate: text, JSON with stable keys, baselines, comparison, page, and the exit code of --min") {
  const Fixture& f = trained();
  const Outcome text =
      f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--train", f.path("train.tsv"), "--report", f.path("r.html")});
  INFO(text.err);
  REQUIRE(text.code == 0);
  for (const char* part : {"accuracy 1.0000, 95% interval", "majority class", "n-grams + logistic regression", "macro"})
    CHECK_THAT(text.out, contains_text(part));
  const std::string page = f.bytes("r.html");
  for (const char* part : {"<!DOCTYPE html>", "<svg", "Loss"}) CHECK_THAT(page, contains_text(part));
  CHECK(page.find("http://") == std::string::npos);
  const auto json = nlohmann::json::parse(f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--format", "json",
                                                   "--train", f.path("train.tsv"), "--compare", model()})
                                              .out);
  for (const char* key :
       {"model", "data", "records", "metrics", "interval", "baselines", "per_class", "confusion", "comparison"})
    CHECK(json.contains(key));
  CHECK(json["records"] == 4);
  CHECK(json["metrics"]["accuracy"] == 1.0);
  for (const char* key : {"macro_f1", "log_loss", "ece", "auc"}) CHECK(json["metrics"].contains(key));
  CHECK(json["comparison"]["p_value"] == 1.0);
  CHECK(f.mnemo({"evaluate", model(), "-", "--format", "json"}, f.bytes("dev.tsv")).code == 0);

  CHECK(f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--min", "accuracy=0.9"}).code == 0);
  const Outcome missed =
      f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--min", "accuracy=0.9", "--min", "log_loss=1e-9"});
  CHECK(missed.code == 3);
  CHECK_THAT(missed.err, contains_text("--min log_loss"));
  check_fails_at_once(f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--min", "accuracy"}), 2,
                      "expected metric=value");
  check_fails_at_once(f.mnemo({"evaluate", model(), f.path("dev.tsv"), "--min", "beauty=1"}), 2, "beauty");
  write_text(f.path("other.tsv"), "pos\ta\nmaybe\tb\n");
  const Outcome unseen = f.mnemo({"evaluate", model(), f.path("other.tsv"), "--format", "json"});
  CHECK(unseen.code == 0);
  CHECK_THAT(unseen.err, contains_text("count as missed: 1, the first \"maybe\" at " + f.path("other.tsv") + ":2"));
  const auto with_unseen = nlohmann::json::parse(unseen.out);
  CHECK(with_unseen["metrics"]["accuracy"].get<double>() <= 0.5);
  bool listed = false;
  for (const auto& row : with_unseen["per_class"])
    listed = listed || (row["label"] == "maybe" && row["support"] == 1 && row["recall"] == 0.0);
  CHECK(listed);
}

TEST_CASE("inspect shows and verifies a model, and detects a changed weight") {
  const Fixture& f = trained();
  const Outcome text = f.mnemo({"inspect", model()});
  CHECK(text.code == 0);
  for (const char* part : {"rnn.weight_hh_l0_reverse", "provenance", "configuration", "temperature"})
    CHECK_THAT(text.out, contains_text(part));
  CHECK(nlohmann::json::parse(f.mnemo({"inspect", model(), "--format", "json"}).out).at("labels") ==
        nlohmann::json::array({"neg", "pos"}));
  const Outcome good = f.mnemo({"inspect", model(), "--verify"});
  CHECK(good.code == 0);
  CHECK_THAT(good.out, contains_text("verified"));
  std::string bytes = f.bytes("run/model.safetensors");
  std::uint64_t header = 0;
  memcpy(&header, bytes.data(), 8);
  const float changed = 3.0f;
  memcpy(bytes.data() + 8 + header + 64, &changed, 4);
  write_text(f.path("changed.safetensors"), bytes);
  check_fails_at_once(f.mnemo({"inspect", f.path("changed.safetensors"), "--verify"}), 1, "not verified");
  check_fails_at_once(trained().mnemo({"inspect", "/dev/zero"}), 1, "/dev/zero: expected a file, found a device");
}

TEST_CASE("config check, print, schema and explain") {
  const Fixture f;
  CHECK(f.mnemo({"config", "check", f.path("c.json")}).out == f.path("c.json") + ": valid\n");
  check_fails_at_once(f.mnemo({"config", "check", f.path("c.json"), "--set", "model.hiden=3"}), 2,
                      "nearest is model.hidden");
  const auto printed =
      nlohmann::json::parse(f.mnemo({"config", "print", f.path("c.json"), "--set", "training.epochs=3"}).out);
  CHECK(printed["training"]["epochs"] == 3);
  CHECK(printed["model"]["hidden"] == 6);
  CHECK(nlohmann::json::parse(f.mnemo({"config", "schema"}).out).at("type") == "object");
  CHECK_THAT(f.mnemo({"config", "explain", "training.epochs"}).out, contains_text("training.epochs"));
  check_fails_at_once(f.mnemo({"config", "explain", "epochs"}), 2, "nearest is training.epochs");
}

TEST_CASE("a dry run describes the data and writes nothing") {
  const Fixture f;
  write_text(f.path("dev.tsv"), "pos\ta fine film\nneg\tunheard of\n");
  const Outcome o = f.train("dry", {"--dry-run"});
  CHECK(o.code == 0);
  for (const char* part :
       {"labels in train: neg 20, pos 20", "repeated in train: none", "dev texts that occur in train: 1, first",
        "unknown units", "parameters:", "estimated:", "median"})
    CHECK_THAT(o.out, contains_text(part));
  CHECK(access(f.path("dry").c_str(), F_OK) != 0);
}

TEST_CASE("labels with blanks are in quotes in lists and tables") {
  const Fixture f;
  std::string texts;
  for (int i = 0; i < 4; ++i) texts += "New York\ta fine film\nYork\tdull soup\na 4\twarm song\n";
  write_text(f.path("train.tsv"), texts);
  write_text(f.path("dev.tsv"), texts);
  const Outcome trained = f.train("blanks", {"--set", "training.epochs=1"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err, contains_text("labels in train: \"New York\" 4, York 4, \"a 4\" 4"));
  const Outcome measured = f.mnemo({"evaluate", f.path("blanks/model.safetensors"), f.path("dev.tsv")});
  CHECK_THAT(measured.out, contains_text("\n\"New York\" "));
  CHECK_THAT(measured.out, contains_text(" \"New York\"        York       \"a 4\"\n"));
  check_fails_at_once(f.train("never", {"--set", R"(training.class_weight={"Boston": 2})"}), 2,
                      R"(no label "Boston" in train, which has "New York", York, "a 4")");
}

TEST_CASE("the data of a configuration that is a stream are relative to the working folder") {
  const Fixture f;
  const std::string script =
      "cd '" + f.folder() + "' && cat c.json | '" + program_path() + "' train /dev/stdin --dry-run > out 2> err";
  const int code = std::system(script.c_str());
  INFO(f.bytes("err"));
  CHECK(code == 0);
  CHECK_THAT(f.bytes("out"), contains_text("labels in train: neg 20, pos 20"));
}

TEST_CASE("cross-validation prints each fold, mean and spread") {
  const Fixture f;
  const Outcome o = f.train("folds", {"--folds", "3", "--set", "training.epochs=2"});
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK(lines(o.out).size() == 4);
  CHECK_THAT(o.out, contains_text("fold 3 of 3: accuracy"));
  CHECK_THAT(o.out, contains_text("standard deviation"));
  check_fails_at_once(f.train("folds", {"--folds", "3"}), 2, "fold-1: holds a run already");
  check_fails_at_once(f.train("folds", {"--folds", "2", "--init-from", "m"}), 2, "--init-from");
  const Outcome small =
      f.train("folds", {"--folds", "20", "--overwrite", "--set", "training.early_stopping.metric=auc"});
  CHECK(small.code == 0);
  CHECK_THAT(small.out, contains_text("auc is not defined on it"));
  CHECK_THAT(small.out, contains_text("on which it is defined"));
}

TEST_CASE("nothing old is lost before a new run can begin") {
  const Fixture f;
  REQUIRE(f.train("run").code == 0);
  const std::string before = f.bytes("run/model.safetensors");
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"--init-from", f.path("absent")}, {"--set", "text.pretrained=" + f.path("absent")}}) {
    std::vector<std::string> arguments{"--overwrite"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    CHECK(f.train("run", arguments).code == 1);
    CHECK(f.bytes("run/model.safetensors") == before);
  }
  CHECK(f.train("run", {"--folds", "2", "--overwrite", "--set", "training.epochs=1"}).code == 0);
  CHECK(f.bytes("run/model.safetensors") == before);
  const Outcome again = f.train("run", {"--overwrite", "--init-from", f.path("run/model.safetensors")});
  INFO(again.err);
  CHECK(again.code == 0);
}

TEST_CASE("every command that prints notices a full device") {
  const Fixture& f = trained();
  if (access("/dev/full", W_OK) != 0) {
    WARN("skipped: no /dev/full here");
    return;
  }
  const std::vector<std::vector<std::string>> commands{{"--version"},
                                                       {"train", "--help"},
                                                       {"config", "explain"},
                                                       {"inspect", model()},
                                                       {"classify", model(), f.path("dev.tsv")},
                                                       {"evaluate", model(), f.path("dev.tsv")}};
  for (const auto& command : commands) {
    const Outcome o = run_into("/dev/full", command, f.folder());
    INFO(command.front());
    CHECK(o.code == 1);
    CHECK_THAT(o.err, contains_text("standard output: cannot write"));
  }
}

TEST_CASE("pretrained vectors of all words are saved in the model, and training options are accepted") {
  const Fixture f;
  write_text(f.path("v.txt"), "fine 1 0 0 0\n<unk> 0 0 0 1\nbrilliant 1 0 0 0.1\nodd 1 2\ndull 0 1 0 0\n");
  const Outcome o = f.train("run", {"--set", "text.pretrained=" + f.path("v.txt"),
                                    "--set", "text.pretrained_vocabulary=all",
                                    "--set", "text.ngrams.char_min=2",
                                    "--set", "text.ngrams.char_max=3",
                                    "--set", "text.ngrams.buckets=50",
                                    "--set", "training.batch_tokens=20",
                                    "--set", "training.average_from=3",
                                    "--set", "training.label_smoothing=0.1",
                                    "--set", "training.early_stopping.patience=2",
                                    "--set", "training.class_weight=balanced",
                                    "--set", "data.test=dev.tsv"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("1 unusable, first"));
  CHECK_THAT(o.err, contains_text("stopped early"));
  const std::string path = f.path("run/model.safetensors");
  CHECK(f.mnemo({"inspect", path, "--verify"}).code == 0);
  CHECK_THAT(f.mnemo({"inspect", path}).out, contains_text("embedding.frozen"));
  CHECK(f.mnemo({"classify", path}, "brilliant\n").out != f.mnemo({"classify", path}, "unheard\n").out);

  // Started from it with a learning rate of 0 and no averaging, a run keeps the rows of n-grams, too.
  const Outcome same = f.train(
      "same", {"--init-from", path, "--set", "text.ngrams.char_min=2", "--set", "text.ngrams.char_max=3", "--set",
               "text.ngrams.buckets=50", "--set", "model.embedding=4", "--set", "training.learning_rate=0"});
  REQUIRE(same.code == 0);
  const auto raw = [&](const std::string& model_file) {
    return f.mnemo({"classify", model_file, "--raw"}, "a fine film\n").out;
  };
  CHECK(raw(f.path("same/model.safetensors")) == raw(path));
}

TEST_CASE("every cell and its options: trained, loaded, the same for any threads, continued") {
  const Fixture f;
  const std::vector<std::vector<std::string>> variants{
      {"cell=gru"},
      {"cell=gru", "reset_after=false"},
      {"cell=rnn"},
      {"cell=rnn", "activation=relu"},
      {"cell=peephole_lstm"},
      {"cell=cifg_lstm"},
      {"cell=capped_lstm"},
      {"cell=min_lstm"},
      {"cell=min_gru"},
      {"cell=sru"},
      {"layer_norm=true"},
      {"projection=7"},
      {"mogrifier.rounds=4", "mogrifier.rank=5", "cell=capped_lstm"},
      {"self_attention.layer=1", "self_attention.feed_forward=30"},
      {"residual=highway", "learned_initial=true"},
      {"cell=gru", "residual=add", "zoneout_h=0.1", "state_dropout=0.1", "weight_dropout=0.1"}};
  for (const auto& variant : variants) {
    // A vocabulary of a few words beside many units: the file holds little more than the recurrent layers.
    std::vector<std::string> sets{"--set", "model.hidden=70", "--set", "model.layers=2", "--set", "training.epochs=4"};
    std::string name;
    for (const std::string& set : variant) {
      sets.insert(sets.end(), {"--set", "model." + set});
      name += set + " ";
    }
    INFO(name);
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), sets.begin(), sets.end());
      return more;
    };
    const Outcome o = f.train(name, with({"--threads", "1"}));
    INFO(o.err);
    REQUIRE(o.code == 0);
    const std::string model_file = name + "/model.safetensors";
    CHECK(f.mnemo({"inspect", f.path(model_file), "--verify"}).code == 0);
    CHECK(f.mnemo({"classify", f.path(model_file)}, "a fine film\n").code == 0);
    REQUIRE(f.train(name + "3", with({"--threads", "3"})).code == 0);
    CHECK(f.bytes(name + "3/model.safetensors") == f.bytes(model_file));
    CHECK(f.train(name + "again", with({"--init-from", f.path(model_file)})).code == 0);
  }
  check_fails_at_once(f.train("mixed", {"--init-from", f.path("cell=gru /model.safetensors"), "--set",
                                        "model.hidden=70", "--set", "model.layers=2", "--set", "model.cell=cifg_lstm"}),
                      1, "model.cell is \"cifg_lstm\", the model's is \"gru\"");
}

TEST_CASE("conflicts between keys of the model section are listed with the other errors") {
  const Fixture f;
  write_text(f.path("bad.json"), R"({"model": {"cell": "gru", "reset_after": false, "projection": 40, "zoneout_c": 0.1,
    "layer_norm": true, "state_dropout": 0.1}, "training": {"optimizer": "sgd", "weight_decay": 5, "learning_rate": 1}})");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"config", "check"}, {"config", "print"}, {"train"}}) {
    auto arguments = command;
    arguments.push_back(f.path("bad.json"));
    const Outcome o = f.mnemo(arguments);
    CHECK(o.code == 2);
    for (const char* key :
         {"model.projection", "model.zoneout_c", "model.layer_norm", "model.state_dropout", "training.weight_decay"})
      CHECK_THAT(o.err, contains_text(key));
  }
}

TEST_CASE("vectors that are not tuned stay as they are, while other rows are trained") {
  const Fixture f;
  write_text(f.path("v.txt"), "fine 1 0 0 0\ndull 0 1 0 0\n");
  for (const char* tune : {"false", "true"}) {
    const std::string name = std::string("tune-") + tune;
    REQUIRE(f.train(name, {"--set", "text.pretrained=" + f.path("v.txt"), "--set",
                           std::string("text.pretrained_tune=") + tune, "--set", "text.ngrams.char_min=2", "--set",
                           "text.ngrams.char_max=3", "--set", "text.ngrams.buckets=50"})
                .code == 0);
    const auto file = mnemo::SafetensorsFile::read(f.path(name + "/model.safetensors"));
    const auto table = file.find("embedding.weight")->floats();
    const int at = mnemo::Vocabulary::parse(file.find("vocabulary")->text()).find("fine");
    REQUIRE(at > 0);
    const std::vector<float> fine(table.begin() + 4 * at, table.begin() + 4 * at + 4);
    CHECK((fine == std::vector<float>{1, 0, 0, 0}) == (tune == std::string("false")));
    // n-grams are initialised to zero; training changes them.
    const std::vector<float> ngrams(table.end() - 50 * 4, table.end());
    CHECK(std::count(ngrams.begin(), ngrams.end(), 0.0f) < 100);
  }
}

TEST_CASE("a label of which all records are held out of train is still a label") {
  const Fixture f;
  write_text(f.path("rare.tsv"), tiny_data() + "odd\ta strange walk\n");
  for (int seed = 1; seed <= 8; ++seed) {
    const Outcome o = f.train("rare", {"--overwrite", "--set", "data.train=rare.tsv", "--set", "data.dev=[]", "--set",
                                       "data.dev_fraction=0.5", "--set", "training.epochs=1", "--set",
                                       "data.dev_seed=" + std::to_string(seed)});
    INFO(o.err);
    CHECK(o.code == 0);
  }
}

TEST_CASE("a weight decay that would reverse the sign of weights is refused") {
  const Fixture f;
  check_fails_at_once(f.train("decay", {"--set", "training.optimizer=adamw", "--set", "training.weight_decay=10",
                                        "--set", "training.learning_rate=0.11"}),
                      2, "training.weight_decay");
}

TEST_CASE("a new run can start from an old one's weights, also with more words and labels") {
  const Fixture f;
  REQUIRE(f.train("old").code == 0);
  const Outcome same = f.train("same", {"--init-from", f.path("old/model.safetensors"), "--set", "training.epochs=1"});
  INFO(same.err);
  CHECK(same.code == 0);
  CHECK_THAT(same.err, contains_text("2 layers carried over, and 2 of 2 outputs"));
  CHECK_THAT(same.err, contains_text("best on dev at step 5: accuracy 1.0000"));
  check_fails_at_once(f.train("other", {"--init-from", f.path("old/model.safetensors"), "--set", "model.hidden=7"}), 1,
                      "its weights do not fit");
}

TEST_CASE("quantize writes a model of lower precision that answers as before, and reports gains and losses") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), dev = f.path("dev.tsv");
  const std::string before = f.mnemo({"classify", model, f.path("train.tsv"), "--format-in", "tsv"}).out;
  const auto label_of = [](const std::string& record) { return record.substr(0, record.find('\t')); };
  for (const std::string precision : {"int8", "bfloat16"}) {
    INFO(precision);
    const std::string out = f.path(precision + ".safetensors");
    const Outcome o =
        f.mnemo({"quantize", model, "--dev", dev, "--precision", precision, "-o", out, "--format", "json"});
    INFO(o.err);
    REQUIRE(o.code == 0);
    const auto report = nlohmann::json::parse(o.out);
    CHECK(report["after"]["megabytes"] < report["before"]["megabytes"]);
    CHECK(report["after"]["accuracy"] == 1.0);
    CHECK(report["before"]["texts_per_s"] > 0.0);
    CHECK(f.mnemo({"inspect", out, "--verify"}).code == 0);
    const auto shown = nlohmann::json::parse(f.mnemo({"inspect", out, "--format", "json"}).out);
    CHECK(shown["precision"] == precision);
    CHECK(shown["parameters"] ==
          nlohmann::json::parse(f.mnemo({"inspect", model, "--format", "json"}).out)["parameters"]);
    const auto now = lines(f.mnemo({"classify", out, f.path("train.tsv"), "--format-in", "tsv"}).out);
    const auto then = lines(before);
    REQUIRE(now.size() == then.size());
    for (std::size_t i = 0; i < now.size(); ++i) CHECK(label_of(now[i]) == label_of(then[i]));
    CHECK_FALSE(now == then);
    check_fails_at_once(f.mnemo({"quantize", model, "--dev", dev, "-o", out}), 1, "exists already");
    CHECK(f.mnemo({"quantize", model, "--dev", dev, "--precision", precision, "-o", out, "--overwrite"}).code == 0);
    check_fails_at_once(f.mnemo({"quantize", out, "--dev", dev, "-o", f.path("twice")}), 1,
                        "start from the float32 model");
  }
  check_fails_at_once(f.mnemo({"quantize", model, "--dev", dev, "-o", f.path("refused"), "--max-drop", "-0.5"}), 1,
                      "--max-drop allows -0.5");
  CHECK_FALSE(std::filesystem::exists(f.path("refused")));
  check_fails_at_once(f.mnemo({"quantize", model, "-o", f.path("refused")}), 2, "--dev");
  check_fails_at_once(f.mnemo({"quantize", model, "--dev", dev, "-o", ""}), 2, "expected a file");
  check_fails_at_once(f.mnemo({"quantize", model, "--dev", dev, "-o", f.path("refused"), "--max-drop", "nan"}), 2,
                      "--max-drop");
}

TEST_CASE("a damaged model of lower precision is refused with the reason") {
  const Fixture& f = trained();
  const std::string good = f.path("good.safetensors"), bad = f.path("bad.safetensors");
  REQUIRE(f.mnemo({"quantize", f.path("run/model.safetensors"), "--dev", f.path("dev.tsv"), "-o", good}).code == 0);
  const auto damaged = [&](const std::string& what, const std::string& by) {
    std::string bytes = Process::text(good);
    const std::size_t at = bytes.find(what);
    REQUIRE(at != std::string::npos);
    write_text(bad, bytes.replace(at, what.size(), by));
    return f.mnemo({"classify", bad}, "a fine song\n");
  };
  check_fails_at_once(damaged("embedding.weight.scale\"", "embedding.weight.scalf\""), 1,
                      "embedding.weight.scale is missing");
  check_fails_at_once(damaged("\"precision\":\"int8\"", "\"precision\":\"int9\""), 1, "this program knows float32");
  check_fails_at_once(damaged("\"dtype\":\"I8\"", "\"dtype\":\"U8\""), 1, "expected I8");
  check_fails_at_once(damaged("\"precision\":\"int8\"", "\"precisioz\":\"int8\""), 1,
                      "damaged model: the tensors are smaller than the sizes");
}

TEST_CASE("training in bfloat16: the same bytes for any threads, or refused with the reason") {
  const Fixture f;
  const std::vector<std::string> narrow{"--set", "training.precision=bfloat16"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), narrow.begin(), narrow.end());
    return more;
  };
  const Outcome first = f.train("one", with({"--threads", "1"}));
  if (first.code == 2) {
    check_fails_at_once(first, 2, "no bfloat16 products");
    WARN("skipped: " << first.err);
    return;
  }
  INFO(first.err);
  REQUIRE(first.code == 0);
  REQUIRE(f.train("two", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("two/model.safetensors"));
  REQUIRE(f.train("float").code == 0);
  CHECK(f.bytes("one/model.safetensors") != f.bytes("float/model.safetensors"));
  CHECK_THAT(f.mnemo({"evaluate", f.path("one/model.safetensors"), f.path("dev.tsv")}).out,
             contains_text("accuracy 1.0000"));
}

TEST_CASE("bench takes precisions where they are defined") {
  const Fixture f;
  const auto bench = [&](const std::string& mode, const std::string& precision) {
    return f.mnemo({"bench", "gru", "--batch", "2", "--steps", "3", "--input", "4", "--hidden", "5", "--repeat", "2",
                    "--mode", mode, "--precision", precision, "--format", "json"});
  };
  for (const std::string mode : {"infer", "step"})
    for (const std::string precision : {"float32", "bfloat16", "int8"}) {
      const Outcome o = bench(mode, precision);
      INFO(o.err);
      REQUIRE(o.code == 0);
      CHECK(nlohmann::json::parse(o.out)["precision"] == precision);
    }
  check_fails_at_once(bench("train", "int8"), 2, "only in the modes infer and step");
}

TEST_CASE("bench counts the operations of the products, and reports what was run") {
  const Fixture f;
  const auto bench = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"bench", "--batch",  "3", "--input",  "4",   "--hidden",
                                       "5",     "--repeat", "2", "--format", "json"};
    arguments.insert(arguments.begin() + 1, more.begin(), more.end());
    const Outcome o = f.mnemo(arguments);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return nlohmann::json::parse(o.out);
  };
  const auto operations = [](const nlohmann::json& j) {
    return j["gflops"].get<double>() * j["median_ms"].get<double>() * 1e6;
  };
  const auto tokens = [](const nlohmann::json& j) {
    return j["tokens_per_s"].get<double>() * j["median_ms"].get<double>() * 1e-3;
  };
  // 2 G H (I + H) per token, three times that in training.
  const auto gru = bench({"gru", "--steps", "2"});
  CHECK(tokens(gru) == Approx(6));
  CHECK(operations(gru) == Approx(6 * 3 * 2.0 * 3 * 5 * (4 + 5)));
  CHECK(gru["reset_after"] == true);
  CHECK(gru["repeat"] == 2);
  const auto both = bench({"lstm", "--lengths", "1..5", "--bidirectional", "--layers", "2", "--mode", "infer"});
  CHECK(tokens(both) == Approx(1 + 3 + 5));
  CHECK(operations(both) == Approx(9 * 2 * (2.0 * 4 * 5 * (4 + 5) + 2.0 * 4 * 5 * (10 + 5))));
  // A cell whose gates do not see the state has only the input's product.
  CHECK(operations(bench({"min_lstm", "--steps", "1", "--mode", "infer"})) == Approx(3 * 2.0 * 3 * 5 * 4));
  // A mogrifier: 2 K (I + H) for each round.
  const auto gated = bench({"lstm", "--steps", "2", "--mogrifier", "3,2"});
  CHECK(operations(gated) == Approx(6 * 3 * (2.0 * 4 * 5 * (4 + 5) + 3 * 2.0 * 2 * (4 + 5))));
  CHECK(gated["mogrifier"] == "3,2");
  CHECK(operations(bench({"lstm", "--mogrifier", "3,2", "--mode", "step"})) ==
        Approx(3 * (2.0 * 4 * 5 * (4 + 5) + 3 * 2.0 * 2 * (4 + 5))));
  // Self-attention: 2 H^2 for a query, and 4 H for each step that is seen, here 1 + 2 + 3 + 3 of four, and 1 + 2 + 3.
  const auto attending = bench({"gru", "--steps", "4", "--self-attention", "2"});
  CHECK(operations(attending) == Approx(3 * (12 * (2.0 * 3 * 5 * 9 + 2.0 * 5 * 5) + 3 * 4.0 * 5 * 9)));
  CHECK(attending["self_attention"] == 2);
  const auto few = bench({"gru", "--steps", "3", "--self-attention", "9", "--mode", "infer"});
  CHECK(operations(few) == Approx(9 * (2.0 * 3 * 5 * 9 + 2.0 * 5 * 5) + 3 * 4.0 * 5 * 6));
  const auto one = bench({"gru", "--self-attention", "9", "--mode", "step"});
  CHECK(operations(one) == Approx(3 * (2.0 * 3 * 5 * 9 + 2.0 * 5 * 5 + 4.0 * 5 * 10)));
  // Without a bound each of a sequence's 1, 3 or 5 steps sees all of them; both directions have 2 H outputs.
  const auto whole = bench({"gru", "--lengths", "1..5", "--bidirectional", "--self-attention", "all"});
  CHECK(operations(whole) ==
        Approx(3 * (9 * (2 * 2.0 * 3 * 5 * 9 + 2.0 * 10 * 10) + 4.0 * 10 * (1 * 1 + 3 * 3 + 5 * 5))));
  CHECK(whole["self_attention"] == "all");
  // Convolutions: 2 F w I for each width.
  for (const std::string precision : {"float32", "int8"}) {
    const auto local =
        bench({"gru", "--steps", "4", "--convolution", "2,3x7", "--mode", "infer", "--precision", precision});
    CHECK(operations(local) == Approx(12 * (2.0 * 3 * 5 * 9 + 2.0 * 7 * (2 + 3) * 4)));
    CHECK(local["convolution"] == "2,3x7");
  }
  CHECK(operations(bench({"gru", "--steps", "4", "--convolution", "2x7"})) ==
        Approx(3 * 12 * (2.0 * 3 * 5 * 9 + 2.0 * 7 * 2 * 4)));
  // Threads that share cores share their peak: that of 16 threads is not eight times that of two.
  const auto peak = [&](const char* threads) {
    return bench({"lstm", "--steps", "1", "--mode", "infer", "--threads", threads})["peak_gflops"].get<double>();
  };
  if (std::thread::hardware_concurrency() <= 4) CHECK(peak("32") < 8 * peak("2"));
  // A step runs on one thread.
  const auto step = bench({"rnn", "--activation", "relu", "--mode", "step", "--precision", "int8"});
  CHECK(step["threads"] == 1);
  CHECK(step["activation"] == "relu");
  CHECK(step["weight_gbytes_per_s"].get<double>() * step["median_ms"].get<double>() * 1e6 == Approx(5.0 * (4 + 5)));
}

TEST_CASE("several labels per text") {
  const Fixture f;
  std::string data;
  for (int i = 0; i < 30; ++i) {
    data += R"({"text": "goal match team", "labels": ["sport"]})"
            "\n";
    data += R"({"text": "vote law team", "labels": ["sport", "politics"]})"
            "\n";
    data += R"({"text": "vote law", "labels": ["politics"]})"
            "\n";
    data += R"({"text": "nothing much", "labels": []})"
            "\n";
  }
  write_text(f.path("multi.jsonl"), data);
  const Outcome o =
      f.train("multi", {"--set", "data.train=" + f.path("multi.jsonl"), "--set", "data.dev=" + f.path("multi.jsonl"),
                        "--set", "data.format=jsonl", "--set", "data.label=labels", "--set", "data.multi_label=true",
                        "--set", "training.early_stopping.metric=micro_f1"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto records =
      lines(f.mnemo({"classify", f.path("multi/model.safetensors")}, "vote law team\nnothing much\n").out);
  REQUIRE(records.size() == 2);
  CHECK_THAT(records[0], contains_text("sport"));
  CHECK_THAT(records[0], contains_text("politics"));
  CHECK(records[1] == "-");
}

TEST_CASE("JSON that is too large for the memory ends with a message, and a device is not a configuration") {
  const Fixture& f = trained();
  std::string line = R"({"text": "a", "z": [)";
  for (int i = 0; i < 300000; ++i) line += "[1],";
  write_text(f.path("big.jsonl"), line + "0]}\n");
  const Outcome read =
      f.mnemo({"classify", f.path("run/model.safetensors"), f.path("big.jsonl"), "--format-in", "jsonl"});
  INFO(read.err);
  CHECK(read.code == 0);
  std::string many = R"({"text": "a", "z": [)";
  for (int i = 0; i < 2000000; ++i) many += "0,";
  const Outcome refused =
      f.mnemo({"classify", f.path("run/model.safetensors"), "--format-in", "jsonl"}, many + "0]}\n");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, contains_text("standard input:1: JSON with more than 2000000 values"));
  CHECK_THAT(f.mnemo({"train", "/dev/zero"}).err,
             contains_text("/dev/zero: expected a configuration file, found a device"));
}
