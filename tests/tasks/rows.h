// One row per task, for the suite that every task passes. A new task is a new row.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "config/options.h"
#include "tasks/start_from.h"
#include "tasks/task.h"
#include "tasks/trial.h"
#include "tests/cli/program.h"
#include "tests/temporary_folder.h"
#include "train/run_state.h"

namespace mnemo {

struct TaskRow {
  const char* task;
  std::string data;      ///< eight records
  std::string format;    ///< of these, if it is not the task's default
  std::string unit;      ///< of text
  std::string training;  ///< its keys that say how long
  std::string model;     ///< the model section, of a network that can learn them by heart
  std::string metric;    ///< that says so, and the value that it must reach
  double reached;
  std::vector<std::string> records;  ///< objects that a model answers
  std::vector<std::string> command;  ///< that answers with jsonl, the model's path to follow its first word
  std::string input;                 ///< the same records as that command reads them
  std::string other_format;          ///< of data that the task does not read
  bool folds, starts_again;          ///< whether --folds is known, and --init-from with a model of the task
  bool stores = true;                ///< whether its records may lie in a file (training.memory)
  std::string lengths = "";          ///< then: what a trial run says of twice the data
};

inline std::vector<TaskRow> task_rows() {
  return {
      {.task = "classify",
       .data = "pos\ta fine film\npos\ta warm song\npos\tlovely soup\npos\tsuperb walk\n"
               "neg\tthis dull film\nneg\tan awful song\nneg\tcold soup\nneg\tstale walk\n",
       .format = "",
       .unit = "word",
       .training = R"("epochs": 60, "batch_size": 4)",
       .model = R"({"embedding": 12, "hidden": 12, "dropout": 0, "embedding_dropout": 0, "pooling": ["max", "last"],
 "convolution": {"widths": [2, 3], "filters": 6}, "self_attention": {"layer": 1, "feed_forward": 6, "dropout": 0}})",
       .metric = "accuracy",
       .reached = 1.0,
       .records = {R"({"text": "a fine film"})", R"({"text": ""})", R"({"text": "cold unknown soup"})"},
       .command = {"classify", "--format", "jsonl", "--format-in", "jsonl"},
       .input = "{\"text\": \"a fine film\"}\n{\"text\": \"\"}\n{\"text\": \"cold unknown soup\"}\n",
       .other_format = "poems-json",
       .folds = true,
       .starts_again = true,
       .lengths = "train: 16 texts, 40 units; length min 2"},
      {.task = "tag",
       .data =
           "Anna B-PER\nleft O\n\nOslo B-LOC\nfell O\n\nBob B-PER\nsaw O\nRome B-LOC\n\nrain O\n\n"
           "New B-LOC\nYork I-LOC\nslept O\n\nLi B-PER\nBai I-PER\nsang O\n\nsnow O\nfell O\n\nParis B-LOC\nwoke O\n\n",
       .format = "",
       .unit = "word",
       .training = R"("epochs": 60, "batch_size": 4)",
       .model = R"({"embedding": 16, "hidden": 16, "dropout": 0, "embedding_dropout": 0, "singleton_dropout": 0,
 "char_encoder": {"embedding": 8, "hidden": 8, "dropout": 0}, "convolution": {"widths": [3], "filters": 6,
 "place": "before"}, "self_attention": {"layer": 1, "feed_forward": 8, "dropout": 0}})",
       .metric = "f1",
       .reached = 1.0,
       .records = {R"({"text": "Anna saw Rome"})", R"({"text": "rain"})", R"({"tokens": ["Li", "Bai", "woke"]})"},
       .command = {"tag", "--format", "jsonl", "--format-in", "jsonl"},
       .input = "{\"text\": \"Anna saw Rome\"}\n{\"text\": \"rain\"}\n{\"tokens\": [\"Li\", \"Bai\", \"woke\"]}\n",
       .other_format = "poems-json",
       .folds = true,
       .starts_again = false,
       .lengths = "train: 16 texts, 36 units; length min 1"},
      {.task = "generate",
       .data = "one by one\ntwo by two\nthree by three\nfour by four\nfive by five\nsix by six\nseven by seven\n"
               "eight by eight\n",
       .format = "",
       .unit = "word",
       .training = R"("epochs": 150, "batch_size": 1, "bptt": 8)",
       .model = R"({"embedding": 16, "hidden": 48, "dropout": 0, "embedding_dropout": 0,
 "self_attention": {"layer": 1, "memory": 4, "dropout": 0}})",
       .metric = "nats",
       .reached = 0.35,
       .records = {R"({"text": "one by one"})", R"({"text": ""})", R"({"text": "two by Zwei"})"},
       .command = {"score", "--format", "jsonl"},
       .input = "one by one\n\ntwo by Zwei\n",
       .other_format = "tsv",
       .folds = false,
       .starts_again = true,
       .stores = false},
      {.task = "translate",
       .data = "one cat\teine Katze\ntwo cats\tzwei Katzen\none dog\tein Hund\ntwo dogs\tzwei Hunde\n"
               "a dog sings\tein Hund singt\na cat sings\teine Katze singt\ntwo dogs sing\tzwei Hunde singen\n"
               "dogs\tHunde\n",
       .format = "tsv",
       .unit = "word",
       .training = R"("epochs": 80, "batch_size": 4, "label_smoothing": 0, "early_stopping": {"metric": "chrf"})",
       .model = R"({"embedding": 16, "hidden": 16, "dropout": 0, "embedding_dropout": 0, "layer_dropout": 0})",
       .metric = "chrf",
       .reached = 99.9,
       .records = {R"({"text": "two dogs sing"})", R"({"text": ""})", R"({"text": "one unknown cat"})"},
       .command = {"translate", "--format", "jsonl"},
       .input = "two dogs sing\n\none unknown cat\n",
       .other_format = "poems-json",
       .folds = true,
       .starts_again = true,
       .lengths = "train, source: 36 units; length min 1, median 2"},
  };
}

/// The same with options of a task that its row cannot have beside the others.
inline std::vector<TaskRow> task_rows_and_variants() {
  std::vector<TaskRow> out = task_rows();
  TaskRow tagger = out.at(1);
  tagger.model = R"({"embedding": 16, "hidden": 16, "layers": 2, "dropout": 0, "embedding_dropout": 0,
 "singleton_dropout": 0, "layer_dropout": 0, "char_encoder": {"embedding": 8, "hidden": 8, "dropout": 0},
 "language_loss": 0.1})";
  TaskRow generator = out.at(2);
  generator.training = R"("epochs": 200, "batch_size": 1, "bptt": 8, "sampled_softmax": 8)";
  generator.model = R"({"embedding": 48, "hidden": 48, "dropout": 0, "embedding_dropout": 0, "tied": true})";
  generator.reached = 0.6;
  TaskRow simple = out.at(0);
  simple.model = R"({"cell": "sru", "layers": 2, "embedding": 12, "hidden": 12, "dropout": 0, "embedding_dropout": 0,
 "layer_dropout": 0, "pooling": ["last", "max", "mean"]})";
  TaskRow gated = out.at(2);
  gated.training += R"(, "rotate": true)";
  gated.model = R"({"cell": "capped_lstm", "layers": 2, "embedding": 16, "hidden": 24, "dropout": 0,
 "embedding_dropout": 0, "layer_dropout": 0, "weight_dropout": 0, "sum_layers": true,
 "mogrifier": {"rounds": 3, "rank": 5}})";
  TaskRow translator = out.at(3);
  translator.model = R"({"cell": "sru", "embedding": 16, "hidden": 24, "dropout": 0, "embedding_dropout": 0,
 "layer_dropout": 0})";
  for (TaskRow* row : {&tagger, &generator, &simple, &gated, &translator}) out.push_back(std::move(*row));
  return out;
}

/// A row's data in a folder, its configuration, and the models trained on them.
class TaskBench {
 public:
  explicit TaskBench(const TaskRow& its_row) : row(its_row), task(task_named(row.task)) {
    write_text(path("data"), row.data);
    write_text(path("c.json"), config_text());
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder_.path(), input);
  }
  Outcome train(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train", path("c.json"), "--set", "output.dir=" + path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mnemo(arguments);
  }

  Config config() const { return parse_config(config_text(), "row"); }
  std::unique_ptr<TaskData> read() const { return task.read(config(), request(), nullptr); }
  ReadRequest request() const {
    return {path("c.json"), InvalidUtf8::kError, [](const std::string&) {}};
  }
  std::unique_ptr<TextModel> build() const { return task.build(config(), request(), *read(), nullptr); }

  /// A model that has learnt the eight records, trained once.
  const std::string& trained() {
    if (!trained_.empty()) return trained_;
    const Outcome o = train("run");
    if (o.code != 0) throw std::runtime_error(o.err);
    return trained_ = path("run/model.safetensors");
  }

  std::vector<Json> records() const {
    std::vector<Json> out;
    for (const std::string& text : row.records) out.push_back(parse_json(text));
    return out;
  }

  const TaskRow& row;
  const Task& task;

 private:
  std::string config_text() const {
    return std::string(R"({"task": ")") + row.task + R"(", "data": {"train": "data", "dev": "data", "test": "data")" +
           (row.format.empty() ? "" : R"(, "format": ")" + row.format + "\"") + R"(}, "text": {"unit": ")" + row.unit +
           R"("}, "model": )" + row.model + R"(, "training": {)" + row.training +
           R"(, "learning_rate": 0.02, "seed": 3, "save_every": "10 steps"}})";
  }

  TemporaryFolder folder_;
  std::string trained_;
};

}  // namespace mnemo
