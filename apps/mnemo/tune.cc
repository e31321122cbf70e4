// mnemo tune: a search for better values of a configuration's keys within some minutes.
#include <fmt/format.h>

#include <memory>

#include "apps/mnemo/command_line.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/run_options.h"
#include "apps/mnemo/terminal.h"
#include "apps/mnemo/together.h"
#include "base/error.h"
#include "base/file.h"
#include "config/options.h"
#include "tasks/task.h"
#include "tasks/tune.h"

namespace mnemo {
namespace {

struct TuneOptions {
  std::string config, output, format = "text";
  std::vector<std::string> sets, keys;
  double minutes = 15;
  std::int64_t seed = 1, trials = 0;
  bool resume = false, overwrite = false;
  int threads = 0;
  DataOptions data;
};

// The folder of the search unless one is named: beside that of the configuration's run, which may be there already.
std::string default_folder(std::string run) {
  while (run.size() > 1 && run.back() == '/') run.pop_back();
  return run + "-tune";
}

void check_folder(const TuneOptions& o) {
  check_search_folder(o.output);
  const bool holds_search = file_exists(tune_path(o.output));
  if (holds_search && !o.resume && !o.overwrite)
    throw UsageError(
        fmt::format("{}: holds a search already; --resume continues it, --overwrite replaces it", o.output));
}

int run_tune(TuneOptions o) {
  const std::string text = read_config(o.config);  // once: it may be a pipe
  TuneRequest request;
  request.configure = [&](const std::vector<std::string>& more) {
    std::vector<std::string> sets = o.sets;
    sets.insert(sets.end(), more.begin(), more.end());
    return configured(text, o.config, sets, o.data);
  };
  const Config given = request.configure({});
  if (o.output.empty()) o.output = default_folder(given.output.dir);
  const SearchSpace space(given, o.keys);
  refuse_together("tune");
  check_folder(o);
  make_folders(o.output);
  const FolderLock lock(o.output);
  Json keys = Json::array();
  for (const SearchKey& key : space.keys()) {
    say("searched: " + key.text());
    keys.push_back(key.json());
  }
  request.identity = config_to_json(given).dump() + keys.dump();
  request.read = {o.config, o.data.policy(), say};
  request.folder = o.output;
  request.seed = static_cast<std::uint64_t>(o.seed);
  request.seconds = 60 * o.minutes;
  request.trials = o.trials;
  request.resume = o.resume;
  request.overwrite = o.overwrite;
  request.signal = &stop_signal;
  ProgressBar bar;
  request.progress = [&](Progress p) {
    p.evaluated = nullptr;  // a line for each trial is enough
    bar.show(p);
  };
  request.log = [&](const std::string& line) { bar.line(line); };
  save_on_signals();
  ThreadPool pool(o.threads);
  const TuneOutcome outcome = tune(request, space, pool);
  bar.clear();
  const Findings found = tune_findings(outcome, "Search of " + o.config);
  std::vector<Highlight> highlights;
  put(o.format == "json"  ? findings_json(found)
      : o.format == "tsv" ? findings_tsv(found)
                          : findings_text(found, false, highlights));
  if (outcome.signal != 0) {
    say(fmt::format("stopped and saved; --resume goes on with {}", o.output));
    return 128 + outcome.signal;
  }
  const std::size_t best = outcome.ranked().front();
  const std::string model = model_path(trial_folder(o.output, best));
  say(fmt::format("best: trial {}, {} {:.4f}; its model is {}", best, outcome.metric, outcome.trials[best].best,
                  model));
  const bool strict = o.data.invalid_utf8 == "error";
  say(fmt::format("next: {} train {} -o FOLDER{}", shell_quoted(program_name), shell_quoted(best_path(o.output)),
                  strict ? "" : " --invalid-utf8 " + o.data.invalid_utf8));
  return 0;
}

}  // namespace

void add_tune(Command& program) {
  Command& command = program.add("tune", "search for better values of a configuration");
  command.examples = {"mnemo tune my.json --minutes 15 -o tuned",
                      "mnemo tune my.json --keys training.learning_rate --keys 'model.hidden=64|128|256'",
                      "mnemo train tuned/best.json -o run"};
  command.notes =
      "Random values, by successive halving: most trials end after a small share of their steps, the best third of "
      "those that got somewhere goes on. The given configuration is the first trial. Chosen by the metric on dev; test "
      "is not looked at.\n"
      "FOLDER gets best.json, the best configuration; tune.json, the table; and a run for each trial that is kept.";
  auto o = std::make_shared<TuneOptions>();
  command.argument("CONFIG.json", &o->config, "Configuration file (JSON)").required();
  command.group("Search");
  command
      .option("--minutes", "M", &o->minutes,
              "Time for the search, that of a resumed one included; a step that is being made is finished")
      .range(0.01, 1e6);
  command
      .option("--trials", "N", &o->trials,
              "Trials that are begun at most, for a search that others can repeat if the time suffices")
      .range(1, 1e6)
      .by_default("as many as the time allows");
  command.option("--keys", "KEY[=VALUES]", &o->keys,
                 "Key to search, in place of the default ones; VALUES is LOW..HIGH or VALUE|VALUE...; may be given "
                 "repeatedly");
  command.option("--seed", "S", &o->seed, "Seed of the values that are drawn").range(0, 9e15);
  command.option("-s,--set", "KEY=VALUE", &o->sets, "Override a key of the configuration; may be given repeatedly");
  command.group("Output");
  command.option("-o,--output", "FOLDER", &o->output, "Folder of the search")
      .by_default("output.dir of the configuration, with -tune after it");
  command.flag("--resume", &o->resume, "Go on with the search in FOLDER");
  command.flag("--overwrite", &o->overwrite, "Replace the search in FOLDER").excludes({"--resume"});
  command.option("-f,--format", "", &o->format, "Format of the table").one_of({"text", "tsv", "json"});
  add_data_options(command, o->data, kDataFormats, "that of the configuration");
  add_running(command, o->threads);
  command.run = [o] { return run_tune(*o); };
}

}  // namespace mnemo
