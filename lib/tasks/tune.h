// A search for better values of a configuration's keys within a given time: random values, of which only those that
// promise something are trained to the end.
//
// Each drawn configuration is a trial. Trials pause after fixed shares of their steps (rungs); of those that reached a
// rung, the best third goes on to the next one, and while none is due a new trial begins: asynchronous successive
// halving (Li et al. 2020) with one worker. The first trial is the given configuration itself, and is trained to the
// end. Near the end of the time the most promising trial is finished. Values and decisions depend on the seed and on
// the results alone, so that a longer search has a shorter one as its beginning.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "config/config.h"
#include "measure/metrics.h"
#include "report/findings.h"
#include "tasks/files.h"
#include "tasks/search_space.h"
#include "train/trainer.h"

namespace mnemo {

struct TuneRequest {
  /// The configuration with these values in place of its own ("key=value"). Throws UsageError if they conflict.
  std::function<Config(const std::vector<std::string>& sets)> configure;
  std::string identity;  ///< of the configuration and the keys: a search is resumed only if it is the same
  ReadRequest read;
  std::string folder;  ///< gets tune.json, best.json and a folder for each trial; the caller holds its lock
  std::uint64_t seed = 1;
  double seconds = 0;       ///< in all, those of earlier parts of the search included
  std::int64_t trials = 0;  ///< the search ends before it would begin more than these; 0: with the time alone
  bool resume = false, overwrite = false;
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  Log log = [](const std::string&) {};
  const std::atomic<int>* signal = nullptr;  ///< becomes non-zero when the search is to save and stop
};

struct Trial {
  std::vector<std::string> sets;  ///< "key=value"; none for the given configuration
  std::vector<double> rungs;      ///< the metric at each rung that it reached: the best on dev until then
  std::size_t target = 0;         ///< the rung up to which it is trained
  double best = 0;                ///< the metric of its best model so far
  std::int64_t step = 0, steps = 0;
  bool measured = false, done = false;  ///< done: trained to the end, or stopped early by its own configuration
  double seconds = 0;
  std::string failure;  ///< why it cannot be trained; empty if it can
};

struct TuneOutcome {
  std::vector<Trial> trials;  ///< in the order in which they began
  std::string metric;
  std::int64_t dev_records = 0;
  std::size_t rungs = 1;  ///< that a trial has reached at its end
  double seconds = 0;
  int signal = 0;       ///< that stopped the search
  std::string gave_up;  ///< why it ended early, if it did

  /// Indices of the measured trials, the best first.
  std::vector<std::size_t> ranked() const;
};

/// The file that holds a search's state, and the one with the best configuration.
std::string tune_path(const std::string& folder);
std::string best_path(const std::string& folder);
std::string trial_folder(const std::string& folder, std::size_t trial);

/// Throws UsageError if the folder holds what a search would mix with or replace and that no search made: a run, a
/// best.json, or folders of trials beyond those that the saved search lists; Error if the saved search is no search.
void check_search_folder(const std::string& folder);

/// Searches, and writes the best trial's configuration to best.json. Throws Error if no trial can be trained, and
/// UsageError if the folder's search is not the one to be resumed. With `overwrite` another search's files are removed
/// from the folder once the data have been read.
TuneOutcome tune(const TuneRequest& request, const SearchSpace& space, ThreadPool& pool);

/// The table of all trials, and what to make of it.
Findings tune_findings(const TuneOutcome& outcome, const std::string& title);

}  // namespace mnemo
