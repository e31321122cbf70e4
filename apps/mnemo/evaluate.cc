// mnemo evaluate
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/mnemo/adaptation_options.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "tasks/classify/report.h"
#include "tasks/generate/training.h"
#include "tasks/tag/report.h"

namespace mnemo {
namespace {

constexpr int kMinimumMissed = 3;

struct EvaluateOptions {
  std::string model, data = "-", train, compare, format = "text", report, metric;
  std::vector<std::string> minimums;
  DataOptions input;
  AdaptationOptions adaptation;
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
    throw UsageError(fmt::format("--min {}: expected metric=value, such as accuracy=0.82", text));
  return {text.substr(0, equals), value};
}

std::string json_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// The exit code: kMinimumMissed if a metric is worse than its minimum.
int check_minimums(const std::vector<Minimum>& minimums, const Metrics& metrics) {
  int code = 0;
  for (const Minimum& minimum : minimums) {
    const auto found = metrics.find(minimum.metric);
    if (found == metrics.end()) fail("--min {}: not defined on this data", minimum.metric);
    const bool reached =
        higher_is_better(minimum.metric) ? found->second >= minimum.value : found->second <= minimum.value;
    if (reached) continue;
    say(fmt::format("mnemo: --min {}={} not reached: {:.6f}", minimum.metric, minimum.value, found->second));
    code = kMinimumMissed;
  }
  return code;
}

// The log of the run that a model lies in.
std::string log_of(const std::string& model) {
  const std::string folder = std::filesystem::path(model).parent_path().string();
  return log_path(folder.empty() ? "." : folder);
}

int evaluate_classifier(const EvaluateOptions& o, ModelContents contents, const std::vector<Minimum>& minimums) {
  for (const Minimum& minimum : minimums) check_metric(minimum.metric);
  if (!o.metric.empty()) check_metric(o.metric);
  ThreadPool pool(o.threads);
  const auto model = TextClassifier::from_contents(std::move(contents));
  const LabelledTexts texts = read_labelled(o.data, *model, o.input, "data");
  ModelReport report = report_model(*model, texts, o.metric, pool);
  report.model = o.model;
  report.data = o.data == "-" ? "standard input" : o.data;
  if (!o.metric.empty() && !report.interval) fail("--metric {}: not defined on this data", o.metric);
  if (!o.train.empty()) add_baselines(report, *model, texts, read_labelled(o.train, *model, o.input, "train"));
  if (!o.compare.empty()) {
    const auto other = TextClassifier::load(o.compare);
    add_comparison(report, *model, *other, o.compare, texts, pool);
  }
  put(o.format == "json" ? json_line(report_json(report)) : report_text(report, model->labels()));
  if (!o.report.empty()) write_file(o.report, report_html(report, *model, texts, log_of(o.model)));
  return check_minimums(minimums, report.evaluation.metrics());
}

int evaluate_tagger(const EvaluateOptions& o, ModelContents contents, const std::vector<Minimum>& minimums) {
  ThreadPool pool(o.threads);
  const auto model = TextTagger::from_contents(std::move(contents));
  for (const Minimum& minimum : minimums) {
    check_tag_metric(minimum.metric, model->columns());
    if (minimum.metric.ends_with("unknown_accuracy") && o.train.empty())
      throw UsageError(fmt::format("--min {}: needs --train, which says what is known", minimum.metric));
  }
  const TaggedSentences sentences = read_tagged(o.data, *model, o.input, "data");
  report_repairs(sentences, model->columns(), say);
  TaggedSentences train;
  if (!o.train.empty()) train = read_tagged(o.train, *model, o.input, "train");
  TagReport report = report_tagger(*model, sentences, o.train.empty() ? nullptr : &train, o.metric, pool);
  report.model = o.model;
  report.data = o.data == "-" ? "standard input" : o.data;
  if (!o.compare.empty()) {
    const auto compared = TextTagger::load(o.compare);
    try {
      check_tags(sentences, compared->columns());
    } catch (const Error& error) {
      fail("{} cannot be compared: {}", o.compare, error.what());
    }
    TagReport other = report_tagger(*compared, sentences, nullptr, o.metric, pool);
    other.model = o.compare;
    add_comparison(report, other);
  }
  put(o.format == "json" ? json_line(report_json(report)) : report_text(report));
  if (!o.report.empty()) write_file(o.report, report_html(report, log_of(o.model)));
  Metrics metrics = report_metrics(report);
  for (const Minimum& minimum : minimums) {
    const std::size_t dot = minimum.metric.rfind('.') + 1;  // 0 without one
    const std::string column = minimum.metric.substr(0, dot), name = minimum.metric.substr(dot);
    // The strict count is one of its own only where it differs.
    if (name == "strict_f1" && metrics.contains(column + "f1"))
      metrics.emplace(minimum.metric, metrics.at(column + "f1"));
  }
  return check_minimums(minimums, metrics);
}

int evaluate_language_model(const EvaluateOptions& o, ModelContents contents, const std::vector<Minimum>& minimums) {
  for (const auto& [given, name] :
       {std::pair{!o.report.empty(), "--report"}, {!o.metric.empty(), "--metric"}, {!o.train.empty(), "--train"}})
    if (given) throw UsageError(fmt::format("{}: not for language models, and {} is one", name, o.model));
  const TextSource source = language_source(o.input);
  ThreadPool pool(o.threads);
  const auto report_of = [&](TextLanguageModel& model, const std::string& name) {
    LanguageReport out = report_language_model(model, read_units(o.data, model, source, say), pool, o.adaptation);
    out.model = name;
    out.data = o.data == "-" ? "standard input" : o.data;
    return out;
  };
  LanguageReport report = report_of(*load_for(o.adaptation, std::move(contents)), o.model);
  if (!o.compare.empty())
    add_comparison(report,
                   report_of(*load_for(o.adaptation, read_model(o.compare, TextLanguageModel::kTask)), o.compare));
  put(o.format == "json" ? json_line(report_json(report)) : report_text(report));
  return check_minimums(minimums, language_metrics(mean_nats(report.records)));
}

int run_evaluate(const EvaluateOptions& o) {
  std::vector<Minimum> minimums;
  for (const std::string& text : o.minimums) minimums.push_back(parse_minimum(text));
  ModelContents contents = read_model(o.model, "");
  if (o.adaptation.any() && contents.metadata.task != TextLanguageModel::kTask)
    throw UsageError(fmt::format("--cache, --dynamic: for language models, and {} is none", o.model));
  if (contents.metadata.task == TextTagger::kTask) return evaluate_tagger(o, std::move(contents), minimums);
  if (contents.metadata.task == TextLanguageModel::kTask)
    return evaluate_language_model(o, std::move(contents), minimums);
  return evaluate_classifier(o, std::move(contents), minimums);
}

}  // namespace

void add_evaluate(Command& program) {
  Command& command = program.add("evaluate", "measure a model on labelled data, or a language model on text");
  command.examples = {"mnemo evaluate run/model.safetensors test.tsv --train train.tsv --report report.html",
                      "mnemo evaluate run/model.safetensors test.tsv --format json --min accuracy=0.82",
                      "mnemo evaluate new/model.safetensors test.tsv --compare old/model.safetensors"};
  command.notes =
      "Files are read as the data section of the model's configuration says, or in the format that --format-in names. "
      "Exit code 3: a --min was not reached.";
  auto o = std::make_shared<EvaluateOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("DATA", &o->data, "Labelled data, or text; - is standard input");
  command.group("Measures");
  command.option("--train", "DATA", &o->train,
                 "Training data: two baselines are fitted to it and shown beside the model");
  command.option("--compare", "MODEL", &o->compare, "Another model, for a paired test");
  command.option("--metric", "METRIC", &o->metric, "Metric of interval and comparison")
      .by_default("the one the model was chosen by, of tags that spell spans f1");
  command.option("--min", "METRIC=VALUE", &o->minimums, "Exit with 3 if a metric is worse; may be given repeatedly");
  add_data_options(command, o->input, kDataFormats, "that of the model's configuration");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "How results are written").one_of({"text", "json"});
  command.option("--report", "FILE.html", &o->report, "Write a self-contained page");
  add_adaptation(command, o->adaptation);
  add_running(command, o->threads);
  command.run = [o] { return run_evaluate(*o); };
}

}  // namespace mnemo
