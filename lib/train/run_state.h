// The state that a resumed run needs beside its weights, and the file resume.safetensors that holds it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "config/options.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"
#include "train/trainer.h"

namespace mnemo {

/// The content of the log's next line of training: sums over the steps since the last one.
struct SinceLog {
  double loss = 0, norm = 0, term = 0;
  std::int64_t clipped = 0, steps = 0;
};

struct RunState {
  std::int64_t step = 0;             ///< steps done
  std::int64_t best_step = -1;       ///< of the best evaluation; -1: none
  std::int64_t waited = 0;           ///< evaluations since
  std::int64_t evaluated_step = -1;  ///< of the last evaluation
  Metrics best;
  double seconds = 0;  ///< of training so far
  bool finished = false;
  int end = 0;                     ///< TrainingOutcome::End of a finished run
  std::int64_t averaged = 0;       ///< evaluations, or steps, whose weights are in the average
  bool average_begun = false;      ///< averaging over all steps has begun, as training.average_after asks
  std::vector<double> dev_values;  ///< the metric at each evaluation, where training.average_after needs them
  SinceLog since_log;
  Schedule::State schedule;
  std::string init_from;  ///< the model that the run started from, whose units are in the vocabulary; empty: none
};

/// Copies of all weights.
class WeightCopy {
 public:
  void take(TrainingTask& task);
  /// Takes the task's weights into the mean of `count` copies that it holds.
  void average_in(TrainingTask& task, std::int64_t count);
  void put(TrainingTask& task) const;
  bool empty() const { return values_.empty(); }
  void append(TrainingTask& task, const std::string& prefix, std::vector<TensorView>& tensors) const;
  void load(TrainingTask& task, const SafetensorsFile& file, const std::string& prefix);

 private:
  std::vector<std::vector<float>> values_;
};

/// Weights that a run keeps beside those it trains; each may be empty.
struct KeptWeights {
  WeightCopy best, average;
  std::map<std::string, std::vector<float>> carried;  ///< of a loaded run: TrainingTask::visit_carried
};

/// Writes the state atomically.
void save_run(const std::string& path, const RunState& state, const Config& config, TrainingTask& task,
              const KeptWeights& kept, Optimizer& optimizer);

/// RunState::init_from of a saved run, which is needed before the rest can be read; empty if there is no run.
std::string saved_init_from(const std::string& path);

/// The values that a saved run in this folder, or else its model, has for these keys; none if there is no run.
GivenDefaults saved_values(const std::string& folder, const std::set<std::string, std::less<>>& keys);

/// Throws UsageError if the model was made by another configuration, naming the keys that differ, or from other data;
/// Error if it is damaged.
void check_same_model(const std::string& path, const Config& config, const TrainingTask& task);

/// A key whose value may differ in a resumed run, since it only says how long the run is or when it is saved.
struct ChangedKey {
  std::string key, before, now;  ///< values as JSON
};

/// Fills everything from the file. Throws Error if it is damaged, or UsageError if it belongs to another configuration
/// (naming the keys that differ) or to other data.
RunState load_run(const std::string& path, const Config& config, TrainingTask& task, KeptWeights& kept,
                  Optimizer& optimizer, std::vector<ChangedKey>& changed);

}  // namespace mnemo
