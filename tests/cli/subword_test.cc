// Models whose units are subwords, from the shell.
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"
#include "tests/temporary_folder.h"
#include "text/utf8.h"

namespace {

const std::string kSample = source_folder() + "/data/reviews-en";

// The texts of the sample's train, one a line.
std::string sample_texts() {
  std::string out;
  for (const std::string& line : lines_of(Process::text(kSample + "/train.tsv")))
    out += line.substr(line.find('\t') + 1) + "\n";
  return out;
}

// Names that share their parts, after the part of speech of each word.
std::string tagged_names() {
  std::string out;
  for (const std::string place : {"Oxford", "Bradford", "Guildford", "Cambridge", "Tonbridge", "Uxbridge"})
    for (const std::string name : {"Wilson", "Jackson", "Stevenson", "Robertson"}) {
      out += name + " NNP B-PER\nleft VBD O\n" + place + " NNP B-LOC\n. . O\n\n";
      out += "in IN O\n" + place + " NNP B-LOC\n" + name + " NNP B-PER\nwalked VBD O\n\n";
    }
  return out;
}

struct SubwordFolder {
  SubwordFolder() {
    write_text(path("train.txt"), sample_texts());
    write_text(path("lm.json"), R"({"task": "generate", "data": {"train": "train.txt", "dev_fraction": 0.1},
 "text": {"unit": "subword", "merges": 300}, "model": {"embedding": 12, "hidden": 16, "dropout": 0.1},
 "training": {"epochs": 1, "batch_size": 8, "bptt": 16}})");
    write_text(path("classify.json"),
               R"({"task": "classify", "data": {"train": "train.tsv", "dev": "dev.tsv", "dir": ")" + kSample + R"("},
 "text": {"unit": "subword", "merges": 200, "min_count": 3}, "model": {"embedding": 12, "hidden": 16},
 "training": {"epochs": 1}})");
    write_text(path("names.conll"), tagged_names());
    write_text(path("tag.json"),
               R"({"task": "tag", "data": {"train": "names.conll", "dev": "names.conll"},
 "text": {"unit": "subword", "merges": 60, "ngrams": {"char_min": 0, "char_max": 0}},
 "model": {"embedding": 12, "hidden": 12, "dropout": 0.1, "embedding_dropout": 0.1, "shape_embedding": 0,
           "char_encoder": {"kind": "none"}},
 "training": {"epochs": 15, "batch_size": 4, "learning_rate": 0.02, "early_stopping": {"metric": "loss"}}})");
  }
  std::string bytes(const std::string& output) const { return Process::text(path(output + "/model.safetensors")); }
  std::string path(const std::string& name) const { return folder / name; }
  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder.path(), input);
  }
  Outcome train(const std::string& config, const std::string& output, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"train", path(config), "--set", "output.dir=" + path(output)});
    return mnemo(more);
  }

  TemporaryFolder folder;
};

}  // namespace

TEST_CASE("a language model of subwords scores any line unit by unit, and generates valid text") {
  const SubwordFolder f;
  const Outcome trained = f.train("lm.json", "lm");
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err, contains_text("subwords by 300 merges"));
  CHECK_THAT(trained.err, contains_text("0 unknown"));
  const std::string model = f.path("lm/model.safetensors");
  for (const std::string line : {"A film that I have not seen.", "naïve 好 𝔘  two blanks ", "x"}) {
    const Outcome scored = f.mnemo({"score", model, "--format", "jsonl"}, line + "\n");
    INFO(scored.err);
    REQUIRE(scored.code == 0);
    const auto answer = nlohmann::json::parse(scored.out);
    CHECK(answer["unknown"] == 0);
    // Bytes stand for what train lacks; the other units join to the line.
    std::string joined;
    bool bytes = false;
    for (const auto& unit : answer["unit_log_probs"]) {
      bytes = bytes || unit[0].get<std::string>().starts_with("<0x");
      joined += unit[0].get<std::string>();
    }
    if (!bytes) CHECK(joined == " " + line + "\n");
  }
  const Outcome generated =
      f.mnemo({"generate", model, "--prompt", "The film", "--length", "200", "--seed", "4", "-t", "2"});
  CHECK(generated.code == 0);
  CHECK_THAT(generated.out, Catch::Matchers::StartsWith("The film"));
  CHECK_FALSE(mnemo::find_invalid_utf8(generated.out));
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
}

TEST_CASE("a line that is read in pieces has the units of the whole line") {
  const SubwordFolder f;
  REQUIRE(f.train("lm.json", "lm").code == 0);
  std::string line;
  while (line.size() < 700'000) line += "a good  film, and    so on ";
  line.pop_back();
  write_text(f.path("long.txt"), line + "\n");
  const std::string model = f.path("lm/model.safetensors");
  const Outcome whole = f.mnemo({"score", model, "--format", "jsonl"}, line + "\n");
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  const auto units = nlohmann::json::parse(whole.out)["units"].get<std::int64_t>();
  CHECK(units > 100'000);
  const Outcome pieces = f.mnemo({"evaluate", model, f.path("long.txt")});
  CHECK_THAT(pieces.out + pieces.err, contains_text(std::to_string(units) + " units"));
}

TEST_CASE("a classifier of subwords takes those of the language model that it starts from") {
  const SubwordFolder f;
  const Outcome alone = f.train("classify.json", "alone");
  INFO(alone.err);
  REQUIRE(alone.code == 0);
  CHECK_THAT(alone.err, contains_text("subwords by 200 merges"));
  CHECK(f.mnemo({"inspect", f.path("alone/model.safetensors"), "--verify"}).code == 0);
  // A record's answer does not depend on the others.
  const std::string model = f.path("alone/model.safetensors");
  const std::string one = "A warm, funny film.\n", two = "Dull 好.\n";
  CHECK(f.mnemo({"classify", model}, one + two).out ==
        f.mnemo({"classify", model}, one).out + f.mnemo({"classify", model}, two).out);

  REQUIRE(f.train("lm.json", "lm").code == 0);
  const Outcome started = f.train("classify.json", "started", {"--init-from", f.path("lm/model.safetensors")});
  INFO(started.err);
  CHECK(started.code == 0);
  CHECK_THAT(started.err, contains_text("subwords of the language model"));
}

TEST_CASE("a tagger of subwords tags words, and reads those that train lacks by their parts") {
  const SubwordFolder f;
  const Outcome trained = f.train("tag.json", "tag");
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK_THAT(trained.err, contains_text("subwords by 60 merges"));
  const std::string model = f.path("tag/model.safetensors");
  CHECK(f.mnemo({"evaluate", model, f.path("names.conll"), "--min", "f1=0.99"}).code == 0);
  // Neither word is in train; its parts are.
  CHECK(f.mnemo({"tag", model, "--raw"}, "Johnson left Stafford.\n").out ==
        "Johnson\tB-PER\nleft\tO\nStafford\tB-LOC\n.\tO\n\n");
  CHECK(f.mnemo({"tag", model}, "in IN O\nDartford NNP O\n").out == "in IN O O\nDartford NNP O B-LOC\n\n");
  CHECK(f.mnemo({"tag", model, "--raw", "--format", "slashed"}, "in Oxford Wilson walked\n").out ==
        "in/O Oxford/B-LOC Wilson/B-PER walked/O\n");
  // Letters that train lacks are read as bytes; text and tokens have one answer.
  const std::string odd = R"({"text": "Wilson left Ωσλο 好 𝔘"})",
                    same = R"({"tokens": ["Wilson", "left", "Ωσλο", "好", "𝔘"]})";
  const Outcome answered = f.mnemo({"tag", model, "--format-in", "jsonl"}, odd + "\n" + same + "\n");
  INFO(answered.err);
  REQUIRE(answered.code == 0);
  const std::vector<std::string> answers = lines_of(answered.out);
  REQUIRE(answers.size() == 2);
  const auto tokens = [&](std::size_t i) { return nlohmann::json::parse(answers[i])["tokens"]; };
  REQUIRE(tokens(0).size() == 5);
  for (std::size_t t = 0; t < 5; ++t) {
    CHECK(tokens(0)[t]["text"] == tokens(1)[t]["text"]);
    CHECK(tokens(0)[t]["probability"] == tokens(1)[t]["probability"]);
  }
  CHECK_THAT(f.train("tag.json", "dry", {"--dry-run"}).out, contains_text("unknown units 0.00%"));
  CHECK(f.mnemo({"inspect", model, "--verify"}).code == 0);
  const Outcome small = f.mnemo(
      {"quantize", model, "--dev", f.path("names.conll"), "--precision", "int8", "-o", f.path("small.safetensors")});
  INFO(small.err);
  REQUIRE(small.code == 0);
  CHECK(f.mnemo({"inspect", f.path("small.safetensors"), "--verify"}).code == 0);
  CHECK(f.mnemo({"tag", f.path("small.safetensors"), f.path("names.conll")}).out ==
        f.mnemo({"tag", model, f.path("names.conll")}).out);
}

TEST_CASE("a tagger of subwords takes those of the language model that it starts from") {
  const SubwordFolder f;
  REQUIRE(f.train("lm.json", "lm").code == 0);
  const Outcome started = f.train(
      "tag.json", "tag",
      {"--init-from", f.path("lm/model.safetensors"), "--set", "training.epochs=2", "--set", "model.hidden=16"});
  INFO(started.err);
  REQUIRE(started.code == 0);
  CHECK_THAT(started.err, contains_text("subwords of the language model"));
  CHECK(f.mnemo({"inspect", f.path("tag/model.safetensors"), "--verify"}).code == 0);
}

TEST_CASE("words cut anew in each epoch: the same bytes for any threads, after a kill, and prolonged") {
  const SubwordFolder f;
  for (const std::string task : {"tag", "classify"}) {
    const std::vector<std::string> dropped{"--set", "text.merge_dropout=0.2",     "--set", "training.epochs=3",
                                           "--set", "training.schedule=constant", "--set", "training.average_from=0"};
    const auto train = [&](const std::string& output, std::vector<std::string> more) {
      more.insert(more.begin(), dropped.begin(), dropped.end());
      const Outcome o = f.train(task + ".json", output, more);
      INFO(o.err);
      CHECK(o.code == 0);
      return f.bytes(output);
    };
    const std::string whole = train(task + "1", {"--threads", "1"});
    CHECK(train(task + "2", {"--threads", "2"}) == whole);
    CHECK(train(task + "3", {"--threads", "3"}) == whole);
    CHECK(train(task + "-plain", {"--set", "text.merge_dropout=0"}) != whole);
    const std::string longer = task + "-longer";
    train(longer, {"--set", "training.epochs=1"});
    CHECK(train(longer, {"--resume"}) == whole);
    // A run that was killed within an epoch.
    const std::string killed = task + "-killed";
    std::vector<std::string> arguments{
        "train", f.path(task + ".json"),        "--set",   "output.dir=" + f.path(killed),
        "--set", "training.save_every=5 steps", "--resume"};
    arguments.insert(arguments.end(), dropped.begin(), dropped.end());
    for (int kill = 0; kill < 3; ++kill) {
      Process process(arguments, f.folder.path());
      usleep(30000 + 20000 * kill);
      process.send(SIGKILL);
      process.wait();
    }
    CHECK(f.mnemo(arguments).code == 0);
    CHECK(train(task + "-saved", {"--set", "training.save_every=5 steps"}) == f.bytes(killed));
  }
}

TEST_CASE("subwords are refused where they make no sense") {
  const SubwordFolder f;
  const Outcome words = f.train("tag.json", "words", {"--set", "data.columns=words"});
  CHECK(words.code == 2);
  CHECK_THAT(words.err, contains_text("set text.unit to char"));
  CHECK(f.mnemo({"config", "print", f.path("lm.json"), "--set", "text.merge_dropout=0.1"}).code == 2);
  const Outcome poem = [&] {
    REQUIRE(f.train("lm.json", "lm").code == 0);
    return f.mnemo({"generate", f.path("lm/model.safetensors"), "--form", "五绝"});
  }();
  CHECK(poem.code == 2);
  CHECK_THAT(poem.err, contains_text("poems need a model of characters"));
}
