#include "config/options.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "config/nearest.h"
#include "tests/catch.h"
#include "tests/places.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {
void check_refused(const std::string& json, const std::string& message, const std::vector<std::string>& sets = {}) {
  INFO(json);
  CHECK_THROWS_WITH(parse_config(json, "c.json", sets), contains_text(message));
}

Json::json_pointer pointer(std::string key) {
  std::replace(key.begin(), key.end(), '.', '/');
  return Json::json_pointer("/" + key);
}

// A configuration of the task that sets one key to its default value.
std::string with_key(const std::string& task, const Option& o) {
  Json out{{"task", task}};
  if (o.key != "task") out[pointer(o.key)] = o.schema["default"];
  return out.dump();
}

// The error for a configuration read from a file; empty if it is valid.
std::string wrong_with(const std::string& json) {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.json") << json;
  try {
    load_config(folder / "c.json", {});
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}
}  // namespace

TEST_CASE("every option is read back as it was written") {
  const Config defaults = parse_config("{}", "c.json");
  const Json printed = config_to_json(defaults);
  CHECK(config_to_json(parse_config(printed.dump(), "c.json")) == printed);
  const Config changed =
      parse_config(R"({"training": {"epochs": 3, "class_weight": {"a": 2.5}, "evaluate_every": "50 steps"},
      "data": {"train": ["a.tsv", {"file": "b.csv", "format": "csv", "header": true}]}, "text": {"ngrams": {"unit": 2}}})",
                   "c.json");
  CHECK(changed.training.epochs == 3);
  CHECK(changed.training.class_weight.table.at("a") == 2.5);
  CHECK(changed.training.evaluate_every == Every{50, Every::Unit::kSteps});
  REQUIRE(changed.data.train.size() == 2);
  CHECK(changed.data.train[1].format == "csv");
  CHECK(changed.text.ngrams.unit == 2);
  const Json text = config_to_json(changed);
  CHECK(config_to_json(parse_config(text.dump(), "c.json")) == text);
}

TEST_CASE("a value given by --set is read by the key's declared type, and the last one wins") {
  const Config c = parse_config(
      R"({"training": {"epochs": 3}, "data": {"label": "x"}})", "c.json",
      {"training.epochs=5", "training.epochs=7", "data.label=2", "output.dir=a=b", "model.bidirectional=false",
       "training.learning_rate=1e-2", "data.train=x.tsv", "training.save_every=2", "training.evaluate_every=10 steps",
       "data.header=true", R"(training.class_weight={"pos": 3})"});
  CHECK(c.training.epochs == 7);
  CHECK(c.data.label == "2");
  CHECK(c.output.dir == "a=b");
  CHECK_FALSE(c.model.bidirectional);
  CHECK(c.training.learning_rate == 0.01);
  CHECK(c.data.train.at(0).file == "x.tsv");
  CHECK(c.training.save_every == Every{2, Every::Unit::kEpochs});
  CHECK(c.training.evaluate_every == Every{10, Every::Unit::kSteps});
  CHECK(c.data.header == true);
  CHECK(c.training.class_weight.table.at("pos") == 3.0);
}

TEST_CASE("every mistake is reported with its key, and all of them at once") {
  check_refused(R"({"training": {"epocs": 3}})", "c.json: training.epocs: unknown key; the nearest is training.epochs");
  check_refused(R"({"epochs": 3})", "the nearest is training.epochs");
  check_refused(R"({"training": {"epochs": "3"}})", "training.epochs: expected a whole number, found \"3\"");
  check_refused(R"({"training": {"epochs": 0}})",
                "training.epochs: expected a whole number from 1 to 1000000, found 0");
  check_refused(R"({"training": {"epochs": 2.5}})", "expected a whole number, found 2.5");
  check_refused(R"({"training": 3})", "training: expected an object, found 3");
  check_refused(R"({"model": {"cell": "lsmt"}})",
                "model.cell: expected one of lstm, gru, rnn, peephole_lstm, cifg_lstm, capped_lstm, min_lstm, min_gru, "
                "sru, found \"lsmt\"");
  check_refused(R"({"model": {"bidirectional": 1}})", "expected true or false, found 1");
  check_refused(R"({"data": {"train": {"fil": "x"}}})", "unknown key \"fil\" of a data file");
  check_refused(R"({"training": {"evaluate_every": "5 weeks"}})", "expected a number of epochs or a string such as");
  check_refused(R"({"task": "sing"})", "task: expected one of classify");
  check_refused("{", "c.json:1: not valid JSON");
  check_refused("[]", "expected a JSON object");
  check_refused(R"({"training": {"learning_rate": 1e999}})", "c.json:1: not valid JSON: number overflow");
  check_refused(R"({"training.epochs": 2})",
                R"(training.epochs: expected nested sections: {"training": {"epochs": ...}})");
  check_refused(R"({"trainin": {}})", "trainin: unknown key; the nearest is training ");
  check_refused(R"({"model": {"layers": 0}, "training": {"warmup": "5 minutes"}})",
                "c.json: training.warmup: expected");
  check_refused(R"({"data": {"multi_label": true, "label_separator": ""}})", "data.label_separator: expected");
  check_refused(R"({"task": "classify", "task": "classify"})", "key \"task\" is given twice");
  check_refused(R"({"text": {"ngrams": {"char_max": 0}}})", "text.ngrams: char_min 2 and char_max 0");
  check_refused(R"({"training": {"optimizer": "adam", "weight_decay": 0.1}})", "use \"optimizer\": \"adamw\"");
  check_refused("{}", "--set training.epoch: unknown key; the nearest is training.epochs", {"training.epoch=3"});
  check_refused("{}", "--set a.b: unknown key (mnemo config explain lists all)", {"a.b=1"});
  check_refused("{}", "--set training: expected a key, found a section; set a key in it, such as training.",
                {"training=5"});
  check_refused(R"({"data": {"train": {"file": "a", "format": "zzz"}}})", "expected one of tsv, csv");
  check_refused(R"({"data": {"train": {"format": "csv"}}})", "expected a path");
  check_refused("{}", "output.dir: expected a folder", {"output.dir="});
  check_refused("{}", "expected one ASCII character", {"data.separator=;;"});
  check_refused("{}", "not valid UTF-8", {"output.dir=\xff"});
  CHECK(parse_config(R"({"data": {"dev": "a"}})", "c.json", {"data.dev="}).data.dev.empty());
  check_refused("{}", "--set training.epochs: expected key=value", {"training.epochs"});
  try {
    parse_config(R"({"a": 1, "training": {"epochs": 0, "seed": -1}})", "c.json", {"model.hidden=none"});
    FAIL("not refused");
  } catch (const UsageError& error) {
    const std::string text = error.what();
    for (const char* part : {"a: unknown key", "training.epochs", "training.seed", "--set model.hidden"})
      CHECK_THAT(text, contains_text(part));
  }
}

TEST_CASE("one name or several are read as they stand, and written so") {
  const auto read = [](const std::string& pooling) {
    return parse_config(R"({"task": "classify", "model": {"pooling": )" + pooling + "}}", "c.json", {});
  };
  CHECK(read(R"("mean")").model.pooling.names == std::vector<std::string>{"mean"});
  CHECK(config_to_json(read(R"("mean")"))["model"]["pooling"] == "mean");
  const Config several = read(R"(["last", "max"])");
  CHECK(several.model.pooling.names == std::vector<std::string>{"last", "max"});
  CHECK(config_to_json(several)["model"]["pooling"] == Json({"last", "max"}));
  CHECK_THROWS_WITH(read("[]"), contains_text("model.pooling: expected one or several of last, mean"));
  CHECK_THROWS_WITH(read(R"(["max", "max"])"), contains_text("model.pooling: \"max\" twice"));
  CHECK_THROWS_WITH(read(R"(["max", "sum"])"), contains_text("found \"sum\""));
  CHECK_THROWS_WITH(read("3"), contains_text("found 3"));
}

TEST_CASE("a classifier that trains a language model first has defaults of its own") {
  const auto defaults = [](const std::string& json, const std::vector<std::string>& sets = {}) {
    const Config c = parse_config(json, "c.json", sets);
    return fmt::format("{} {} {} {} {} {}", c.model.bidirectional, fmt::join(c.model.pooling.names, "+"),
                       c.model.hidden, c.model.embedding, c.training.learning_rate, c.text.ngrams.unit);
  };
  const std::string with = R"({"data": {"train": "a.tsv", "unlabelled": "b.txt"})",
                    without = R"({"data": {"train": "a.tsv"})";
  CHECK(defaults(without + "}") == "true max 128 100 0.002 1");
  CHECK(defaults(with + "}") == "false last+max+mean 256 256 0.001 1");
  CHECK(defaults(without + R"(, "training": {"language_model": true}})") == "false last+max+mean 256 256 0.001 1");
  CHECK(defaults(without + "}", {"data.unlabelled=b.txt"}) == "false last+max+mean 256 256 0.001 1");
  CHECK(defaults(with + "}", {"data.unlabelled=[]"}) == "true max 128 100 0.002 1");
  CHECK(defaults(without + R"(, "text": {"unit": "char"}})") == "true max 128 100 0.002 2");
  CHECK(defaults(with + R"(, "text": {"unit": "char"}})") == "false last+max+mean 256 256 0.001 1");
  // What is set counts.
  CHECK(defaults(with + R"(, "model": {"hidden": 64, "pooling": "mean"}})", {"model.bidirectional=true"}) ==
        "true mean 64 256 0.001 1");
  check_refused(R"({"task": "tag", "data": {"train": "a", "unlabelled": "b"}})", "data.unlabelled");
}

TEST_CASE("deeply nested and huge input is refused, not crashed on") {
  std::string deep(100000, '[');
  CHECK_THROWS_AS(parse_config(deep, "c.json"), UsageError);
  std::string nested;
  for (int i = 0; i < 2000; ++i) nested += R"({"training":)";
  CHECK_THROWS_AS(parse_config(nested, "c.json"), UsageError);
  // Closed, so that it is valid JSON except for its depth.
  for (const int levels : {65, 200000})
    CHECK_THROWS_WITH(
        parse_config(R"({"training": {"seed": )" + std::string(levels, '[') + std::string(levels, ']') + "}}",
                     "c.json"),
        contains_text("nested deeper than 64 levels"));
  CHECK_THROWS_AS(parse_config("{}", "c.json", {"training.seed=" + deep}), UsageError);
  CHECK_THROWS_AS(parse_config("{\"" + std::string(1000000, 'x') + "\": 1}", "c.json"), UsageError);
}

TEST_CASE("help, schema and reference have the same keys") {
  const Json schema = config_schema();
  const std::string reference = explain("", true);
  std::set<std::string> keys;
  for (const Option& o : options()) {
    INFO(o.key);
    CHECK(keys.insert(o.key).second);
    CHECK(o.help.size() > 10);
    const Json* node = &schema;
    std::size_t begin = 0, end = 0;
    while (end != std::string::npos) {
      end = o.key.find('.', begin);
      node = &node->at("properties").at(o.key.substr(begin, end - begin));
      begin = end + 1;
    }
    // Where each task has a default of its own, the schema says them by task.
    if (node->contains("default"))
      CHECK(node->at("default") == o.schema.at("default"));
    else
      CHECK_FALSE(o.defaults.empty());
    CHECK_THAT(reference, contains_text("`" + o.key + "`"));
    CHECK_THAT(explain(o.key, false), contains_text(o.key));
  }
  CHECK_THROWS_WITH(explain("training.epoch", false), contains_text("nearest is training.epochs"));
}

TEST_CASE("the reference in docs is the one that the program prints") {
  const std::string docs = read_file(source_folder() + "/docs/configuration.md");
  CHECK_THAT(docs, contains_text(explain("", true)));
}

TEST_CASE("the model's copy of the configuration has neither paths nor threads") {
  Config c =
      parse_config(R"({"data": {"dir": "/secret", "train": "/secret/a"}, "output": {"dir": "/secret"}})", "c.json");
  CHECK(config_to_json(c, Which::kWithoutLocal).dump().find("secret") == std::string::npos);
  c.training.threads = 3;
  CHECK_FALSE(config_to_json(c, Which::kWithoutLocal)["training"].contains("threads"));
}

namespace {

// The tasks that an error names: of a section of which the task has no key, those that have one of its keys.
TaskSet refused_tasks(const std::string& task, const Option& o) {
  const std::string section = o.key.substr(0, o.key.rfind('.') + 1);
  TaskSet all;
  for (const Option& one : options())
    if (one.key.starts_with(section)) all = all | one.tasks;
  return all.has(task) ? o.tasks : all;
}

}  // namespace

TEST_CASE("a key of another task is an error that names the key, the task and the tasks that have it") {
  for (const std::string task : kTaskNames)
    for (const Option& o : options()) {
      if (o.tasks.has(task)) continue;
      INFO(task << " " << o.key);
      CHECK_THROWS_WITH(
          parse_config(with_key(task, o), "c.json"),
          contains_text("the task " + task + " has no such key; " + refused_tasks(task, o).names() + " ha"));
      const std::string set =
          o.key + "=" +
          (o.schema["default"].is_string() ? o.schema["default"].get<std::string>() : o.schema["default"].dump());
      CHECK_THROWS_WITH(parse_config("{}", "c.json", {set, "task=" + task}),
                        contains_text("--set " + o.key + ": the task " + task + " has no such key"));
    }
  check_refused(R"({"data": {"scheme": "auto"}})", "c.json: data.scheme: the task classify has no such key; tag has");
  check_refused(R"({"task": "generate", "data": {"label": "1"}})", "no such key; classify and tag have");
  check_refused(R"({"model": {"char_encoder": {"kind": "none", "hidden": 2}}})",
                "model.char_encoder: the task classify has no such key; tag has");
  check_refused(R"({"data": {"scheme": "bio"}, "training": {"bptt": 3}, "model": {"hidden": 0}})", "training.bptt");
  // An unknown task is one error, not one for each key.
  CHECK_THROWS_WITH(parse_config(R"({"task": "sing", "data": {"scheme": "bio"}})", "c.json"),
                    !contains_text("no such key"));
}

TEST_CASE("a printed configuration has exactly the keys of its task, and is read back") {
  for (const std::string task : kTaskNames) {
    INFO(task);
    const Config c = parse_config(R"({"task": ")" + task + "\"}", "c.json");
    for (const Which which : {Which::kAll, Which::kWithoutLocal}) {
      const Json printed = config_to_json(c, which);
      for (const Option& o : options()) {
        INFO(o.key);
        const bool kept =
            o.tasks.has(task) && !(o.local && which == Which::kWithoutLocal) && !c.by_size.contains(o.key);
        CHECK(printed.contains(pointer(o.key)) == kept);
      }
      CHECK(config_to_json(parse_config(printed.dump(), "printed"), which) == printed);
    }
    CHECK(wrong_with(config_to_json(c).dump()).empty());
  }
}

TEST_CASE("values and defaults depend on the task") {
  check_refused(R"({"task": "tag", "data": {"format": "tsv"}})",
                "data.format: tsv is not a value for the task tag; expected jsonl, conll, conllu, slashed");
  check_refused(R"({"training": {"early_stopping": {"metric": "f1"}}})",
                "metric: f1 is not a value for the task classify");
  check_refused(R"({"task": "translate"})",
                "unicode-word is not a value for the task translate; expected char, grapheme, word",
                {"text.unit=unicode-word"});
  check_refused(R"({"task": "generate", "model": {"bidirectional": true}})",
                "model.bidirectional: true is not a value for the task generate; expected false");
  for (const char* metric : {"auto", "loss"})
    for (const std::string task : kTaskNames)
      CHECK_NOTHROW(
          parse_config("{}", "c.json", {"task=" + task, std::string("training.early_stopping.metric=") + metric}));
  CHECK(parse_config("{}", "c.json").data.format == "tsv");
  CHECK(parse_config("{}", "c.json", {"task=tag"}).data.format == "conll");
  // The file's keys belong to the task that --set names.
  CHECK_THROWS_WITH(
      parse_config(R"({"task": "classify", "text": {"unit": "unicode-word"}, "model": {"pooling": "max"}})", "c.json",
                   {"task=translate"}),
      contains_text("unicode-word is not a value for the task translate") && contains_text("model.pooling"));
  const Config c = parse_config(R"({"task": "generate"})", "c.json");
  CHECK(c.data.format == "lines");
  CHECK(c.text.unit == "char");
  CHECK_FALSE(c.model.bidirectional);
  CHECK(c.model.initializer == "uniform");
  CHECK(c.model.forget_bias == ForgetBias{.number = 0.0});
}

TEST_CASE("defaults that depend on the unit are those of the unit that was set, wherever it was set") {
  const auto ngrams = [](const Config& c) { return std::array{c.text.ngrams.char_min, c.text.ngrams.char_max}; };
  const Config words = parse_config("{}", "c.json"), characters = parse_config(R"({"text": {"unit": "char"}})", "c");
  CHECK(ngrams(words) == std::array<std::int64_t, 2>{2, 6});
  CHECK(words.text.ngrams.unit == 1);
  CHECK(words.model.word_dropout == 0.2);
  CHECK(ngrams(characters) == std::array<std::int64_t, 2>{0, 0});
  CHECK(characters.text.ngrams.unit == 2);
  CHECK(characters.model.word_dropout == 0.1);
  CHECK(parse_config("{}", "c", {"text.unit=char"}).text.ngrams.unit == 2);
  CHECK(parse_config(R"({"text": {"unit": "char"}})", "c", {"text.unit=word"}).text.ngrams.unit == 1);
  CHECK(parse_config(R"({"text": {"ngrams": {"unit": 1}, "unit": "char"}})", "c").text.ngrams.unit == 1);
  CHECK(parse_config("{}", "c", {"task=tag"}).model.char_encoder.kind == "cnn");
  CHECK(parse_config("{}", "c", {"task=tag", "text.unit=char"}).model.char_encoder.kind == "none");
  const Config subwords = parse_config("{}", "c", {"task=tag", "text.unit=subword"});
  CHECK(ngrams(subwords) == std::array<std::int64_t, 2>{2, 5});
  CHECK(ngrams(parse_config("{}", "c", {"text.unit=subword"})) == std::array<std::int64_t, 2>{0, 0});
  CHECK(subwords.model.char_encoder.kind == "cnn");
  CHECK(subwords.model.shape_embedding == 10);
  CHECK(subwords.model.singleton_dropout == 0.0);
  check_refused(R"({"text": {"unit": "letter"}})", "text.unit: expected one of");
  check_refused(R"({"text": 3})", "text: expected an object");
}

TEST_CASE("keys that are left to the size of train are settled once, those that were set never") {
  Config c = parse_config(R"({"training": {"batch_size": 7}})", "c.json");
  CHECK(c.by_size.contains("training.epochs"));
  CHECK_FALSE(c.by_size.contains("training.batch_size"));
  CHECK_FALSE(config_to_json(c)["training"].contains("epochs"));
  CHECK(config_to_json(c)["training"]["batch_size"] == 7);
  Config small = c, large = c;
  const auto lines = settle_by_size(small, 499);
  CHECK(std::find(lines.begin(), lines.end(), "training.epochs 30") != lines.end());
  settle_by_size(large, 500);
  CHECK(small.training.epochs == 30);
  CHECK(small.training.average_from == 0);
  CHECK(large.training.epochs == 15);
  CHECK(large.training.batch_size == 7);
  Config larger = c;
  settle_by_size(larger, 3000);
  CHECK(larger.training.average_from == 2);
  CHECK(large.by_size.empty());
  CHECK(config_to_json(large)["training"]["epochs"] == 15);
  CHECK(settle_by_size(large, 1000000).empty());
  CHECK(large.training.epochs == 15);
  // A model's copy of its configuration leaves nothing open.
  CHECK(parse_config(config_to_json(small, Which::kWithoutLocal).dump(), "model").by_size.empty());

  Config averaged = parse_config(R"({"training": {"average_after": 3}})", "c.json");
  settle_by_size(averaged, 10000);
  CHECK(averaged.training.average_from == 0);

  // A default of the unit that comes later in the list takes the place of one by size.
  const Config characters = parse_config(R"({"text": {"unit": "char"}})", "c.json");
  CHECK_FALSE(characters.by_size.contains("text.ngrams.buckets"));
  CHECK(characters.text.ngrams.buckets == 100000);

  Config tied = parse_config(R"({"task": "generate", "model": {"tied": true}})", "c.json");
  CHECK_THROWS_WITH(settle_by_size(tied, 1000000), contains_text("model.tied"));
  CHECK_THAT(explain("training.epochs", false), contains_text("generate by the size of train: 25 below 2000000"));
  CHECK_THAT(explain("text.ngrams.unit", true), contains_text("classify and tag of char, grapheme `2`"));
}

TEST_CASE("options of subwords are refused where no side has them") {
  const auto message = [](const std::string& json, const std::vector<std::string>& sets) {
    try {
      parse_run_config(json, "c.json", sets, {}, {});
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string merges = R"({"text": {"merges": 300}})", dropout = R"({"text": {"merge_dropout": 0.1}})";
  CHECK(message(merges, {"text.unit=word"}) == "c.json: text.merges: needs text.unit subword, found word");
  CHECK(message(dropout, {"text.unit=char"}) == "c.json: text.merge_dropout: needs text.unit subword, found char");
  CHECK(message(merges, {"task=generate"}) == "c.json: text.merges: needs text.unit subword, found char");
  for (const std::string& json : {merges, dropout}) {
    CHECK(message(json, {"text.unit=subword"}).empty());
    CHECK(message(json, {"task=translate"}).empty());
    CHECK_THAT(message(json, {"task=translate", "text.unit=word"}),
               contains_text("needs text.unit or text.target_unit subword, found word"));
    CHECK_THAT(message(json, {"task=translate", "text.unit=word", "text.target_unit=char"}),
               contains_text("needs text.unit or text.target_unit subword, found word and char"));
    for (const std::string unit : {"text.unit=char", "text.target_unit=char"})
      CHECK(message(json, {"task=translate", "text.target_unit=subword", unit}).empty());
  }
  // The default counts as not set, so that a printed configuration can be read, and a model's copy is as it was.
  CHECK(message(R"({"text": {"merges": 8000, "merge_dropout": 0}})", {"text.unit=word"}).empty());
  CHECK(parse_config(merges, "a model's copy", {"text.unit=word"}).text.merges == 300);
}

TEST_CASE("an error in a data file names the configuration, its key and the place in a list") {
  const std::string pair = R"({"source": "a", "target": "b"})", translate = R"({"task": "translate", "data": {)";
  check_refused(translate + R"("train": {"source": ["a", "c"], "target": "b"}}})",
                R"(c.json: data.train.source: expected one path, found ["a","c"]; list several pairs as [{"source")");
  check_refused(translate + R"("train": [)" + pair + R"(, {"source": "a", "target": ["b"]}]}})",
                "c.json: data.train[1].target: expected one path, found [\"b\"]");
  check_refused(translate + R"("dev": [{"source": 3, "target": "b"}]}})",
                "c.json: data.dev[0].source: expected a path");
  check_refused(translate + R"("train": [)" + pair + R"(, {"source": "a", "goal": "b"}]}})",
                "c.json: data.train[1]: unknown key \"goal\" of a data file");
  check_refused(translate + R"("train": [)" + pair + R"(, 7]}})", "c.json: data.train[1]: expected a path");
  check_refused("{}", "--set data.train.source: expected one path",
                {R"(data.train={"source": ["a"], "target": "b"})", "task=translate"});
  check_refused(R"({"data": {"train": ["a", {"file": "b", "header": 1}]}})",
                "c.json: data.train[1].header: expected true");
  check_refused(translate + R"("train": )" + pair + R"(, "source": ["a", "b"]}})",
                "c.json: data.source: expected a column's number from 1 or its name, found [\"a\",\"b\"]");
  // Whether a key suits the files is known once all of them are.
  const auto message = [](const std::string& json) {
    try {
      parse_run_config(json, "c.json", {}, {}, {});
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const std::string column : {"text", "0", "-1"})
    CHECK_THAT(
        message(translate + R"("train": "a", "format": "tsv", "target": ")" + column + "\"}}"),
        contains_text("c.json: data.target: expected the number of a column, from 1, for the format tsv, found \"" +
                      column + "\""));
  CHECK(message(translate + R"("train": "a", "format": "tsv", "target": 12}})").empty());
  CHECK(message(translate + R"("train": "a", "format": "jsonl", "target": "text"}})").empty());
  CHECK_THAT(message(translate + R"("train": "a.tsv"}})"),
             contains_text("c.json: data.train: a.tsv: the format parallel needs {\"source\""));
  CHECK_THAT(message(R"({"data": {"dev": {"file": "a", "format": "conll"}}})"),
             contains_text("c.json: data.dev: format of a: conll"));
}

TEST_CASE("a key that no data file can take is an error") {
  const std::string no_such = "the format jsonl has no such key; ";
  CHECK_THAT(wrong_with(R"({"data": {"format": "jsonl", "header": true}})"),
             contains_text("data.header: " + no_such + "tsv and csv have"));
  CHECK_THAT(wrong_with(R"({"task": "tag", "data": {"format": "jsonl", "strip_position": true}})"),
             contains_text("data.strip_position: " + no_such + "conll has"));
  CHECK_THAT(wrong_with(R"({"data": {"train": {"file": "a", "format": "jsonl", "separator": ";"}}})"),
             contains_text("separator of a: " + no_such + "tsv, csv and conll have"));
  CHECK_THAT(wrong_with(R"({"task": "tag", "data": {"train": {"file": "a", "header": true}}})"),
             contains_text("header of a: the task tag has no such key; classify has"));
  CHECK_THAT(wrong_with(R"({"data": {"dev": {"file": "a", "format": "conll"}}})"),
             contains_text("format of a: conll is not a format of the task classify; expected tsv"));
  // One file that takes it is enough, and a key given its default value counts as not set.
  CHECK(wrong_with(
            R"({"data": {"train": {"file": "a", "format": "csv"}, "dev": "b", "format": "jsonl", "header": true}})")
            .empty());
  CHECK(wrong_with(R"({"data": {"format": "jsonl", "header": null, "separator": ""}})").empty());
}

TEST_CASE("a model's copy of a configuration, which names no files, is valid whatever the formats of its files were") {
  for (const char* json :
       {R"({"data": {"train": {"file": "a", "format": "trees"}, "dev": "b", "format": "spaced", "phrases": true}})",
        R"({"task": "generate", "data": {"train": {"file": "a", "format": "poems-json"}},
            "model": {"condition_dropout": 0.5, "learned_initial": true}, "training": {"batch_tokens": 100}})"}) {
    INFO(json);
    CHECK(wrong_with(json).empty());
    const Json stored = config_to_json(parse_config(json, "c.json"), Which::kWithoutLocal);
    CHECK(config_to_json(parse_config(stored.dump(), "model"), Which::kWithoutLocal) == stored);
  }
  CHECK_THAT(wrong_with(R"({"task": "generate", "training": {"batch_tokens": 100}})"),
             contains_text("training.batch_tokens: needs data.records"));
}

TEST_CASE("schema and reference state which tasks have a key, a value, a default") {
  const Json schema = config_schema();
  REQUIRE(schema["allOf"].size() == kTaskNames.size());
  for (std::size_t i = 0; i < kTaskNames.size(); ++i) {
    const std::string task = kTaskNames[i];
    INFO(task);
    const Json& rule = schema["allOf"][i];
    CHECK(rule["if"]["properties"]["task"]["const"] == task);
    // A configuration that names no task has the default one.
    CHECK(rule["if"].contains("required") == (task != Config().task));
    for (const Option& o : options()) {
      INFO(o.key);
      std::string path = "properties." + o.key;
      for (std::size_t dot = path.find('.', 11); dot != std::string::npos; dot = path.find('.', dot + 12))
        path.replace(dot, 1, ".properties.");
      const Json* node = rule["then"].contains(pointer(path)) ? &rule["then"][pointer(path)] : nullptr;
      CHECK((node && *node == false) == !o.tasks.has(task));
      for (const TaskDefault& d : o.defaults)
        if (d.tasks.has(task) && d.unconditional() && !d.by_size) CHECK((node && node->at("default") == d.value));
    }
  }
  CHECK(schema["allOf"][2]["then"]["properties"]["data"]["properties"]["format"]["enum"] ==
        Json::array({"lines", "poems-json"}));
  CHECK_THAT(explain("data.scheme", false), contains_text("; only for tag)"));
  CHECK_THAT(explain("data.scheme", true), contains_text(" | tag | "));
  CHECK_THAT(explain("training.epochs", true), contains_text(" | all | "));
  CHECK_THAT(explain("data.header", false), contains_text("; only for classify (tsv, csv))"));
  CHECK_THAT(explain("model.bidirectional", false),
             contains_text("classify, tag, translate: true | false; generate: false; default true; generate false; "
                           "classify that starts from a language model: false)"));
}

TEST_CASE("every recipe is a valid configuration") {
  std::size_t recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() + "/configs")) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path());
    ++recipes;
    CHECK_NOTHROW(load_config(entry.path().string(), {}));
  }
  CHECK(recipes > 20);
}
