// The suite that every task passes, one row per task.
#include <algorithm>
#include <csignal>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"

using namespace mnemo;

namespace {

/// Benches, which are made and whose models are trained once for all tests of this program.
TaskBench& bench(const TaskRow& row) {
  static std::map<std::string, std::unique_ptr<TaskBench>> benches;
  static const std::vector<TaskRow> rows = task_rows_and_variants();
  auto& slot = benches[row.task + row.model];
  for (const TaskRow& kept : rows)
    if (!slot && kept.task + kept.model == row.task + row.model) slot = std::make_unique<TaskBench>(kept);
  return *slot;
}

std::vector<Json> answers(const TextModel& model, const std::vector<Json>& records) {
  ThreadPool pool(2);
  Workspace workspace(pool);
  return model.answer(records, workspace);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

}  // namespace

TEST_CASE("every task of the configuration has a row in the suite") {
  std::vector<std::string> rows;
  for (const TaskRow& row : task_rows()) rows.emplace_back(row.task);
  for (const Option& option : options())
    if (option.key == "task")
      for (const Json& name : option.schema.at("enum"))
        CHECK(std::find(rows.begin(), rows.end(), name.get<std::string>()) != rows.end());
}

TEST_CASE("a task learns eight records by heart") {
  for (const TaskRow& row : task_rows_and_variants()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    const auto model = TextModel::load(b.trained());
    ThreadPool pool(2);
    const auto found = b.task.measure(*model, *b.read()->test, MeasureRequest(), pool)->metric(row.metric);
    REQUIRE(found);
    CHECK(drop_of(row.metric, row.reached, *found) <= 0);
  }
}

TEST_CASE("a model is saved, loaded and quantised, and answers with the same bits whatever it is batched with") {
  for (const TaskRow& row : task_rows_and_variants()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    const auto model = TextModel::load(b.trained());
    ThreadPool pool(1);
    CHECK(model->verify(pool) == 0.0);
    const std::vector<Json> records = b.records(), together = answers(*model, records);
    REQUIRE(together.size() == records.size());
    for (std::size_t i = 0; i < records.size(); ++i) CHECK(answers(*model, {records[i]}).front() == together[i]);
    model->save(b.path("copy"), model->metadata().metrics, model->metadata().provenance, pool);
    CHECK(read_file(b.path("copy")) == read_file(b.trained()));
    CHECK(answers(*TextModel::load(b.path("copy")), records) == together);
    for (const auto precision : {kernels::Precision::kBfloat16Weights, kernels::Precision::kInt8}) {
      const auto narrow = TextModel::load(b.trained());
      narrow->quantize(precision, pool);
      const std::vector<Json> rounded = answers(*narrow, records);
      narrow->save(b.path("narrow"), Json::object(), Json::object(), pool);
      const auto again = TextModel::load(b.path("narrow"));
      CHECK(answers(*again, records) == rounded);
      CHECK(again->verify(pool) == 0.0);
      CHECK_THROWS_AS(again->quantize(precision, pool), Error);
    }
  }
}

TEST_CASE("the command line gives the library's answers") {
  for (const TaskRow& row : task_rows()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    std::vector<std::string> command = row.command;
    command.insert(command.begin() + 1, b.trained());
    const Outcome o = b.mnemo(command, row.input);
    INFO(o.err);
    REQUIRE(o.code == 0);
    const std::vector<std::string> printed = lines(o.out);
    const std::vector<Json> expected = answers(*TextModel::load(b.trained()), b.records());
    REQUIRE(printed.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Json line = parse_json(printed[i]);
      for (const auto& [key, value] : expected[i].items()) CHECK(line.at(key) == value);
    }
  }
}

TEST_CASE("a run that was killed at any save is resumed to the same bytes") {
  for (const TaskRow& row : task_rows_and_variants()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    for (const char* threads : {"1", "2", "3"}) {
      const std::string folder = std::string("killed-") + threads;
      std::vector<std::string> arguments{"train", b.path("c.json"), "--threads",
                                         threads, "--set",          "output.dir=" + b.path(folder)};
      Process process(arguments, b.path(""));
      for (int i = 0; i < 2000 && !file_exists(b.path(folder + "/resume.safetensors")); ++i) usleep(1000);
      process.send(SIGKILL);
      process.wait();
      arguments.emplace_back("--resume");
      const Outcome o = b.mnemo(arguments);
      INFO(o.err);
      CHECK(o.code == 0);
      CHECK(read_file(b.path(folder + "/model.safetensors")) == read_file(b.trained()));
    }
  }
}

TEST_CASE("a model of another task and data of another format are refused by name") {
  for (const TaskRow& row : task_rows()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    for (const TaskRow& other : task_rows()) {
      if (std::string(other.task) == row.task) continue;
      // Language models and translators share a command.
      if (row.command.front() == "score" && task_named(other.task).traits().scored != Scored::kNothing) continue;
      std::vector<std::string> command = row.command;
      command.insert(command.begin() + 1, bench(other).trained());
      const Outcome o = b.mnemo(command, row.input);
      CHECK(o.code == 1);
      CHECK_THAT(o.err, contains_text(std::string("\"") + other.task + "\""));
      const Outcome compared = b.mnemo({"evaluate", b.trained(), b.path("data"), "--compare", bench(other).trained()});
      CHECK(compared.code == 1);
      CHECK_THAT(compared.err, contains_text(other.task));
    }
    const Outcome o = b.mnemo({"evaluate", b.trained(), b.path("data"), "--format-in", row.other_format});
    CHECK(o.code == 2);
    CHECK_THAT(o.err, contains_text("--format-in " + row.other_format));
  }
}

TEST_CASE("functions that all tasks share work for each, or are refused by name") {
  for (const TaskRow& row : task_rows()) {
    INFO(row.task << " " << row.model);
    TaskBench& b = bench(row);
    const Outcome dry = b.train("dry", {"--dry-run"});
    CHECK(dry.code == 0);
    CHECK_THAT(dry.out, contains_text("parameters: "));
    CHECK_FALSE(file_exists(b.path("dry/model.safetensors")));

    const Outcome folds = b.train("folds", {"--folds", "2", "--set", "training.epochs=1"});
    CHECK(folds.code == (row.folds ? 0 : 2));
    CHECK_THAT(row.folds ? folds.out : folds.err, contains_text(row.folds ? "2 folds: " : "--folds: not for the task"));

    const Outcome again = b.train("again", {"--init-from", b.trained(), "--set", "training.epochs=1"});
    CHECK(again.code == (row.starts_again ? 0 : 2));
    CHECK_THAT(again.err, contains_text(row.starts_again ? "carried over" : "--init-from: " + b.trained()));

    const Outcome same = b.mnemo({"evaluate", b.trained(), b.path("data"), "--compare", b.trained()});
    CHECK(same.code == 0);
    CHECK_THAT(same.out, contains_text("p = 1"));

    const bool higher = higher_is_better(row.metric);
    const auto minimum = [&](double value) {
      return b.mnemo({"evaluate", b.trained(), b.path("data"), "--min", row.metric + "=" + std::to_string(value)}).code;
    };
    CHECK(minimum(row.reached) == 0);
    CHECK(minimum(higher ? row.reached + 1 : 0) == 3);
    using OneOption = std::pair<std::string, std::string>;
    for (const auto& [option, value] :
         {OneOption{"--beam", "2"}, OneOption{"--length-penalty", "0.5"}, OneOption{"--bleu", "char"}}) {
      const bool searches = b.task.traits().searches;
      const Outcome o = b.mnemo({"evaluate", b.trained(), b.path("data"), option, value});
      INFO(o.err);
      CHECK(o.code == (searches ? 0 : 2));
      if (!searches) CHECK_THAT(o.err, contains_text(option + ": not for " + b.task.traits().model));
    }
    CHECK(b.mnemo({"evaluate", b.trained(), b.path("data"), "--min", "nonsense=1"}).code == 2);

    const Outcome narrow = b.mnemo(
        {"quantize", b.trained(), "--dev", b.path("data"), "-o", b.path("q"), "--max-drop", "1", "--overwrite"});
    INFO(narrow.err);
    CHECK(narrow.code == 0);
    CHECK(b.mnemo({"inspect", b.path("q"), "--verify"}).code == 0);
  }
}
