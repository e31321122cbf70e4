// Problems that can only be solved by remembering over many steps, made up from random numbers; and a recurrent layer
// with a dense output that is trained on one of them. Every sequence is new: the loss in training is that on sequences
// not seen before.
//
// Letters: B sequences, T the problem's length, N tokens of a batch, I inputs, K outputs.
//
//   order   Temporal order (Hochreiter & Schmidhuber 1997, experiment 6a). One of T to 1.1 T symbols per step: E, then
//           a, b, c or d, at the end B. At one step from T/10 to T/5 and one from T/2 to 3T/5 there is X or Y instead:
//           the class after the last step is XX, XY, YX or YY.
//   adding  Two inputs: a number, uniform in [0, 1), and a mark, which is 1 at one step of the first half and one of
//           the second, else 0. The output after T steps is the sum of the two marked numbers (their experiment 4, in
//           the form of Arjovsky et al. 2016).
//   copy    Ten symbols out of eight, T - 1 blanks, a delimiter, ten blanks. The output is a blank at each of the first
//           T + 10 steps, then the ten symbols (Arjovsky et al. 2016).
//   parity  One of two symbols per step: the class after T steps is whether the second occurred an odd number of times.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/packing.h"
#include "nn/recurrent.h"

namespace mnemo {

enum class MemoryProblem { kOrder, kAdding, kCopy, kParity };

/// order, adding, copy, parity: in the order of the enum.
const std::vector<std::string>& memory_problem_names();

/// The problem of one of those names. Throws Error for another name.
MemoryProblem memory_problem(std::string_view name);

struct MemoryShape {
  Index inputs, outputs;  ///< I, K
  Index shortest;         ///< the least T
  bool every_step;        ///< an answer at each step instead of after the last one
};
const MemoryShape& memory_shape(MemoryProblem problem);

/// The loss of the best answer that depends on nothing remembered: log 4 for order, log 2 for parity, for adding the
/// mean squared error 1/6 of the answer 1, for copy 10 log 8 / (T + 20) per step. In nats but for adding.
double memory_baseline(MemoryProblem problem, Index length);

struct MemoryBatch {
  Packing packing;                   // of B sequences
  std::vector<float> x;              // [N, I], rows as in the packing; symbols are one-hot
  std::vector<std::int32_t> labels;  // classes: [B] in the packing's order, or [N] where there is one per step
  std::vector<float> targets;        // [B] of adding
};

/// Batch `index` of a seed. `check` chooses another stream, of sequences that are never trained on. Throws Error if the
/// length is less than the problem's shortest.
MemoryBatch memory_batch(MemoryProblem problem, Index length, Index sequences, std::uint64_t seed, std::uint64_t index,
                         bool check = false);

/// How close to the sum an answer to adding must be to count as right: 0.04 in the paper, where the output is half of
/// the sum (and a constant).
inline constexpr float kAddingTolerance = 0.08f;
/// A problem is solved once this many sequences in a row were answered right, each before it was trained on.
inline constexpr std::int64_t kSolvedAfter = 2000;
/// Sequences that the loss is measured on in the end, as many as in the paper.
inline constexpr Index kCheckSequences = 2560;

struct MemorySettings {
  MemoryProblem problem = MemoryProblem::kOrder;
  Index length = 100, batch = 20;
  RecurrentOptions layer;  ///< its input size is not used: the problem has its own
  std::int64_t steps = 10000, curve_points = 100;
  double learning_rate = 0.01;
  double clip_norm = 1.0;  ///< largest norm of the gradient; 0: any
  std::uint64_t seed = 1;
};

struct MemoryRun {
  std::optional<std::int64_t> solved;            ///< the step after which it was
  std::int64_t steps = 0;                        ///< done
  bool diverged = false;                         ///< stopped as loss or gradient was not finite
  std::vector<std::pair<double, double>> curve;  ///< step, mean loss since the last point over the baseline
  double loss = 0, right = 0;                    ///< on the check sequences: over the baseline; fraction answered right
};

/// Trains until the problem is solved or the steps are used up, with Adam at a constant rate, and measures in the end.
/// The result depends on the settings alone. `go_on` is called after each step; the run ends early, without a measure
/// on the check sequences, if it returns false.
MemoryRun run_memory_problem(const MemorySettings& settings, const std::function<bool(std::int64_t step)>& go_on = {});

}  // namespace mnemo
