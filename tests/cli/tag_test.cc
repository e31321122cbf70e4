// Taggers from the shell: trained, used and measured on sentences that a few words distinguish.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/temporary_folder.h"

namespace {

using nlohmann::json;

// Names in IOB1, after their parts of speech.
std::string tiny_sentences() {
  const std::vector<std::string> first{"Ada", "Alan", "Grace", "Kurt"}, last{"Byron", "Turing", "Hopper"},
      places{"Paris", "Rome", "Oslo"};
  std::string text = "-DOCSTART- -X- O\n\n";
  for (std::size_t i = 0; i < first.size(); ++i)
    for (std::size_t j = 0; j < last.size(); ++j) {
      text += first[i] + " NNP I-PER\n" + last[j] + " NNP I-PER\nsaw VBD O\n" + places[(i + j) % 3] +
              " NNP I-LOC\n. . O\n\n";
      text += "in IN O\n" + places[j] + " NNP I-LOC\n" + places[(j + 1) % 3] + " NNP B-LOC\nit PRP O\nrained VBD O\n\n";
    }
  return text;
}

class TagFixture {
 public:
  TagFixture() {
    write_text(path("train.conll"), tiny_sentences());
    write_text(path("dev.conll"),
               "Grace NNP I-PER\nTuring NNP I-PER\nsaw VBD O\nOslo NNP I-LOC\n. . O\n\nin IN O\nRome NNP I-LOC\n");
    write_text(path("c.json"), R"({"task": "tag",
 "data": {"train": "train.conll", "dev": "dev.conll", "format": "conll"},
 "model": {"embedding": 12, "hidden": 12, "dropout": 0.1, "embedding_dropout": 0.1,
           "char_encoder": {"kind": "cnn", "embedding": 6, "hidden": 8, "dropout": 0.1}},
 "training": {"epochs": 30, "batch_size": 4, "learning_rate": 0.02, "clip_norm": 5,
              "early_stopping": {"metric": "loss"}}})");
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  std::string model() const { return path("run/model.safetensors"); }
  std::string bytes(const std::string& name) const { return Process::text(path(name)); }
  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder_.path(), input);
  }
  Outcome train(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train", path("c.json"), "--set", "output.dir=" + path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mnemo(arguments);
  }
  // The message of training on these sentences, which must fail.
  std::string refused(const std::string& sentences, int code = 1, std::vector<std::string> more = {}) const {
    write_text(path("bad.conll"), sentences);
    more.insert(more.end(), {"--set", "data.train=" + path("bad.conll"), "--overwrite"});
    const Outcome o = train("refused", more);
    INFO(o.err);
    CHECK(o.code == code);
    return o.err;
  }

 private:
  TemporaryFolder folder_;
};

const TagFixture& tagger() {
  static const std::unique_ptr<const TagFixture> fixture = [] {
    auto made = std::make_unique<TagFixture>();
    const Outcome outcome = made->train("run");
    if (outcome.code != 0) throw std::runtime_error("training the tiny tagger: " + outcome.err);
    return made;
  }();
  return *fixture;
}

}  // namespace

TEST_CASE("a tagger learns names, is measured, and verifies") {
  const TagFixture& f = tagger();
  const Outcome o = f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--train", f.path("train.conll"), "--format",
                             "json", "--min", "f1=0.99"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const json found = json::parse(o.out);
  CHECK(found["metrics"]["f1"] == 1.0);
  CHECK(found["metrics"]["token_accuracy"] == 1.0);
  CHECK(found["records"] == 2);
  CHECK(found["tokens"] == 7);
  CHECK(found["interval"]["metric"] == "f1");
  CHECK(found["per_class"].size() == 2);
  CHECK(found["baselines"][0]["metrics"]["token_accuracy"].get<double>() > 0.8);
  CHECK(f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--min", "token_accuracy=1.1"}).code == 3);
  // If the strict count does not differ, it is the usual one.
  CHECK(f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--min", "strict_f1=0.99"}).code == 0);
  const Outcome unknown = f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--min", "unknown_accuracy=0.1"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, contains_text("needs --train"));
  CHECK(f.mnemo({"inspect", f.model(), "--verify"}).code == 0);
  REQUIRE(f.train("worse", {"--set", "training.epochs=1", "--set", "training.learning_rate=1e-6"}).code == 0);
  const Outcome compared = f.mnemo(
      {"evaluate", f.model(), f.path("dev.conll"), "--compare", f.path("worse/model.safetensors"), "--format", "json"});
  INFO(compared.err);
  const json comparison = json::parse(compared.out)["comparison"];
  CHECK(comparison["first"] == 1.0);
  CHECK(comparison["difference"]["value"].get<double>() > 0.0);
  CHECK(comparison["test"] == "paired bootstrap test");
  const std::string text = f.mnemo({"evaluate", f.model(), f.path("dev.conll")}).out;
  CHECK_THAT(text, contains_text("f1 1.0000, 95% interval 1.0000 to 1.0000"));
  CHECK_THAT(text, contains_text("PER"));
}

TEST_CASE("evaluate writes a page with the worst sentences, and compares by the requested metric") {
  const TagFixture& f = tagger();
  write_text(f.path("hard.conll"), "Ada NNP I-PER\nsaw VBD O\n<b> NNP I-LOC\n\nin IN O\nRome NNP I-LOC\n");
  const Outcome o = f.mnemo({"evaluate", f.model(), f.path("hard.conll"), "--report", f.path("page.html"), "--metric",
                             "recall", "--format", "json", "--train", f.path("train.conll")});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(json::parse(o.out)["interval"]["metric"] == "recall");
  CHECK(json::parse(o.out)["interval"]["value"] == json::parse(o.out)["metrics"]["recall"]);
  const std::string page = f.bytes("page.html");
  CHECK_THAT(page, contains_text("Worst sentences"));
  CHECK_THAT(page, contains_text("&lt;b&gt;"));
  CHECK_THAT(page, contains_text("Learning curves"));
  CHECK_THAT(page, contains_text("commonest tag"));
  CHECK_THAT(f.bytes("run/report.html"), contains_text("2 sentences"));
  const Outcome wrong = f.mnemo({"evaluate", f.model(), f.path("hard.conll"), "--metric", "accuracy"});
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err, contains_text("f1, precision, recall and token_accuracy"));
}

TEST_CASE("inspect --find names states of a tagger that follow a tag's type, token by token") {
  const TagFixture& f = tagger();
  // Names at places that are not always the same, as the test rotates them.
  std::string sentences;
  for (int i = 0; i < 60; ++i) {
    if (i % 3 == 0) sentences += "in IN O\nRome NNP I-LOC\n";
    if (i % 5 < 2) sentences += "saw VBD O\n";
    sentences += i % 7 < 3 ? "Grace NNP I-PER\nHopper NNP I-PER\n. . O\n\n" : "it PRP O\nrained VBD O\n. . O\n\n";
  }
  write_text(f.path("varied.conll"), sentences);
  const Outcome o = f.mnemo({"inspect", f.model(), f.path("varied.conll"), "--find", "label:PER", "-f", "tsv"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto lines = lines_of(o.out);
  REQUIRE(lines.size() == 1 + 2 * 2 * 12);  // h and c of two directions
  CHECK(lines[0] == "network\tlayer\tdirection\tvalue\tunit\tauc\tp");
  CHECK(lines[1].starts_with("rnn\t0\t"));
  CHECK(lines[1].ends_with("\t0.001"));
  CHECK(f.mnemo({"inspect", f.model(), f.path("varied.conll"), "--find", "label:I-PER", "-f", "tsv"}).out == o.out);
  CHECK(f.mnemo({"inspect", f.model(), f.path("train.conll"), "--find", "regex:Oslo \\."})
            .out.find("have the property") != std::string::npos);
}

TEST_CASE("JSON lines with spans train a tagger, whose answers are read again as JSON lines") {
  const TagFixture& f = tagger();
  std::string lines;
  for (const char* name : {"Ada", "Alan", "Grace", "Kurt"})
    for (const char* place : {"Paris", "Rome", "Oslo"}) {
      const std::string text = std::string(name) + " saw " + place + ".";
      const std::size_t at = text.find(place);
      lines += json{{"text", text},
                    {"spans",
                     {{{"start", 0}, {"end", std::string(name).size()}, {"type", "PER"}},
                      {{"start", at}, {"end", at + std::string(place).size()}, {"type", "LOC"}}}}}
                   .dump() +
               "\n";
    }
  write_text(f.path("spans.jsonl"), lines);
  const Outcome trained = f.train(
      "spans", {"--set", "data.format=jsonl", "--set", "data.train=spans.jsonl", "--set", "data.dev=spans.jsonl"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::string model = f.path("spans/model.safetensors");
  const Outcome tagged = f.mnemo({"tag", model}, lines);
  const json first = json::parse(tagged.out.substr(0, tagged.out.find('\n')));
  CHECK(first["text"] == "Ada saw Paris.");
  CHECK(first["spans"].size() == 2);
  CHECK(first["spans"][1]["start"] == 8);
  CHECK(first["spans"][1]["end"] == 13);
  write_text(f.path("answers.jsonl"), tagged.out);
  const Outcome again = f.mnemo({"evaluate", model, f.path("answers.jsonl"), "--format", "json"});
  INFO(again.err);
  CHECK(json::parse(again.out)["metrics"]["f1"] == 1.0);
  CHECK(f.mnemo({"tag", model}, "{\"text\": \"\"}\n").out == "{\"text\":\"\",\"tokens\":[],\"spans\":[]}\n");
  // Keys that are not the tagger's own are kept.
  const json kept = json::parse(f.mnemo({"tag", model}, R"({"id": 7, "spans": [], "text": "Ada saw Paris."})").out);
  CHECK(kept["id"] == 7);
  CHECK(kept["spans"] == first["spans"]);
  CHECK(f.mnemo({"tag", model, "--min-confidence", "nan"}, lines).code == 2);
  const std::string deep = R"({"text": "a", "x": )" + std::string(100000, '[') + std::string(100000, ']') + "}";
  const Outcome too_deep = f.mnemo({"tag", model}, deep);
  CHECK(too_deep.code == 1);
  CHECK_THAT(too_deep.err, contains_text("standard input:1: JSON nested deeper than 1000 levels"));
  // Spans have no scheme: they are spelled in the model's, and read under the keys of its configuration.
  for (const std::string scheme : {"bioes", "bmes", "iob1"}) {
    const std::string folder = "by-" + scheme;
    std::string rows;
    for (const char* name : {"Ada", "Alan", "Kurt"})
      rows += std::string(name) + (scheme == "iob1" ? " I-PER" : " S-PER") + "\nsaw " +
              (scheme == "bmes" ? "S-V" : "O") + "\n" +
              (scheme == "iob1"   ? "New I-LOC\nYork I-LOC\n\n"
               : scheme == "bmes" ? "New B-LOC\nYork E-LOC\n\n"
                                  : "New B-LOC\nYork E-LOC\n\n");
    write_text(f.path("rows.conll"), rows);
    REQUIRE(f.train(folder, {"--set", "data.train=" + f.path("rows.conll"), "--set", "data.dev=" + f.path("rows.conll"),
                             "--set", "data.text=1"})
                .code == 0);
    const std::string own = f.path(folder + "/model.safetensors");
    write_text(f.path("own.jsonl"), f.mnemo({"tag", own, "--format", "jsonl"}, rows).out);
    const Outcome read = f.mnemo({"evaluate", own, f.path("own.jsonl"), "--format-in", "jsonl", "--format", "json"});
    INFO(scheme << read.err);
    REQUIRE(read.code == 0);
    CHECK(json::parse(read.out)["metrics"]["token_accuracy"] == 1.0);
    CHECK(read.err.find("conlleval") == std::string::npos);
  }
  // Spans in the input are ignored.
  CHECK(f.mnemo({"tag", model}, R"({"spans": null, "tags": 3, "text": "Ada saw Paris."})").code == 0);
  // A token that columns cannot hold.
  const std::string wide = R"({"text": "Ada\tsaw", "tokens": ["Ada\tsaw"]})";
  const Outcome refused = f.mnemo({"tag", model, "--format", "conll"}, wide);
  CHECK(refused.code == 1);
  CHECK(refused.err.find("the token \"Ada\\tsaw\" contains blanks") != std::string::npos);
  CHECK(f.mnemo({"tag", model}, wide).code == 0);
}

TEST_CASE("a tagger's data are described before it is trained, and cross-validated") {
  const TagFixture& f = tagger();
  const Outcome dry = f.train("dry", {"--dry-run"});
  INFO(dry.err);
  REQUIRE(dry.code == 0);
  CHECK_THAT(dry.out, contains_text("tags of column tag in train: O 60, I-LOC 24, I-PER 24, B-LOC 12"));
  CHECK_THAT(dry.out, contains_text("repeated in train: 9 texts"));
  CHECK_THAT(dry.out, contains_text("train: 24 texts, 120 units"));
  CHECK_THAT(dry.out, contains_text("parameters: "));
  CHECK_FALSE(std::ifstream(f.path("dry/model.safetensors")));
  const Outcome folds = f.train("folds", {"--folds", "2", "--set", "training.epochs=3", "--set",
                                          "training.early_stopping.metric=f1", "--set", "data.dev=[]"});
  INFO(folds.err);
  REQUIRE(folds.code == 0);
  CHECK_THAT(folds.out, contains_text("fold 2 of 2: f1 "));
  CHECK_THAT(folds.out, contains_text("2 folds: f1 mean "));
}

TEST_CASE("F1 is not defined where there is no span and none was predicted") {
  const TagFixture& f = tagger();
  write_text(f.path("none.conll"), "saw VBD O\nit PRP O\n. . O\n\nrained VBD O\n. . O\n");
  const Outcome json = f.mnemo({"evaluate", f.model(), f.path("none.conll"), "--format", "json"});
  INFO(json.err);
  REQUIRE(json.code == 0);
  const auto metrics = nlohmann::json::parse(json.out)["metrics"];
  CHECK(metrics["token_accuracy"] == 1);
  for (const char* name : {"f1", "precision", "recall"}) CHECK_FALSE(metrics.contains(name));
  const Outcome least = f.mnemo({"evaluate", f.model(), f.path("none.conll"), "--min", "f1=0.5"});
  CHECK(least.code == 1);
  CHECK_THAT(least.err, contains_text("--min f1: not defined on this data"));
  // Four sentences with spans in eight folds: at least four folds have none, and are left out of the mean.
  std::string text = tiny_sentences();
  std::size_t end = 0;
  for (int i = 0; i < 4; ++i) end = text.find("\n\n", end) + 2;
  text.resize(end);
  for (int i = 0; i < 200; ++i) text += "it PRP O\nrained VBD O\n" + std::to_string(i) + " CD O\n\n";
  write_text(f.path("rare.conll"), text);
  const Outcome folds = f.train("few", {"--folds", "8", "--set", "training.epochs=1", "--set", "data.dev=[]", "--set",
                                        "data.train=" + f.path("rare.conll")});
  INFO(folds.err);
  REQUIRE(folds.code == 0);
  CHECK_THAT(folds.err, contains_text("tags of column tag in train: O "));
  CHECK_THAT(folds.out, contains_text("f1 is not defined on it"));
}

TEST_CASE("a tagger of graphemes joins them without blanks") {
  const TagFixture f;
  std::string rows;
  for (int i = 0; i < 20; ++i) rows += "我 O\n爱 O\n北 B-LOC\n京 I-LOC\n\n";
  write_text(f.path("zh.conll"), rows);
  const Outcome trained = f.train("zh", {"--set", "data.train=" + f.path("zh.conll"), "--set", "data.dev=[]", "--set",
                                         "text.unit=grapheme", "--set", "training.epochs=2"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const Outcome tagged = f.mnemo({"tag", f.path("zh/model.safetensors"), "--format", "jsonl"}, "我 O\n爱 O\n");
  INFO(tagged.err);
  const auto answer = nlohmann::json::parse(tagged.out);
  CHECK(answer["text"] == "我爱");
  CHECK(answer["tokens"][1]["start"] == 1);
}

TEST_CASE("tag appends its column to what was there, in order, in the scheme of the data") {
  const TagFixture& f = tagger();
  const Outcome o = f.mnemo({"tag", f.model()}, "in IN\nRome NNP\nParis NNP\n\n# a comment\nAlan\tNNP\nByron\tNNP\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(o.out == "in IN O\nRome NNP I-LOC\nParis NNP B-LOC\n\n# a comment\nAlan\tNNP\tI-PER\nByron\tNNP\tI-PER\n\n");
  CHECK(f.mnemo({"tag", f.model(), "--format", "slashed"}, "in IN\nRome NNP\n").out == "in/O Rome/I-LOC\n");
  // The tags of a sentence do not depend on the sentences it is tagged with, nor on threads.
  std::string all;
  for (int i = 0; i < 40; ++i) all += "in IN\nRome NNP\nParis NNP\n\n";
  const std::string one =
      f.mnemo({"tag", f.model(), "--marginals", "--threads", "1"}, "in IN\nRome NNP\nParis NNP\n").out;
  std::string expected;
  for (int i = 0; i < 40; ++i) expected += one;
  CHECK(f.mnemo({"tag", f.model(), "--marginals", "--threads", "3"}, all).out == expected);
}

TEST_CASE("plain text is split into tokens, with the places of spans in bytes and in characters") {
  const TagFixture& f = tagger();
  const Outcome o = f.mnemo({"tag", f.model(), "--raw", "--format", "jsonl", "--marginals", "--nbest", "3"},
                            "Ada Byron saw Rome.\n\né in Oslo\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  std::vector<json> records;
  std::istringstream lines(o.out);
  for (std::string line; std::getline(lines, line);) records.push_back(json::parse(line));
  REQUIRE(records.size() == 3);
  CHECK(records[0]["tokens"].size() == 5);
  REQUIRE(records[0]["spans"].size() == 2);
  const json& span = records[0]["spans"][0];
  CHECK(span["type"] == "PER");
  CHECK(span["start"] == 0);
  CHECK(span["end"] == 9);
  CHECK(span["probability"].get<double>() > 0.5);
  for (const json& token : records[0]["tokens"]) {
    double sum = 0;
    for (const json& p : token["marginals"]) sum += p.get<double>();
    CHECK(sum == Approx(1.0).margin(1e-6));
  }
  REQUIRE(records[0]["nbest"].size() == 3);
  CHECK(records[0]["nbest"][0]["probability"] > records[0]["nbest"][1]["probability"]);
  CHECK(records[1]["tokens"].empty());
  const json& oslo = records[2]["spans"][0];
  CHECK(oslo["start"] == 5);
  CHECK(oslo["byte_start"] == 6);
  CHECK(oslo["byte_end"] == 10);
  // Spans that are less probable than asked for are left out.
  CHECK(f.mnemo({"tag", f.model(), "--raw", "--min-confidence", "1"}, "Ada Byron saw Rome.\n").out ==
        "Ada\tO\nByron\tO\nsaw\tO\nRome\tO\n.\tO\n\n");
}

TEST_CASE("the tokens of a span that is left out have the probability of being in none") {
  const TagFixture& f = tagger();
  const std::string line = "Ada saw Rome\n";
  const json all = json::parse(f.mnemo({"tag", f.model(), "--raw", "--format", "jsonl", "--marginals"}, line).out);
  const json none =
      json::parse(f.mnemo({"tag", f.model(), "--raw", "--format", "jsonl", "--min-confidence", "1"}, line).out);
  REQUIRE(all["spans"].size() == 2);
  CHECK(none["spans"].empty());
  for (std::size_t t = 0; t < 3; ++t) {
    CHECK(none["tokens"][t]["tag"] == "O");
    CHECK(none["tokens"][t]["probability"] == all["tokens"][t]["marginals"]["O"]);
  }
}

TEST_CASE("comments of rows are written as they were read, also without any token") {
  const TagFixture& f = tagger();
  const std::string rows = "# sent_id = 1\nRome NNP I-LOC\n\n# of nothing else\n\nRome NNP I-LOC\n\n";
  const Outcome o = f.mnemo({"tag", f.model()}, rows);
  CHECK(o.out == "# sent_id = 1\nRome NNP I-LOC I-LOC\n\n# of nothing else\n\nRome NNP I-LOC I-LOC\n\n");
}

TEST_CASE("a page shows spans, and escapes the text") {
  const TagFixture& f = tagger();
  const Outcome o = f.mnemo({"tag", f.model(), "--raw", "--format", "html"}, "<b> Ada Byron & saw Rome.\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.out, contains_text("<!DOCTYPE html>"));
  CHECK_THAT(o.out, contains_text("&lt;"));
  CHECK_THAT(o.out, contains_text("&amp;"));
  CHECK_THAT(o.out, contains_text("<small>PER "));
  CHECK(o.out.ends_with("</body></html>\n"));
  CHECK(o.out.find("<b>") == std::string::npos);
}

TEST_CASE("several columns of conllu are predicted by one model, and replaced in the output") {
  const TagFixture f;
  const auto row = [](int id, const std::string& form, const std::string& upos, const std::string& xpos) {
    return std::to_string(id) + "\t" + form + "\t_\t" + upos + "\t" + xpos + "\t_\t_\t_\t_\tX=" + std::to_string(id) +
           "\n";
  };
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += "# sent_id = " + std::to_string(i) + "\n1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n" + row(1, "do", "AUX", "VBP") +
            row(2, "n't", "PART", "RB") + row(3, i % 2 == 0 ? "go" : "stop", "VERB", "VB") + "\n";
  write_text(f.path("pos.conllu"), text);
  const Outcome trained = f.train(
      "pos", {"--set", "data.train=" + f.path("pos.conllu"), "--set", "data.dev=" + f.path("pos.conllu"), "--set",
              "data.format=conllu", "--set", "data.columns=[\"upos\",\"xpos\"]", "--set",
              "model.char_encoder.kind=bilstm", "--set", "model.shape_embedding=3", "--set", "model.crf=false"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  std::string untagged = text;
  for (const std::string tag : {"AUX\tVBP", "PART\tRB", "VERB\tVB"})
    for (std::size_t at; (at = untagged.find(tag)) != std::string::npos;) untagged.replace(at, tag.size(), "_\t_");
  const Outcome o = f.mnemo({"tag", f.path("pos/model.safetensors")}, untagged);
  INFO(o.err);
  CHECK(o.out == text);
  const json found =
      json::parse(f.mnemo({"evaluate", f.path("pos/model.safetensors"), f.path("pos.conllu"), "--format", "json"}).out);
  CHECK(found["metrics"]["xpos.token_accuracy"] == 1.0);
  CHECK(found["columns"].size() == 2);
  // Tokens alone need no columns of tags.
  CHECK(f.mnemo({"tag", f.path("pos/model.safetensors"), "--format-in", "conll"}, "do\nn't\ngo\n").out ==
        "do AUX VBP\nn't PART RB\ngo VERB VB\n\n");
  // If tags spell no spans, the answers have none, and are read again by the tags of their tokens.
  const Outcome lines = f.mnemo({"tag", f.path("pos/model.safetensors"), "--format", "jsonl"}, untagged);
  const json first = json::parse(lines.out.substr(0, lines.out.find('\n')));
  CHECK_FALSE(first.contains("spans"));
  CHECK(first["columns"]["xpos"]["tokens"][0]["tag"] == "VBP");
}

TEST_CASE("words are found as tagged characters") {
  const TagFixture f;
  std::string text;
  for (int i = 0; i < 20; ++i) text += "今天/t 天气/n 好/a\n我们/r 爱/v 天/n\n";
  write_text(f.path("words.txt"), text);
  const Outcome trained = f.train(
      "words", {"--set", "data.train=" + f.path("words.txt"), "--set", "data.dev=" + f.path("words.txt"), "--set",
                "data.format=slashed", "--set", "data.columns=words", "--set", "text.unit=char", "--set",
                "model.char_encoder.kind=none", "--set", "text.ngrams.unit=2", "--set", "text.ngrams.buckets=500"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(f.mnemo({"tag", f.path("words/model.safetensors"), "--raw"}, "我们爱天\n").out ==
        "我\tB\n们\tE\n爱\tS\n天\tS\n\n");
  CHECK(f.mnemo({"tag", f.path("words/model.safetensors"), "--raw", "--format", "slashed"}, "我们爱天\n\n天\n").out ==
        "我们 爱 天\n\n天\n");
  const json found = json::parse(
      f.mnemo({"evaluate", f.path("words/model.safetensors"), f.path("words.txt"), "--format", "json"}).out);
  CHECK(found["metrics"]["f1"] == 1.0);

  // Words with their tags, by one model.
  const Outcome tagged =
      f.train("tagged", {"--set", "data.train=" + f.path("words.txt"), "--set", "data.dev=" + f.path("words.txt"),
                         "--set", "data.format=slashed", "--set", "data.columns=tagged-words", "--set",
                         "text.unit=char", "--set", "model.char_encoder.kind=none"});
  INFO(tagged.err);
  REQUIRE(tagged.code == 0);
  const std::string model = f.path("tagged/model.safetensors");
  CHECK(f.mnemo({"tag", model, "--raw"}, "我们爱天\n").out == "我\tB-r\n们\tE-r\n爱\tS-v\n天\tS-n\n\n");
  CHECK(f.mnemo({"tag", model, "--raw", "--format", "slashed"}, "我们爱天\n").out == "我们/r 爱/v 天/n\n");
  // No word reaches over a blank.
  const std::string apart = f.mnemo({"tag", model, "--raw", "--format", "slashed"}, "我 们爱天\n").out;
  INFO(apart);
  CHECK(apart.starts_with("我/"));
  CHECK(apart.find(" 们/") != std::string::npos);
  // Answers in JSON have the words as spans, and are read again as such, with their blanks.
  write_text(f.path("own.jsonl"), f.mnemo({"tag", model, "--raw", "--format", "jsonl"}, "我 们爱天\n我们爱天\n").out);
  const Outcome read = f.mnemo({"evaluate", model, f.path("own.jsonl"), "--format-in", "jsonl", "--format", "json"});
  INFO(read.err);
  CHECK(json::parse(read.out)["metrics"]["f1"] == 1.0);
  // No sequence has a word over a blank, even if there are no others to give.
  const json few = json::parse(f.mnemo({"tag", model, "--raw", "--format", "jsonl", "--nbest", "1000"}, "我 们\n").out);
  for (const json& sequence : few["nbest"])
    for (const json& tag : sequence["tags"]) CHECK(tag.get<std::string>()[0] == 'S');
  CHECK(f.mnemo({"tag", model, "--raw", "--format", "slashed", "--min-confidence", "1"}, "我们爱天\n").out ==
        "我们/_ 爱/_ 天/_\n");
  CHECK(f.mnemo({"tag", model, "--raw", "--min-confidence", "1"}, "我们\n").out == "我\t_\n们\t_\n\n");
  const json spans = json::parse(f.mnemo({"tag", model, "--raw", "--format", "jsonl"}, "今天 好\n").out)["spans"];
  REQUIRE(spans.size() == 2);
  CHECK(spans[0]["type"] == "t");
  CHECK(spans[1]["start"] == 3);
}

TEST_CASE("taggers: the same bytes for any number of threads, and after an interruption") {
  const TagFixture f;
  const std::vector<std::string> more{"--set", "training.save_every=5 steps", "--set", "training.epochs=6"};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  REQUIRE(f.train("one", with({"--threads", "1"})).code == 0);
  REQUIRE(f.train("three", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("three/model.safetensors"));
  // A run that was killed leaves what it saved last.
  std::vector<std::string> arguments =
      with({"train", f.path("c.json"), "--set", "output.dir=" + f.path("killed"), "--resume"});
  for (int kill = 0; kill < 3; ++kill) {
    Process process(arguments, f.path(""));
    usleep(30000 + 20000 * kill);
    process.send(SIGKILL);
    process.wait();
  }
  REQUIRE(f.train("killed", with({"--resume"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("killed/model.safetensors"));
}

TEST_CASE(
    "sentences that make no sense to a tagger are refused by file and line, wrong sequences repaired and counted") {
  const TagFixture& f = tagger();
  CHECK_THAT(f.refused("a NN O\nb O\n"), contains_text("bad.conll:2: 2 columns, expected 3 as in line 1"));
  CHECK_THAT(f.refused("a X-PER\nb O\n", 1, {"--set", "data.scheme=bio"}),
             contains_text("bad.conll:1: tag \"X-PER\" is not of the scheme bio: O, B-TYPE, I-TYPE"));
  CHECK_THAT(f.refused("a O\nb O\n"), contains_text("only the tag \"O\""));
  CHECK_THAT(f.refused("\n\n"), contains_text("train has no tokens"));
  // PER, of which dev has some, is not in train.
  CHECK_THAT(f.refused("a B-X\n\nb I-X\nc O\n\nd B-X\n", 0), contains_text("dev: tags that do not occur in train"));
  CHECK_THAT(f.refused("a B\n", 2, {"--set", "data.scheme=iob3"}), contains_text("data.scheme"));
  CHECK_THAT(f.refused("a B\n", 2, {"--set", "data.format=tsv"}),
             contains_text("data.format: tsv is not a value for the task tag"));
  CHECK_THAT(f.refused("a B\n", 2, {"--set", "training.early_stopping.metric=accuracy"}),
             contains_text("accuracy is not a value for the task tag"));

  write_text(f.path("wrong.conll"), "a B-X\nb O\n\nc I-X\nd O\n\ne B-X\nf I-X\n");
  const Outcome o = f.train("wrong", {"--set", "data.train=" + f.path("wrong.conll"), "--set",
                                      "data.dev=" + f.path("wrong.conll"), "--set", "training.epochs=1"});
  INFO(o.err);
  CHECK(o.code == 0);
  CHECK_THAT(o.err, contains_text("sentences whose column tag is not a sequence of bio, read by conlleval's rule: 1"));
  CHECK_THAT(o.err, contains_text("wrong.conll:4: I-X read as B-X"));
  CHECK_THAT(f.mnemo({"evaluate", f.path("wrong/model.safetensors"), f.path("wrong.conll")}).err,
             contains_text("wrong.conll:4: I-X read as B-X"));
  // Keys that have no effect on a tagger.
  for (const std::string set : {"training.label_smoothing=0.1", "training.class_weight=balanced", "model.pooling=mean"})
    CHECK_THAT(f.refused("a B\n", 2, {"--set", set}), contains_text(set.substr(0, set.find('='))));
  CHECK_THAT(f.refused("a B\n", 2, {"--set", "data.columns=words"}), contains_text("set text.unit to char"));

  write_text(f.path("unseen.conll"), "Rome NNP I-PLANET\n");
  const Outcome unseen = f.mnemo({"evaluate", f.model(), f.path("unseen.conll")});
  CHECK(unseen.code == 0);
  CHECK_THAT(unseen.err, contains_text("count as missed: 1, the first \"I-PLANET\" of column tag at " +
                                       f.path("unseen.conll") + ":1"));
  CHECK_THAT(unseen.out, contains_text("f1 0.0000"));
  const Outcome classified = f.mnemo({"classify", f.model()}, "a\n");
  CHECK(classified.code == 1);
  CHECK_THAT(classified.err, contains_text("a model for the task \"tag\"; this command needs one for \"classify\""));
  CHECK(f.mnemo({"tag", f.model(), "--format", "conllu"}, "a NN\n").code == 2);
}

TEST_CASE("data whose columns or tags are not the model's are refused by file and line, everywhere") {
  const TagFixture& f = tagger();
  write_text(f.path("more.conll"), tiny_sentences() + "foo NNP I-ZZZ\n");
  const Outcome train = f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--train", f.path("more.conll")});
  CHECK(train.code == 1);
  CHECK_THAT(train.err, contains_text("the model does not know the tag \"I-ZZZ\" of column tag"));
  REQUIRE(f.train("two", {"--set", "data.columns=[2, 3]", "--set", "training.epochs=1"}).code == 0);
  const Outcome slashed =
      f.mnemo({"evaluate", f.path("two/model.safetensors"), "--format-in", "slashed"}, "the/DET dog/NOUN\n");
  CHECK(slashed.code == 1);
  CHECK_THAT(slashed.err, contains_text("standard input: slashed has one column of tags, the model 2: 2, 3"));
  CHECK_THAT(f.refused("a/X b/Y\n", 1, {"--set", "data.format=slashed", "--set", "data.columns=[\"a\", \"b\"]"}),
             contains_text("slashed has one column of tags"));
  CHECK_THAT(f.refused("a X\n", 2, {"--set", "data.columns=[2, 2]"}), contains_text("data.columns: 2 is given twice"));
  const Outcome minimum = f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--min", "accuracy=0.5"});
  CHECK(minimum.code == 2);
  CHECK_THAT(minimum.err, contains_text("token_accuracy"));
  CHECK(f.mnemo({"evaluate", f.model(), f.path("dev.conll"), "--min", "ece=0.5"}).code == 0);
  // conllu read by a model of conll keeps its words, and the answer is not one of its columns.
  const Outcome conllu = f.mnemo({"tag", f.model(), "--format-in", "conllu"}, "1\tRome\t_\t_\t_\t_\t_\t_\t_\t_\n\n");
  INFO(conllu.err);
  CHECK(conllu.out == "1\tRome\t_\t_\t_\t_\t_\t_\t_\t_\tI-LOC\n\n");
}

TEST_CASE("answers come after the separator that the model reads, and all rows have the same width") {
  const TagFixture f;
  std::string text = tiny_sentences();
  std::replace(text.begin(), text.end(), ' ', '|');
  write_text(f.path("bars.conll"), text);
  const Outcome trained = f.train("bars", {"--set", "data.separator=|", "--set", "data.train=bars.conll", "--set",
                                           "data.dev=bars.conll", "--set", "training.epochs=10"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::string model = f.path("bars/model.safetensors");
  CHECK(f.mnemo({"tag", model}, "in|IN\n").out == "in|IN|O\n\n");
  // One token has fewer sequences of tags than requested.
  const std::string best = f.mnemo({"tag", model, "--nbest", "9"}, "in|IN\n").out;
  CHECK(std::count(best.begin(), best.end(), '|') == 10);
  CHECK_THAT(best, contains_text("|_|_"));
  CHECK_THAT(f.refused("a|X\nb|\n", 1, {"--set", "data.separator=|"}),
             contains_text("bad.conll:2: the tag in column 2 is empty"));
  CHECK(f.mnemo({"tag", model, "--nbest", "2", "--format", "html"}, "in|IN\n").code == 2);
}

TEST_CASE("a span's probability is the sum over all sequences that have exactly this span, with types or without") {
  const TagFixture f;
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += i % 3 == 0 ? "a B\nb I\nc O\n\n" : i % 3 == 1 ? "a B\na B\nb I\n\n" : "c O\nc O\na B\n\n";
  write_text(f.path("plain.conll"), text);
  for (const std::string scheme : {"bio", "bioes"}) {
    const Outcome trained =
        f.train(scheme, {"--set", "data.train=plain.conll", "--set", "data.dev=plain.conll", "--set", "data.scheme=bio",
                         "--set", "model.scheme=" + scheme, "--set", "training.epochs=2"});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
    const std::string model = f.path(scheme + "/model.safetensors");
    for (const char* line : {"a b c", "a a b", "b a a", "c b a b"}) {
      const json found = json::parse(
          f.mnemo({"tag", model, "--raw", "--format", "jsonl", "--nbest", "300"}, std::string(line) + "\n").out);
      for (const json& span : found["spans"]) {
        // Tokens are letters with blanks between them.
        const std::size_t begin = span["start"].get<std::size_t>() / 2, end = (span["end"].get<std::size_t>() + 1) / 2;
        double sum = 0;
        for (const json& sequence : found["nbest"]) {
          const auto tags = sequence["tags"].get<std::vector<std::string>>();
          bool exact = tags[begin] == "B" && (end == tags.size() || tags[end] != "I");
          for (std::size_t t = begin + 1; t < end; ++t) exact = exact && tags[t] == "I";
          if (exact) sum += sequence["probability"].get<double>();
        }
        CHECK(span["probability"].get<double>() == Approx(sum).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("marginals have the data's spelling, and contain the chosen tag") {
  const TagFixture& f = tagger();
  const json found = json::parse(
      f.mnemo({"tag", f.model(), "--raw", "--marginals", "--format", "jsonl"}, "Alan Byron saw Rome\n").out);
  for (const json& token : found["tokens"]) {
    double sum = 0, largest = 0;
    for (const auto& [tag, p] : token["marginals"].items()) {
      CHECK((tag == "O" || tag.starts_with("I-")));
      sum += p.get<double>();
      largest = std::max(largest, p.get<double>());
    }
    CHECK(sum == Approx(1.0).epsilon(1e-9));
    CHECK(token["marginals"][token["tag"].get<std::string>()] == token["probability"]);
    CHECK(token["probability"] == largest);
  }
}

TEST_CASE(
    "a tag that is spelled unlike the others is named, and comments before the first row belong to its sentence") {
  const TagFixture f;
  std::string text = tiny_sentences();
  const Outcome odd = f.train("odd", {"--dry-run", "--set", "data.train=odd.conll"});
  CHECK(odd.code == 1);
  write_text(f.path("odd.conll"), text + "Bo NNP B_PER\n");
  const Outcome named = f.train("odd", {"--dry-run", "--set", "data.train=odd.conll", "--set", "data.dev=[]"});
  INFO(named.err);
  CHECK(named.code == 0);
  CHECK_THAT(named.err, contains_text("1 of 121 tokens have tags such as \"B_PER\" at "));
  write_text(f.path("comment.conll"), "# a corpus of names\n\n" + text);
  const Outcome comment = f.train("odd", {"--dry-run", "--set", "data.train=comment.conll"});
  CHECK_THAT(comment.err, contains_text("scheme iob1"));
  CHECK_THAT(comment.out, contains_text("train: 24 texts, 120 units"));
}

TEST_CASE("an empty sentence and an empty input are written as they were read") {
  const TagFixture& f = tagger();
  CHECK(f.mnemo({"tag", f.model()}, "").out.empty());
  CHECK(f.mnemo({"tag", f.model(), "--raw", "--format", "jsonl"}, "\n  \nAda saw Rome\n")
            .out.starts_with("{\"text\":\"\",\"tokens\":[],\"spans\":[]}\n{\"text\":\"  "
                             "\",\"tokens\":[],\"spans\":[]}\n{\"text\":\"Ada saw Rome\""));
  CHECK(f.mnemo({"tag", f.model(), "--format-in", "slashed"}, "\nin Rome\n\n").out == "\nin\tO\nRome\tI-LOC\n\n\n");
}

TEST_CASE("a sentence of a hundred thousand tokens is tagged whole") {
  const TagFixture& f = tagger();
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "in IN\n";
  const Outcome o = f.mnemo({"tag", f.model()}, text);
  CHECK(o.code == 0);
  CHECK(std::count(o.out.begin(), o.out.end(), '\n') == 100001);
  write_text(f.path("long.conll"), o.out);
  const Outcome evaluated = f.mnemo({"evaluate", f.model(), f.path("long.conll"), "--format", "json"});
  INFO(evaluated.err);
  CHECK(json::parse(evaluated.out)["tokens"] == 100000);
}

TEST_CASE("quantised taggers tag as before") {
  const auto& f = tagger();
  const std::string out = f.path("small.safetensors");
  for (const std::string precision : {"int8", "bfloat16"}) {
    const Outcome o = f.mnemo({"quantize", f.model(), "--dev", f.path("train.conll"), "--precision", precision, "-o",
                               out, "--overwrite", "--format", "json"});
    INFO(o.err);
    REQUIRE(o.code == 0);
    const json report = json::parse(o.out);
    CHECK(report["after"]["megabytes"] < report["before"]["megabytes"]);
    CHECK(report["after"]["f1"].get<double>() >= report["before"]["f1"].get<double>() - 0.01);
    CHECK(report["before"]["tokens_per_s"] > 0.0);
    CHECK(f.mnemo({"inspect", out, "--verify"}).code == 0);
    CHECK(f.mnemo({"tag", out, f.path("dev.conll")}).out == f.mnemo({"tag", f.model(), f.path("dev.conll")}).out);
  }
}

TEST_CASE("tags that nearly spell spans are reported, and bilou and ioe2 are read, scored and written") {
  const TagFixture f;
  const auto trained_on = [&](const std::string& name, const std::string& rows) {
    std::string all;
    for (int i = 0; i < 12; ++i) all += rows;
    write_text(f.path(name + ".conll"), all);
    const Outcome o = f.train(name, {"--set", "data.train=" + f.path(name + ".conll"), "--set",
                                     "data.dev=" + f.path(name + ".conll"), "--set", "training.epochs=20"});
    INFO(o.err);
    CHECK(o.code == 0);
    return o.err;
  };
  const std::string plain = "its tags stand for themselves, as they follow no scheme of spans (";
  CHECK_THAT(trained_on("zero", "New B-LOC\nYork I-LOC\nis 0\nbig 0\n\n"),
             contains_text(plain + "24 of 48 tokens have tags such as \"0\" at " + f.path("zero.conll") +
                           ":3, which spans spell O)"));
  CHECK_THAT(trained_on("under", "New B_LOC\nYork I_LOC\nis O\n\n"),
             contains_text("24 of 36 tokens have tags such as \"B_LOC\" at " + f.path("under.conll") +
                           ":1, which spans spell B-LOC)"));
  CHECK_THAT(trained_on("suffix", "New LOC-B\nYork LOC-I\nis O\n\n"), contains_text("which spans spell B-LOC)"));
  CHECK_THAT(trained_on("speech", "New PROPN\nYork PROPN\nis o\n\n"), !contains_text("follow no scheme"));
  for (const auto& [scheme, rows] :
       {std::pair<std::string, std::string>{"bilou", "New B-LOC\nYork L-LOC\nis O\n\nOslo U-LOC\nfell O\n\n"},
        {"ioe2", "New I-LOC\nYork E-LOC\nis O\n\nOslo E-LOC\nfell O\n\n"}}) {
    CHECK_THAT(trained_on(scheme, rows), contains_text("scheme " + scheme));
    const std::string model = f.path(scheme + "/model.safetensors");
    std::string expected;
    std::istringstream lines(rows);
    for (std::string line; std::getline(lines, line);)
      expected += line.empty() ? "\n" : line + line.substr(line.find(' ')) + "\n";
    CHECK(f.mnemo({"tag", model}, rows).out == expected);
    const json found =
        json::parse(f.mnemo({"evaluate", model, f.path(scheme + ".conll"), "--format", "json"}).out)["metrics"];
    CHECK(found["f1"] == 1.0);
    const std::string marginals = f.mnemo({"tag", model, "--marginals"}, rows).out;
    CHECK_THAT(marginals, contains_text(scheme == "bilou" ? "|L-LOC=" : "E-LOC="));
    CHECK_THAT(marginals, !contains_text("S-LOC="));
  }
}

TEST_CASE("tag writes as many rows as it read, empty and document lines among them") {
  const TagFixture f;
  REQUIRE(f.train("run", {"--set", "training.epochs=1"}).code == 0);
  const std::string rows = "\n-DOCSTART- -X- O\n\nAda NNP I-PER\nsaw VBD O\n\n\n\n#rain NNP O\n\nRome NNP I-LOC\n\n";
  const Outcome o = f.mnemo({"tag", f.model()}, rows);
  INFO(o.out);
  CHECK(std::count(o.out.begin(), o.out.end(), '\n') == std::count(rows.begin(), rows.end(), '\n'));
  CHECK(o.out.starts_with("\n-DOCSTART- -X- O\n\nAda NNP I-PER "));
}

TEST_CASE("the figure on test that train prints for words of JSON lines is that of evaluate") {
  const TagFixture f;
  std::string lines, test;
  for (int i = 0; i < 12; ++i) {
    lines += "{\"text\": \"中国人民 天地\", \"spans\": [[0, 2, \"\"], [2, 4, \"\"], [5, 7, \"\"]]}\n";
    // Blanks where train has none: ignoring them would find other words.
    test += "{\"text\": \"中 国 人民天 地\", \"spans\": [[0, 1, \"\"], [2, 3, \"\"], [4, 7, \"\"], [8, 9, \"\"]]}\n";
  }
  write_text(f.path("words.jsonl"), lines);
  write_text(f.path("test.jsonl"), test);
  const Outcome o =
      f.train("words", {"--set", "data.train=" + f.path("words.jsonl"), "--set", "data.dev=" + f.path("words.jsonl"),
                        "--set", "data.test=" + f.path("test.jsonl"), "--set", "data.format=jsonl", "--set",
                        "data.columns=[\"words\"]", "--set", "text.unit=char"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const Outcome evaluated =
      f.mnemo({"evaluate", f.path("words/model.safetensors"), f.path("test.jsonl"), "--format", "json"});
  INFO(evaluated.err);
  REQUIRE(evaluated.code == 0);
  char figure[32];
  std::snprintf(figure, sizeof figure, "f1 %.4f", json::parse(evaluated.out)["metrics"]["f1"].get<double>());
  CHECK_THAT(o.err, contains_text(figure));
  CHECK(json::parse(evaluated.out)["metrics"]["recall"] >= 0.75);
}

TEST_CASE("tag and evaluate --with: taggers of the same tags answer by the product of their distributions") {
  const TagFixture& f = tagger();
  const Outcome trained = f.train("with-other", {"--set", "training.seed=7", "--set", "model.hidden=7", "--set",
                                                 "training.epochs=2", "--set", "text.lowercase=true"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::string other = f.path("with-other/model.safetensors"), dev = f.path("dev.conll");
  // All sequences of each of three lines, of which one is empty, with their probabilities.
  const auto sequences = [&](const std::vector<std::string>& models) {
    std::vector<std::string> arguments{"tag", models[0], "--raw", "-f", "jsonl", "-n", "1000"};
    for (std::size_t m = 1; m < models.size(); ++m) arguments.insert(arguments.end(), {"--with", models[m]});
    const Outcome o = f.mnemo(arguments, "Ada Rome\n\nsaw\n");
    INFO(o.err);
    REQUIRE(o.code == 0);
    std::vector<std::map<std::string, double>> out;
    std::istringstream in(o.out);
    for (std::string line; std::getline(in, line);) {
      out.emplace_back();
      const json answer = json::parse(line);
      if (!answer.contains("nbest")) continue;
      for (const json& one : answer["nbest"]) out.back()[one["tags"].dump()] = one["probability"];
    }
    REQUIRE(out.size() == 3);
    REQUIRE(out[0].size() > 10);
    return out;
  };
  const auto one = sequences({f.model()}), two = sequences({other}), both = sequences({f.model(), other}),
             turned_round = sequences({other, f.model()}), twice = sequences({f.model(), f.model()});
  CHECK(one != two);
  for (std::size_t i = 0; i < one.size(); ++i) {
    double sum = 0;
    for (const auto& [tags, p] : one[i]) sum += std::sqrt(p * two[i].at(tags));
    CHECK(both[i].size() == one[i].size());
    for (const auto& [tags, p] : one[i]) {
      CHECK(both[i].at(tags) == Approx(std::sqrt(p * two[i].at(tags)) / sum).margin(1e-4));
      CHECK(turned_round[i].at(tags) == Approx(both[i].at(tags)).margin(1e-6));
      CHECK(twice[i].at(tags) == Approx(p).margin(1e-6));
    }
  }
  CHECK(f.mnemo({"tag", f.model(), "--with", f.model(), dev}).out == f.mnemo({"tag", f.model(), dev}).out);
  const Outcome measured = f.mnemo({"evaluate", f.model(), dev, "--with", other, "--compare", other, "-f", "json"});
  INFO(measured.err);
  REQUIRE(measured.code == 0);
  CHECK(json::parse(measured.out)["model"] == f.model() + " + " + other);

  const std::string page = f.path("with.html");
  REQUIRE(f.mnemo({"evaluate", f.model(), dev, "--with", other, "--report", page}).code == 0);
  CHECK_THAT(Process::text(page), !contains_text("Learning curves"));

  // Other precision, no CRF, another name of the column, one or two threads, in parts or whole.
  REQUIRE(f.mnemo({"quantize", other, "--dev", dev, "--max-drop", "1", "-o", f.path("with-int8.safetensors")}).code ==
          0);
  REQUIRE(f.train("with-none", {"--set", "model.crf=false", "--set", "data.columns=3", "--set", "training.epochs=2"})
              .code == 0);
  const std::vector<std::string> all{"tag",
                                     f.model(),
                                     dev,
                                     "--with",
                                     f.path("with-int8.safetensors"),
                                     "--with",
                                     f.path("with-none/model.safetensors")};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = all;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = f.mnemo(arguments);
    INFO(o.err);
    CHECK(o.code == 0);
    return o.out;
  };
  const std::string whole = with({"-j", "1"});
  CHECK_THAT(whole, contains_text("Oslo NNP I-LOC I-LOC"));
  CHECK(with({"-j", "2"}) == whole);
  CHECK(with({"--part", "1/2"}) + with({"--part", "2/2"}) == whole);
  CHECK_THAT(with({"--marginals"}), contains_text("I-PER="));

  write_text(f.path("more.conll"), tiny_sentences() + "x X I-ORG\n\n");
  REQUIRE(f.train("with-more", {"--set", "data.train=" + f.path("more.conll"), "--set", "training.epochs=1"}).code ==
          0);
  REQUIRE(f.train("with-bio", {"--set", "model.scheme=bio", "--set", "training.epochs=1"}).code == 0);
  for (const auto& [model, message] :
       {std::pair{"with-more", "its tag B-ORG is not one of"}, {"with-bio", "is learned in the scheme bio"}})
    for (const char* command : {"tag", "evaluate"}) {
      const Outcome o = f.mnemo({command, f.model(), "--with", f.path(model) + "/model.safetensors", dev});
      CHECK(o.code == 1);
      CHECK_THAT(o.err, contains_text(message));
    }
  CHECK(f.mnemo({"tag", f.model(), "--with", other, dev, "-o", other}).code == 2);
  CHECK(f.mnemo({"tag", f.model(), "--with", f.path("nothing"), dev}).code == 1);
  CHECK_THAT(f.mnemo({"inspect", other}).out, contains_text("\"data_scheme\":\"iob1\""));
}

TEST_CASE("taggers that find words answer together, and keep the words that blanks separate") {
  const TagFixture& f = tagger();
  write_text(f.path("zh.txt"), "我们/r 在/p 北京/ns\n北京/ns 好/a\n我/r 好/a\n");
  std::vector<std::string> models;
  for (const char* seed : {"1", "2"}) {
    models.push_back(f.path(std::string("words-") + seed));
    const Outcome o = f.mnemo({"train", f.path("c.json"), "-o", models.back(), "--set",
                               "data.train=" + f.path("zh.txt"), "--set", "data.dev=" + f.path("zh.txt"), "--set",
                               "data.format=slashed", "--set", "data.columns=tagged-words", "--set", "text.unit=char",
                               "--set", "training.epochs=12", "--set", std::string("training.seed=") + seed});
    INFO(o.err);
    REQUIRE(o.code == 0);
    models.back() += "/model.safetensors";
  }
  const std::string text = "我们在北京\n我 们 在 北 京\n\n";
  const auto words = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"tag", models[0], "--raw", "-f", "slashed"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = f.mnemo(arguments, text);
    INFO(o.err);
    CHECK(o.code == 0);
    return o.out;
  };
  CHECK(words({"--with", models[0]}) == words({}));
  const std::string both = words({"--with", models[1]});
  const std::string separated = both.substr(both.find('\n') + 1);
  CHECK(std::ranges::count(separated, '/') == 5);
  CHECK(f.mnemo({"evaluate", models[0], f.path("zh.txt"), "--with", models[1]}).code == 0);
  const Outcome mixed = f.mnemo({"tag", f.model(), "--with", models[0], f.path("dev.conll")});
  CHECK(mixed.code == 1);
  CHECK_THAT(mixed.err, contains_text("finds words"));
}
