// mnemo evaluate: measures a model on data, beside baselines or another model.
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "apps/mnemo/adaptation_options.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "config/options.h"
#include "pipeline/translation.h"
#include "tasks/task.h"

namespace mnemo {
namespace {

constexpr int kMinimumMissed = 3;

struct EvaluateOptions {
  std::string model, data = "-", train, compare, format = "text", report, metric;
  std::vector<std::string> minimums, with;
  DataOptions input;
  AdaptationOptions adaptation;
  SearchRequest search;
  int threads = 1;
};

struct Minimum {
  std::string metric;
  double value;
};

Minimum parse_minimum(const std::string& text) {
  const std::size_t equals = text.find('=');
  char* end = nullptr;
  const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !std::isfinite(value))
    throw UsageError(fmt::format("--min {}: expected metric=value, such as accuracy=0.82", shown(text)));
  return {text.substr(0, equals), value};
}

// The exit code: kMinimumMissed if a metric is worse than its minimum.
int check_minimums(const std::vector<Minimum>& minimums, const Report& report) {
  int code = 0;
  for (const Minimum& minimum : minimums) {
    const std::optional<double> found = report.metric(minimum.metric);
    if (!found) fail("--min {}: not defined on this data", shown(minimum.metric));
    const bool reached = higher_is_better(minimum.metric) ? *found >= minimum.value : *found <= minimum.value;
    if (reached) continue;
    say(fmt::format("mnemo: --min {}={} not reached: {:.6f}", minimum.metric, minimum.value, *found));
    code = kMinimumMissed;
  }
  return code;
}

// The log of the run in whose folder the model is.
std::string log_of(const std::string& model) {
  const std::string folder = std::filesystem::path(model).parent_path().string();
  return log_path(folder.empty() ? "." : folder);
}

// Options that only some tasks have.
void check_options(const EvaluateOptions& o, const TaskTraits& task) {
  struct Limited {
    bool given;
    const char* name;
    bool of_task;
  };
  for (const Limited& one : {Limited{!o.report.empty(), "--report", task.page},
                             {!o.metric.empty(), "--metric", task.page},
                             {!o.train.empty(), "--train", task.page},
                             {!o.with.empty(), "--with", task.averages},
                             {o.search.beam.has_value(), "--beam", task.searches},
                             {o.search.length_penalty.has_value(), "--length-penalty", task.searches},
                             {!o.search.bleu.empty(), "--bleu", task.searches}})
    if (one.given && !one.of_task)
      throw UsageError(fmt::format("{}: not for {}, which {} is", one.name, task.model, o.model));
  if (o.adaptation.any() && !task.adapts)
    throw UsageError(fmt::format("--cache, --dynamic: only for language models, which {} is not", o.model));
}

std::vector<NamedModel> other_models(const EvaluateOptions& o, const Task& task) {
  std::vector<NamedModel> out;
  for (const std::string& path : o.with) {
    out.push_back({path, TextModel::load(path)});
    if (&task_of(*out.back().model) != &task)
      fail("{}: a model of the task {} cannot answer with one of {}", path, out.back().model->task(),
           task.traits().name);
  }
  return out;
}

int run_evaluate(const EvaluateOptions& o) {
  std::vector<std::string> inputs{o.model, o.data, o.train, o.compare};
  inputs.insert(inputs.end(), o.with.begin(), o.with.end());
  for (const std::string& input : inputs)
    if (same_file(o.report, input))
      throw UsageError(fmt::format("--report {}: is an input of this command; name another file", o.report));
  std::vector<Minimum> minimums;
  for (const std::string& text : o.minimums) minimums.push_back(parse_minimum(text));
  const auto model = TextModel::load(o.model);
  const Task& task = task_of(*model);
  check_options(o, task.traits());
  for (const Minimum& minimum : minimums) task.check_metric(minimum.metric, *model, !o.train.empty());
  ThreadPool pool(o.threads);
  OpenRequest open = open_request(o.data, o.input, "data");
  open.again = !o.compare.empty();
  const auto data = task.open(open, *model);
  const auto train = o.train.empty() ? nullptr : task.open(open_request(o.train, o.input, "train"), *model);
  const std::vector<NamedModel> with = other_models(o, task);
  MeasureRequest request{.metric = o.metric,
                         .train = train.get(),
                         .with = with,
                         .name = o.model,
                         .adaptation = o.adaptation,
                         .search = o.search,
                         .log = say};
  const auto report = task.measure(*model, *data, request, pool);
  report->model_name = o.model;
  for (const NamedModel& one : with) report->model_name += " + " + one.name;
  report->data_name = shown_path(o.data);
  if (!o.compare.empty()) {
    const auto other = TextModel::load(o.compare);
    if (&task_of(*other) != &task)
      fail("{}: a model of the task {} cannot be compared with one of {}", o.compare, other->task(), model->task());
    request.train = nullptr;
    request.with = {};
    request.log = [](const std::string&) {};
    const auto their_data = task.reopen(*data, *other, open);
    const auto theirs = task.measure(*other, their_data ? *their_data : *data, request, pool);
    theirs->model_name = o.compare;
    report->compare(*theirs);
  }
  put(o.format == "json" ? json_line(report->json()) : report->text());
  if (!o.report.empty()) write_file(o.report, report->page(o.with.empty() ? log_of(o.model) : ""));
  return check_minimums(minimums, *report);
}

void add_search(Command& command, SearchRequest& search) {
  const TranslationOptions usual;
  command.group("Translators");
  command.option("--beam", "B", &search.beam, "Hypotheses of a line that are kept at each step; 1: greedy")
      .range(1, 1000)
      .by_default(fmt::format("that of translate, {}", usual.beam));
  command
      .option("--length-penalty", "A", &search.length_penalty,
              "Translations of n units compete by log-probability / ((5 + n) / 6)^A: higher favours longer ones")
      .range(0, 10)
      .by_default(fmt::format("that of translate, {}", usual.length_penalty));
  command.option("--bleu", "", &search.bleu, "Words that BLEU compares, by sacrebleu's names")
      .one_of({kBleuNames.begin(), kBleuNames.end()})
      .by_default("data.bleu of the model's configuration");
}

}  // namespace

void add_evaluate(Command& program) {
  Command& command = program.add("evaluate", "measure a model on labelled data or pairs, or a language model on text");
  command.examples = {"mnemo evaluate run/model.safetensors test.tsv --train train.tsv --report report.html",
                      "mnemo evaluate run/model.safetensors test.tsv --format json --min accuracy=0.82",
                      "mnemo evaluate new/model.safetensors test.tsv --compare old/model.safetensors",
                      "mnemo evaluate run/model.safetensors test.tsv --with other/model.safetensors",
                      "mnemo evaluate run/model.safetensors test.en,test.de --beam 10"};
  command.notes =
      "Files are read as the data section of the model's configuration says, or in the format that --format-in names. "
      "Exit code 3: a --min was not reached.";
  auto o = std::make_shared<EvaluateOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("DATA", &o->data,
                   "Labelled data, text, or pairs (parallel files as SOURCE,TARGET); - is standard input");
  command.option(
      "--with", "MODEL", &o->with,
      "Another classifier or tagger of the same labels: the mean of the probabilities, or of the scores of tags "
      "and transitions, is measured; may be given repeatedly");
  command.group("Metrics");
  command.option("--train", "DATA", &o->train,
                 "Training data: two baselines are fitted to it and reported beside the model");
  command.option("--compare", "MODEL", &o->compare, "Another model, for a paired test");
  command.option("--metric", "METRIC", &o->metric, "Metric of the interval and the comparison")
      .by_default("f1 for tags that spell spans, else the one the model was chosen by");
  command.option("--min", "METRIC=VALUE", &o->minimums, "Exit with 3 if a metric is worse; may be given repeatedly");
  add_data_options(command, o->input, kDataFormats, "that of the model's configuration");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"text", "json"});
  command.option("--report", "FILE.html", &o->report, "Write a self-contained HTML page");
  add_adaptation(command, o->adaptation);
  add_search(command, o->search);
  add_running(command, o->threads);
  command.run = [o] { return run_evaluate(*o); };
}

}  // namespace mnemo
