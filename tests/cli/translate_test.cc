// A translator from the shell: every option, every form of output, and what bad input gets.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.h"
#include "tests/temporary_folder.h"

namespace {

using TranslateJson = nlohmann::json;
using TextRows = std::vector<std::string>;

const std::vector<std::pair<std::string, std::string>> kAdjectives{
    {"kleine", "small"}, {"alte", "old"}, {"rote", "red"}, {"gute", "good"}};
const std::vector<std::pair<std::string, std::string>> kNouns{
    {"Hund", "dog"}, {"Vogel", "bird"}, {"Mann", "man"}, {"Baum", "tree"}, {"Fisch", "fish"}};
const std::vector<std::pair<std::string, std::string>> kVerbs{
    {"schläft", "sleeps"}, {"singt", "sings"}, {"fällt", "falls"}, {"geht", "walks"}};

std::string joined(const TextRows& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// Sentences of four words, translated word by word; some nouns occur once. Models that are trained on them once.
class ToyTranslators {
 public:
  ToyTranslators() {
    int number = 0;
    for (const auto& [adjective, small] : kAdjectives)
      for (const auto& [noun, dog] : kNouns)
        for (const auto& [verb, sleeps] : kVerbs)
          add(number++ % 7 == 3, "der " + adjective + " " + noun + " " + verb,
              "the " + small + " " + dog + " " + sleeps);
    int i = 0;
    for (const char* rare : {"Igel", "Zaun", "Turm", "Korb", "Stab", "Dorn", "Kamm", "Ring"}) {
      add(false, "der " + kAdjectives[i % 4].first + " " + rare + " " + kVerbs[i / 2 % 4].first,
          "the " + kAdjectives[i % 4].second + " " + rare + "s " + kVerbs[i / 2 % 4].second);
      ++i;
    }
    for (const bool dev : {false, true}) {
      const std::string name = dev ? "dev" : "train";
      write_text(path(name + ".de"), joined(sources[dev]));
      write_text(path(name + ".en"), joined(targets[dev]));
      TextRows pairs;
      for (std::size_t k = 0; k < sources[dev].size(); ++k) pairs.push_back(sources[dev][k] + "\t" + targets[dev][k]);
      write_text(path(name + ".tsv"), joined(pairs));
    }
    write_text(path("c.json"), R"({"task": "translate", "data": {"train": {"source": "train.de", "target": "train.en"},
 "dev": {"source": "dev.de", "target": "dev.en"}}, "text": {"unit": "word", "min_count": 2},
 "model": {"embedding": 16, "hidden": 16, "dropout": 0, "embedding_dropout": 0, "layer_dropout": 0, "source_dropout": 0, "target_dropout": 0,
 "embedding_deviation": 0.3},
 "training": {"epochs": 25, "batch_size": 4, "learning_rate": 0.02, "seed": 3, "label_smoothing": 0,
 "warmup": 0, "average_from": 0, "clip_norm": 5, "final_rate": 0,
 "early_stopping": {"metric": "loss"}}})");
    must(train("words"));
    must(train("subwords", {"--set", "text.unit=subword", "--set", "text.min_count=1", "--set", "text.merges=60",
                            "--set", "training.epochs=40"}));
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  const std::string& folder() const { return folder_.path(); }
  std::string words() const { return path("words/model.safetensors"); }
  std::string subwords() const { return path("subwords/model.safetensors"); }
  std::string dev() const { return path("dev.de") + "," + path("dev.en"); }

  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder(), input);
  }
  Outcome train(const std::string& output, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"train", path("c.json"), "--set", "output.dir=" + path(output)});
    return mnemo(more);
  }
  // The output of a translation that succeeds.
  std::string translated(const std::string& input, std::vector<std::string> more = {}) const {
    return translated_by(words(), input, std::move(more));
  }
  std::string translated_by(const std::string& model, const std::string& input,
                            std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"translate", model});
    const Outcome o = mnemo(more, input);
    INFO(o.err);
    CHECK(o.code == 0);
    CHECK(o.err.empty());
    return o.out;
  }
  std::string file(const std::string& name, const std::string& text) const {
    write_text(path(name), text);
    return path(name);
  }
  // A failed command's message, of one line.
  std::string refused(const Outcome& o, int code = 1) const {
    CHECK(o.code == code);
    CHECK(std::ranges::count(o.err, '\n') == 1);
    return o.err;
  }

  std::array<TextRows, 2> sources, targets;  // of train and dev

 private:
  void add(bool dev, const std::string& source, const std::string& target) {
    sources[dev].push_back(source);
    targets[dev].push_back(target);
  }
  static void must(const Outcome& o) {
    if (o.code != 0) throw std::runtime_error("training a toy translator: " + o.err);
  }

  TemporaryFolder folder_;
};

const ToyTranslators& toys() {
  static const std::unique_ptr<const ToyTranslators> made = std::make_unique<ToyTranslators>();
  return *made;
}

std::size_t words_in(const std::string& line) {
  return line.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(line, ' ')) + 1;
}

// What a file in the safetensors format has: its header, and the bytes of each tensor.
struct ModelParts {
  explicit ModelParts(const std::string& bytes) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    header = TranslateJson::parse(bytes.substr(sizeof size, size));
    for (const auto& [name, entry] : header.items())
      if (name != "__metadata__")
        tensors[name] =
            bytes.substr(sizeof size + size + entry["data_offsets"][0].get<std::size_t>(),
                         entry["data_offsets"][1].get<std::size_t>() - entry["data_offsets"][0].get<std::size_t>());
  }
  // Tables of bytes may have changed their size.
  std::string bytes() const {
    TranslateJson out{{"__metadata__", header["__metadata__"]}};
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      out[name] = header[name];
      if (out[name]["dtype"] == "U8") out[name]["shape"] = {tensor.size()};
      out[name]["data_offsets"] = {data.size(), data.size() + tensor.size()};
      data += tensor;
    }
    std::string text = out.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const std::uint64_t size = text.size();
    return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + data;
  }

  TranslateJson header;
  std::map<std::string, std::string> tensors;
};

}  // namespace

TEST_CASE("translate gives a line for each line, in order, whatever is beside it") {
  const ToyTranslators& f = toys();
  CHECK(f.translated(joined(f.sources[1])) == joined(f.targets[1]));
  CHECK(f.translated_by(f.subwords(), joined(f.sources[1])) == joined(f.targets[1]));
  // Empty lines, blanks, a line without its end, and lines beside a long one.
  CHECK(f.translated("") == "");
  CHECK(f.translated("\n\n") == "\n\n");
  const std::string line = "der rote Hund schläft";
  std::string longer;
  for (int i = 0; i < 400; ++i) longer += "der rote Hund ";
  const std::string out = f.translated("\n" + line + "\n  \n" + longer + "\n" + line);
  const auto rows = lines_of(out);
  REQUIRE(rows.size() == 5);
  CHECK(rows[0].empty());
  CHECK(rows[1] == "the red dog sleeps");
  CHECK(rows[2].empty());
  CHECK(words_in(rows[3]) <= 2 * 1200 + 10);
  CHECK(rows[4] == rows[1]);
  CHECK(f.translated(line + "\r\n") == rows[1] + "\n");
}

TEST_CASE("translate reads files in turn, gzip included, for any number of threads") {
  const ToyTranslators& f = toys();
  const std::string one = f.file("one", f.sources[1][0] + "\n"), all = f.path("dev.de");
  const std::string expected = f.targets[1][0] + "\n" + joined(f.targets[1]);
  for (const std::string threads : {"1", "2", "3", "7"})
    CHECK(f.translated("", {one, all, "--threads", threads}) == expected);
  CHECK(f.translated(f.sources[1][0] + "\n", {"-", all}) == expected);
  // More lines than a block.
  std::string many, answers;
  for (int i = 0; i < 2100; ++i) {
    many += f.sources[1][static_cast<std::size_t>(i) % f.sources[1].size()] + "\n";
    answers += f.targets[1][static_cast<std::size_t>(i) % f.targets[1].size()] + "\n";
  }
  CHECK(f.translated(many, {"--beam", "1"}) == answers);
}

TEST_CASE("translate and score answer a pipe that pauses at once") {
  const ToyTranslators& f = toys();
  const std::string model = f.words();
  for (const std::string command : {"translate", "score"}) {
    int in[2], out[2];
    REQUIRE(pipe(in) == 0);
    REQUIRE(pipe(out) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      for (int end : {in[0], in[1], out[0], out[1]}) close(end);
      execl(program_path().c_str(), program_path().c_str(), command.c_str(), model.c_str(), "-q", nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string line = f.sources[1][i] + (command == "score" ? "\t" + f.targets[1][i] : std::string()) + "\n";
      REQUIRE(write(in[1], line.data(), line.size()) == std::ssize(line));
      pollfd ready{out[0], POLLIN, 0};
      REQUIRE(poll(&ready, 1, 60000) == 1);
      char answer[256];
      const ssize_t got = read(out[0], answer, sizeof answer);
      REQUIRE(got > 0);
      const std::string text(answer, static_cast<std::size_t>(got));
      if (command == "translate")
        CHECK(text == f.targets[1][i] + "\n");
      else
        CHECK_THAT(text, Catch::Matchers::StartsWith(std::to_string(i + 1) + "\t5\t"));
    }
    close(in[1]);
    close(out[0]);
    waitpid(pid, nullptr, 0);
  }
}

TEST_CASE("translate --format jsonl has text, log p, score, units and links, and --nbest lists them") {
  const ToyTranslators& f = toys();
  const std::string line = f.sources[1][0];
  for (const std::string penalty : {"0", "0.7", "1", "2"}) {
    const auto one =
        TranslateJson::parse(f.translated(line + "\n", {"--format", "jsonl", "--length-penalty", penalty}));
    CHECK(one["text"] == f.targets[1][0]);
    CHECK(one["tokens"] == TranslateJson{"the", one["tokens"][1], one["tokens"][2], one["tokens"][3]});
    CHECK(one["source_tokens"].size() == 4);
    REQUIRE(one["attention"].size() == 4);
    for (const auto& row : one["attention"]) CHECK(row.size() == 4);
    CHECK(one["log_prob"] < 0.0);
    CHECK(one["score"].get<double>() ==
          Approx(one["log_prob"].get<double>() / std::pow(10.0 / 6.0, std::stod(penalty))).epsilon(1e-9));
    for (const auto& link : one["alignment"]) {
      CHECK(link[0] < 4);
      CHECK(link[1] < 4);
    }
    CHECK(one["alignment"].size() == 4);
  }
  const auto list = TranslateJson::parse(f.translated(line + "\n", {"-f", "jsonl", "-n", "4"}))["hypotheses"];
  REQUIRE(list.size() == 4);
  CHECK(list[0]["text"] == f.targets[1][0]);
  for (std::size_t k = 1; k < 4; ++k) {
    CHECK(list[k]["score"] <= list[k - 1]["score"]);
    CHECK(list[k]["text"] != list[0]["text"]);
  }
  const auto text = lines_of(f.translated(line + "\n\n" + line + "\n", {"-n", "3", "-b", "3"}));
  REQUIRE(text.size() == 7);
  CHECK_THAT(text[0], Catch::Matchers::StartsWith("0 ||| " + f.targets[1][0] + " ||| -"));
  CHECK(text[3] == "1 |||  ||| 0.000000");
  CHECK(text[4] == "2" + text[0].substr(1));
  const auto nothing = TranslateJson::parse(f.translated("\n", {"-f", "jsonl"}));
  CHECK(nothing["text"] == "");
  CHECK(nothing["tokens"] == TranslateJson::array());
}

TEST_CASE("translate: the limits of length, and penalties") {
  const ToyTranslators& f = toys();
  const std::string input = joined(f.sources[1]);
  for (const std::string& line : lines_of(f.translated(input, {"--shortest", "2.5", "--longest", "3"}))) {
    CHECK(words_in(line) >= 10);
    CHECK(words_in(line) <= 22);
  }
  std::string endless;
  for (int i = 0; i < 60; ++i) endless += "Hund ";
  CHECK(words_in(lines_of(f.translated(endless + "\n", {"--longest", "0"}))[0]) <= 10);
  const auto score = [&](const std::string& penalty) {
    return TranslateJson::parse(
               f.translated(f.sources[1][0] + "\n", {"-f", "jsonl", "--coverage-penalty", penalty}))["score"]
        .get<double>();
  };
  CHECK(score("0") > score("0.5"));
  CHECK(score("0.5") > score("5"));
  // A single hypothesis is the greedy one, which is ranked by its log p.
  const auto greedy = TranslateJson::parse(f.translated(f.sources[1][0] + "\n", {"-f", "jsonl", "--beam", "1"}));
  CHECK(greedy["text"] == f.targets[1][0]);
  CHECK(greedy["score"] == greedy["log_prob"]);
}

TEST_CASE("translate --sample draws by seed and line, within the sampler's limits") {
  const ToyTranslators& f = toys();
  const std::string line = "der Hund der Baum\n", input = line + line + line + line;
  const auto drawn = [&](std::vector<std::string> more) {
    more.insert(more.begin(), "--sample");
    return f.translated(input, more);
  };
  const std::string once = drawn({"--seed", "4", "-t", "3"});
  CHECK(drawn({"--seed", "4", "-t", "3", "--threads", "3"}) == once);
  CHECK(drawn({"--seed", "5", "-t", "3"}) != once);
  const auto rows = lines_of(once);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0] != rows[1]);
  // All of these leave the most probable unit alone.
  const std::string greedy = f.translated(input, {"--beam", "1"});
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"-t", "0"}, {"--top-k", "1", "-t", "3"}, {"--top-p", "0.000001", "-t", "3"}, {"--min-p", "1", "-t", "3"}})
    CHECK(drawn(options) == greedy);
  for (const char* option : {"--beam", "--nbest", "--length-penalty", "--coverage-penalty"})
    CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--sample", option, "2"}), 2),
               contains_text("--sample: not together with " + std::string(option)));
  for (const char* option : {"--seed", "--temperature", "--top-k", "--top-p", "--min-p"})
    CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), option, "1"}), 2),
               contains_text(std::string(option) + ": only with --sample"));
}

TEST_CASE("translate refuses options that contradict one another") {
  const ToyTranslators& f = toys();
  const std::string terms = f.file("terms", "Hund\tdog\n");
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"translate", f.words()});
    return f.refused(f.mnemo(more), 2);
  };
  CHECK_THAT(message({"--nbest", "7"}), contains_text("--nbest 7: a beam of 5 finds at most 5"));
  CHECK_THAT(message({"--shortest", "3"}), contains_text("--shortest 3: more than --longest 2"));
  CHECK_THAT(message({"--glossary", terms, "--beam", "1"}), contains_text("--glossary: needs a beam of two or more"));
  CHECK_THAT(message({"--glossary", terms, "--sample"}), contains_text("--glossary: needs a beam of two or more"));
  CHECK_THAT(message({"--beam", "0"}), contains_text("--beam"));
  CHECK_THAT(message({"--format", "tsv"}), contains_text("--format"));
}

TEST_CASE("translate --prefix gives each line's translation its beginning") {
  const ToyTranslators& f = toys();
  const std::string line = "der rote Hund schläft";
  const std::string prefixes = f.file("prefixes", "the good \n\nthe sm\nman \n");
  for (const std::string& model : {f.words(), f.subwords()})
    for (const std::string beam : {"1", "5"}) {
      const auto rows = lines_of(f.translated_by(model, line + "\n" + line + "\n" + line + "\n" + line + "\n",
                                                 {"--prefix", prefixes, "--beam", beam}));
      REQUIRE(rows.size() == 4);
      CHECK_THAT(rows[0], Catch::Matchers::StartsWith("the good "));
      CHECK(rows[1] == "the red dog sleeps");
      CHECK_THAT(rows[2], Catch::Matchers::StartsWith("the sm"));
      CHECK_THAT(rows[3], Catch::Matchers::StartsWith("man "));
    }
  CHECK_THAT(f.translated(line + "\n", {"--prefix", f.file("one-prefix", "the good \n"), "--sample", "-t", "2"}),
             Catch::Matchers::StartsWith("the good "));
}

TEST_CASE("a prefix that cannot be spelled, and files of prefixes of another length, are errors with their place") {
  const ToyTranslators& f = toys();
  const std::string line = "der rote Hund schläft\n", answer = "the red dog sleeps\n";
  const auto with = [&](const std::string& prefixes, const std::string& input) {
    return f.mnemo({"translate", f.words(), "--prefix", f.file("p", prefixes)}, input);
  };
  // The lines before have their translation.
  const Outcome unknown = with("\nthe zebra\n", line + line);
  CHECK(unknown.out == answer);
  CHECK(f.refused(unknown) ==
        "mnemo: " + f.path("p") + ":2: the vocabulary has no unit for \"zebra\" in \"the zebra\"\n");
  const Outcome few = with("the\n", line + line);
  CHECK(few.out == answer);
  CHECK(f.refused(few) == "mnemo: " + f.path("p") + ": has 1 line, expected one for each line of the input\n");
  const Outcome many = with("the\n\n\n", line);
  CHECK(f.refused(many) == "mnemo: " + f.path("p") + ": has 3 lines, the input has 1: expected one for each\n");
  CHECK_THAT(f.refused(with("the \xFF\n", line)), contains_text(f.path("p") + ":1:5: invalid UTF-8"));
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--prefix", f.path("none")}, line)), contains_text("none"));
  // Subwords spell anything.
  CHECK_THAT(f.translated_by(f.subwords(), line, {"--prefix", f.file("p", "the 好zebra\n")}),
             Catch::Matchers::StartsWith("the 好zebra"));
}

TEST_CASE("translate --glossary has each term of the line in its translation, beside a prefix, too") {
  const ToyTranslators& f = toys();
  const std::string line = "der rote Hund schläft\n";
  const std::string terms = f.file("g", "Hund\tbird\nschläft\tfish walks\nMann\ttree\n");
  for (const std::string& model : {f.words(), f.subwords()})
    for (const std::string beam : {"2", "5", "12"}) {
      std::string out = " " + f.translated_by(model, line, {"--glossary", terms, "--beam", beam});
      out.back() = ' ';  // the line's end: a term is not the beginning of a longer word
      CHECK_THAT(out, contains_text(" bird "));
      CHECK_THAT(out, contains_text(" fish walks "));
      CHECK(out.find(" tree") == std::string::npos);
    }
  // A term beside a beginning that has another word in its place.
  const std::string both = f.translated(line, {"--glossary", terms, "--prefix", f.file("p", "the red dog sleeps\n")});
  CHECK_THAT(both, Catch::Matchers::StartsWith("the red dog sleeps "));
  CHECK_THAT(both, contains_text(" bird"));
  CHECK_THAT(both, contains_text(" fish walks"));
  // One that the beginning has already needs nothing more.
  CHECK(f.translated(line, {"--glossary", f.file("g", "Hund\tdog\nrote\tred\n"), "--prefix",
                            f.file("p", "the red dog\n")}) == "the red dog sleeps\n");
  // A part of a word is not the term; where there are no blanks it is.
  const auto with = [&](const std::string& input, const std::string& source) {
    return f.translated(input, {"--glossary", f.file("g", source + "\tbird\n")}).find("bird") != std::string::npos;
  };
  for (const char* part : {"Hun", "und", "chläf", "ote H"}) CHECK_FALSE(with(line, part));
  CHECK(with(line, "rote Hund"));
  CHECK(with("der Hund, 12\n", "Hund"));
  CHECK_FALSE(with("der Hund 123\n", "12"));
  CHECK(with("我的狗睡觉\n", "狗"));
  // Of terms that lie within one another the longest counts, unless the shorter one also stands alone.
  const std::string nested = f.file("nested", "rote Hund\tred fish\nHund\tbird\n");
  CHECK(f.translated(line, {"--glossary", nested}).find("bird") == std::string::npos);
  const std::string twice = f.translated("der rote Hund Hund schläft\n", {"--glossary", nested});
  CHECK_THAT(twice, contains_text("red fish"));
  CHECK_THAT(twice, contains_text("bird"));
}

TEST_CASE("glossaries that contradict themselves, or cannot be spelled, are errors with their line") {
  const ToyTranslators& f = toys();
  const auto message = [&](const std::string& terms, const std::string& option = "--glossary") {
    return f.refused(f.mnemo({"translate", f.words(), option, f.file("g", terms)}, "der rote Hund schläft\n"));
  };
  const std::string file = "mnemo: " + f.path("g");
  CHECK(message("Hund\tbird\n\nHund\tdog\n") == file + ":3: \"Hund\" has an entry in line 1 already\n");
  CHECK(message("Mann\tman\nHund\thound\n") == file + ":2: the vocabulary has no unit for \"hound\" in \"hound\"\n");
  for (const char* row : {"Hund dog", "Hund\t", "\tdog", "Hund\tdog\tcat"})
    CHECK(message("Mann\tman\n" + std::string(row) + "\n") == file + ":2: expected SOURCE, tab, TARGET\n");
  CHECK_THAT(message("Hund\t\xFF\n"), contains_text(":1:6: invalid UTF-8"));
  CHECK_THAT(message("Hund\tbird\nHund\tdog\n", "--unknown"), contains_text("has an entry in line 1 already"));
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--glossary", f.path("none")})), contains_text("none"));
}

TEST_CASE("translate --unknown puts the word of the source, or its entry, for an unknown one") {
  const ToyTranslators& f = toys();
  const std::string line = "der alte Zebra singt\n";
  const std::string plain = f.translated(line);
  CHECK(plain.find("<unk>") == std::string::npos);
  CHECK(f.translated(line, {"--unknown", "keep"}) == "the old <unk> sings\n");
  CHECK(f.translated(line, {"--unknown", "source"}) == "the old Zebra sings\n");
  const std::string entries = f.file("dictionary", "Zebra\tzebra crossing\nHund\thound\n");
  // Links count the words that are written.
  CHECK(f.translated(line + "der rote Hund schläft\n", {"--unknown", entries, "--alignment", f.path("links")}) ==
        "the old zebra crossing sings\nthe red dog sleeps\n");
  const std::string links = lines_of(Process::text(f.path("links"))).at(0);
  CHECK_THAT(links, contains_text(" 2-2 2-3 "));
  CHECK_THAT(links, contains_text("-4"));
  CHECK(f.translated("der alte Giraffe singt\n", {"--unknown", entries}) == "the old Giraffe sings\n");
  const auto object = TranslateJson::parse(f.translated(line, {"--unknown", "source", "-f", "jsonl"}));
  CHECK(object["text"] == "the old Zebra sings");
  CHECK(object["tokens"][2] == "<unk>");
  CHECK_THAT(f.refused(f.mnemo({"translate", f.subwords(), "--unknown", "source"}), 2),
             contains_text("only where words are the units of the translation"));
  CHECK(f.translated_by(f.subwords(), f.sources[1][0] + "\n", {"--unknown", "keep"}) == f.targets[1][0] + "\n");
}

TEST_CASE("inspect shows what a translator attends to as translate does, and the encoder's states that follow a word") {
  const ToyTranslators& f = toys();
  const std::string line = f.sources[1][0];
  const Outcome o = f.mnemo({"inspect", f.words(), "--attention", "--text", line, "-f", "json"});
  REQUIRE(o.code == 0);
  const TranslateJson matrix = TranslateJson::parse(o.out)["attention"][0];
  const TranslateJson translated = TranslateJson::parse(f.translated(line + "\n", {"--format", "jsonl"}));
  CHECK(matrix["rows"] == translated["tokens"]);
  CHECK(matrix["columns"] == translated["source_tokens"]);
  REQUIRE(matrix["shares"].size() == translated["attention"].size());
  for (std::size_t i = 0; i < matrix["shares"].size(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < matrix["shares"][i].size(); ++j) {
      const double share = matrix["shares"][i][j].get<double>();
      CHECK(share == Approx(translated["attention"][i][j].get<double>()).margin(1e-4));
      sum += share;
    }
    CHECK(sum == Approx(1.0).margin(1e-2));
  }
  const Outcome found = f.mnemo({"inspect", f.words(), f.dev(), "--find", "regex:der|die|das", "-f", "json"});
  INFO(found.err);
  REQUIRE(found.code == 0);
  const TranslateJson units = TranslateJson::parse(found.out)["units"];
  for (const auto& unit : units) CHECK(unit["network"] == "encoder");
}

TEST_CASE("translate reads one thing from standard input, and writes one to standard output") {
  const ToyTranslators& f = toys();
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--alignment", "-"}, "der Hund\n"), 2),
             contains_text("--alignment -: standard output has the translations"));
  for (const char* option : {"--prefix", "--glossary"})
    CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), option, "-"}, "der Hund\n"), 2),
               contains_text(std::string(option) + " -: standard input has the lines to translate"));
}

TEST_CASE("translate --alignment links words by number, a line for a line, and leaves nothing half-written") {
  const ToyTranslators& f = toys();
  for (const std::string& model : {f.words(), f.subwords()}) {
    const std::string out =
        f.translated_by(model, joined(f.sources[1]) + "\n", {"--alignment", f.path("links"), "--nbest", "2"});
    const auto links = lines_of(Process::text(f.path("links")));
    REQUIRE(links.size() == f.sources[1].size() + 1);
    CHECK(links.back().empty());
    for (std::size_t i = 0; i + 1 < links.size(); ++i) {
      std::istringstream stream(links[i]);
      int expected = 0;
      for (std::string link; stream >> link; ++expected) {
        CHECK(link.substr(link.find('-') + 1) == std::to_string(expected));
        CHECK(std::stoi(link) < 4);
      }
      CHECK(expected == 4);
    }
  }
  // Verbs and nouns differ enough for the attention to find them.
  f.translated("der rote Hund schläft\n", {"--alignment", f.path("links")});
  CHECK_THAT(Process::text(f.path("links")), contains_text("2-2 3-3"));
  std::filesystem::remove(f.path("links"));
  f.refused(f.mnemo({"translate", f.words(), "--alignment", f.path("links")}, "der Hund\n\xFF\n"));
  CHECK_FALSE(std::filesystem::exists(f.path("links")));
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--alignment", f.path("no/links")})),
             contains_text("no/links"));
}

TEST_CASE("translate --format html is a page with a matrix for each line") {
  const ToyTranslators& f = toys();
  const std::string page = f.translated("der <b> Hund & Baum\nder rote Hund schläft\n", {"-f", "html"});
  CHECK_THAT(page, Catch::Matchers::StartsWith("<!DOCTYPE html>"));
  CHECK_THAT(page, Catch::Matchers::EndsWith("</body></html>\n"));
  CHECK_THAT(page, contains_text("der &lt;b&gt; Hund &amp; Baum"));
  CHECK(page.find("der <b>") == std::string::npos);
  CHECK_THAT(page, contains_text("the red dog sleeps"));
  CHECK_THAT(page, contains_text("<h1>Translations</h1>"));
  CHECK_THAT(page, contains_text("Line 2</p><p dir=\"auto\">der rote Hund"));
  CHECK_THAT(f.translated("der rote Hund\n", {"-f", "html", "-n", "3", "-b", "3"}),
             contains_text("Line 1, translation 3 of 3"));
  std::size_t sections = 0, cells = 0;
  for (std::size_t at = 0; (at = page.find("<section>", at)) != std::string::npos; ++at) ++sections;
  for (std::size_t at = page.rfind("<section>"); (at = page.find("<td", at)) != std::string::npos; ++at) ++cells;
  CHECK(sections == 2);
  CHECK(cells == 16);
}

TEST_CASE("translate --format-in takes the sources of pairs, a line out for each line") {
  const ToyTranslators& f = toys();
  const std::string line = f.sources[1][0], answer = f.targets[1][0] + "\n";
  CHECK(f.translated("", {f.path("dev.tsv"), "--format-in", "tsv"}) == joined(f.targets[1]));
  CHECK(f.translated(line + "\tx\n\n" + line + "\ty\n", {"--format-in", "tsv"}) == answer + "\n" + answer);
  CHECK(f.translated(line + "\n", {"--format-in", "tsv"}) == answer);
  CHECK(f.translated(line + "\n", {"--format-in", "lines"}) == answer);
  const std::string object = TranslateJson{{"source", line}, {"target", 3}, {"label", {1}}}.dump();
  CHECK(f.translated(object + "\n\n" + object + "\n", {"--format-in", "jsonl"}) == answer + "\n" + answer);
  const auto message = [&](const std::string& input, const std::string& format) {
    const Outcome o = f.mnemo({"translate", f.words(), "--format-in", format}, input);
    CHECK(o.out == answer);
    return f.refused(o);
  };
  CHECK_THAT(message(line + "\n" + line + "\tx\n", "tsv"), contains_text("standard input:2: expected 1 columns"));
  CHECK_THAT(message(object + "\n{}\n", "jsonl"), contains_text("standard input:2: no key \"source\""));
  CHECK_THAT(message(object + "\n{\"source\": \"a\\nb\"}\n", "jsonl"),
             contains_text("standard input:2: the text has a line break"));
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--format-in", "csv"}), 2),
             contains_text("lines, tsv or jsonl"));
}

TEST_CASE("translate --alignment leaves nothing beside FILE when a signal ends it") {
  const ToyTranslators& f = toys();
  const TemporaryFolder own;
  const std::string pipe = own / "input";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int end = open(pipe.c_str(), O_RDWR);  // so that the program waits for more
  REQUIRE(end >= 0);
  const auto files = [&] {
    TextRows out;
    for (const auto& entry : std::filesystem::directory_iterator(own.path()))
      if (entry.path().filename().string().starts_with("links")) out.push_back(entry.path().string());
    return out;
  };
  for (const int signal : {SIGINT, SIGTERM}) {
    Process process({"translate", f.words(), pipe, "--alignment", own / "links"}, own.path());
    const std::string line = f.sources[1][0] + "\n";
    REQUIRE(write(end, line.data(), line.size()) == std::ssize(line));
    for (int i = 0; i < 6000 && Process::text(own / "stdout").empty(); ++i) usleep(10000);
    REQUIRE(files().size() == 1);
    process.send(signal);
    CHECK(process.wait().code == 128 + signal);
    CHECK(files().empty());
    std::filesystem::remove(own / "stdout");
  }
  close(end);
}

TEST_CASE("a source in another encoding is an error with its place, after the lines before it") {
  const ToyTranslators& f = toys();
  const std::string good = "der rote Hund schläft\n", latin = "der gute Hund f\xE4llt\n";
  const Outcome bad = f.mnemo({"translate", f.words()}, good + latin);
  CHECK(bad.out == "the red dog sleeps\n");
  CHECK_THAT(f.refused(bad), contains_text("standard input:2:16: invalid UTF-8 (bytes 0xE4"));
  CHECK(lines_of(f.translated(good + latin, {"--invalid-utf8", "replace"})).size() == 2);
  CHECK(lines_of(f.translated(good + latin, {"--invalid-utf8", "skip"})).size() == 2);
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), f.path("none")})), contains_text("none: cannot open"));
}

TEST_CASE("a damaged translator, or a model of another task, is refused with the reason") {
  const ToyTranslators& f = toys();
  const ModelParts good(Process::text(f.words()));
  const std::string copy = f.path("copy");
  const auto message = [&](const std::string& bytes) {
    write_text(copy, bytes);
    return f.refused(f.mnemo({"translate", copy}, "der Hund\n"));
  };
  const auto changed = [&](const std::string& name, const std::string& bytes) {
    ModelParts parts = good;
    parts.tensors[name] = bytes;
    return message(parts.bytes());
  };
  write_text(copy, good.bytes());
  CHECK(f.translated_by(copy, joined(f.sources[1])) == joined(f.targets[1]));
  const std::string whole = good.bytes(), half = message(whole.substr(0, whole.size() - whole.size() / 2));
  CHECK_THAT(half, contains_text("damaged: its tensors need "));
  CHECK_THAT(half, contains_text("cut off?"));
  CHECK(half.find("tensor \"") == std::string::npos);
  for (const char* name : {"vocabulary", "vocabulary.target"}) {
    ModelParts parts = good;
    parts.tensors.erase(name);
    CHECK(message(parts.bytes()) ==
          "mnemo: " + copy + ": damaged model: tensor " + std::string(name) + " is missing\n");
    const std::string bytes = good.tensors.at(name);
    CHECK_THAT(changed(name, bytes.substr(0, bytes.size() - 3)),
               Catch::Matchers::StartsWith("mnemo: " + copy + ": damaged model: tensor " + std::string(name) + ": "));
    CHECK_THAT(changed(name, bytes + "x"), contains_text("damaged model: tensor " + std::string(name) + ": "));
    CHECK_THAT(changed(name, ModelParts(Process::text(f.subwords())).tensors.at(name)),
               contains_text(copy + ": damaged model: its vocabulary is not of the units of text.unit"));
  }
  CHECK_THAT(changed("vocabulary.target", good.tensors.at("vocabulary")),
             contains_text(copy + ": damaged model: its vocabulary lacks the end"));
  CHECK_THAT(changed("vocabulary", good.tensors.at("vocabulary.target")),
             contains_text(copy + ": tensors do not fit the configuration: source.weight"));
  ModelParts parts = good;
  parts.tensors.erase("combine.weight");
  CHECK_THAT(message(parts.bytes()), contains_text("combine.weight is missing"));
  CHECK_THAT(message(good.bytes().substr(0, 5000)), contains_text(copy + ": "));
  const std::string tagger = source_folder() + "/tests/fuzz/corpus/fuzz_model/tagger";
  CHECK_THAT(f.refused(f.mnemo({"translate", tagger}, "x\n")),
             contains_text("a model for the task \"tag\"; this command needs one for \"translate\""));
  CHECK_THAT(f.refused(f.mnemo({"classify", f.words()}, "x\n")), contains_text("a model for the task \"translate\""));
  CHECK_THAT(f.refused(f.mnemo({"generate", f.words()})), contains_text("a model for the task \"translate\""));
}

TEST_CASE("score gives the log p of a target given its source, per word on request") {
  const ToyTranslators& f = toys();
  const auto object = TranslateJson::parse(f.translated(f.sources[1][0] + "\n", {"-f", "jsonl"}));
  const std::string pair = f.sources[1][0] + "\t" + f.targets[1][0];
  for (const std::string& model : {f.words(), f.subwords()}) {
    const Outcome tsv = f.mnemo({"score", model}, pair + "\n" + f.sources[1][0] + "\t\n\t\n");
    REQUIRE(tsv.code == 0);
    const auto rows = lines_of(tsv.out);
    REQUIRE(rows.size() == 3);
    CHECK_THAT(rows[1], Catch::Matchers::StartsWith("2\t1\t-"));
    CHECK_THAT(rows[2], Catch::Matchers::StartsWith("3\t1\t-"));
    CHECK_THAT(tsv.err, contains_text("3 pairs, "));
    // Two files line by line, as the model was trained on; a line without a pair is counted.
    const Outcome two = f.mnemo({"score", model, f.path("dev.de") + "," + f.path("dev.en")});
    REQUIRE(two.code == 0);
    CHECK(lines_of(two.out).size() == f.sources[1].size());
    CHECK(f.mnemo({"score", model, "--format-in", "tsv"}, pair + "\n\n" + pair + "\n").out ==
          rows[0] + "\n3" + rows[0].substr(1) + "\n");
    const std::string line =
        TranslateJson{{"source", f.sources[1][0]}, {"target", f.targets[1][0]}, {"id", 7}}.dump() + "\n";
    const Outcome jsonl = f.mnemo({"score", model, "--format-in", "jsonl", "-f", "jsonl"}, line);
    INFO(jsonl.err);
    REQUIRE(jsonl.code == 0);
    const auto one = TranslateJson::parse(jsonl.out);
    double words = 0, units = 0;
    for (const auto& word : one["words"]) words += word[1].get<double>();
    for (const auto& unit : one["unit_log_probs"]) units += unit[1].get<double>();
    CHECK(words == Approx(one["log_prob"].get<double>()));
    CHECK(units == Approx(one["log_prob"].get<double>()));
    REQUIRE(one["words"].size() == 5);
    CHECK(one["words"][0][0] == "the");
    CHECK(one["words"][4][0] == "");
    CHECK_THAT(rows[0], contains_text(fmt::format("\t{:.6f}\t", one["log_prob"].get<double>())));
    if (model == f.words())
      CHECK(one["log_prob"].get<double>() == Approx(object["log_prob"].get<double>()).epsilon(1e-4));
  }
  // A translation that fits has more than one that does not.
  const auto log_p = [&](const std::string& target) {
    const auto rows = lines_of(f.mnemo({"score", f.words()}, "der rote Hund schläft\t" + target + "\n").out);
    std::istringstream stream(rows.at(0));
    double line = 0, units = 0, sum = 0;
    stream >> line >> units >> sum;
    return sum;
  };
  CHECK(log_p("the red dog sleeps") > log_p("the red bird sleeps") + 1);
  // A target of a thousand words for a source of one.
  std::string thousand;
  for (int i = 0; i < 1000; ++i) thousand += "dog ";
  const auto long_rows = lines_of(f.mnemo({"score", f.words()}, "Hund\t" + thousand + "\n").out);
  REQUIRE(long_rows.size() == 1);
  CHECK_THAT(long_rows[0], Catch::Matchers::StartsWith("1\t1001\t-"));
}

TEST_CASE("score rescores n-best lists of a translator, and writes what came before a bad line") {
  const ToyTranslators& f = toys();
  const std::string source = f.path("dev.de");
  const std::string list = f.translated(joined(f.sources[1]), {"--nbest", "2", "--length-penalty", "1"});
  const Outcome scored = f.mnemo({"score", f.words(), "--nbest", f.file("list", list), "--source", source});
  REQUIRE(scored.code == 0);
  const auto before = lines_of(list), after = lines_of(scored.out);
  REQUIRE(before.size() == after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK_THAT(after[i], Catch::Matchers::StartsWith(before[i] + " ||| -"));
    // The search ranks by log p over ((5 + 5) / 6).
    const double found = std::stod(before[i].substr(before[i].rfind(' ') + 1)),
                 again = std::stod(after[i].substr(after[i].rfind(' ') + 1));
    if (words_in(before[i].substr(0, before[i].rfind(" |||"))) == 6) CHECK(again * 0.6 == Approx(found).margin(2e-4));
  }
  // The blank after the bars of an empty translation may be lost.
  CHECK(lines_of(f.mnemo({"score", f.words(), "--nbest", f.file("list", "0 ||| \n0 |||\n"), "--source", source}).out)
            .size() == 2);
  const Outcome bad =
      f.mnemo({"score", f.words(), "--nbest", f.file("list", "0 ||| the dog\n99 ||| the dog\n"), "--source", source});
  CHECK_THAT(f.refused(bad), contains_text(f.path("list") + ":2: expected the number of a line of " + source));
  CHECK_THAT(bad.out, Catch::Matchers::StartsWith("0 ||| the dog ||| -"));
  CHECK_THAT(f.refused(f.mnemo({"score", f.words(), "--nbest", f.path("list")}), 2),
             contains_text("only with --source FILE"));
  const Outcome cut = f.mnemo({"score", f.words()}, f.sources[1][0] + "\t" + f.targets[1][0] + "\nno tab\n");
  CHECK_THAT(cut.out, Catch::Matchers::StartsWith("1\t5\t-"));
  CHECK_THAT(f.refused(cut), contains_text("standard input:2: expected 2 columns as in line 1, found 1"));
}

TEST_CASE("evaluate measures a translator on parallel files and tsv, with baselines, page and --min") {
  const ToyTranslators& f = toys();
  const Outcome text =
      f.mnemo({"evaluate", f.words(), f.dev(), "--train", f.path("train.de") + "," + f.path("train.en"), "--report",
               f.path("r.html"), "--metric", "bleu"});
  INFO(text.err);
  REQUIRE(text.code == 0);
  for (const char* part : {"BLEU 100.00, 95% interval", "chrF2 100.00", "tok:none", "the source as it is",
                           "word for word (IBM model 1)", "\nmodel ", "tokens of the reference"})
    CHECK_THAT(text.out, contains_text(part));
  const std::string page = Process::text(f.path("r.html"));
  CHECK_THAT(page, Catch::Matchers::EndsWith("</html>\n"));
  CHECK_THAT(page, contains_text(f.targets[1][0]));
  CHECK_THAT(page, contains_text(" pairs</small>"));
  CHECK_THAT(page, contains_text("<summary class=\"note\">attention</summary>"));
  CHECK(page.find("one label a record") == std::string::npos);
  const auto json = TranslateJson::parse(f.mnemo({"evaluate", f.words(), f.path("dev.tsv"), "--format-in", "tsv",
                                                  "--train", f.path("train.tsv"), "--format", "json"})
                                             .out);
  CHECK(json["records"] == f.sources[1].size());
  CHECK(json["metrics"]["bleu"].get<double>() == Approx(100));
  CHECK(json["metrics"]["chrf"].get<double>() == Approx(100));
  CHECK(json["metrics"]["loss"] > 0.0);
  CHECK(json["interval"]["metric"] == "loss");
  REQUIRE(json["baselines"].size() == 2);
  CHECK(json["baselines"][0]["metrics"]["bleu"] < 1.0);
  CHECK(json["baselines"][1]["metrics"]["bleu"] > 99.0);
  CHECK(f.mnemo({"evaluate", f.words(), f.dev(), "--min", "bleu=99", "--min", "chrf=99"}).code == 0);
  const Outcome low = f.mnemo({"evaluate", f.words(), f.dev(), "--min", "bleu=101"});
  CHECK(low.code == 3);
  CHECK_THAT(low.err, contains_text("--min bleu=101 not reached"));
  CHECK_THAT(f.refused(f.mnemo({"evaluate", f.words(), f.dev(), "--min", "accuracy=1"}), 2), contains_text("accuracy"));
  CHECK_THAT(f.refused(f.mnemo({"evaluate", f.words(), f.path("dev.de")}), 2), contains_text("expected SOURCE,TARGET"));
  CHECK_THAT(f.refused(f.mnemo({"evaluate", f.words()}), 2),
             contains_text("mnemo: standard input: parallel text is two files"));
  const Outcome uneven = f.mnemo({"evaluate", f.words(), f.path("dev.de") + "," + f.file("one-line", "the dog\n")});
  CHECK_THAT(f.refused(uneven), contains_text(fmt::format("dev.de has {} lines, ", f.sources[1].size())));
  CHECK_THAT(uneven.err, contains_text("one-line has 1 line: expected as many, line by line"));
}

TEST_CASE("SOURCE,TARGET names parallel text for a translator that was trained on another format, too") {
  const ToyTranslators& f = toys();
  REQUIRE(f.train("tabs", {"--set", "data.format=tsv", "--set", "data.train=train.tsv", "--set", "data.dev=dev.tsv",
                           "--set", "training.epochs=1"})
              .code == 0);
  const std::string model = f.path("tabs/model.safetensors");
  const auto same = [&](const std::string& command) {
    const Outcome two = f.mnemo({command, model, f.dev()}), one = f.mnemo({command, model, f.path("dev.tsv")});
    INFO(two.err);
    CHECK(two.code == 0);
    // The head of evaluate names the files.
    const auto measured = [](const std::string& out) { return out.substr(std::min(out.find("BLEU"), out.size())); };
    CHECK_FALSE(one.out.empty());
    CHECK((command == "score" ? two.out == one.out : measured(two.out) == measured(one.out)));
  };
  same("score");
  same("evaluate");
  for (const char* command : {"score", "evaluate"}) {
    const Outcome half = f.mnemo({command, model, f.path("dev.de") + "," + f.path("none")});
    CHECK_THAT(f.refused(half), contains_text(f.path("none") + ": cannot open"));
  }
  const Outcome tsv = f.mnemo({"evaluate", model, f.dev(), "--format-in", "tsv"});
  CHECK_THAT(f.refused(tsv), contains_text(f.dev() + ": cannot open"));
}

TEST_CASE("translate --no-repeat N has no N units twice") {
  const ToyTranslators& f = toys();
  // One that was trained on repetitions alone.
  const TranslateJson train{{"source", f.file("echo.de", "ja ja\nja ja ja ja\nnein nein nein\n")},
                            {"target", f.file("echo.en", "yes yes\nyes yes yes yes\nno no no\n")}};
  REQUIRE(f.train("echo", {"--set", "data.train=" + train.dump(), "--set", "data.dev=" + train.dump(), "--set",
                           "text.min_count=1", "--set", "training.epochs=60"})
              .code == 0);
  const auto translation = [&](std::vector<std::string> more) {
    return f.translated_by(f.path("echo/model.safetensors"), "ja ja ja ja\n", std::move(more));
  };
  REQUIRE(translation({}) == "yes yes yes yes\n");
  CHECK(translation({"--no-repeat", "0"}) == translation({}));
  for (const std::vector<std::string>& search :
       {std::vector<std::string>{}, {"--beam", "1"}, {"--sample", "--temperature", "0.1"}}) {
    std::vector<std::string> more{"--no-repeat", "2"};
    more.insert(more.end(), search.begin(), search.end());
    CHECK(translation(more).find("yes yes yes") == std::string::npos);
    more.insert(more.end(), {"--prefix", f.file("prefix", "yes yes yes\n")});
    CHECK_THAT(translation(more), Catch::Matchers::StartsWith("yes yes yes"));
  }
  CHECK_THAT(f.refused(f.mnemo({"translate", f.words(), "--no-repeat", "-1"}), 2), contains_text("--no-repeat"));
}

TEST_CASE("a page shows the beginning of a large matrix of attention") {
  const ToyTranslators& f = toys();
  std::string source, target;
  for (int i = 0; i < 50; ++i) source += "der rote Hund ", target += "the red dog ";
  const std::string pairs = f.file("long.tsv", source + "\t" + target + "\n");
  REQUIRE(f.mnemo({"evaluate", f.words(), pairs, "--format-in", "tsv", "--report", f.path("long.html")}).code == 0);
  const std::string page = Process::text(f.path("long.html"));
  CHECK_THAT(page, contains_text("100 of 150 columns are shown."));
  std::size_t cells = 0;
  for (std::size_t at = 0; (at = page.find("<td style=", at)) != std::string::npos; ++at) ++cells;
  CHECK(cells > 0);
  CHECK(cells <= 100 * 100);
}

TEST_CASE("evaluate searches with the beam and the length penalty, and counts the words, that it is told") {
  const ToyTranslators& f = toys();
  REQUIRE(f.train("weak", {"--set", "training.epochs=2"}).code == 0);
  const std::string model = f.path("weak/model.safetensors");
  const auto measured = [&](const std::string& target, std::vector<std::string> more) {
    more.insert(more.begin(), {"evaluate", model, f.path("dev.de") + "," + target, "--format", "json"});
    const Outcome o = f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return TranslateJson::parse(o.out);
  };
  // What a search found is its own best reference.
  const std::string usual = f.translated_by(model, joined(f.sources[1]));
  using Options = std::vector<std::string>;
  for (const Options& search : {Options{"--beam", "1"}, Options{"--length-penalty", "10"}}) {
    const std::string found = f.translated_by(model, joined(f.sources[1]), search);
    REQUIRE(found != usual);
    const std::string target = f.file("found", found);
    CHECK(measured(target, search)["metrics"]["bleu"].get<double>() == Approx(100));
    CHECK(measured(target, {})["metrics"]["bleu"].get<double>() < 99.9);
  }
  const std::string target = f.path("dev.en");
  CHECK(measured(target, {"--beam", "5", "--length-penalty", "1.2", "--bleu", "auto"}) == measured(target, {}));
  const auto signature = [&](const Options& more) {
    return measured(target, more)["signatures"]["bleu"].get<std::string>();
  };
  CHECK_THAT(signature({}), contains_text("tok:none"));
  CHECK_THAT(signature({"--bleu", "char"}), contains_text("tok:char"));
  CHECK_THAT(f.refused(f.mnemo({"evaluate", model, f.dev(), "--bleu", "word"}), 2),
             contains_text("auto, 13a, none, char or zh"));
  CHECK_THAT(f.refused(f.mnemo({"evaluate", model, f.dev(), "--beam", "0"}), 2), contains_text("--beam"));
  CHECK_THAT(f.mnemo({"help", "evaluate"}).out, contains_text("labelled data or pairs"));
}

TEST_CASE("evaluate --compare counts both translators in the same words") {
  const ToyTranslators& f = toys();
  // One model twice, which differ in how their own BLEU is counted; good enough to have some of it.
  for (const std::string bleu : {"none", "char"})
    REQUIRE(f.train("by-" + bleu, {"--set", "training.epochs=4", "--set", "data.bleu=" + bleu, "--set",
                                   "training.early_stopping.metric=bleu", "--set", "training.evaluate_every=4"})
                .code == 0);
  const auto measured = [&](const std::string& model, const std::string& other) {
    const Outcome o = f.mnemo({"evaluate", f.path("by-" + model + "/model.safetensors"), f.dev(), "--compare",
                               f.path("by-" + other + "/model.safetensors"), "--format", "json"});
    INFO(o.err);
    REQUIRE(o.code == 0);
    return TranslateJson::parse(o.out);
  };
  const auto words = measured("none", "char"), characters = measured("char", "none");
  REQUIRE(words["metrics"]["bleu"] != characters["metrics"]["bleu"]);
  CHECK(words["comparison"]["difference"]["value"] == 0.0);
  CHECK(characters["comparison"]["difference"]["value"] == 0.0);
  const Outcome other = f.mnemo({"evaluate", f.words(), f.dev(), "--compare", f.subwords()});
  CHECK(other.code == 0);
  CHECK_THAT(other.out, contains_text("against " + f.subwords()));
}

TEST_CASE("pairs that are empty, uneven, long, repeated or found in dev are counted, and left out by options alone") {
  const ToyTranslators& f = toys();
  std::string thousand;
  for (int i = 0; i < 1000; ++i) thousand += "dog ";
  TextRows sources{"", "Hund", f.sources[0][0], f.sources[1][0]},
      targets{"the dog", thousand, f.targets[0][0], f.targets[1][0]};
  sources.insert(sources.end(), f.sources[0].begin(), f.sources[0].end());
  targets.insert(targets.end(), f.targets[0].begin(), f.targets[0].end());
  const std::string train =
      TranslateJson{{"source", f.file("odd.de", joined(sources))}, {"target", f.file("odd.en", joined(targets))}}
          .dump();
  const auto dry = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--dry-run", "--set", "data.train=" + train});
    const Outcome o = f.train("never", more);
    CHECK(o.code == 0);
    return o.err + o.out;
  };
  const std::string all = dry({});
  CHECK_THAT(all, contains_text("pairs of train with an empty side: 1, the first at " + f.path("odd.de") + ":1"));
  CHECK_THAT(all, contains_text("differ extremely in length: 1; data.max_ratio leaves such pairs out"));
  CHECK_THAT(all, contains_text("repeated in train: 1 pair"));
  CHECK_THAT(all, contains_text("dev pairs that occur in train: 1"));
  // Counted in units, as by the option: one word of many bytes is one unit.
  const std::string lone =
      TranslateJson{{"source", f.file("lone.de", "Hund\n" + joined(f.sources[0]))},
                    {"target", f.file("lone.en", std::string(300, 'x') + "\n" + joined(f.targets[0]))}}
          .dump();
  const Outcome word = f.train("never", {"--dry-run", "--set", "data.train=" + lone});
  CHECK(word.code == 0);
  CHECK((word.err + word.out).find("extremely") == std::string::npos);
  CHECK_THAT(all, contains_text(fmt::format("train: {} pairs", sources.size())));
  CHECK(all.find("left out") == std::string::npos);
  const TextRows limits{"--set", "data.max_ratio=3", "--set", "data.max_length=50"};
  const std::string less = dry(limits);
  CHECK_THAT(less, contains_text("left out by data.max_length: 1 pair"));
  CHECK_THAT(less, contains_text("left out by data.max_ratio: 1 pair"));
  // Training says so, too; a pair with two empty sides is uneven.
  const std::string blank = TranslateJson{{"source", f.file("e.de", "\n\n" + joined(f.sources[0]))},
                                          {"target", f.file("e.en", "\nthe dog\n" + joined(f.targets[0]))}}
                                .dump();
  CHECK_THAT(
      f.train("short", {"--set", "data.train=" + blank, "--set", "training.epochs=1", "--set", "data.max_ratio=3"}).err,
      contains_text("left out by data.max_ratio: 2 pairs"));
  CHECK_FALSE(std::filesystem::exists(f.path("never")));
  // Nothing is cut: the long pair is trained on, too.
  CHECK(f.train("long", {"--set", "data.train=" + train, "--set", "training.epochs=1"}).code == 0);
  CHECK_THAT(f.refused(f.mnemo({"train", f.path("c.json"), "--set", "output.dir=" + f.path("none"), "--set",
                                "data.max_length=1", "-q"})),
             contains_text("data.max_length and data.max_ratio leave no pair"));
  const Outcome uneven = f.train(
      "none", {"-q", "--set",
               "data.train=" + TranslateJson{{"source", f.path("odd.de")}, {"target", f.path("dev.en")}}.dump()});
  CHECK_THAT(f.refused(uneven), contains_text(fmt::format("odd.de has {} lines, ", sources.size())));
  CHECK_THAT(uneven.err, contains_text(fmt::format("dev.en has {} lines: expected", f.targets[1].size())));
}

TEST_CASE("pairs that are left out have no part in the units, nor in the lengths of a trial run") {
  const ToyTranslators& f = toys();
  std::string strange;
  for (int i = 0; i < 60; ++i) strange += "Quux ";
  const auto dry = [&](const std::string& source, const std::string& target, std::vector<std::string> more) {
    const TranslateJson train{{"source", f.file("left.de", source + joined(f.sources[0]))},
                              {"target", f.file("left.en", target + joined(f.targets[0]))}};
    more.insert(more.begin(), {"--dry-run", "--set", "data.train=" + train.dump()});
    const Outcome o = f.train("never", more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.err + o.out;
  };
  const auto line_with = [](const std::string& text, const std::string& what) {
    for (const std::string& line : lines_of(text))
      if (line.find(what) != std::string::npos) return line;
    return std::string();
  };
  // The second time the units are other ones, as those of the pair that is left out count.
  for (const TextRows& unit : {TextRows{}, TextRows{"--set", "text.unit=subword", "--set", "text.merges=60"}}) {
    TextRows limited = unit;
    limited.insert(limited.end(), {"--set", "data.max_length=50"});
    const std::string alone = dry("", "", unit), less = dry(strange + "\n", strange + "\n", limited);
    for (const char* what : {"source: ", "target: ", "train, source: ", "train, target: "})
      CHECK(line_with(less, what) == line_with(alone, what));
    CHECK_THAT(less, contains_text(fmt::format("train: {} pairs, {} of them used", f.sources[0].size() + 1,
                                               f.sources[0].size())));
    CHECK(alone.find("used") == std::string::npos);
    CHECK_THAT(dry(strange + "\n", strange + "\n", unit), contains_text("max 6"));
  }
  // A side of blanks is an empty one, whatever the units are.
  for (const std::string unit : {"word", "char"}) {
    const TextRows options{"--set", "text.unit=" + unit, "--set", "data.max_ratio=20"};
    const std::string blank = dry(" \t\n", "the dog\n", options);
    CHECK_THAT(blank, contains_text("pairs of train with an empty side: 1, the first at " + f.path("left.de") + ":1"));
    CHECK_THAT(blank, contains_text("left out by data.max_ratio: 1 pair"));
  }
  CHECK_THAT(f.refused(f.train("never", {"--set", "data.max_ratio=0.5"}), 2),
             contains_text("data.max_ratio: expected 0 or a number from 1, found 0.5"));
}

TEST_CASE("attention dot needs no size of the decoder, whatever the encoder is") {
  const ToyTranslators& f = toys();
  for (const TextRows& encoder :
       {TextRows{"--set", "model.bidirectional=true"}, TextRows{"--set", "model.bidirectional=false"},
        TextRows{"--set", "model.bidirectional=true", "--set", "model.projection=10"},
        TextRows{"--set", "model.bidirectional=false", "--set", "model.projection=10"}}) {
    TextRows options{"--overwrite", "--set", "model.attention=dot", "--set", "training.epochs=1"};
    options.insert(options.end(), encoder.begin(), encoder.end());
    const Outcome o = f.train("dot", options);
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK(f.mnemo({"translate", f.path("dot/model.safetensors"), f.path("dev.de")}).code == 0);
  }
  CHECK_THAT(f.refused(f.train("dot", {"--overwrite", "--set", "model.attention=dot", "--set", "model.decoder_hidden=9",
                                       "--set", "model.bidirectional=true"}),
                       2),
             contains_text("set model.decoder_hidden to 0, or attention to general"));
}

TEST_CASE("a run with merge dropout that was killed is resumed to the same bytes") {
  const ToyTranslators& f = toys();
  const std::vector<std::string> options{"--set", "text.unit=subword",    "--set", "text.min_count=1",
                                         "--set", "text.merges=60",       "--set", "text.merge_dropout=0.3",
                                         "--set", "training.epochs=6",    "--set", "training.save_every=7 steps",
                                         "--set", "training.batch_size=8"};
  REQUIRE(f.train("whole", options).code == 0);
  std::vector<std::string> arguments{"train", f.path("c.json"), "--set", "output.dir=" + f.path("killed")};
  arguments.insert(arguments.end(), options.begin(), options.end());
  Process killed(arguments, f.folder());
  for (int i = 0; i < 20000 && !std::filesystem::exists(f.path("killed/resume.safetensors")); ++i) usleep(200);
  killed.send(SIGKILL);
  killed.wait();
  arguments.insert(arguments.end(), {"--resume", "--threads", "3"});
  REQUIRE(f.mnemo(arguments).code == 0);
  const std::string whole = Process::text(f.path("whole/model.safetensors"));
  CHECK(whole.size() > 1000);
  CHECK(Process::text(f.path("killed/model.safetensors")) == whole);
  // Without the dropout another model results.
  auto without = options;
  without[7] = "text.merge_dropout=0";
  REQUIRE(f.train("without", without).code == 0);
  CHECK(ModelParts(Process::text(f.path("without/model.safetensors"))).tensors.at("target.weight") !=
        ModelParts(whole).tensors.at("target.weight"));
}

TEST_CASE("the two sides have a vocabulary each, or a joint one") {
  const ToyTranslators& f = toys();
  REQUIRE(f.train("joint", {"--set", "text.joint=true", "--set", "text.unit=subword", "--set", "text.min_count=1",
                            "--set", "text.merges=90"})
              .code == 0);
  const std::string model = f.path("joint/model.safetensors");
  CHECK(f.translated_by(model, joined(f.sources[1])) == joined(f.targets[1]));
  const ModelParts parts(Process::text(model)), separate(Process::text(f.words()));
  CHECK_FALSE(parts.tensors.contains("vocabulary.target"));
  CHECK_FALSE(parts.tensors.contains("source.weight"));
  CHECK(separate.tensors.contains("vocabulary.target"));
  CHECK(separate.tensors.contains("source.weight"));
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
  REQUIRE(f.train("mixed", {"--set", "text.target_unit=char", "--set", "training.epochs=2"}).code == 0);
  CHECK(f.mnemo({"translate", f.path("mixed/model.safetensors"), f.path("dev.de")}).code == 0);
}

TEST_CASE("a translator starts from another one, with its units and weights") {
  const ToyTranslators& f = toys();
  const std::string more = f.file(
      "more.tsv", "der kleine Fuchs singt\tthe small fox sings\n" + f.sources[0][0] + "\t" + f.targets[0][0] + "\n");
  const std::vector<std::string> onwards{"--set", "data.train=" + more,         "--set", "data.format=tsv",
                                         "--set", "data.dev=dev.tsv",           "--set", "training.epochs=1",
                                         "--set", "training.learning_rate=1e-6"};
  const auto started = [&](const std::string& name, const std::vector<std::string>& own) {
    std::vector<std::string> all(onwards);
    all.insert(all.end(), own.begin(), own.end());
    return f.train(name, all);
  };
  for (const std::string& model : {f.words(), f.subwords()}) {
    // The model's unit is the default of a run that does not name one.
    const std::string unit = model == f.words() ? "word" : "subword";
    const Outcome o = started("onwards-" + unit, {"--init-from", model, "--set", "text.unit=" + unit});
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK_THAT(o.err, contains_text("its units and all weights carried over"));
    CHECK(f.translated_by(f.path("onwards-" + unit + "/model.safetensors"), joined(f.sources[1])) ==
          joined(f.targets[1]));
  }
  CHECK_THAT(f.refused(started("onwards", {"--init-from", f.words(), "--set", "text.unit=char"})),
             contains_text("text.unit is \"char\", the model's is \"word\""));
  CHECK_THAT(f.refused(started("onwards", {"--init-from", f.words(), "--set", "model.hidden=12"})),
             contains_text("its weights do not fit"));
  // Without it the new words alone do not make a translator of the old ones.
  REQUIRE(started("anew", {}).code == 0);
  CHECK(f.translated_by(f.path("anew/model.safetensors"), joined(f.sources[1])) != joined(f.targets[1]));
}

TEST_CASE("quantize writes an int8 translator with BLEU before and after, which translates as well") {
  const ToyTranslators& f = toys();
  const std::string narrow = f.path("narrow.safetensors");
  const Outcome o = f.mnemo({"quantize", f.words(), "--dev", f.dev(), "-o", narrow});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.out + o.err, contains_text("int8"));
  CHECK_THAT(o.out + o.err, contains_text("loss"));
  CHECK(f.translated_by(narrow, joined(f.sources[1])) == joined(f.targets[1]));
  CHECK(std::filesystem::file_size(narrow) < std::filesystem::file_size(f.words()));
  CHECK_THAT(f.mnemo({"help", "quantize"}).out, contains_text("for bleu and chrf, which go to 100, 0.5"));
  CHECK(f.mnemo({"inspect", narrow, "--verify"}).code == 0);
  for (const std::string threads : {"1", "3"})
    CHECK(f.translated_by(narrow, f.sources[1][0] + "\n", {"-f", "jsonl", "--threads", threads}) ==
          lines_of(f.translated_by(narrow, joined(f.sources[1]), {"-f", "jsonl"}))[0] + "\n");
}

TEST_CASE("init drafts a configuration for pairs in two files or one, which trains") {
  const ToyTranslators& f = toys();
  const Outcome two =
      f.mnemo({"init", "translate", f.path("train.de"), f.path("train.en"), f.path("dev.de"), f.path("dev.en")});
  INFO(two.err);
  REQUIRE(two.code == 0);
  const auto parallel = TranslateJson::parse(two.out);
  CHECK(parallel["task"] == "translate");
  CHECK(parallel["data"]["train"]["source"] == f.path("train.de"));
  CHECK(parallel["data"]["train"]["target"] == f.path("train.en"));
  CHECK(parallel["data"]["dev"]["target"] == f.path("dev.en"));
  CHECK(parallel["text"]["unit"] == "subword");
  // What it says is what it writes.
  for (const std::string part : {"train", "dev"})
    CHECK_THAT(two.err, contains_text("data." + part + " " + parallel["data"][part].dump() + ": "));
  CHECK(two.err.find("[\"") == std::string::npos);
  const Outcome one = f.mnemo({"init", "translate", f.path("train.tsv"), f.path("dev.tsv")});
  REQUIRE(one.code == 0);
  CHECK(TranslateJson::parse(one.out)["data"]["format"] == "tsv");
  write_text(f.path("drafted.json"), one.out);
  CHECK(f.mnemo({"train", f.path("drafted.json"), "--set", "output.dir=" + f.path("drafted"), "--set",
                 "training.epochs=1", "--set", "model.hidden=8", "--set", "model.embedding=8"})
            .code == 0);
  CHECK_THAT(f.refused(f.mnemo({"init", "translate", f.path("train.de")})), contains_text("train.de: found no pairs"));
  CHECK_THAT(f.refused(f.mnemo({"init", "translate", f.path("train.de"), f.file("train.fr", "x\n")})),
             contains_text("expected as many, line by line"));
}
