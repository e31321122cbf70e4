// Help, and the messages for a wrong command line.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "tests/cli/fixture.h"
#include "text/utf8.h"

namespace {

using Words = std::vector<std::string>;

std::size_t columns(const std::string& line) {
  std::size_t out = 0;
  for (const char32_t c : mnemo::to_code_points(line)) out += c < 0x2E80 ? 1 : 2;
  return out;
}

// An option as a page shows it: "  -k, --top K   Most probable ... (default: 1)".
struct Shown {
  std::string letter, name, text;
  bool has_value = false;

  // The word after "default: ", if it is only one.
  std::string default_word() const {
    const std::size_t at = text.find("(default: ");
    if (at == std::string::npos) return "";
    const std::string word = text.substr(at + 10, text.find(')', at) - at - 10);
    return word.find(' ') == std::string::npos ? word : "";
  }
};

std::vector<Shown> options_of(const std::string& page) {
  std::vector<Shown> out;
  for (const std::string& line : lines_of(page)) {
    const std::size_t dashes = line.find("--");
    if (line.size() > 8 && line.starts_with("  ") && dashes == 6) {
      Shown shown;
      if (line[2] == '-') shown.letter = line.substr(2, 2);
      const std::size_t end = std::min(line.find(' ', dashes), line.size());
      shown.name = line.substr(dashes, end - dashes);
      shown.has_value = end + 1 < line.size() && line[end + 1] != ' ';
      shown.text = line.substr(end);
      out.push_back(shown);
    } else if (!out.empty() && line.starts_with("      ")) {
      out.back().text += " " + line.substr(line.find_first_not_of(' '));
    }
  }
  return out;
}

// The names under "Commands:".
Words commands_of(const std::string& page) {
  Words out;
  bool below = false;
  for (const std::string& line : lines_of(page)) {
    if (below && line.empty()) break;
    if (below && line[2] != ' ') out.push_back(line.substr(2, line.find(' ', 2) - 2));
    below = below || line == "Commands:";
  }
  return out;
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Every command and its subcommands.
std::vector<Words> all_commands(const Fixture& f) {
  std::vector<Words> out;
  for (const std::string& name : commands_of(f.mnemo({"--help"}).out)) {
    out.push_back({name});
    for (const std::string& below : commands_of(f.mnemo({name, "--help"}).out)) out.push_back({name, below});
  }
  return out;
}

void check_refused(const Outcome& o, const std::string& message) {
  INFO(o.out << o.err);
  CHECK(o.code == 2);
  CHECK(o.out.empty());
  CHECK_THAT(o.err, contains_text("mnemo: " + message));
}

// A language model of one line, in `lm`.
const Fixture& with_language_model() {
  static const std::unique_ptr<const Fixture> fixture = [] {
    auto made = std::make_unique<Fixture>();
    std::string text;
    for (int i = 0; i < 60; ++i) text += "to be or not to be\n";
    write_text(made->path("corpus.txt"), text);
    write_text(made->path("lm.json"), R"({"task": "generate", "data": {"train": "corpus.txt", "format": "lines"},
      "model": {"embedding": 8, "hidden": 8}, "training": {"epochs": 2, "batch_size": 4, "bptt": 16}})");
    const Outcome o = made->mnemo({"train", made->path("lm.json"), "-o", made->path("lm")});
    if (o.code != 0) throw std::runtime_error("training the tiny language model: " + o.err);
    return made;
  }();
  return *fixture;
}

}  // namespace

TEST_CASE("help pages: examples first, titled groups, each option once, no line too long") {
  const Fixture f;
  setenv("COLUMNS", "80", 1);
  const auto commands = all_commands(f);
  CHECK(commands.size() >= 14);
  for (const Words& command : commands) {
    const std::string page = f.mnemo(with({"help"}, command)).out;
    INFO(page);
    const std::size_t examples = page.find("\nExamples:\n"), usage = page.find("\nUsage: mnemo " + command.front());
    REQUIRE(examples != std::string::npos);
    REQUIRE(usage != std::string::npos);
    CHECK(examples < usage);
    for (const char* form : {"--help", "-h"}) {
      const Outcome o = f.mnemo(with(command, {form}));
      CHECK(o.code == 0);
      CHECK(o.err.empty());
      CHECK(o.out == page);
    }
    for (const char* noise : {"INT", "FLOAT", "UINT", " in [", "{", "REQUIRED", "Excludes", "Needs", "OPTIONS"})
      CHECK(page.find(noise) == std::string::npos);
    for (const std::string& line : lines_of(page.substr(0, usage))) CHECK(columns(line) <= 100);
    for (const std::string& line : lines_of(page.substr(usage))) CHECK(columns(line) <= 80);
    std::set<std::string> names;
    for (const Shown& option : options_of(page)) {
      INFO(option.name);
      CHECK(names.insert(option.name).second);
      if (!option.letter.empty()) CHECK(names.insert(option.letter).second);
    }
    CHECK(names.contains("--help"));
    CHECK_THAT(page, contains_text("  -h, --help  "));
  }
  setenv("COLUMNS", "50", 1);
  const std::string narrow = f.mnemo({"help", "generate"}).out;
  for (const std::string& line : lines_of(narrow.substr(narrow.find("\nUsage:")))) CHECK(columns(line) <= 50);
  unsetenv("COLUMNS");
}

TEST_CASE("a mistyped command or option is answered with the nearest one") {
  const Fixture f;
  check_refused(f.mnemo({"clasify"}), "clasify: unknown command; the nearest is classify");
  check_refused(f.mnemo({"trian", "--help"}), "trian: unknown command; the nearest is train");
  check_refused(f.mnemo({"help", "trian"}), "trian: unknown command; the nearest is train");
  check_refused(f.mnemo({"config", "chek", "x"}), "chek: unknown command; the nearest is check");
  check_refused(f.mnemo({"classify", "m", "--tpo", "3"}), "--tpo: unknown option; the nearest is --top");
  check_refused(f.mnemo({"generate", "m", "--temp=1"}), "--temp: unknown option; the nearest is --temperature");
  check_refused(f.mnemo({"--versoin"}), "--versoin: unknown option; the nearest is --version");
  // Where none is near, there is only the place to look.
  check_refused(f.mnemo({"nosuch"}), "nosuch: unknown command (mnemo help lists all)");
  check_refused(f.mnemo({"help", "nosuch"}), "nosuch: unknown command (mnemo help lists all)");
  check_refused(f.mnemo({"train", "--epochs"}), "--epochs: unknown option (mnemo help train lists all)");
  check_refused(f.mnemo({"help", "train", "now"}), "now: mnemo train has no commands below it (mnemo help train)");
  check_refused(f.mnemo({"classify", "m", "-x"}), "-x: unknown option (mnemo help classify lists all)");
}

TEST_CASE("help is a command, and shows its own page") {
  const Fixture f;
  const std::string program = f.mnemo({"help"}).out;
  CHECK(program == f.mnemo({"--help"}).out);
  const Words commands = commands_of(program);
  CHECK(std::ranges::find(commands, "help") != commands.end());
  const Outcome o = f.mnemo({"help", "help"});
  CHECK(o.code == 0);
  CHECK_THAT(o.out, contains_text("Usage: mnemo help [OPTION]... [COMMAND]..."));
  CHECK(o.out == f.mnemo({"help", "-h"}).out);
}

TEST_CASE("an option without effect is accepted, but not shown") {
  const Fixture f;
  for (const Words& command : {Words{"config", "print"}, {"config", "check"}, {"init"}}) {
    CHECK_THAT(f.mnemo(with({"help"}, command)).out, !contains_text("--threads"));
    const Words call =
        command.front() == "init" ? Words{"init", "classify", f.path("train.tsv")} : with(command, {f.path("c.json")});
    CHECK(f.mnemo(with(call, {"-j", "2"})).code == 0);
  }
}

TEST_CASE("messages say in words what an argument must be") {
  const Fixture f;
  check_refused(f.mnemo({"train"}), "CONFIG.json is missing; usage: mnemo train [OPTION]... CONFIG.json");
  check_refused(f.mnemo({"quantize", "m", "-o", "x"}), "--dev is missing");
  check_refused(f.mnemo({"inspect", "a", "b", "c"}),
                "c: one argument too many; usage: mnemo inspect [OPTION]... MODEL [DATA]");
  check_refused(f.mnemo({"classify", "m", "--top"}), "--top: expected a value");
  check_refused(f.mnemo({"classify", "m", "-k", "x"}), "--top: expected a whole number from 1 to 1048576, found \"x\"");
  check_refused(f.mnemo({"classify", "m", "-k0"}), "--top: expected a whole number from 1 to 1048576, found \"0\"");
  check_refused(f.mnemo({"classify", "m", "--top", "1", "--top", "2"}), "--top: expected once, found 2 times");
  check_refused(f.mnemo({"classify", "m", "--raw=3"}), "--raw: takes no value");
  check_refused(f.mnemo({"generate", "m", "-t", "-1"}),
                "--temperature: expected a number from 0 to 1000, found \"-1\"");
  check_refused(f.mnemo({"generate", "m", "-n", "1e9"}), "--samples: expected a whole number");
  check_refused(f.mnemo({"bench", "-n", "9223372036854775808"}), "--repeat: expected a whole number");
  check_refused(f.mnemo({"evaluate", "m", "-f", "xml"}), "--format: expected text or json, found \"xml\"");
  check_refused(f.mnemo({"generate", "m", "--rhyme", "cilin"}), "--rhyme: only with --form");
  check_refused(f.mnemo({"generate", "m", "--seed", "1", "--beam", "2"}), "--beam: not together with --seed");
  check_refused(f.mnemo({"config"}), "a command is missing: check, print, schema or explain");
  check_refused(f.mnemo({"train", "m", "--dry-run", "--resume"}), "--dry-run: not together with --resume");
  check_refused(f.mnemo({"train", "m", "--overwrite", "--dry-run"}), "--dry-run: not together with --overwrite");
}

TEST_CASE("messages shorten long arguments") {
  const Fixture f;
  const std::string longer(3000, 'x'), config = f.path("config.json");
  write_text(config, R"({"task": "classify", "data": {"train": "train.tsv"}})");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{longer},
                                             {"help", longer},
                                             {"help", "train", longer},
                                             {"train", "--" + longer},
                                             {"train", config, "-j", longer},
                                             {"train", config, "--folds", longer},
                                             {"train", config, longer},
                                             {"train", config, "--set", longer},
                                             {"train", config, "--set", longer + "=1"},
                                             {"train", config, "--set", "task=" + longer},
                                             {"train", config, "--format-in", longer},
                                             {"init", longer, config},
                                             {"generate", "m", "--rhyme", longer},
                                             {"evaluate", "m", "x", "-f", longer},
                                             {"evaluate", "m", "x", "--min", longer}}) {
    const Outcome o = f.mnemo(arguments);
    INFO(o.err);
    CHECK(o.code == 2);
    CHECK(o.err.size() < 700);
    CHECK_THAT(o.err, contains_text("xxx..."));
  }
}

TEST_CASE("short options, joined and repeated ones mean what the long ones mean") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), text = "a fine film\n";
  const Outcome long_form = f.mnemo({"classify", model, "--top", "2", "--format", "jsonl", "--threads", "1"}, text);
  REQUIRE(long_form.code == 0);
  for (const Words& short_form : {Words{"-k", "2", "-f", "jsonl", "-j", "1"},
                                  {"-k2", "-fjsonl", "-j1"},
                                  {"-qk2", "-f", "jsonl"},
                                  {"--top=2", "--format=jsonl", "-q"}})
    CHECK(f.mnemo(with({"classify", model}, short_form), text).out == long_form.out);
  // An option takes one value: what comes after it is the argument.
  const Outcome print =
      f.mnemo({"config", "print", "-s", "training.epochs=7", "--set=training.seed=5", f.path("c.json")});
  REQUIRE(print.code == 0);
  CHECK_THAT(print.out, contains_text("\"epochs\": 7"));
  CHECK_THAT(print.out, contains_text("\"seed\": 5"));
}

TEST_CASE("train -o names the run's folder, -q prints only errors") {
  const Fixture f;
  const Outcome o = f.mnemo({"train", f.path("c.json"), "-q", "-o", f.path("named")});
  CHECK(o.code == 0);
  CHECK(o.err.empty());
  CHECK_FALSE(f.bytes("named/model.safetensors").empty());
  const Outcome again = f.mnemo({"train", f.path("c.json"), "-qo", f.path("named")});
  CHECK(again.code == 2);
  CHECK_THAT(again.err, contains_text("holds a run already"));
}

TEST_CASE("the defaults that help shows are the actual ones") {
  const Fixture &f = trained(), &lm = with_language_model();
  const std::string model = f.path("run/model.safetensors"), language_model = lm.path("lm/model.safetensors");
  const std::string labelled = "pos\ta fine film\nneg\tthis dull soup again\n";
  const std::vector<std::pair<Words, std::string>> commands{
      {{"classify", model}, "a fine film\n"},    {{"evaluate", model}, labelled},
      {{"evaluate", language_model}, "to be\n"}, {{"score", language_model}, "to be\n"},
      {{"generate", language_model}, ""},        {{"config", "explain"}, ""}};
  int compared = 0;
  for (const auto& [command, input] : commands) {
    const Outcome plain = f.mnemo(command, input);
    INFO(command.front() << plain.err);
    REQUIRE(plain.code == 0);
    const Words named = command.front() == "config" ? command : Words{command.front()};
    for (const Shown& option : options_of(f.mnemo(with(named, {"--help"})).out)) {
      const std::string word = option.default_word();
      if (word.empty() || word == "none" || option.text.find("With --") != std::string::npos) continue;
      INFO(option.name << " " << word);
      const Outcome o = f.mnemo(with(command, {option.name, word}), input);
      CHECK(o.code == 0);
      CHECK(o.out == plain.out);
      ++compared;
    }
  }
  CHECK(compared >= 30);
}

TEST_CASE("completion: bash completes commands, options and their values, and other shells have scripts") {
  const Fixture f;
  const Outcome o = f.mnemo({"completion", "bash"});
  REQUIRE(o.code == 0);
  write_text(f.path("mnemo.bash"), o.out);
  const auto completed = [&](const std::string& typed) {
    const std::string script = "source '" + f.path("mnemo.bash") + "'; COMP_WORDS=(" + typed +
                               "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _mnemo; echo \"${COMPREPLY[*]}\"";
    write_text(f.path("complete.sh"), script);
    CHECK(std::system(("bash '" + f.path("complete.sh") + "' > '" + f.path("completed") + "'").c_str()) == 0);
    return f.bytes("completed");
  };
  CHECK(completed("mnemo cla") == "classify\n");
  CHECK(completed("mnemo he") == "help\n");
  CHECK(completed("mnemo help qu") == "quantize\n");
  CHECK(completed("mnemo help config ex") == "explain\n");
  CHECK(completed("mnemo config ex") == "explain\n");
  CHECK(completed("mnemo config check --s") == "--set\n");
  CHECK(completed("mnemo classify m --to") == "--top\n");
  CHECK(completed("mnemo classify m -f j") == "jsonl\n");
  CHECK(completed("mnemo bench min_l") == "min_lstm\n");
  // Files, which bash itself completes where there are no candidates.
  CHECK(completed("mnemo train -o ''") == "\n");
  for (const char* shell : {"zsh", "fish"}) CHECK_THAT(f.mnemo({"completion", shell}).out, contains_text("threads"));
  check_refused(f.mnemo({"completion", "tcsh"}), "SHELL: expected bash, zsh or fish, found \"tcsh\"");
}
