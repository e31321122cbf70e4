// One step of training on a batch: the gradient, wherever its parts are computed, and the update of the weights by it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "config/config.h"
#include "nn/optimizer.h"
#include "parallel/transport.h"
#include "train/trainer.h"

namespace mnemo {

class BatchStep {
 public:
  virtual ~BatchStep() = default;

  struct Found {
    double loss = 0, norm = 0;  ///< of the batch's gradient
    std::int64_t tokens = 0;
    double term = 0;  ///< TrainingTask::loss_term, if the task has one
  };
  /// Computes the gradient of a batch; `update` must follow unless the run ends.
  virtual Found gradient(std::int64_t batch, std::int64_t step) = 0;
  /// Where the numbers that `gradient` has just found stopped being finite: "the output of X is".
  virtual std::string not_finite() = 0;
  /// Updates the weights by the gradient, scaled by a factor.
  virtual void update(double learning_rate, double gradient_scale) = 0;
  /// Brings what only other processes hold up to date in process 0, which is about to save the run.
  virtual void gather_state() {}
};

/// The value of TrainingTask::loss_term; 0 without one.
inline double term_of(const TrainingTask& task) {
  const auto term = task.loss_term();
  return term ? term->value : 0;
}

/// `transport`: null if this process trains alone, else training.shards must be at least the number of processes. All
/// arguments must outlive the result.
std::unique_ptr<BatchStep> make_batch_step(TrainingTask& task, const Config& config, Optimizer& optimizer,
                                           ThreadPool& pool, Transport* transport);

}  // namespace mnemo
