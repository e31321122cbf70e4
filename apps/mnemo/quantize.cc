// mnemo quantize: a model in narrower numbers, with what it gains and loses.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/product.h"
#include "tasks/classify/report.h"
#include "tasks/generate/training.h"
#include "tasks/tag/report.h"
#include "tasks/tag/training.h"

namespace mnemo {
namespace {

struct QuantizeOptions {
  std::string model, dev, out, precision = "int8", format = "text";
  double max_drop = 0.01;
  bool overwrite = false;
  DataOptions input;
  int threads = 1;
};

// What is shown of the model before and after.
struct Side {
  double megabytes = 0, per_s = 0, metric = 0;
};

// A model of any task, with the data that it is measured on.
struct Subject {
  std::string metric, counted;  // by which the model was chosen; what its speed counts
  double count = 0;             // of that in the data
  std::function<void()> work;   // what its speed is of
  std::function<Metrics()> measure;
  std::function<void(kernels::Precision)> quantize;
  std::function<void(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool&)> save;
  const ModelMetadata* metadata = nullptr;
  std::vector<SourceFile> files;
  std::int64_t records = 0;
  std::shared_ptr<void> model;  // that all these are of
};

template <class Model>
void fill(Subject& subject, const std::shared_ptr<Model>& model) {
  subject.model = model;
  subject.metadata = &model->metadata();
  subject.quantize = [&m = *model](kernels::Precision precision) { m.quantize(precision); };
  subject.save = [&m = *model](const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool) {
    m.save(path, metrics, provenance, pool);
  };
}

Subject classifier_subject(const QuantizeOptions& o, ModelContents contents, ThreadPool& pool) {
  const std::shared_ptr<TextClassifier> model = TextClassifier::from_contents(std::move(contents));
  const auto texts = std::make_shared<LabelledTexts>(read_labelled(o.dev, *model, o.input, "dev"));
  Subject out;
  fill(out, model);
  out.metric = report_model(*model, *texts, "", pool).main_metric;
  out.counted = "texts";
  out.count = static_cast<double>(texts->entries.size());
  out.records = std::ssize(texts->entries);
  out.files = texts->files;
  out.work = [&m = *model, texts, &pool] {
    Arena arena;
    m.logits(encode_corpus(m, *texts), pool, arena);
  };
  out.measure = [&m = *model, texts, &pool] { return report_model(m, *texts, "", pool).evaluation.metrics(); };
  return out;
}

Subject tagger_subject(const QuantizeOptions& o, ModelContents contents, ThreadPool& pool) {
  const std::shared_ptr<TextTagger> model = TextTagger::from_contents(std::move(contents));
  const auto sentences = std::make_shared<TaggedSentences>(read_tagged(o.dev, *model, o.input, "dev"));
  Subject out;
  fill(out, model);
  out.metric = report_tagger(*model, *sentences, nullptr, "", pool).main_metric;
  out.counted = "tokens";
  for (const auto& entry : sentences->entries) out.count += static_cast<double>(entry.tokens.size());
  out.records = std::ssize(sentences->entries);
  out.files = sentences->files;
  out.work = [&m = *model, sentences, &pool] { predict_tags(m, *sentences, pool); };
  out.measure = [&m = *model, sentences, &pool] {
    return report_metrics(report_tagger(m, *sentences, nullptr, "", pool));
  };
  return out;
}

Subject language_model_subject(const QuantizeOptions& o, ModelContents contents, ThreadPool& pool) {
  const std::shared_ptr<TextLanguageModel> model = TextLanguageModel::from_contents(std::move(contents));
  const auto text = std::make_shared<UnitText>(read_units(o.dev, *model, language_source(o.input), say));
  if (text->measured == 0) fail("{}: no units to measure on", o.dev);
  Subject out;
  fill(out, model);
  out.metric = language_metric(model->config());
  out.counted = "units";
  out.count = static_cast<double>(text->measured);
  out.records = text->measured;
  out.files = text->files;
  // Read in parts side by side, as dev is in training.
  const auto nats = [&m = *model, text, &pool] { return dev_nats(m, *text, pool); };
  out.work = nats;
  out.measure = [nats] { return language_metrics(nats()); };
  return out;
}

Subject open_subject(const QuantizeOptions& o, ThreadPool& pool) {
  ModelContents contents = read_model(o.model, "");
  if (const auto precision = contents.metadata.precision; precision != kernels::Precision::kFloat32)
    fail("{}: the model's numbers are {} already; start from the float32 model", o.model,
         kernels::precision_name(precision));
  if (contents.metadata.task == TextTagger::kTask) return tagger_subject(o, std::move(contents), pool);
  if (contents.metadata.task == TextLanguageModel::kTask) return language_model_subject(o, std::move(contents), pool);
  return classifier_subject(o, std::move(contents), pool);
}

// Reading aside: units and network, the best of a few passes.
double rate_of(const Subject& subject) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = Clock::now();
    subject.work();
    best = std::max(best, subject.count / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double file_megabytes(const std::string& path) { return static_cast<double>(std::filesystem::file_size(path)) * 1e-6; }

void print(const QuantizeOptions& o, const Subject& subject, const Side& before, const Side& after) {
  const std::string rate = subject.counted + (o.format == "json" ? "_per_s" : "/s");
  if (o.format == "json") {
    const auto side = [&](const Side& s) {
      return Json{{"megabytes", s.megabytes}, {rate, s.per_s}, {subject.metric, s.metric}};
    };
    std::puts(Json{{"model", o.out}, {"precision", o.precision}, {"before", side(before)}, {"after", side(after)}}
                  .dump(-1, ' ', false, Json::error_handler_t::replace)
                  .c_str());
    return;
  }
  std::printf("%-14s %12s %12s\n", "", "float32", o.precision.c_str());
  std::printf("%-14s %12.2f %12.2f\n", "size, MB", before.megabytes, after.megabytes);
  std::printf("%-14s %12.0f %12.0f\n", rate.c_str(), before.per_s, after.per_s);
  std::printf("%-14s %12.4f %12.4f\n", subject.metric.c_str(), before.metric, after.metric);
}

int run_quantize(const QuantizeOptions& o) {
  if (o.out.empty()) throw UsageError("-o: expected a file, found an empty name");
  if (std::isnan(o.max_drop)) throw UsageError("--max-drop: expected a number, found nan");
  if (std::filesystem::exists(o.out) && !o.overwrite)
    fail("{}: exists already; --overwrite replaces it, or name another file", o.out);
  ThreadPool pool(o.threads);
  const Subject subject = open_subject(o, pool);
  Metrics metrics;
  const auto measure = [&](Side& side) {
    side.per_s = rate_of(subject);
    metrics = subject.measure();
    const auto found = metrics.find(subject.metric);
    if (found == metrics.end())
      fail("{}: {}, by which the model was chosen, is not defined on this data", o.dev, subject.metric);
    side.metric = found->second;
  };
  Side before, after;
  before.megabytes = file_megabytes(o.model);
  measure(before);
  subject.quantize(*kernels::inference_numbers(o.precision));
  measure(after);
  const double drop = drop_of(subject.metric, before.metric, after.metric);
  if (!(drop <= o.max_drop))
    fail("{}: {} goes from {:.4f} to {:.4f} in {}, {:.4f} worse, and --max-drop allows {:g}: {} was not written{}",
         o.model, subject.metric, before.metric, after.metric, o.precision, drop, o.max_drop, o.out,
         o.precision == "int8" ? "; --precision bfloat16 loses less" : "");
  // What the metrics are of.
  Json provenance = subject.metadata->provenance;
  provenance["dev"] = files_json(subject.files);
  provenance["dev_records"] = subject.records;
  subject.save(o.out, Json(metrics), provenance, pool);
  after.megabytes = file_megabytes(o.out);
  print(o, subject, before, after);
  return 0;
}

}  // namespace

void add_quantize(Command& program) {
  Command& command = program.add("quantize", "write a model in narrower numbers: smaller, and mostly faster");
  command.examples = {"mnemo quantize run/model.safetensors --dev dev.tsv -o small.safetensors",
                      "mnemo quantize run/model.safetensors --dev dev.tsv --precision bfloat16 -o half.safetensors"};
  command.notes =
      "int8 keeps a scale for each row of a matrix and multiplies integers, on processors with VNNI at up to three "
      "times the speed, on others at about the same; bfloat16 keeps half of each weight's bits, which makes single "
      "steps faster, and batches a little slower. The embedding's table, the recurrent layers' weights and a language "
      "model's last layer are narrowed, other last layers stay float32.\n"
      "Exit code 1, and no file: the metric by which the model was chosen gets worse on the data by more than "
      "--max-drop.";
  auto o = std::make_shared<QuantizeOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.group("Input");
  command.option("--dev", "DATA", &o->dev, "Data on which both are measured; - is standard input").required();
  add_data_options(command, o->input, kDataFormats, "that of the model's configuration");
  command.group("Output");
  command.option("-o,--output", "FILE", &o->out, "The new model file").required();
  command.flag("--overwrite", &o->overwrite, "Replace the new model file if it exists");
  command.option("--precision", "", &o->precision, "What the numbers become").one_of({"int8", "bfloat16"});
  command.option("--max-drop", "X", &o->max_drop, "How much worse the metric may get");
  command.option("-f,--format", "", &o->format, "How the comparison is written").one_of({"text", "json"});
  add_running(command, o->threads);
  command.run = [o] { return run_quantize(*o); };
}

}  // namespace mnemo
