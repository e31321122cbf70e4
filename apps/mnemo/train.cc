// mnemo train
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "config/options.h"
#include "pipeline/network_options.h"
#include "tasks/classify/report.h"
#include "tasks/classify/training.h"
#include "tasks/generate/training.h"
#include "tasks/start_from.h"
#include "tasks/tag/report.h"
#include "tasks/tag/training.h"
#include "tasks/trial.h"
#include "train/run_state.h"

namespace mnemo {
namespace {

std::atomic<int> stop_signal{0};

// The first signal asks the run to save and stop; the second one ends the program at once.
void on_signal(int signal) {
  stop_signal = signal;
  std::signal(signal, SIG_DFL);
}

struct TrainOptions {
  std::string config, init_from;
  std::vector<std::string> sets;
  bool resume = false, overwrite = false, dry = false;
  std::int64_t folds = 0;
  int threads = 0;
  bool threads_given = false;
  DataOptions data;
};

std::string report_path(const std::string& folder) { return folder + "/report.html"; }

// Where the run or, with --folds, the runs lie.
std::vector<std::string> run_folders(const TrainOptions& o, const std::string& folder) {
  std::vector<std::string> out;
  for (std::int64_t fold = 0; fold < o.folds; ++fold) out.push_back(fold_folder(folder, fold));
  return out.empty() ? std::vector{folder} : out;
}

void check_folders(const TrainOptions& o, const std::string& folder) {
  for (const std::string& run : run_folders(o, folder)) {
    const bool holds_run = file_exists(resume_path(run)) || file_exists(model_path(run));
    if (!holds_run || o.resume || o.overwrite) continue;
    throw UsageError(
        fmt::format("{}: holds a run already; --resume goes on with it, --overwrite replaces it, or set "
                    "output.dir to another folder",
                    run));
  }
}

void remove_runs(const TrainOptions& o, const std::string& folder) {
  for (const std::string& run : run_folders(o, folder))
    for (const std::string& path : {resume_path(run), model_path(run), log_path(run), report_path(run)})
      std::remove(path.c_str());
}

// The command that goes on with this one's run.
std::string resume_command(const TrainOptions& o) {
  std::string out = shell_quoted(program_name) + " train " + shell_quoted(o.config);
  for (const std::string& set : o.sets) out += " --set " + shell_quoted(set);
  if (!o.data.format_in.empty()) out += " --format-in " + o.data.format_in;
  if (o.data.invalid_utf8 != "error") out += " --invalid-utf8 " + o.data.invalid_utf8;
  if (o.folds > 0) out += fmt::format(" --folds {}", o.folds);
  if (!o.init_from.empty()) out += " --init-from " + shell_quoted(o.init_from);
  return out + " --resume";
}

void report_outcome(const TrainingOutcome& outcome) {
  using End = TrainingOutcome::End;
  const char* how = outcome.end == End::kStoppedEarly ? "stopped early"
                    : outcome.end == End::kTimeUp     ? "stopped by training.max_minutes"
                                                      : "done";
  std::string line = fmt::format("{} at step {}, {:.0f} tokens/s", how, outcome.step, outcome.tokens_per_s);
  if (outcome.best.contains(outcome.metric))
    line += fmt::format("; best on dev at step {}: {} {:.4f}", outcome.best_step, outcome.metric,
                        outcome.best.at(outcome.metric));
  say(line);
}

// What the page of a run is of: test, or where there is none dev.
std::string report_part(const Config& config, bool test) {
  return test ? "test" : config.data.dev.empty() ? "dev (kept out of train)" : "dev";
}

void write_report(const Config& config, const ClassificationData& data, const std::string& folder, ThreadPool& pool) {
  const bool test = !data.test.entries.empty();
  const LabelledTexts& texts = test ? data.test : data.dev;
  if (texts.entries.empty()) return;
  const auto model = TextClassifier::load(model_path(folder));
  ModelReport report = report_model(*model, texts, "", pool);
  report.model = model_path(folder);
  report.data = report_part(config, test);
  write_file(report_path(folder), report_html(report, *model, texts, log_path(folder)));
}

void write_report(const Config& config, const TaggingData& data, const std::string& folder, ThreadPool& pool) {
  const bool test = !data.test.entries.empty();
  const TaggedSentences& sentences = test ? data.test : data.dev;
  if (sentences.entries.empty()) return;
  TagReport report = report_tagger(*TextTagger::load(model_path(folder)), sentences, nullptr, "", pool);
  report.model = model_path(folder);
  report.data = report_part(config, test);
  write_file(report_path(folder), report_html(report, log_path(folder)));
}

// A run from what the command line says to its last line.
class Run {
 public:
  Run(const TrainOptions& o, const Config& config)
      : o_(o),
        config_(config),
        folder_(config.output.dir),
        pool_(config.training.threads > 0 ? static_cast<int>(config.training.threads) : available_cores()) {
    options_.folder = folder_;
    options_.resume = o.resume;
    options_.init_from = o.init_from;
    if (o.resume) {
      const std::string saved = saved_init_from(resume_path(folder_));
      if (options_.init_from.empty()) options_.init_from = saved;
      if (file_exists(resume_path(folder_)) && options_.init_from != saved)
        throw UsageError(
            fmt::format("--init-from: the run in {} began {}", folder_, saved.empty() ? "without" : "with " + saved));
    }
    options_.progress = [this](const Progress& p) { bar_.show(p); };
    options_.log = [this](const std::string& line) { bar_.line(line); };
    options_.signal = &stop_signal;
    if (o.dry) return;
    check_folders(o, folder_);
    lock_.emplace(folder_);
  }

  int classifier() {
    const auto data = load_classification_data(config_, o_.config, o_.data.policy(), say);
    if (o_.dry) return dry(data);
    begin();
    if (o_.folds > 0) return folds(data);
    const auto language_model = language_model_to_start_from();
    const auto model = built([&] { return build_classifier(config_, o_.config, data, say, language_model.get()); });
    if (language_model) {
      start(*language_model, model->vocabulary(), [&](const ParameterVisitor& v) { model->network().visit(v); });
      model->network().weights_changed();
    } else if (!options_.init_from.empty()) {
      const auto [words, labels] = initialise_from(*model, options_.init_from, say);
      say(fmt::format("{}: {} of {} words and {} of {} labels carried over", options_.init_from, words,
                      model->vocabulary().size() - 1, labels, model->labels().size()));
    }
    // Only now, when all that a new run begins with has been read.
    if (o_.overwrite) remove_runs(o_, folder_);
    const auto result = train_classifier(config_, data, *model, options_, pool_);
    if (const int code = report(result.outcome)) return code;
    if (result.test) {
      const Metrics test = result.test->metrics();
      say(fmt::format("test: accuracy {:.4f}, macro F1 {:.4f}, log loss {:.4f}", test.at("accuracy"),
                      test.at("macro_f1"), test.at("log_loss")));
    }
    if (result.outcome.end != TrainingOutcome::End::kFinishedBefore) write_report(config_, data, folder_, pool_);
    tell_next("classify");
    return 0;
  }

  int language_model() {
    if (o_.folds > 0) throw UsageError("--folds: not for the task generate");
    const auto from = language_model_to_start_from();
    if (!options_.init_from.empty() && !from)
      throw UsageError(fmt::format("--init-from: {}: a language model starts from another one", options_.init_from));
    const auto data = load_language_data(config_, o_.config, o_.data.policy(), say, from.get());
    if (o_.dry) return dry(data);
    begin();
    const auto model = built([&] { return std::make_unique<TextLanguageModel>(config_, data.vocabulary); });
    if (from) {
      start(*from, model->vocabulary(), [&](const ParameterVisitor& v) { model->network().visit(v); });
      model->network().weights_changed();
    }
    if (o_.overwrite) remove_runs(o_, folder_);
    const auto result = train_language_model(config_, data, *model, options_, pool_);
    if (const int code = report(result.outcome)) return code;
    if (result.test)
      say(fmt::format("test: perplexity {:.3f}, {:.4f} nats or {:.4f} bits a unit", result.test->at("perplexity"),
                      result.test->at("nats"), result.test->at("bits")));
    say(fmt::format("next: {} generate {} --prompt TEXT", shell_quoted(program_name),
                    shell_quoted(model_path(folder_))));
    return 0;
  }

  int tagger() {
    const auto data = load_tagging_data(config_, o_.config, o_.data.policy(), say);
    if (o_.dry) return dry(data);
    begin();
    if (o_.folds > 0) return folds(data);
    const auto language_model = language_model_to_start_from();
    if (!options_.init_from.empty() && !language_model)
      throw UsageError(fmt::format("--init-from: {}: a tagger starts from a language model", options_.init_from));
    const auto model = built([&] { return build_tagger(config_, o_.config, data, say, language_model.get()); });
    if (language_model) {
      start(*language_model, model->words().vocabulary(),
            [&](const ParameterVisitor& v) { model->network().visit(v); });
      model->network().weights_changed();
    }
    if (o_.overwrite) remove_runs(o_, folder_);
    const auto result = train_tagger(config_, data, *model, options_, pool_);
    if (const int code = report(result.outcome)) return code;
    for (std::size_t k = 0; k < result.test.size(); ++k) {
      std::string line = fmt::format("test: {}:", data.columns[k].name);
      for (const auto& [name, value] : result.test[k].metrics()) line += fmt::format(" {} {:.4f}", name, value);
      say(line);
    }
    if (result.outcome.end != TrainingOutcome::End::kFinishedBefore) write_report(config_, data, folder_, pool_);
    tell_next("tag");
    return 0;
  }

 private:
  // The model of --init-from, if it is one.
  std::unique_ptr<TextLanguageModel> language_model_to_start_from() const {
    if (options_.init_from.empty()) return nullptr;
    ModelContents contents = read_model(options_.init_from, "");
    if (contents.metadata.task != TextLanguageModel::kTask) return nullptr;
    return TextLanguageModel::from_contents(std::move(contents));
  }

  void start(TextLanguageModel& from, const Vocabulary& vocabulary, const Visit& visit) const {
    const CarriedOver carried = start_from(from, options_.init_from, config_, vocabulary, "embedding.weight", visit);
    say(fmt::format("{}: vectors of {} of {} units and {} layers carried over", options_.init_from, carried.units,
                    vocabulary.size() - 1, carried.layers));
    if (config_.task == TextLanguageModel::kTask && !config_.model.tied && !carried.output)
      say(fmt::format("{}: its output layer does not fit and begins anew", options_.init_from));
  }

  static void begin() {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
  }

  template <class Build>
  std::invoke_result_t<Build> built(const Build& build) const {
    try {
      return build();
    } catch (const std::bad_alloc&) {
      fail(
          "out of memory for a model of {} layers of {} hidden units and vectors of {} numbers; make model.layers, "
          "model.hidden, model.embedding, text.max_vocab or text.ngrams.buckets smaller",
          config_.model.layers, config_.model.hidden, config_.model.embedding);
    }
  }

  template <class Data>
  int dry(const Data& data) {
    dry_run(config_, o_.config, data, pool_, [](const std::string& line) { std::puts(line.c_str()); });
    return 0;
  }

  template <class Data>
  int folds(const Data& data) {
    if (o_.overwrite) remove_runs(o_, folder_);
    cross_validate(config_, o_.config, data, o_.folds, options_, pool_, [&](const std::string& line) {
      bar_.clear();
      std::puts(line.c_str());
      std::fflush(stdout);
    });
    if (stop_signal) bar_.line("stopped and saved; go on with: " + resume_command(o_));
    return stop_signal ? 128 + stop_signal : 0;
  }

  // The exit code of a run that a signal stopped, else 0.
  int report(const TrainingOutcome& outcome) {
    if (outcome.end == TrainingOutcome::End::kSignal) {
      bar_.line(fmt::format("stopped by signal {} after step {} and saved; go on with: {}", outcome.signal,
                            outcome.step, resume_command(o_)));
      return 128 + outcome.signal;
    }
    if (outcome.end == TrainingOutcome::End::kFinishedBefore)
      bar_.line(fmt::format("{}: the run is finished, nothing to do", folder_));
    else
      report_outcome(outcome);
    return 0;
  }

  void tell_next(const char* command) const {
    say(fmt::format("next: {} {} {} FILE", shell_quoted(program_name), command, shell_quoted(model_path(folder_))));
  }

  const TrainOptions& o_;
  const Config& config_;
  std::string folder_;
  ThreadPool pool_;
  std::optional<FolderLock> lock_;
  ProgressBar bar_;
  TrainerOptions options_;
};

int run_train(const TrainOptions& o) {
  Config config = load_model_config(o.config, o.sets);
  if (o.threads_given) config.training.threads = o.threads;
  if (config.task != TextLanguageModel::kTask && is_unlabelled(o.data.format_in))
    throw UsageError(
        fmt::format("--format-in {}: for language models; {} needs labels", o.data.format_in, config.task));
  if (config.task == TextLanguageModel::kTask) language_source(o.data);
  if (config.training.precision == "bfloat16")
    if (const std::string reason = kernels::no_bfloat16_products(); !reason.empty())
      throw UsageError("training.precision: bfloat16: " + reason + "; expected float32 here");
  if (!o.data.format_in.empty()) config.data.format = o.data.format_in;
  Run run(o, config);
  if (config.task == TextLanguageModel::kTask) return run.language_model();
  return config.task == TextTagger::kTask ? run.tagger() : run.classifier();
}

}  // namespace

void add_train(Command& program) {
  Command& command = program.add("train", "train a model as a configuration file says");
  command.examples = {"mnemo train configs/quickstart-en.json --set data.dir=data/reviews-en -o run",
                      "mnemo train my.json --dry-run", "mnemo train my.json --resume"};
  auto o = std::make_shared<TrainOptions>();
  auto output = std::make_shared<std::string>();
  command.argument("CONFIG.json", &o->config, "Configuration file (JSON); mnemo config explain lists its keys")
      .required();
  command.group("Configuration");
  command.option("-s,--set", "KEY=VALUE", &o->sets, "Override a key: --set training.epochs=3; may be given repeatedly");
  command.option("-o,--output", "FOLDER", output.get(), "Folder of the run: --set output.dir=FOLDER")
      .by_default("output.dir of the configuration");
  command.group("Run");
  command.flag("--resume", &o->resume, "Go on with the run in output.dir");
  command.flag("--overwrite", &o->overwrite, "Replace the run in output.dir").excludes({"--resume"});
  command.option("--init-from", "MODEL", &o->init_from, "Begin with this model's weights")
      .excludes({"--folds", "--dry-run"});
  command.flag("--dry-run", &o->dry, "Show what would be trained on, and what it would cost");
  command.option("--folds", "K", &o->folds, "Cross-validate over train in this many parts")
      .range(2, 1000)
      .excludes({"--dry-run"})
      .by_default("none");
  add_data_options(command, o->data, kDataFormats, "that of the configuration");
  add_running(command, o->threads)
      .tells(o->threads_given)
      .by_default("training.threads, or where that is 0 the cores that the process may use");
  command.run = [o, output] {
    if (!output->empty()) o->sets.push_back("output.dir=" + *output);
    return run_train(*o);
  };
}

}  // namespace mnemo
