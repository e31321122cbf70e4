// mnemo train: one run, or with --folds several, or with --fold one of these, from the configuration to the metrics on
// test. A run is a folder, whose lock is held throughout. The first signal makes it save and stop, and --resume
// continues it to the same bytes as if it had not been interrupted. Started by mpirun, the processes share the shards
// of each batch; process 0 alone holds the lock, prints and writes.
#include <fmt/ranges.h>

#include <csignal>
#include <cstdio>
#include <deque>
#include <memory>
#include <new>
#include <optional>

#include "apps/mnemo/command_line.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/run_options.h"
#include "apps/mnemo/terminal.h"
#include "apps/mnemo/together.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/temporary_folder.h"
#include "config/options.h"
#include "pipeline/network_options.h"
#include "tasks/cross_validation.h"
#include "tasks/start_from.h"
#include "tasks/task.h"
#include "tasks/trial.h"
#include "tasks/unlabelled.h"
#include "text/part.h"
#include "train/run_state.h"

namespace mnemo {
namespace {

constexpr std::int64_t kFewestFolds = 2, kMostFolds = 1000;

struct TrainOptions {
  std::string config, init_from, fold_text;
  std::vector<std::string> sets;
  bool resume = false, overwrite = false, dry = false, collect = false;
  std::int64_t folds = 0;
  int threads = 0;
  bool threads_given = false, fold_given = false;
  DataOptions data;

  bool cross_validates() const { return folds > 0 || fold_given; }
  /// What `--fold` names. Throws UsageError.
  std::optional<Part> fold() const {
    if (!fold_given) return std::nullopt;
    const Part out = parse_part(fold_text, "--fold");
    if (out.count < kFewestFolds || out.count > kMostFolds)
      throw UsageError(fmt::format("--fold {}: expected from {} to {} folds", fold_text, kFewestFolds, kMostFolds));
    return out;
  }
};

std::string report_path(const std::string& folder) { return folder + "/report.html"; }

// The folder of the run or, with --folds or --fold, of each run.
std::vector<std::string> run_folders(const TrainOptions& o, const std::string& folder) {
  if (const auto fold = o.fold()) return {fold_folder(folder, fold->index - 1)};
  std::vector<std::string> out;
  for (std::int64_t fold = 0; fold < o.folds; ++fold) out.push_back(fold_folder(folder, fold));
  return out.empty() ? std::vector{folder} : out;
}

// Those, and the folder of the language model that the run may start from.
std::vector<std::string> all_folders(const TrainOptions& o, const std::string& folder) {
  std::vector<std::string> out = run_folders(o, folder);
  out.push_back(language_folder(folder));
  return out;
}

void check_folders(const TrainOptions& o, const std::string& folder) {
  for (const std::string& run : all_folders(o, folder)) {
    const bool holds_run = file_exists(resume_path(run)) || file_exists(model_path(run));
    if (!holds_run || o.resume || o.overwrite) continue;
    throw UsageError(
        fmt::format("{}: holds a run already; --resume continues it, --overwrite replaces it, or set "
                    "output.dir to another folder",
                    run));
  }
}

void remove_runs(const TrainOptions& o, const std::string& folder, bool language_model_first) {
  for (const std::string& run : all_folders(o, folder))
    for (const std::string& path : {resume_path(run), model_path(run), log_path(run), report_path(run)})
      std::remove(path.c_str());
  const auto fold = o.fold();
  for (std::int64_t i = fold ? fold->index - 1 : 0; i < (fold ? fold->index : o.folds); ++i)
    std::remove(fold_result_path(folder, i).c_str());
  // A language model that this run trains first has its new text there already.
  if (!language_model_first) remove_language_folder(folder);
}

// The command that resumes this run.
std::string resume_command(const TrainOptions& o) {
  std::string out = shell_quoted(program_name) + " train " + shell_quoted(o.config);
  for (const std::string& set : o.sets) out += " --set " + shell_quoted(set);
  if (!o.data.format_in.empty()) out += " --format-in " + o.data.format_in;
  if (o.data.invalid_utf8 != "error") out += " --invalid-utf8 " + o.data.invalid_utf8;
  if (o.fold_given) out += " --fold " + o.fold_text;
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

Config configured(const TrainOptions& o, const std::string& text, const GivenDefaults& given,
                  Conflicts conflicts = Conflicts::kNow) {
  Config config = configured(text, o.config, o.sets, o.data, given, conflicts);
  if (o.threads_given) config.training.threads = o.threads;
  return config;
}

// "KEY VALUE".
std::string with_value(const std::string& key, const Json& config) {
  return fmt::format("{} {}", key, config.at(config_pointer(key)).dump());
}

// The keys that differ.
std::vector<std::string> changed_keys(const Json& before, const Json& now) {
  std::vector<std::string> out;
  for (const Option& o : options()) {
    const auto at = config_pointer(o.key);
    if (now.contains(at) && (!before.contains(at) || before.at(at) != now.at(at))) out.push_back(o.key);
  }
  return out;
}

// A run, from the command line to its last message.
class Run {
 public:
  Run(const TrainOptions& o, const std::string& text, const Config& config, Transport* transport)
      : o_(o),
        text_(text),
        config_(config),
        task_(task_named(config.task)),
        folder_(config.output.dir),
        pool_(config.training.threads > 0 ? static_cast<int>(config.training.threads) : available_cores()),
        request_{o.config, o.data.policy(), say, record_storage(config, config.output.dir, pool_)} {
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
    if (trains_language_model_first(config) && (!o.init_from.empty() || o.cross_validates()))
      throw UsageError(fmt::format("{}: not with {}, by which a language model is trained first",
                                   o.folds > 0           ? "--folds"
                                   : o.cross_validates() ? "--fold"
                                                         : "--init-from",
                                   language_model_key(config)));
    if (transport) {
      options_.transport = transport;
      options_.facts = program_facts();
      for (const auto& [name, value] : {std::pair<const char*, std::string>{"--dry-run", o.dry ? "given" : "not given"},
                                        {"--folds", o.folds > 0 ? std::to_string(o.folds) : "none"},
                                        {"--fold", o.fold_given ? o.fold_text : "none"},
                                        {"--init-from", o.init_from.empty() ? "none" : "given"},
                                        {"--invalid-utf8", o.data.invalid_utf8}})
        options_.facts.push_back({name, value});
    }
    if (o.dry || !leads()) return;
    check_folders(o, folder_);
    // Folds of their own are trained at the same time.
    if (!o.fold()) locks_.emplace_back(folder_);
    if (o.cross_validates())
      for (const std::string& run : run_folders(o, folder_)) locks_.emplace_back(run);
  }

  int run() {
    if (const int code = train_language()) return code;
    if (o_.resume && !options_.init_from.empty() && !file_exists(options_.init_from))
      fail("{}: is missing; the run in {} began with this model and needs its units", options_.init_from, folder_);
    const auto start = read_start(options_.init_from, task_.traits());
    const Json as_given = config_to_json(config_, Which::kStored);
    inherit(start.get());
    if (start) {
      check_start(config_, *start, options_.init_from);
      options_.start = provenance_of_start(*start, options_.init_from);
    }
    const TextModel* lender = lender_of(start.get());
    const auto data = task_.read(config_, request_, lender);
    if (o_.resume && start && trains_language_model_first(config_))
      check_same_texts(config_, request_, *data, language_folder(folder_));
    const std::string by_size = settle_by_size(config_, *data);
    if (o_.dry) return dry(*data, by_size);
    save_on_signals();
    if (!by_size.empty()) say(by_size);
    data->describe_labels(say);
    if (o_.cross_validates()) return folds(*data, as_given);
    const auto model = build_model(task_, config_, request_, *data, lender);
    if (start) start_from(*model, *start, options_.init_from, say);
    // Only after everything that a new run starts from has been read; where a language model is trained first, that is
    // before its training.
    if (o_.overwrite && !trains_language_model_first(config_)) remove_old_runs();
    const TrainingOutcome outcome = train_model(task_, config_, *data, *model, options_, pool_);
    // The run is saved: from here on a signal ends the program, as does one that came too late to stop the loop.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    if (const int code = report(outcome)) return code;
    if (const int signal = stop_signal) std::raise(signal);
    if (leads()) measure(*data, outcome.end == TrainingOutcome::End::kFinishedBefore);
    say(fmt::format("next: {} {} {} {}", shell_quoted(program_name), task_.traits().command,
                    shell_quoted(model_path(folder_)), task_.traits().arguments));
    return 0;
  }

 private:
  // Trains the language model that the run starts from, if it asks for one and has not begun. The exit code
  // if a signal stopped it, else 0.
  int train_language() {
    if (!trains_language_model_first(config_) || o_.dry || !options_.init_from.empty()) return 0;
    describe_defaults(say);
    Config settled = config_;
    const auto data = task_.read(config_, request_, nullptr);
    settle_by_size(settled, *data);
    const FirstModel first = first_model(settled, *data, language_folder(folder_));
    if (o_.overwrite) remove_old_runs();
    save_on_signals();
    const auto outcome = train_language_model(first, options_, pool_);
    if (outcome.end == TrainingOutcome::End::kSignal) return report(outcome);
    if (outcome.end != TrainingOutcome::End::kFinishedBefore) report_outcome(outcome);
    options_.init_from = model_path(language_folder(folder_));
    return 0;
  }

  // The language model that the run starts from, once that start has been tried.
  FirstModel first_model(const Config& settled, const TaskData& data, const std::string& folder) {
    FirstModel out = prepare_language_model(settled, request_, data, folder);
    try_start(task_, settled, request_, data, *out.model);
    return out;
  }

  // Keys that were not set have the values of the saved run, or of the model that a new run starts from.
  void inherit(const TextModel* start) {
    GivenDefaults given = start ? defaults_from(*start, config_) : GivenDefaults();
    if (o_.resume)
      for (auto& [key, value] : saved_values(run_folders(o_, folder_).front(), config_.by_size)) given[key] = value;
    const Json before = config_to_json(config_);
    config_ = configured(o_, text_, given);
    if (!start || o_.resume || trains_language_model_first(config_)) return;
    // What the start has too comes from it; the rest are defaults that depend on that.
    const Json now = config_to_json(config_), its = config_to_json(start->config());
    std::vector<std::string> taken, implied;
    for (const std::string& key : changed_keys(before, now)) {
      const auto at = config_pointer(key);
      (its.contains(at) && its.at(at) == now.at(at) ? taken : implied).push_back(with_value(key, now));
    }
    if (!taken.empty()) say(fmt::format("from {}: {}", name_of_start(*start), fmt::join(taken, ", ")));
    if (!implied.empty()) say(fmt::format("defaults of a run that starts from it: {}", fmt::join(implied, ", ")));
  }

  // Tells the defaults that the language model, which is trained first, brings about, and what is set in their place.
  void describe_defaults(const Log& print_line) const {
    const Json now = config_to_json(config_);
    std::vector<std::string> defaults, others;
    for (const auto& [key, value] : language_model_defaults(config_))
      if (now.at(config_pointer(key)) == value)
        defaults.push_back(with_value(key, now));
      else
        others.push_back(fmt::format("{} (default {})", with_value(key, now), value.dump()));
    if (!defaults.empty())
      print_line(fmt::format("defaults of a run that starts from a language model: {}", fmt::join(defaults, ", ")));
    if (!others.empty()) print_line(fmt::format("set otherwise: {}", fmt::join(others, ", ")));
  }

  std::string resumed_by() const {
    const auto ranks = options_.transport ? options_.transport->ranks() : 1;
    return (ranks > 1 ? fmt::format("mpirun -n {} ", ranks) : "") + resume_command(o_);
  }

  bool leads() const { return !options_.transport || options_.transport->rank() == 0; }

  void remove_old_runs() const {
    if (leads()) remove_runs(o_, folder_, trains_language_model_first(config_));
  }

  void print(const std::string& line) const {
    if (leads()) put(line + "\n");
  }

  int dry(const TaskData& data, const std::string& by_size) {
    const auto print_line = [this](const std::string& line) { print(line); };
    if (trains_language_model_first(config_)) {
      describe_defaults(print_line);
      const TemporaryFolder folder;
      const FirstModel first = first_model(config_, data, folder.path());
      print(describe(first));
      report_cost(generate_task(), first.config, *first.data, *first.model, options_, pool_,
                  [this](const std::string& line) { print("language model: " + line); });
    }
    dry_run(task_, config_, request_, data, options_, pool_, print_line);
    if (!by_size.empty()) print(by_size);
    return 0;
  }

  // `as_given`: the configuration before the saved run or the size of train had a part in it.
  int folds(const TaskData& data, const Json& as_given) {
    if (o_.overwrite) remove_old_runs();
    if (data.test->size() > 0) say("data.test is not used: each fold is measured on its own part of train");
    const auto print_line = [this](const std::string& line) {
      bar_.clear();
      print(line);
    };
    int signal = 0;
    if (const auto fold = o_.fold()) {
      const FoldRun run = run_fold(task_, config_, request_, data, *fold, options_, pool_, print_line);
      if (run.result && leads())
        write_fold_result(folder_, *fold, {as_given, data_identity(data.labels(), *data.train, *data.dev)},
                          *run.result);
      signal = run.signal;
    } else {
      signal = cross_validate(task_, config_, request_, data, o_.folds, options_, pool_, print_line);
    }
    if (signal == 0) return 0;
    bar_.line("stopped and saved; resume with: " + resumed_by());
    return 128 + signal;
  }

  // Reports the best model's metrics on test and writes the page of the run, of test or, where there is none, of dev;
  // one measurement serves both. A finished run that is resumed has both, unless it was killed before the page was
  // written.
  void measure(const TaskData& data, bool finished_before) {
    const bool page = task_.traits().page, test = data.test->size() > 0;
    if (finished_before && !test && (!page || file_exists(report_path(folder_)))) return;
    if (!test && (!page || data.dev->size() == 0)) return;
    const auto model = TextModel::load(model_path(folder_));
    const auto found = task_.measure(*model, test ? *data.test : *data.dev, MeasureRequest(), pool_);
    found->model_name = model_path(folder_);
    found->data_name = test ? "test" : config_.data.dev.empty() ? "dev (held out of train)" : "dev";
    for (const std::string& line : lines_of(found->summary()))
      if (test) say("test: " + line);
    if (page && !(finished_before && file_exists(report_path(folder_))))
      write_file(report_path(folder_), found->page(log_path(folder_)));
  }

  static std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      out.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return out;
  }

  // The exit code of a run that a signal stopped, else 0.
  int report(const TrainingOutcome& outcome) {
    if (outcome.end == TrainingOutcome::End::kSignal) {
      bar_.line(fmt::format("stopped by signal {} after step {} and saved; resume with: {}", outcome.signal,
                            outcome.step, resumed_by()));
      return 128 + outcome.signal;
    }
    if (outcome.end == TrainingOutcome::End::kFinishedBefore)
      bar_.line(fmt::format("{}: the run is finished, nothing to do", folder_));
    else
      report_outcome(outcome);
    return 0;
  }

  const TrainOptions& o_;
  const std::string& text_;
  Config config_;
  const Task& task_;
  std::string folder_;
  ThreadPool pool_;
  ReadRequest request_;
  std::deque<FolderLock> locks_;
  ProgressBar bar_;
  TrainerOptions options_;
};

// Prints the results that runs with --fold have left in output.dir.
int run_collect(const TrainOptions& o) {
  refuse_together("--collect");
  const Config config = configured(o, read_config(o.config), {});
  collect_folds(config.output.dir, config_to_json(config, Which::kStored),
                [](const std::string& line) { put(line + "\n"); });
  return 0;
}

int run_train(const TrainOptions& o) {
  if (o.collect) return run_collect(o);
  static_cast<void>(o.fold());  // refused before anything is read
  return run_together([&](Transport* transport) {
    const std::string text = read_config(o.config);  // once: it may be a pipe
    const bool inherits = o.resume || !o.init_from.empty();
    return Run(o, text, configured(o, text, {}, inherits ? Conflicts::kLater : Conflicts::kNow), transport).run();
  });
}

}  // namespace

void add_train(Command& program) {
  Command& command = program.add("train", "train a model as configured");
  command.examples = {"mnemo train configs/quickstart-en.json --set data.dir=data/reviews-en -o run",
                      "mnemo train my.json --dry-run", "mnemo train my.json --resume",
                      "mnemo train my.json -o folds --fold 3/10 && mnemo train my.json -o folds --collect"};
  auto o = std::make_shared<TrainOptions>();
  auto output = std::make_shared<std::string>();
  command.argument("CONFIG.json", &o->config, "Configuration file (JSON); mnemo config explain lists its keys")
      .required();
  command.group("Configuration");
  command.option("-s,--set", "KEY=VALUE", &o->sets, "Override a key: --set training.epochs=3; may be given repeatedly");
  command.option("-o,--output", "FOLDER", output.get(), "Folder of the run: --set output.dir=FOLDER")
      .by_default("output.dir of the configuration");
  command.group("Run");
  command.flag("--resume", &o->resume, "Resume the run in output.dir");
  command.flag("--overwrite", &o->overwrite, "Replace the run in output.dir").excludes({"--resume"});
  command.option("--init-from", "MODEL", &o->init_from, "Start from this model's weights")
      .excludes({"--folds", "--dry-run"});
  command.flag("--dry-run", &o->dry, "Show the data that would be trained on, and the estimated cost")
      .excludes({"--resume", "--overwrite"});
  command.option("--folds", "K", &o->folds, "Cross-validate over train in this many folds")
      .range(kFewestFolds, kMostFolds)
      .excludes({"--dry-run"})
      .by_default("none");
  command
      .option("--fold", "I/K", &o->fold_text,
              "Train fold I of K alone, and write its result to output.dir: each of K runs, at the same time and "
              "anywhere, one of those of --folds K")
      .excludes({"--dry-run", "--folds", "--init-from"})
      .sets_if_given(o->fold_given)
      .by_default("none");
  command
      .flag("--collect", &o->collect,
            "Print what --folds K does, from the results of the runs with --fold in output.dir")
      .excludes({"--dry-run", "--folds", "--fold", "--init-from", "--resume", "--overwrite"});
  add_data_options(command, o->data, kDataFormats, "that of the configuration");
  add_running(command, o->threads)
      .sets_if_given(o->threads_given)
      .by_default("training.threads or, where that is 0, the cores that the process may use");
  command.run = [o, output] {
    if (!output->empty()) o->sets.push_back("output.dir=" + *output);
    return run_train(*o);
  };
}

}  // namespace mnemo
