// mnemo quantize: writes a model at lower precision. Size, rate and metric are measured before and after on the same
// data, and a model whose metric drops by more than --max-drop is not written.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "kernels/product.h"
#include "tasks/task.h"

namespace mnemo {
namespace {

struct QuantizeOptions {
  std::string model, dev, out, precision = "int8", format = "text";
  std::optional<double> max_drop;
  bool overwrite = false;
  DataOptions input;
  int threads = 1;
};

// The figures shown for the model before and after.
struct Side {
  double megabytes = 0, per_s = 0, metric = 0;
};

// A model with the data that it is measured on.
class Subject {
 public:
  Subject(const QuantizeOptions& o, ThreadPool& pool) : o_(o), pool_(pool), model_(TextModel::load(o.model)) {
    if (const auto precision = model_->metadata().precision; precision != kernels::Precision::kFloat32)
      fail("{}: the model already has the precision {}; start from the float32 model", o.model,
           kernels::precision_name(precision));
    task_ = &task_of(*model_);
    data_ = task_->open(open_request(o.dev, o.input, "dev"), *model_);
  }

  // The metric by which the model was chosen, and the unit of its rate.
  const std::string& metric() const { return metric_; }
  const char* counted() const { return task_->traits().counted; }
  const Metrics& metrics() const { return metrics_; }

  Side measure() {
    Side out;
    out.per_s = rate();
    const auto report =
        task_->measure(*model_, *data_, {.metric = {}, .adaptation = {}, .search = {}, .as_in_training = true}, pool_);
    metric_ = report->main_metric();
    metrics_ = report->metrics();
    const auto value = report->metric(metric_);
    if (!value) fail("{}: {}, by which the model was chosen, is not defined on this data", o_.dev, metric_);
    out.metric = *value;
    return out;
  }

  void quantize() { model_->quantize(*kernels::inference_precision(o_.precision), pool_); }

  void save() {
    Json provenance = model_->metadata().provenance;
    const Json measured = data_provenance(*data_, *data_);  // the metrics are of this data
    for (const char* key : {"dev", "dev_records"}) provenance[key] = measured[key];
    model_->save(o_.out, Json(metrics_), provenance, pool_, o_.overwrite ? Existing::kReplace : Existing::kRefuse);
  }

 private:
  // The rate without reading: units and network, the best of a few passes.
  double rate() const {
    using Timer = std::chrono::steady_clock;
    double best = 0;
    for (int pass = 0; pass < 3; ++pass) {
      const auto start = Timer::now();
      const auto count = static_cast<double>(task_->answer_all(*model_, *data_, pool_));
      best = std::max(best, count / std::chrono::duration<double>(Timer::now() - start).count());
    }
    return best;
  }

  const QuantizeOptions& o_;
  ThreadPool& pool_;
  std::unique_ptr<TextModel> model_;
  const Task* task_ = nullptr;
  std::unique_ptr<Dataset> data_;
  std::string metric_;
  Metrics metrics_;
};

double file_megabytes(const std::string& path) { return static_cast<double>(std::filesystem::file_size(path)) * 1e-6; }

void print(const QuantizeOptions& o, const Subject& subject, const Side& before, const Side& after) {
  const std::string rate = std::string(subject.counted()) + (o.format == "json" ? "_per_s" : "/s");
  if (o.format == "json") {
    const auto side = [&](const Side& s) {
      return Json{{"megabytes", s.megabytes}, {rate, s.per_s}, {subject.metric(), s.metric}};
    };
    const Json record{{"model", o.out}, {"precision", o.precision}, {"before", side(before)}, {"after", side(after)}};
    return put(json_line(record));
  }
  put(fmt::format("{:<14} {:>12} {:>12}\n", "", "float32", o.precision) +
      fmt::format("{:<14} {:>12.2f} {:>12.2f}\n", "size, MB", before.megabytes, after.megabytes) +
      fmt::format("{:<14} {:>12.0f} {:>12.0f}\n", rate, before.per_s, after.per_s) +
      fmt::format("{:<14} {:>12.4f} {:>12.4f}\n", subject.metric(), before.metric, after.metric));
}

int run_quantize(const QuantizeOptions& o) {
  if (o.out.empty()) throw UsageError("-o: expected a file, found an empty name");
  if (o.max_drop && std::isnan(*o.max_drop)) throw UsageError("--max-drop: expected a number, found nan");
  if (std::filesystem::exists(o.out) && !o.overwrite)
    fail("{}: exists already; pass --overwrite to replace it, or name another file", o.out);
  if (same_file(o.out, o.model) || same_file(o.out, o.dev))
    throw UsageError(fmt::format("-o {}: is an input of this command; name another file", o.out));
  ThreadPool pool(o.threads);
  Subject subject(o, pool);
  Side before = subject.measure();
  before.megabytes = file_megabytes(o.model);
  subject.quantize();
  Side after = subject.measure();
  const double drop = drop_of(subject.metric(), before.metric, after.metric);
  const double max_drop = o.max_drop.value_or(admissible_drop(subject.metric()));
  if (!(drop <= max_drop))
    fail("{}: {} goes from {:.4f} to {:.4f} in {}, {:.4f} worse, but --max-drop allows {:g}: {} was not written{}",
         o.model, subject.metric(), before.metric, after.metric, o.precision, drop, max_drop, o.out,
         o.precision == "int8" ? "; --precision bfloat16 loses less" : "");
  subject.save();
  after.megabytes = file_megabytes(o.out);
  print(o, subject, before, after);
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    fail("standard output: cannot write; {} is written and complete", o.out);
  return 0;
}

}  // namespace

void add_quantize(Command& program) {
  Command& command = program.add("quantize", "write a model at lower precision: smaller, and mostly faster");
  command.examples = {"mnemo quantize run/model.safetensors --dev dev.tsv -o small.safetensors",
                      "mnemo quantize run/model.safetensors --dev dev.tsv --precision bfloat16 -o half.safetensors"};
  command.notes =
      "int8 keeps a scale for each row of a matrix and multiplies integers, on processors with VNNI at up to three "
      "times the speed, on others at about the same; bfloat16 keeps half of each weight's bits, which makes single "
      "steps faster and batches a little slower. The embedding table, the weights of recurrent layers and the last "
      "layer of a language model are converted; other last layers stay float32.\n"
      "Exit code 1 and no file if the metric by which the model was chosen gets worse on the data by more than "
      "--max-drop. A translator's is measured as in training, by greedy decoding.";
  auto o = std::make_shared<QuantizeOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.group("Input");
  command.option("--dev", "DATA", &o->dev, "Data on which both models are measured; - is standard input").required();
  add_data_options(command, o->input, kDataFormats, "that of the model's configuration");
  command.group("Output");
  command.option("-o,--output", "FILE", &o->out, "The new model file").required();
  command.flag("--overwrite", &o->overwrite, "Replace the new model file if it exists");
  command.option("--precision", "", &o->precision, "Precision of the new model").one_of({"int8", "bfloat16"});
  command.option("--max-drop", "X", &o->max_drop, "Largest admissible drop of the metric")
      .by_default("0.01; for bleu and chrf, which go to 100, 0.5");
  command.option("-f,--format", "", &o->format, "Output format of the comparison").one_of({"text", "json"});
  add_running(command, o->threads);
  command.run = [o] { return run_quantize(*o); };
}

}  // namespace mnemo
