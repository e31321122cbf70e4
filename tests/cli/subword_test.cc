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
  }
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
  CHECK_THAT(started.err, contains_text("subwords of the model of --init-from"));
}

TEST_CASE("subwords are refused where they make no sense") {
  const SubwordFolder f;
  const Outcome tags = f.mnemo({"config", "print", f.path("classify.json"), "--set", "task=tag"});
  CHECK(tags.code == 2);
  const Outcome poem = [&] {
    REQUIRE(f.train("lm.json", "lm").code == 0);
    return f.mnemo({"generate", f.path("lm/model.safetensors"), "--form", "五绝"});
  }();
  CHECK(poem.code == 2);
  CHECK_THAT(poem.err, contains_text("poems need a model of characters"));
}
