// The training loop, for every task: batches, steps, evaluation on dev, the best model kept, saving and resuming.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/thread_pool.h"
#include "checkpoint/model_file.h"
#include "config/config.h"
#include "measure/metrics.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"
#include "nn/tape.h"
#include "parallel/transport.h"
#include "train/dev_share.h"
#include "train/shard.h"

namespace mnemo {

/// A model and its data as the loop sees them. A batch is named by its number within the epoch.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  virtual void visit(const ParameterVisitor& visitor) = 0;
  virtual void weights_changed() = 0;

  virtual std::int64_t batches() const = 0;          ///< per epoch; the same for every epoch
  virtual void begin_epoch(std::int64_t epoch) = 0;  ///< chooses the order, by seed and epoch alone
  /// Makes a shard of a batch; returns its tokens.
  virtual std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) = 0;
  /// Makes a whole batch.
  std::int64_t prepare(std::int64_t batch, std::int64_t step) { return prepare_shard(batch, step, Shard()); }
  /// What the loss of the prepared shard is divided by: the weight of its mean in that of the batch. 0 for a shard
  /// without anything to learn from, for which `forward` is not called.
  virtual double weight() const = 0;
  /// The sparse parameters, whose rows are brought up to date before a batch, and the rows that the prepared batch
  /// uses.
  using SparseVisitor = std::function<void(Parameter&, const std::vector<std::int32_t>& rows)>;
  virtual void visit_sparse(const SparseVisitor& visitor) = 0;
  /// Values carried from one batch to the next beside the weights, such as a recurrent state; begin_epoch resets them.
  /// Those of a shard have its number; a shard that holds none is left out.
  using CarriedVisitor = std::function<void(const std::string& name, std::int64_t shard, std::vector<float>& values)>;
  virtual void visit_carried(const CarriedVisitor&) {}
  virtual double forward(Tape& tape) = 0;  ///< records the prepared batch on the tape; returns its loss
  /// A term of the loss that the log also shows by itself, before its weight, as the last `forward` found it.
  struct LossTerm {
    const char* name;
    double value;
  };
  virtual std::optional<LossTerm> loss_term() const { return std::nullopt; }

  virtual std::string data_identity() const = 0;  ///< differs when the data of train, dev or the labels differ
  /// The same for the data that a model file states it was trained on.
  virtual std::string data_identity(const ModelMetadata& model) const = 0;
  virtual std::string metric() const = 0;  ///< on dev, by which the best model is kept
  virtual bool has_dev() const = 0;
  /// With "loss". Where several processes train, all of them call it, and get the same.
  virtual Metrics evaluate_dev(ThreadPool& pool, const DevShare& share) = 0;
  virtual void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) = 0;
};

/// Progress of the loop, for display.
struct Progress {
  std::int64_t step, steps, epoch, epochs;
  double loss, learning_rate, tokens_per_s, seconds_left;
  std::string metric;        ///< by which models are chosen
  double best;               ///< its best value on dev so far, NaN before the first evaluation
  const Metrics* evaluated;  ///< on dev, if this step was evaluated
};

struct TrainerOptions {
  std::string folder;     ///< of the run, with model.safetensors, resume.safetensors and log.jsonl
  bool resume = false;    ///< continue the run in the folder
  std::string init_from;  ///< the model that the run starts from, for RunState::init_from
  Json start;             ///< what the provenance of the run's models says of that model; empty: nothing
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  Log log = [](const std::string&) {};
  const std::atomic<int>* signal = nullptr;  ///< becomes non-zero when the run is to save and stop
  /// Where several processes train together: each calls `train` with the same task, configuration and folder, and
  /// process 0 alone logs and saves. Null: this process trains alone.
  Transport* transport = nullptr;
  std::vector<Fact> facts;  ///< what must be the same in all of them beside configuration, data and weights
};

struct TrainingOutcome {
  enum class End { kFinished, kStoppedEarly, kTimeUp, kSignal, kFinishedBefore };
  End end = End::kFinished;
  int signal = 0;
  std::int64_t step = 0, best_step = 0;
  Metrics best;             ///< on dev
  std::string metric;       ///< by which the best model was chosen
  double tokens_per_s = 0;  ///< in the median epoch
};

/// Files of a run.
std::string model_path(const std::string& folder);
std::string resume_path(const std::string& folder);
std::string log_path(const std::string& folder);

/// What the processes that train together must have in common: the facts of the options, each key of the configuration
/// that has a part in the result, data, the step of the saved run, and the weights to start from.
std::vector<Fact> facts_in_common(TrainingTask& task, const Config& config, const TrainerOptions& options,
                                  std::int64_t step);

/// Trains, after removing the half-written files that killed runs left in the folder, whose lock (FolderLock) the
/// caller, process 0 of several, holds. Throws Error if a loss or gradient is not finite, naming the parameter, and as
/// saving and resuming do. With several processes throws SharedError if they differ in what must be the same. At the
/// end the weights of `task` are the best ones, unless a signal stopped the run.
TrainingOutcome train(TrainingTask& task, const Config& config, const TrainerOptions& options, ThreadPool& pool);

}  // namespace mnemo
