// Files that are not the program's own, hostile input, and systems that refuse a request.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/cli/fixture.h"

namespace {

// Whether a terminal would print the text and nothing else.
bool harmless(const std::string& text) {
  const auto obeyed = [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') || c == 127;
  };
  return std::none_of(text.begin(), text.end(), obeyed) && text.find("\u202e") == std::string::npos &&
         text.find("\u009b") == std::string::npos;
}

// The model file with its header changed.
void change_header(const std::string& from, const std::string& to, const std::function<void(nlohmann::json&)>& change) {
  const std::string bytes = Process::text(from);
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  const std::string tensors = bytes.substr(8 + size);
  nlohmann::json header = nlohmann::json::parse(bytes.substr(8, size));
  change(header);
  std::string text = header.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  size = text.size();
  write_text(to, std::string(reinterpret_cast<const char*>(&size), 8) + text + tensors);
}

// The model file with every float32 weight at the largest finite value.
void make_weights_huge(const std::string& from, const std::string& to) {
  std::string bytes = Process::text(from);
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, size));
  const float huge = 3e38f;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__" || tensor["dtype"] != "F32") continue;
    for (std::size_t at = tensor["data_offsets"][0]; at < tensor["data_offsets"][1]; at += sizeof huge)
      std::memcpy(bytes.data() + 8 + size + at, &huge, sizeof huge);
  }
  write_text(to, bytes);
}

// What a terminal gets if it is the standard output.
std::string on_terminal(const Fixture& f, const std::vector<std::string>& arguments, const std::string& input = "") {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE((terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0));
  write_text(f.path("stdin"), input);
  Process process(arguments, f.folder(), f.path("stdin"), ptsname(terminal));
  std::string out;
  char buffer[4096];
  // Reading fails when nobody has the terminal open any longer.
  for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
  close(terminal);
  INFO(arguments[0]);
  CHECK(process.wait().code == 0);
  std::erase(out, '\r');  // the terminal's own, before each newline
  return out;
}

// Without the colours of tags.
std::string without_colours(std::string text) {
  for (std::size_t at = 0; (at = text.find("\033[", at)) != std::string::npos;) {
    const std::size_t end = text.find('m', at);
    REQUIRE(end <= at + 6);
    text.erase(at, end + 1 - at);
  }
  return text;
}

// A tagger of one tag with control characters, of a text with them, in `t`, and the text in `t.conll`.
void train_tagger(const Fixture& f, const std::string& evil) {
  std::string text;
  for (const char* name : {"Ada", "Kurt", "Alan", "Grace"}) text += std::string(name) + " B-" + evil + "\nsaw O\n\n";
  write_text(f.path("t.conll"), text + evil + " O\nsaw O\n");
  write_text(f.path("t.json"), R"({"task": "tag", "data": {"train": "t.conll", "dev": "t.conll", "format": "conll"},
    "model": {"embedding": 8, "hidden": 8}, "training": {"epochs": 40, "batch_size": 2, "learning_rate": 0.05}})");
  const Outcome trained = f.mnemo({"train", f.path("t.json"), "-o", f.path("t")});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
}

}  // namespace

TEST_CASE("an output that is also an input is refused, and the input is kept") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), dev = f.path("dev.tsv"), link = f.path("same");
  std::filesystem::create_symlink(model, link);
  const std::string before = Process::text(model), data = Process::text(dev);
  for (const std::string& output : {model, link, dev}) {
    check_fails(f.mnemo({"evaluate", model, dev, "--report", output}), 2, output + ": is an input");
    check_fails(f.mnemo({"quantize", model, "--dev", dev, "--overwrite", "-o", output}), 2, output + ": is an input");
  }
  CHECK(Process::text(model) == before);
  CHECK(Process::text(dev) == data);
}

TEST_CASE("a planted NAME.tmp is neither followed nor replaced nor waited for") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), dev = f.path("dev.tsv"), victim = f.path("victim");
  write_text(victim, "precious");
  std::filesystem::create_symlink(victim, f.path("q.tmp"));
  REQUIRE(mkfifo(f.path("page.html.tmp").c_str(), 0600) == 0);
  CHECK(f.mnemo({"quantize", model, "--dev", dev, "-o", f.path("q"), "--max-drop", "1"}).code == 0);
  CHECK(f.mnemo({"evaluate", model, dev, "--report", f.path("page.html")}).code == 0);
  CHECK(Process::text(victim) == "precious");
  CHECK_FALSE(std::filesystem::is_symlink(f.path("q")));
  CHECK(f.mnemo({"inspect", f.path("q"), "--verify"}).code == 0);
}

TEST_CASE("the next run removes the half-written files of a killed one, and keeps others") {
  const Fixture f;
  std::filesystem::create_directory(f.path("run"));
  const std::string half = f.path("run/resume.safetensors.00112233aabb.tmp"), own = f.path("run/my.tmp");
  write_text(half, "half");
  write_text(own, "mine");
  REQUIRE(f.train("run").code == 0);
  CHECK_FALSE(std::filesystem::exists(half));
  CHECK(Process::text(own) == "mine");
}

TEST_CASE("no control sequence of a text or a model reaches the terminal") {
  const Fixture f;
  const std::string evil = "\033]0;x\007\u202e\u009b31m";
  std::string data = tiny_data();
  for (std::size_t at = 0; (at = data.find("pos\t", at)) != std::string::npos; at += evil.size() + 4)
    data.insert(at, evil);
  write_text(f.path("train.tsv"), data);
  write_text(f.path("dev.tsv"), evil + "pos\ta fine song\nneg\tthis dull room\n" + evil + "new\tnothing\n");
  const Outcome train = f.train("run", {"--set", R"(training.class_weight={"\u001b]0;x":1})"});
  check_fails(train, 2, "no label \"\\x1b]0;x");
  CHECK(harmless(train.err));
  const Outcome trained = f.train("run");
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err, contains_text("\\x1b]0;x\\x07\\u202e\\u009b31mpos 20"));
  CHECK(harmless(trained.err));
  const std::string model = f.path("run/model.safetensors");
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"inspect", model},
                                                    {"inspect", model, "-f", "json"},
                                                    {"evaluate", model, f.path("dev.tsv")},
                                                    {"inspect", f.path("absent") + evil},
                                                    {"train", f.path("c.json"), "--dry-run"},
                                                    {"classify", model, evil}}) {
    const Outcome outcome = f.mnemo(arguments);
    INFO(arguments[0] << outcome.out << outcome.err);
    CHECK(harmless(arguments.back() == "json" ? "" : outcome.out));
    CHECK(harmless(outcome.err));
  }
  const std::string labels = f.mnemo({"classify", model}, "a fine song\n").out;
  CHECK(labels.find_first_of("\033\007") == std::string::npos);
  CHECK_THAT(on_terminal(f, {"classify", model}, "a fine song\n"), contains_text("\\u202e\\u009b31m"));
  // Values as blocks of colour.
  CHECK_THAT(on_terminal(f, {"inspect", model, "--gates", "--text", "a fine song"}),
             contains_text("\033[38;5;16;48;5;153m"));
  CHECK_THAT(on_terminal(f, {"inspect", model, "--attribution", "occlusion", "--text", "a fine song"}),
             contains_text("\033[1;4"));

  const std::string changed = f.path("changed");
  for (const char* key : {"format", "format_version", "task", "precision"}) {
    change_header(model, changed, [&](nlohmann::json& header) { header["__metadata__"][key] = evil + "\nmnemo: x\n"; });
    const Outcome outcome = f.mnemo({"inspect", changed});
    INFO(key << outcome.err);
    CHECK(harmless(outcome.err));
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') <= 1);
  }
}

TEST_CASE("no control sequence of a tag or a token reaches the terminal, and a file gets it as it is") {
  const Fixture f;
  const std::string evil = "\033]0;x\007\u202e", model = f.path("t/model.safetensors"), data = f.path("t.conll");
  train_tagger(f, evil);
  const std::string input = "Ada saw " + evil + "\n";
  for (const std::string format : {"conll", "slashed", "jsonl", "html"}) {
    const std::string colourful = on_terminal(f, {"tag", model, "--raw", "-f", format}, input);
    INFO(format << colourful);
    CHECK((colourful.find("\033[1;34m") != std::string::npos) == (format == "conll"));
    CHECK(harmless(without_colours(colourful)));
    if (format == "html") continue;  // its own escapes leave nothing
    CHECK_THAT(colourful, contains_text(format == "jsonl" ? "\\u001b" : "\\x1b]0;x\\x07\\u202e"));
    const std::string bytes = f.mnemo({"tag", model, "--raw", "-f", format}, input).out;
    if (format != "jsonl") CHECK_THAT(bytes, contains_text(evil));
  }
  CHECK(harmless(without_colours(on_terminal(f, {"tag", model, data, "--marginals", "-n", "2"}))));
  CHECK(harmless(on_terminal(f, {"evaluate", model, data})));
  CHECK(harmless(on_terminal(f, {"inspect", model, "-f", "json"})));
  CHECK(harmless(on_terminal(f, {"train", f.path("t.json"), "--dry-run"})));
  const std::string row = "1\t" + evil + "\t_\tNOUN\t_\t_\t_\t_\t_\t_\n2\tsaw\t_\tX" + evil + "\t_\t_\t_\t_\t_\t_\n\n";
  write_text(f.path("u.conllu"), row + row);
  const std::string tree = f.path("u/model.safetensors");
  REQUIRE(f.mnemo({"train", f.path("t.json"), "-o", f.path("u"), "-s", "data.train=u.conllu", "-s", "data.dev=u.conllu",
                   "-s", "data.format=conllu"})
              .code == 0);
  const std::string columns = on_terminal(f, {"tag", tree, f.path("u.conllu")});
  CHECK(harmless(columns));
  CHECK_THAT(columns, contains_text("\\x1b]0;x"));
}

TEST_CASE("no control sequence of a text reaches the terminal from generate, score and config") {
  const Fixture f;
  const std::string evil = "\033]0;x\007\u202e\u009b31m";
  std::string text;
  for (int i = 0; i < 40; ++i) text += evil + "\n";
  write_text(f.path("l.txt"), text);
  write_text(f.path("l.json"), R"({"task": "generate", "data": {"train": "l.txt", "dev": "l.txt"},
    "model": {"embedding": 8, "hidden": 8}, "training": {"epochs": 2, "batch_size": 2}})");
  const Outcome trained = f.mnemo({"train", f.path("l.json"), "-o", f.path("l")});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::string model = f.path("l/model.safetensors"), prompt = "\033]";
  write_text(f.path("best.txt"), "1 ||| " + evil + "\n");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"generate", model, "-p", prompt, "-l", "60"},
        {"generate", model, "-p", prompt, "-l", "60", "-n", "2"},
        {"generate", model, "-p", prompt, "-l", "60", "-f", "jsonl"},
        {"score", model, "-f", "jsonl", f.path("l.txt")},
        {"score", model, "--nbest", f.path("best.txt")},
        {"config", "print", f.path("l.json"), "-s", "data.test=" + evil},
        {"config", "explain"},
        {"help", "generate"}}) {
    const std::string shown = on_terminal(f, arguments);
    INFO(arguments[0] << shown);
    CHECK(harmless(shown));
    CHECK(shown.size() > 20);
  }
  CHECK_THAT(f.mnemo({"generate", model, "-p", prompt, "-l", "60"}).out, contains_text(prompt));
  CHECK_THAT(f.mnemo({"score", model, "--nbest", f.path("best.txt")}).out, contains_text(evil));
}

TEST_CASE("of many long labels or tags a run lists the most frequent, and few warnings") {
  const Fixture f;
  std::string texts, sentences;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = std::string(505, 'x') + std::to_string(i);
    texts += std::to_string(i) + name + "\ta text\n" + (i % 1000 == 7 ? "often\tanother\n" : "");
    if (i < 300) sentences += "word " + std::to_string(i) + name + "\nword usual\n\n";
  }
  write_text(f.path("many.tsv"), texts);
  write_text(f.path("many.conll"), sentences);
  const Outcome labels = f.mnemo({"train", f.path("c.json"), "-s", "data.train=many.tsv", "--dry-run"});
  INFO(labels.out.substr(0, 2000) << labels.err.substr(0, 2000));
  CHECK(labels.code == 0);
  CHECK(labels.out.size() + labels.err.size() < 8000);
  CHECK_THAT(labels.out, contains_text("labels in train: often 3, "));
  CHECK_THAT(labels.out, contains_text(", and 2951 more\n"));
  CHECK_THAT(labels.out, contains_text("\nwarning: and 2995 more like it\n"));
  const Outcome tags = f.mnemo({"train", f.path("c.json"), "-s", "task=tag", "-s", "data.train=many.conll", "-s",
                                "data.dev=many.conll", "-s", "data.format=conll", "--dry-run"});
  INFO(tags.err);
  CHECK(tags.code == 0);
  CHECK(tags.out.size() + tags.err.size() < 8000);
  CHECK_THAT(tags.out, contains_text("in train: usual 300, "));
  CHECK_THAT(tags.out, contains_text(", and 251 more\n"));
}

TEST_CASE("a model whose configuration is of another version is refused with both versions and one problem") {
  const std::string model = trained().path("run/model.safetensors");
  const Fixture f;
  const std::string changed = f.path("changed");
  const auto refused = [&](const std::string& producer, const std::function<void(nlohmann::json&)>& change) {
    change_header(model, changed, [&](nlohmann::json& header) {
      auto config = nlohmann::json::parse(header["__metadata__"]["config"].get<std::string>());
      change(config);
      header["__metadata__"]["config"] = config.dump();
      if (!producer.empty()) header["__metadata__"]["producer"] = producer;
    });
    const Outcome outcome = f.mnemo({"classify", changed}, "a fine song\n");
    CHECK(outcome.code == 1);
    CHECK(outcome.err.size() < changed.size() + 500);
    return outcome.err;
  };
  const auto keys = [](nlohmann::json& config) {
    for (int i = 0; i < 30; ++i) config["model"]["key" + std::to_string(i)] = std::string(1000, 'x');
  };
  const std::string other = refused("mnemo 99.1", keys);
  CHECK_THAT(other, contains_text(changed + ": its configuration is of another version of mnemo (made by mnemo 99.1; "
                                            "this is mnemo "));
  CHECK_THAT(other, contains_text("): model.key0: unknown key"));
  CHECK_THAT(other, contains_text("; and 29 more\n"));
  const std::string value = refused("mnemo 99.1", [](nlohmann::json& config) { config["model"]["cell"] = "qrnn"; });
  CHECK_THAT(value, contains_text("): model.cell: expected one of "));
  CHECK_THAT(value, !contains_text(" more\n"));
  CHECK_THAT(refused("", keys), contains_text(changed + ": damaged model, or one of another build of mnemo "));
  CHECK(harmless(refused("\033]0;x\007\n" + std::string(1000, 'x'), keys)));
}

TEST_CASE("a message shows the beginning of a long text, and the first entries of a long list") {
  const Fixture f;
  const std::string model = trained().path("run/model.safetensors"), huge(1'000'000, 'x');
  const auto message = [&](const std::vector<std::string>& arguments) {
    const Outcome outcome = f.mnemo(arguments);
    CHECK(outcome.code != 0);
    CHECK(outcome.err.size() < 5000);
    return outcome.err;
  };
  write_text(f.path("huge.csv"), huge + ",t\na,b\n");
  message({"classify", model, f.path("huge.csv"), "--format-in", "csv"});
  write_text(f.path("huge.tsv"), huge + "\ta text\n" + huge + "\tanother\n");
  message({"train", f.path("c.json"), "--set", "data.train=" + f.path("huge.tsv"), "--dry-run"});
  message({"train", f.path("c.json"), "--set", "model." + huge.substr(0, 100'000) + "=1"});
  std::string keys = "{";
  for (int i = 0; i < 1000; ++i) keys += (i > 0 ? ", \"key" : "\"key") + std::to_string(i) + "\": 1";
  write_text(f.path("keys.json"), keys + "}");
  CHECK_THAT(f.mnemo({"config", "check", f.path("keys.json")}).err, contains_text("and 950 more"));
  const std::string changed = f.path("changed");
  for (const char* key : {"format", "format_version", "task", "precision"}) {
    change_header(model, changed, [&](nlohmann::json& header) { header["__metadata__"][key] = huge; });
    message({"classify", changed});
  }
  REQUIRE(f.train("deep", {"--set", "model.layers=4", "--set", "training.epochs=1"}).code == 0);
  change_header(f.path("deep/model.safetensors"), changed, [&](nlohmann::json& header) {
    for (auto tensor = header.begin(); tensor != header.end();) {
      if (!tensor.key().starts_with("rnn.weight")) {
        ++tensor;
        continue;
      }
      header["was " + tensor.key()] = *tensor;
      tensor = header.erase(tensor);
    }
  });
  CHECK_THAT(message({"classify", changed}), contains_text("is missing; and 6 more"));
}

TEST_CASE("a model whose weights give values that are not finite gives no answer") {
  const Fixture f;
  write_text(f.path("t.conll"), "Ada B-PER\nsaw O\nRome B-LOC\n\nKurt B-PER\nsaw O\nOslo B-LOC\n");
  write_text(f.path("l.txt"), "to be or not to be\nto be or not to be\nto be or not\n");
  const std::string sizes = R"("model": {"embedding": 4, "hidden": 4}, "training": {"epochs": 1, "batch_size": 2})";
  write_text(f.path("t.json"),
             R"({"task": "tag", "data": {"train": "t.conll", "dev": "t.conll", "format": "conll"}, )" + sizes + "}");
  write_text(f.path("l.json"), R"({"task": "generate", "data": {"train": "l.txt", "dev": "l.txt"}, )" + sizes + "}");
  for (const std::string name : {"t", "l"}) {
    const Outcome trained = f.mnemo({"train", f.path(name + ".json"), "--set", "output.dir=" + f.path(name)});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
    make_weights_huge(f.path(name + "/model.safetensors"), f.path(name + "_huge"));
  }
  make_weights_huge(trained().path("run/model.safetensors"), f.path("c_huge"));
  const std::string c = f.path("c_huge"), t = f.path("t_huge"), l = f.path("l_huge");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"classify", c, f.path("l.txt")},
        {"classify", c, f.path("l.txt"), "-f", "jsonl"},
        {"evaluate", c, f.path("dev.tsv")},
        {"tag", t, f.path("l.txt"), "--raw"},
        {"tag", t, f.path("l.txt"), "--raw", "-f", "jsonl", "--marginals", "--nbest", "2"},
        {"tag", t, f.path("l.txt"), "--raw", "-f", "slashed"},
        {"evaluate", t, f.path("t.conll")},
        {"score", l, f.path("l.txt")},
        {"score", l, f.path("l.txt"), "-f", "jsonl", "--cache", "10"},
        {"evaluate", l, f.path("l.txt")},
        {"generate", l, "--length", "5"},
        {"generate", l, "--length", "5", "--beam", "2"},
        {"generate", l, "--length", "5", "--temperature", "0"}}) {
    const Outcome outcome = f.mnemo(arguments);
    INFO(arguments[0]);
    check_fails(outcome, 1, "the model's result is not finite");
    CHECK(outcome.out.empty());
  }
  for (const double temperature : {1e308, 5e-324, 0.0, -1.0, 1000.0, 0.001}) {
    change_header(trained().path("run/model.safetensors"), f.path("changed"), [&](nlohmann::json& header) {
      header["__metadata__"]["calibration"] = nlohmann::json{{"temperature", temperature}}.dump();
    });
    check_fails(f.mnemo({"classify", f.path("changed")}, "good\n"), 1, "expected a temperature from 0.01 to 100");
  }
}

TEST_CASE("a damaged log never keeps a run from being resumed") {
  const Fixture f;
  for (const std::string& line :
       {std::string(300'000, '[') + std::string(300'000, ']'),
        "\"x\": " + std::string(100'000, '[') + std::string(100'000, ']'), std::string("\"step\": \"x\""),
        std::string("\"step\": 1, \"kind\": 7"), std::string("\"step\": 1e300, \"kind\": \"eval\""),
        std::string("\"step\": 18446744073709551615, \"kind\": \"eval\""),
        std::string("\"step\": 1, \"kind\": \"eval\", \"loss\": {}")}) {
    REQUIRE(f.train("run", {"--set", "training.max_minutes=1e-9", "--overwrite"}).code == 0);
    // As if it had been killed before its end.
    change_header(f.path("run/resume.safetensors"), f.path("run/resume.safetensors"), [](nlohmann::json& header) {
      auto state = nlohmann::json::parse(header["__metadata__"]["state"].get<std::string>());
      state["finished"] = false;
      header["__metadata__"]["state"] = state.dump();
    });
    write_text(f.path("run/log.jsonl"), (line[0] == '[' ? line : "{" + line + "}") + "\nno line\n");
    const Outcome outcome = f.train("run", {"--set", "training.max_minutes=1e-9", "--resume"});
    INFO(outcome.err);
    CHECK(outcome.code == 0);
  }
}

TEST_CASE("a damaged state is refused with the name of its file and the reason") {
  const Fixture f;
  REQUIRE(f.train("run", {"--set", "training.max_minutes=1e-9"}).code == 0);
  const std::string state = f.path("run/resume.safetensors"), good = f.path("good");
  std::filesystem::copy_file(state, good);
  using Change = std::function<void(nlohmann::json&)>;
  for (const Change& change :
       {Change([](auto& s) { s["step"] = "x"; }), Change([](auto& s) { s["waited"] = 1e308; }),
        Change([](auto& s) { s["waited"] = 0.5; }), Change([](auto& s) { s["since_log"][3] = 18446744073709551615u; }),
        Change([](auto& s) { s["since_log"] = 5; }), Change([](auto& s) {
          s["best"] = nlohmann::json::object();
          s["best_step"] = 1;
          s["step"] = 1;
        }),
        Change([](auto& s) { s["finished"] = 1; }), Change([](auto& s) { s["dev_values"] = {"x"}; }),
        Change([](auto& s) { s["end"] = 99; }), Change([](auto& s) { s["init_from"] = 1; }),
        Change([](auto& s) { s.erase("step"); }), Change([](auto& s) { s = nlohmann::json::array(); }),
        Change([](auto& s) { s["seconds"] = -1; })}) {
    change_header(good, state, [&](nlohmann::json& header) {
      auto changed = nlohmann::json::parse(header["__metadata__"]["state"].get<std::string>());
      change(changed);
      header["__metadata__"]["state"] = changed.dump();
    });
    const Outcome outcome = f.train("run", {"--set", "training.max_minutes=1e-9", "--resume"});
    check_fails(outcome, 1, "resume.safetensors: damaged: ");
    CHECK_THAT(outcome.err, !contains_text("exception"));
  }
}
