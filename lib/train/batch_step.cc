#include "train/batch_step.h"

#include <optional>

#include "kernels/elementwise.h"
#include "nn/arena.h"
#include "train/sharded_step.h"

namespace mnemo {
namespace {

// The whole batch at once.
class WholeStep : public BatchStep {
 public:
  WholeStep(TrainingTask& task, const Config& config, Optimizer& optimizer, ThreadPool& pool)
      : task_(task), seed_(static_cast<std::uint64_t>(config.training.seed)), optimizer_(optimizer), pool_(pool) {}

  Found gradient(std::int64_t batch, std::int64_t step) override {
    Found out;
    out.tokens = task_.prepare(batch, step);
    task_.visit_sparse([&](Parameter& p, const auto& rows) { optimizer_.catch_up(p, rows, pool_); });
    arena_.reset();
    tape_.emplace(pool_, arena_, Tape::Mode::kTraining, seed_, static_cast<std::uint64_t>(step));
    out.loss = task_.forward(*tape_);
    out.term = term_of(task_);
    tape_->backward();
    out.norm = optimizer_.gradient_norm(pool_);
    return out;
  }

  std::string not_finite() override { return place_not_finite(task_, *tape_); }
  void update(double learning_rate, double gradient_scale) override {
    optimizer_.step(learning_rate, gradient_scale, pool_);
  }

 private:
  TrainingTask& task_;
  std::uint64_t seed_;
  Optimizer& optimizer_;
  ThreadPool& pool_;
  Arena arena_;
  std::optional<Tape> tape_;
};

}  // namespace

std::unique_ptr<BatchStep> make_batch_step(TrainingTask& task, const Config& config, Optimizer& optimizer,
                                           ThreadPool& pool, Transport* transport) {
  if (config.training.shards == 1 && !transport) return std::make_unique<WholeStep>(task, config, optimizer, pool);
  return make_sharded_step(task, config, optimizer, pool, transport);
}

// Weights that are not finite tell most, then the first layer whose output is not, then a gradient.
std::string place_not_finite(TrainingTask& task, const Tape& tape) {
  std::string where;
  task.visit([&](Parameter& p) {
    if (where.empty() && kernels::has_non_finite(p.value.data(), p.size())) where = "the weights of " + p.name + " are";
  });
  if (const std::string layer = tape.not_finite(); where.empty() && !layer.empty()) where = layer + " is";
  return where.empty() ? gradient_not_finite(task) : where;
}

std::string gradient_not_finite(TrainingTask& task) {
  std::string where;
  task.visit([&](Parameter& p) {
    const Index count = p.sparse ? static_cast<Index>(p.touched.size()) * p.row_size() : p.size();
    if (where.empty() && !p.frozen && kernels::has_non_finite(p.gradient.data(), count))
      where = "the gradient of " + p.name + " is";
  });
  return where;
}

}  // namespace mnemo
