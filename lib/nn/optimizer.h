// Optimisers, each as PyTorch defines it, over dense and sparse parameters.
//
// A row of a sparse parameter (an embedding) is updated only in the steps in which it occurs. The updates in between,
// with a gradient of zero, are caught up on at once before the row is used again:
//   SGD      momentum continues as in the dense optimiser.
//   Adam(W)  the missed steps s = L + j change it by -sum_j rate_s / (1 - b1^s) b1^j m / (sqrt(b2^j v / (1 - b2^s)) +
//   e).
//            All terms share m / (sqrt(v) + e), and their other factors are summed once per step for all rows, so a
//            row ends where dense Adam would put it, except for the weight of e relative to the square root.
//   RMSProp  a zero gradient changes nothing without momentum; the mean square decays. Momentum continues as for SGD.
// Terms more than kMissedSteps old are dropped (at a momentum or b1 of 0.99 they are below 4e-5 of the first, at 0.999
// still a third).
//
// Weight decay is decoupled for all (Loshchilov & Hutter 2019): w *= 1 - rate * decay; missed steps included.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "nn/parameter.h"

namespace mnemo {

enum class OptimizerKind { kSgd, kAdam, kAdamW, kRmsProp };  // AdamW is Adam, named for its decay

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdam;
  float momentum = 0.0f;
  bool nesterov = false;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float alpha = 0.99f;        ///< RMSProp
  float weight_decay = 0.0f;  ///< decoupled; biases are left alone
};

class Optimizer {
 public:
  static constexpr std::int64_t kMissedSteps = 1024;

  /// `visit` gives the parameters; their memory must stay where it is.
  Optimizer(const OptimizerOptions& options, const std::function<void(const ParameterVisitor&)>& visit);

  /// The norm of all gradients of parameters that are trained (rate above 0), in double precision, summed in an order
  /// that does not depend on threads.
  double gradient_norm(ThreadPool& pool) const;

  /// A part of a dense parameter that is trained: `count` floats at offset `at`.
  struct Piece {
    Parameter* parameter;
    Index at, count;
  };
  /// All of them, in the order of the parameters.
  std::vector<Piece> dense_pieces() const;
  /// From now on `step` updates, and clears the gradient of, the dense pieces [first, end) only; the others are updated
  /// elsewhere.
  void own_pieces(std::size_t first, std::size_t end) { owned_ = {first, end}; }
  /// The sums of squares of the gradients in the dense pieces that are owned, and those of all sparse parameters, in
  /// order; 0 for parameters that are not trained.
  std::vector<double> dense_squares(ThreadPool& pool) const;
  std::vector<double> sparse_squares(ThreadPool& pool) const;
  /// Calls back for the moments of each dense piece.
  void visit_moments(const std::function<void(std::size_t piece, float* data, Index count)>& visitor);

  /// Brings `rows` of a sparse parameter up to date: to be called before a batch that uses them is computed.
  void catch_up(Parameter& parameter, const std::vector<std::int32_t>& rows, ThreadPool& pool);

  /// Brings all rows of all sparse parameters up to date: before evaluating or saving the weights as a model.
  void catch_up_all(ThreadPool& pool);

  /// One step at the given rate, every gradient multiplied by `gradient_scale` (clipping). Gradients are cleared.
  void step(double learning_rate, double gradient_scale, ThreadPool& pool);

  std::int64_t steps() const { return steps_; }

  /// Calls back for each array that a resumed run needs: name, memory, elements.
  void visit_floats(const std::function<void(const std::string& name, float* data, Index count)>& visitor);
  void visit_counters(const std::function<void(const std::string& name, std::vector<std::int64_t>& data)>& visitor);
  void visit_doubles(const std::function<void(const std::string& name, std::vector<double>& data)>& visitor);

  /// To be called after the arrays above were filled from a file.
  void restore(std::int64_t steps);

 private:
  struct Slot {
    Parameter* parameter;
    AlignedVector m, v;
    std::vector<std::int64_t> last_step;  // sparse only
    float decay;
  };

  void update(const Slot& slot, Index at, const float* gradient, Index count, double rate, double gradient_scale) const;
  void catch_up_row(Slot& slot, std::int32_t row) const;
  void note_step(double rate);
  double missed_factor(double rate) const;

  OptimizerOptions options_;
  std::pair<std::size_t, std::size_t> owned_{0, SIZE_MAX};  // dense pieces [first, second)
  std::vector<Slot> slots_;
  std::int64_t steps_ = 0;
  // [steps + 1], by step L: the sum of factors that a row last updated at step L has missed since.
  std::vector<double> missed_{0.0};
  // [steps + 1]: the sum of log(1 - rate * decay) up to and with each step.
  std::vector<double> log_keeps_{0.0};
};

}  // namespace mnemo
