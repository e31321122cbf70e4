// mnemo quantize: a model in narrower numbers, with what it gains and loses.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/product.h"
#include "train/evaluation.h"

namespace mnemo {
namespace {

struct QuantizeOptions {
  std::string model, dev, out, numbers = "int8", format = "text";
  double max_drop = 0.01;
  bool overwrite = false;
  DataOptions input;
  int threads = 1;
};

// What is shown of the model before and after.
struct Side {
  double megabytes = 0, texts_per_s = 0, metric = 0;
};

// Reading aside: tokens and network, the best of a few passes.
double texts_per_second(TextClassifier& model, const LabelledTexts& texts, ThreadPool& pool) {
  using Clock = std::chrono::steady_clock;
  Arena arena;
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = Clock::now();
    model.logits(encode_corpus(model, texts), pool, arena);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, static_cast<double>(texts.entries.size()) / seconds);
  }
  return best;
}

double file_megabytes(const std::string& path) { return static_cast<double>(std::filesystem::file_size(path)) * 1e-6; }

void print(const QuantizeOptions& o, const std::string& metric, const Side& before, const Side& after) {
  if (o.format == "json") {
    const auto side = [&](const Side& s) {
      return Json{{"megabytes", s.megabytes}, {"texts_per_s", s.texts_per_s}, {metric, s.metric}};
    };
    std::puts(Json{{"model", o.out}, {"numbers", o.numbers}, {"before", side(before)}, {"after", side(after)}}
                  .dump(-1, ' ', false, Json::error_handler_t::replace)
                  .c_str());
    return;
  }
  std::printf("%-12s %12s %12s\n", "", "float32", o.numbers.c_str());
  std::printf("%-12s %12.2f %12.2f\n", "size, MB", before.megabytes, after.megabytes);
  std::printf("%-12s %12.0f %12.0f\n", "texts/s", before.texts_per_s, after.texts_per_s);
  std::printf("%-12s %12.4f %12.4f\n", metric.c_str(), before.metric, after.metric);
}

int run_quantize(const QuantizeOptions& o) {
  if (o.out.empty()) throw UsageError("-o: expected a file, found an empty name");
  if (std::isnan(o.max_drop)) throw UsageError("--max-drop: expected a number, found nan");
  if (std::filesystem::exists(o.out) && !o.overwrite)
    fail("{}: exists already; --overwrite replaces it, or name another file", o.out);
  ThreadPool pool(o.threads);
  const auto model = TextClassifier::load(o.model);
  if (const auto numbers = model->metadata().numbers; numbers != kernels::Numbers::kFloat32)
    fail("{}: the model's numbers are {} already; start from the float32 model", o.model,
         kernels::numbers_name(numbers));
  const LabelledTexts texts = read_labelled(o.dev, *model, o.input, "dev");
  const auto measure = [&](Side& side) {
    side.texts_per_s = texts_per_second(*model, texts, pool);
    return report_model(*model, texts, "", pool);
  };
  Side before, after;
  before.megabytes = file_megabytes(o.model);
  ModelReport report = measure(before);
  const std::string metric = report.main_metric;
  const auto value = [&] {
    const auto metrics = report.evaluation.metrics();
    const auto found = metrics.find(metric);
    if (found == metrics.end())
      fail("{}: {}, by which the model was chosen, is not defined on this data", o.dev, metric);
    return found->second;
  };
  before.metric = value();
  model->quantize(*kernels::inference_numbers(o.numbers));
  report = measure(after);
  after.metric = value();
  const double drop = drop_of(metric, before.metric, after.metric);
  if (!(drop <= o.max_drop))
    fail("{}: {} goes from {:.4f} to {:.4f} in {}, {:.4f} worse, and --max-drop allows {:g}: {} was not written{}",
         o.model, metric, before.metric, after.metric, o.numbers, drop, o.max_drop, o.out,
         o.numbers == "int8" ? "; --numbers bfloat16 loses less" : "");
  Json metrics = Json::object();
  for (const auto& [name, number] : report.evaluation.metrics()) metrics[name] = number;
  // What the metrics are of.
  Json provenance = model->metadata().provenance;
  provenance["dev"] = files_json(texts.files);
  provenance["dev_records"] = texts.entries.size();
  model->save(o.out, metrics, provenance, pool);
  after.megabytes = file_megabytes(o.out);
  print(o, metric, before, after);
  return 0;
}

}  // namespace

void add_quantize(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand("quantize", "Write a model in narrower numbers: smaller, and mostly faster");
  command->footer(
      "Examples:\n  mnemo quantize run/model.safetensors --dev dev.tsv -o small.safetensors\n"
      "  mnemo quantize run/model.safetensors --dev dev.tsv --max-drop 0.002 --numbers bfloat16 -o half.safetensors\n\n"
      "int8 keeps a scale for each row of a matrix and multiplies integers, on processors with VNNI at up to three "
      "times the speed, on others at about the same; bfloat16 keeps half of each weight's bits, which makes single "
      "steps "
      "faster, and batches a little slower. "
      "The embedding's table and the recurrent layers' weights are narrowed, the last layer stays float32. Exit code "
      "1, and no file: the metric by which the model was chosen gets worse on the data by more than --max-drop.");
  auto o = std::make_shared<QuantizeOptions>();
  command->add_option("model", o->model, "Model file")->required()->type_name("MODEL");
  command->add_option("--dev", o->dev, "Labelled data on which both are measured; - is standard input")
      ->required()
      ->type_name("DATA");
  command->add_option("-o,--output", o->out, "The new model file")->required()->type_name("FILE");
  command->add_option("--numbers", o->numbers, "int8 or bfloat16")
      ->check(CLI::IsMember({"int8", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--max-drop", o->max_drop, "How much worse the metric may get")
      ->check(CLI::Range(-1e9, 1e9))
      ->capture_default_str();
  command->add_flag("--overwrite", o->overwrite, "Replace the new model file if it exists");
  command->add_option("--format", o->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  add_data_options(command, o->input, kTextFormats, "Format of the data (default: the one of the configuration)");
  add_threads(command, o->threads);
  command->callback([&chosen, o] { chosen = [o] { return run_quantize(*o); }; });
}

}  // namespace mnemo
