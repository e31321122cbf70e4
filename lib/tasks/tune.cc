#include "tasks/tune.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/shown.h"
#include "config/options.h"
#include "tasks/task.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

using TuneClock = std::chrono::steady_clock;

// Of the trials that reached a rung one in so many goes on, and so many times as many steps has the next rung.
constexpr std::size_t kHalving = 3;
// Trials that fail one after the other before the search gives up.
constexpr int kMostFailures = 20;
// What the log and the table say of a trial that has not come to its first evaluation on dev.
constexpr const char* kNotMeasured = "not measured";
// The value that the search pauses a trial with: no signal's number.
constexpr int kPause = -1;

bool better(const std::string& metric, double a, double b) { return higher_is_better(metric) ? a > b : a < b; }

Json to_json(const Trial& t) {
  return {{"set", t.sets},          {"rungs", t.rungs},
          {"target", t.target},     {"best", t.measured ? Json(t.best) : Json()},
          {"step", t.step},         {"of", t.steps},
          {"measured", t.measured}, {"done", t.done},
          {"seconds", t.seconds},   {"failure", t.failure}};
}

Trial trial_from(const Json& json) {
  Trial out;
  json.at("set").get_to(out.sets);
  json.at("rungs").get_to(out.rungs);
  json.at("target").get_to(out.target);
  json.at("step").get_to(out.step);
  json.at("of").get_to(out.steps);
  json.at("measured").get_to(out.measured);
  if (out.measured) json.at("best").get_to(out.best);
  json.at("done").get_to(out.done);
  json.at("seconds").get_to(out.seconds);
  json.at("failure").get_to(out.failure);
  return out;
}

constexpr const char* kFormat = "mnemo-tune";

// How many trials the search in the folder has, whose folders trial-0 and so on are its own; none without a search.
// Throws Error if tune.json is something else.
std::size_t saved_trials(const std::string& folder) {
  const std::string path = tune_path(folder);
  if (!file_exists(path)) return 0;
  try {
    const Json json = parse_json(read_file(path));
    if (json.at("format") == kFormat) return json.at("trials").size();
  } catch (const JsonError&) {  // as below
  } catch (const Json::exception&) {
  }
  fail("{}: not the state of a search; name another folder", path);
}

// The number of the trial whose folder has this name, if it is one.
std::optional<std::size_t> trial_number(const std::string& name) {
  constexpr std::string_view kStart = "trial-";
  const std::string digits = name.starts_with(kStart) ? name.substr(kStart.size()) : "";
  if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != digits.npos) return std::nullopt;
  return std::stoul(digits);
}

// The files of the search in the folder, and nothing else that is there.
void remove_search(const std::string& folder) {
  std::vector<std::string> found;
  for (std::size_t i = saved_trials(folder); i-- > 0;) found.push_back(trial_folder(folder, i));
  // The list last: what a killed process leaves is still in it.
  found.insert(found.end(), {best_path(folder), tune_path(folder)});
  std::error_code none;
  for (const std::string& path : found) std::filesystem::remove_all(path, none);
}

// The configuration as a file elsewhere can hold it: with the place of its data.
Json portable(Config config, const std::string& config_path) {
  const std::filesystem::path folder(config.data.dir.empty() ? std::filesystem::path(config_path).parent_path().string()
                                                             : config.data.dir);
  config.data.dir = std::filesystem::absolute(folder.empty() ? "." : folder).lexically_normal().string();
  return config_to_json(config);
}

std::string shown_sets(const Trial& trial) {
  return trial.sets.empty() ? "the given configuration" : fmt::format("{}", fmt::join(trial.sets, " "));
}

// The keys of which trials have values, as the first of these has them.
std::vector<std::string> searched_keys(const std::vector<Trial>& trials) {
  std::vector<std::string> out;
  for (const Trial& trial : trials) {
    for (const std::string& set : trial.sets) out.push_back(set.substr(0, set.find('=')));
    if (!out.empty()) break;
  }
  return out;
}

// The trial's value of a key; "-" for the given configuration, which keeps its own.
std::string value_in(const Trial& trial, const std::string& key) {
  for (const std::string& set : trial.sets)
    if (set.starts_with(key + "=")) return set.substr(key.size() + 1);
  return "-";
}

std::string share_text(const Trial& t) {
  const auto steps = static_cast<double>(std::max<std::int64_t>(1, t.steps));
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(t.step) / steps);
}

// The share of a trial's steps after which it has reached a rung of so many.
double share_of_steps(std::size_t rung, std::size_t rungs) {
  return std::pow(static_cast<double>(kHalving), -static_cast<double>(rungs - 1 - rung));
}

class Tuner {
 public:
  Tuner(const TuneRequest& request, const SearchSpace& space, ThreadPool& pool)
      : request_(request), space_(space), pool_(pool), given_(request.configure({})), task_(task_named(given_.task)) {
    settle_by_size(given_, data_of(given_, request.read.log));
    if (data_->dev->size() == 0) throw UsageError("tune chooses on dev: set data.dev, or data.dev_fraction above 0");
    out_.dev_records = data_->dev->size();
    data_identity_ = data_identity(data_->labels(), *data_->train, *data_->dev);
    // The first rung has at least one evaluation on dev.
    const Every& every = given_.training.evaluate_every;
    const double epochs = static_cast<double>(given_.training.epochs);
    double least = every.unit == Every::Unit::kEpochs && every.count > 0 ? epochs / every.count : epochs;
    for (; least >= static_cast<double>(kHalving) && out_.rungs < kMostRungs; least /= static_cast<double>(kHalving))
      ++out_.rungs;
    if (out_.rungs == 1)
      request.log(
          fmt::format("no run is stopped early: that takes {} evaluations on dev in a run, and about {:.1f} are "
                      "expected by training.epochs and training.evaluate_every",
                      kHalving, least));
    if (request.overwrite) remove_search(request.folder);
    if (request.resume && file_exists(tune_path(request.folder)))
      load();
    else if (request.resume)
      request.log(fmt::format("no search in {} yet: it begins", request.folder));
  }

  TuneOutcome run() {
    began_ = TuneClock::now();
    int failures = 0;
    while (!over()) {
      if (!out_.trials.empty() && !out_.trials[0].failure.empty())
        fail("the given configuration: {}", out_.trials[0].failure);
      if (failures == kMostFailures) {
        out_.gave_up =
            fmt::format("{} trials failed one after the other; the last one: {}", failures, out_.trials.back().failure);
        break;
      }
      const auto chosen = choose();
      if (!chosen) break;
      advance(*chosen);
      save();
      failures = out_.trials[*chosen].failure.empty() ? 0 : failures + 1;
      remove_hopeless();
    }
    out_.signal = stopped();
    out_.seconds = spent();
    const auto order = out_.ranked();
    save();
    if (order.empty() && out_.signal == 0)
      fail("{}", out_.trials.empty() || out_.trials[0].failure.empty()
                     ? "the time was over before the first evaluation on dev"
                     : "the given configuration: " + out_.trials[0].failure);
    if (!order.empty()) {
      const Config best = request_.configure(out_.trials[order.front()].sets);
      write_file(best_path(request_.folder), portable(best, request_.read.config_path).dump(2) + "\n");
    }
    return out_;
  }

 private:
  static constexpr std::size_t kMostRungs = 4;

  // The data as a configuration has them: read again only where another one was read last.
  const TaskData& data_of(const Config& config, const Log& log) {
    const Json json = config_to_json(config);
    std::string read = json.at("data").dump() + json.at("text").dump();
    if (!data_ || read != read_)
      data_ = task_.read(
          config,
          {request_.read.config_path, request_.read.invalid_utf8, log, record_storage(config, request_.folder, pool_)},
          nullptr);
    read_ = std::move(read);
    return *data_;
  }

  int stopped() const { return request_.signal ? request_.signal->load() : 0; }
  double spent() const { return before_ + std::chrono::duration<double>(TuneClock::now() - began_).count(); }
  double left() const { return request_.seconds - spent(); }
  bool over() const { return stopped() != 0 || left() <= 0; }

  // The first step of a rung.
  std::int64_t goal(const Trial& trial, std::size_t rung) const {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(trial.steps) * share_of_steps(rung, out_.rungs)));
  }

  bool can_go_on(const Trial& t) const { return t.failure.empty() && !t.done; }

  // The trial to go on with, whose target is set; a new one if none is due, and null if there are to be no more.
  std::optional<std::size_t> choose() {
    if (out_.trials.empty()) return begin({}, out_.rungs - 1);
    // One that a signal or the end of the time interrupted.
    for (std::size_t i = 0; i < out_.trials.size(); ++i)
      if (can_go_on(out_.trials[i]) && out_.trials[i].rungs.size() <= out_.trials[i].target) return i;
    if (const auto last = worth_finishing(false)) return go_on(*last, out_.rungs - 1);
    for (std::size_t rung = out_.rungs - 1; rung-- > 0;)
      if (const auto due = promotable(rung)) return go_on(*due, rung + 1);
    if (request_.trials > 0 && std::ssize(out_.trials) >= request_.trials) return std::nullopt;
    if (auto sets = untried()) return begin(std::move(*sets), 0);
    const bool known = !out_.gave_up.empty();
    out_.gave_up =
        fmt::format("no values are left to try: all {} have been tried", counted(std::ssize(tried_), "configuration"));
    if (!known) request_.log(out_.gave_up);
    if (const auto last = worth_finishing(true)) return go_on(*last, out_.rungs - 1);
    return std::nullopt;
  }

  std::size_t go_on(std::size_t trial, std::size_t rung) {
    out_.trials[trial].target = rung;
    return trial;
  }

  // What a configuration is known by: all its values or, if they conflict, those that it was to be given.
  std::string known_by(const std::vector<std::string>& sets) const {
    try {
      Config config = request_.configure(sets);
      settle_by_size(config, *data_);
      return config_to_json(config).dump();
    } catch (const UsageError&) {
      return fmt::format("{}", fmt::join(sets, " "));
    }
  }

  // Values that give a configuration which no trial has; none if the space, as far as can be told, has no others.
  // With n equally likely values, all but one tried, that one is missed with a probability below e^-20.
  std::optional<std::vector<std::string>> untried() {
    RandomStream random(request_.seed, Purpose::kSearch, out_.trials.size());
    std::set<std::string> drawn;
    for (std::size_t left = 1000 + 20 * out_.trials.size(); left > 0; --left) {
      std::vector<std::string> sets = space_.draw(random);
      if (drawn.insert(fmt::format("{}", fmt::join(sets, " "))).second && !tried_.contains(known_by(sets))) return sets;
    }
    return std::nullopt;
  }

  std::size_t begin(std::vector<std::string> sets, std::size_t target) {
    tried_.insert(known_by(sets));
    Trial& trial = out_.trials.emplace_back();
    trial.sets = std::move(sets);
    trial.target = target;
    save();
    return out_.trials.size() - 1;
  }

  // Those that reached a rung, the best first.
  std::vector<std::size_t> at_rung(std::size_t rung) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < out_.trials.size(); ++i)
      if (out_.trials[i].rungs.size() > rung) out.push_back(i);
    std::ranges::stable_sort(out, [&](std::size_t a, std::size_t b) {
      return better(out_.metric, out_.trials[a].rungs[rung], out_.trials[b].rungs[rung]);
    });
    return out;
  }

  std::optional<std::size_t> promotable(std::size_t rung) const {
    const auto reached = at_rung(rung);
    for (std::size_t k = 0; k < reached.size() / kHalving; ++k) {
      const Trial& t = out_.trials[reached[k]];
      if (can_go_on(t) && t.rungs.size() == rung + 1) return reached[k];
    }
    return std::nullopt;
  }

  // The best of the unfinished trials that got furthest, if it beats the given configuration there and can be finished
  // in time, but only if it goes on now; or can at all, if there is nothing new to begin before.
  std::optional<std::size_t> worth_finishing(bool nothing_new) const {
    double first = 0;  // seconds to a first rung, of the slowest trial
    for (const Trial& t : out_.trials)
      if (t.step > 0)
        first = std::max(first, t.seconds / static_cast<double>(t.step) * static_cast<double>(goal(t, 0)));
    for (std::size_t rung = out_.rungs - 1; rung-- > 0;)
      for (const std::size_t i : at_rung(rung)) {
        const Trial& t = out_.trials[i];
        if (i == 0) break;  // the others are worse
        if (!can_go_on(t) || t.rungs.size() != rung + 1) continue;
        const double needed = t.seconds / static_cast<double>(t.step) * static_cast<double>(t.steps - t.step);
        if (needed <= left() && (nothing_new || left() <= 1.5 * needed + first)) return i;
        break;
      }
    return std::nullopt;
  }

  void advance(std::size_t number) {
    Trial& trial = out_.trials[number];
    const std::string folder = trial_folder(request_.folder, number);
    const auto start = TuneClock::now();
    pause_ = 0;
    try {
      Config config = request_.configure(trial.sets);
      const Log log = number == 0 && trial.step == 0 ? request_.read.log : [](const std::string&) {};
      const TaskData& data = data_of(config, log);
      settle_by_size(config, data);
      make_folders(folder);
      const FolderLock lock(folder);
      const auto model =
          build_model(task_, config, {request_.read.config_path, request_.read.invalid_utf8, log}, data, nullptr);
      TrainerOptions options;
      options.folder = folder;
      options.resume = file_exists(resume_path(folder));
      options.log = log;
      options.signal = &pause_;
      options.progress = [&](const Progress& p) { watch(number, p); };
      const TrainingOutcome outcome = train_model(task_, config, data, *model, options, pool_);
      trial.step = outcome.step;
      out_.metric = outcome.metric;
      trial.done = outcome.end != TrainingOutcome::End::kSignal;
      if (outcome.best.contains(outcome.metric)) {
        trial.best = outcome.best.at(outcome.metric);
        trial.measured = true;
      }
      if (trial.done && trial.measured) trial.rungs.resize(out_.rungs, trial.best);
    } catch (const Error& error) {
      trial.failure = error.what();
    }
    trial.seconds += std::chrono::duration<double>(TuneClock::now() - start).count();
    // The others need time, too.
    if (out_.trials.size() == 1 && !trial.done && !over())
      trial.target = std::max<std::size_t>(1, trial.rungs.size()) - 1;
    report(number);
  }

  void watch(std::size_t number, const Progress& p) {
    Trial& trial = out_.trials[number];
    trial.steps = p.steps;
    request_.progress(p);
    if (p.evaluated) {
      trial.step = p.step;
      trial.best = p.best;
      trial.measured = true;
      out_.metric = p.metric;
      const std::size_t before = trial.rungs.size();
      while (trial.rungs.size() < out_.rungs && p.step >= goal(trial, trial.rungs.size()))
        trial.rungs.push_back(p.best);
      // Before the run is saved: a search that is killed must not miss a rung that its run has passed.
      if (trial.rungs.size() > before) save();
    }
    const bool there = trial.rungs.size() > trial.target && p.step < p.steps;
    const bool half = out_.trials.size() == 1 && spent() > request_.seconds / 2 && !trial.rungs.empty();
    if (there || half || over()) pause_ = kPause;
  }

  std::string measured_text(const Trial& t) const {
    return t.measured ? fmt::format("{} {:.4f}", out_.metric, t.best) : kNotMeasured;
  }

  void report(std::size_t number) const {
    const Trial& t = out_.trials[number];
    request_.log(t.failure.empty() ? fmt::format("trial {}: {} after {} of its steps, {:.0f} s; {}", number,
                                                 measured_text(t), share_text(t), t.seconds, shown_sets(t))
                                   : fmt::format("trial {}: failed: {}; {}", number, t.failure, shown_sets(t)));
  }

  // Frees the disk of trials that are far from going on. Should one be due after all, it begins anew, with the same
  // bits.
  void remove_hopeless() const {
    constexpr std::size_t kKept = 3;
    const auto order = out_.ranked();
    for (std::size_t rung = 0; rung + 1 < out_.rungs; ++rung) {
      const auto reached = at_rung(rung);
      for (std::size_t k = reached.size() / kHalving + kKept; k < reached.size(); ++k) {
        const std::size_t i = reached[k];
        const bool leads = std::ranges::count(order.begin(), order.begin() + std::min(kKept, order.size()), i) > 0;
        if (out_.trials[i].rungs.size() != rung + 1 || i == 0 || leads) continue;
        std::error_code none;
        std::filesystem::remove_all(trial_folder(request_.folder, i), none);
      }
    }
  }

  void save() const {
    Json trials = Json::array();
    for (const Trial& t : out_.trials) trials.push_back(to_json(t));
    const Json json{{"format", kFormat},          {"search", request_.identity}, {"seed", request_.seed},
                    {"data", data_identity_},     {"metric", out_.metric},       {"seconds", spent()},
                    {"trials", std::move(trials)}};
    write_file(tune_path(request_.folder), json.dump(1) + "\n");
  }

  void load() {
    const std::string path = tune_path(request_.folder);
    const std::string text = read_file(path);
    try {
      const Json json = parse_json(text);
      if (json.at("search") != request_.identity || json.at("seed") != request_.seed)
        throw UsageError(
            fmt::format("{}: the search there has another configuration, other keys or another seed", path));
      if (json.at("data") != data_identity_)
        throw UsageError(
            fmt::format("{}: the search began with other training data, dev data or labels; --overwrite "
                        "replaces it",
                        path));
      json.at("metric").get_to(out_.metric);
      json.at("seconds").get_to(before_);
      for (const Json& one : json.at("trials")) {
        const Trial& t = out_.trials.emplace_back(trial_from(one));
        tried_.insert(known_by(t.sets));
        if (t.rungs.size() > out_.rungs || t.target >= out_.rungs || t.step < 0 || t.step > t.steps ||
            !(t.seconds >= 0))
          fail("{}: not the state of a search: trial {}", path, out_.trials.size() - 1);
      }
    } catch (const JsonError& error) {
      fail("{}: not the state of a search: {}", path, error.what());
    } catch (const Json::exception& error) {
      fail("{}: not the state of a search: {}", path, json_reason(error));
    }
  }

  const TuneRequest& request_;
  const SearchSpace& space_;
  ThreadPool& pool_;
  Config given_;
  const Task& task_;
  std::unique_ptr<TaskData> data_;
  std::string read_;  // the configuration of data_
  std::string data_identity_;
  TuneOutcome out_;
  std::set<std::string> tried_;  // what the configurations of all trials are known by
  double before_ = 0;
  TuneClock::time_point began_;
  std::atomic<int> pause_{0};
};

// Trials that were trained equally far: those to the end if there are two, else those at the furthest rung that two
// reached.
struct Comparable {
  std::size_t rung = 0;
  std::vector<double> values;  // the best first
};
Comparable comparable_trials(const TuneOutcome& outcome) {
  Comparable out;
  for (out.rung = outcome.rungs; out.values.size() < 2 && out.rung-- > 0;) {
    out.values.clear();
    for (const Trial& t : outcome.trials)
      if (t.failure.empty() && t.rungs.size() > out.rung) out.values.push_back(t.rungs[out.rung]);
    if (out.values.size() > 1) break;
  }
  std::ranges::sort(out.values, [&](double a, double b) { return better(outcome.metric, a, b); });
  return out;
}

// Whether the order of the first few is more than chance.
std::string chance_warning(const TuneOutcome& outcome) {
  constexpr std::size_t kCompared = 5;
  const auto [rung, values] = comparable_trials(outcome);
  if (values.size() < 2) return {};
  const std::size_t last = std::min(kCompared, values.size()) - 1;
  const double first = values.front(), other = values[last];
  if (!higher_is_better(outcome.metric) || is_percentage(outcome.metric))
    return fmt::format("How much of the order is chance is not known for {}: train the first few with other seeds.",
                       outcome.metric);
  if (first == 0) return {};  // none has learned anything by there
  // Of a share, with two successes and two failures more (Agresti & Coull 1998), as small samples have all or none. The
  // trials answer the same records, mostly alike, so the difference varies less than that of independent samples does.
  const auto n = static_cast<double>(outcome.dev_records) + 4;
  const double share = (first * (n - 4) + 2) / n, error = std::sqrt(2 * share * (1 - share) / n);
  if (first - other >= error) return {};
  return fmt::format(
      "dev is too small to tell the first from the {} of {} trials {}: they are {:.4f} apart, and one standard error "
      "of "
      "a difference in {}, taken for a share of dev's {}, is up to {:.4f}.",
      last == kCompared - 1 ? "fifth" : "last", values.size(),
      rung + 1 == outcome.rungs
          ? "that were trained to the end"
          : fmt::format("after {:.0f}% of their steps", 100 * share_of_steps(rung, outcome.rungs)),
      first - other, outcome.metric, counted(outcome.dev_records, "record"), error);
}

// The key as a column's name: without its section.
std::string short_key(const std::string& key) { return key.substr(key.find('.') + 1); }

}  // namespace

std::string tune_path(const std::string& folder) { return folder + "/tune.json"; }
std::string best_path(const std::string& folder) { return folder + "/best.json"; }
std::string trial_folder(const std::string& folder, std::size_t trial) {
  return fmt::format("{}/trial-{}", folder, trial);
}

std::vector<std::size_t> TuneOutcome::ranked() const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < trials.size(); ++i)
    if (trials[i].measured && trials[i].failure.empty()) out.push_back(i);
  std::ranges::stable_sort(
      out, [&](std::size_t a, std::size_t b) { return better(metric, trials[a].best, trials[b].best); });
  return out;
}

void check_search_folder(const std::string& folder) {
  if (file_exists(resume_path(folder)) || file_exists(model_path(folder)))
    throw UsageError(fmt::format("{}: holds a run; name another folder for the search", folder));
  const std::size_t own = saved_trials(folder);
  if (!file_exists(tune_path(folder)) && file_exists(best_path(folder)))
    throw UsageError(
        fmt::format("{}: not of a search, which would replace it; name another folder", best_path(folder)));
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (const auto number = trial_number(entry.path().filename().string()); number && *number >= own)
      throw UsageError(
          fmt::format("{}: not of the search in that folder, whose trials could take its place; move it "
                      "away, or name another folder",
                      entry.path().string()));
}

TuneOutcome tune(const TuneRequest& request, const SearchSpace& space, ThreadPool& pool) {
  return Tuner(request, space, pool).run();
}

Findings tune_findings(const TuneOutcome& outcome, const std::string& title) {
  Findings out;
  out.title = title;
  const auto order = outcome.ranked();
  Findings::Table table{"Trials, the best first", {"trial", outcome.metric, "trained", "seconds"}, {}};
  const std::vector<std::string> keys = searched_keys(outcome.trials);
  for (const std::string& key : keys) table.columns.push_back(short_key(key));
  out.data = {"", {"trial", "rank", outcome.metric, "steps", "of", "seconds", "values", "failure"}, {}};
  Json list = Json::array();
  std::vector<std::string> ranks(outcome.trials.size());
  const auto add_row = [&](std::size_t i, std::string value) {
    const Trial& t = outcome.trials[i];
    auto& row = table.rows.emplace_back();
    row = {fmt::to_string(i), std::move(value), t.done ? "whole" : share_text(t), fmt::format("{:.0f}", t.seconds)};
    for (const std::string& key : keys) row.push_back(value_in(t, key));
  };
  for (const std::size_t i : order) {
    const Trial& t = outcome.trials[i];
    ranks[i] = fmt::to_string(table.rows.size() + 1);
    add_row(i, fmt::format("{:.4f}", t.best));
  }
  for (std::size_t i = 0; i < outcome.trials.size(); ++i)
    if (!outcome.trials[i].measured && outcome.trials[i].failure.empty()) add_row(i, kNotMeasured);
  Findings::Table failed{"Trials that could not be trained", {"trial", "values", "reason"}, {}};
  for (std::size_t i = 0; i < outcome.trials.size(); ++i) {
    const Trial& t = outcome.trials[i];
    out.data.rows.push_back({fmt::to_string(i), ranks[i], t.measured ? fmt::format("{:.6f}", t.best) : "",
                             fmt::to_string(t.step), fmt::to_string(t.steps), fmt::format("{:.1f}", t.seconds),
                             shown_sets(t), t.failure});
    if (!t.failure.empty()) failed.rows.push_back({fmt::to_string(i), shown_sets(t), t.failure});
    list.push_back(to_json(t));
  }
  out.tables.push_back(std::move(table));
  if (!failed.rows.empty()) out.tables.push_back(std::move(failed));
  if (!outcome.gave_up.empty()) out.notes.push_back(outcome.gave_up + ".");
  if (order.size() > 1 && order.front() == 0) out.notes.push_back("No trial was better than the given configuration.");
  if (const std::string warning = chance_warning(outcome); !warning.empty()) out.notes.push_back(warning);
  if (order.size() > 1)
    out.notes.push_back(
        fmt::format("The best of {} trials was chosen by its value on dev, which for that reason is too good; "
                    "measure it on test.",
                    order.size()));
  out.json = {{"metric", outcome.metric},
              {"dev_records", outcome.dev_records},
              {"seconds", outcome.seconds},
              {"best", order.empty() ? Json() : Json(order.front())},
              {"trials", std::move(list)}};
  return out;
}

}  // namespace mnemo
