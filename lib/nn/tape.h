// The tape records, in forward order, how to go backward. A layer computes its output and records a closure that adds
// the gradients of its inputs and parameters; `backward` runs the closures in reverse. So a model only needs its
// forward pass written.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/index.h"
#include "base/thread_pool.h"
#include "nn/arena.h"

namespace mnemo {

struct CellTrace;
struct GradientTrace;
struct InputTrace;
struct Parameter;

/// A matrix [rows, columns] of a batch, dense row after row, with room for its gradient. Gradients are added to, never
/// overwritten, and are null where none is needed.
struct Activation {
  float* value = nullptr;
  float* gradient = nullptr;
  Index rows = 0, columns = 0;

  Index size() const { return rows * columns; }
};

class Tape {
 public:
  enum class Mode { kInference, kTraining };

  /// `seed` and `step` name the random masks of this batch. With kInference nothing is recorded, no gradient has
  /// memory, and dropout does nothing.
  Tape(ThreadPool& its_pool, Arena& its_arena, Mode mode, std::uint64_t its_seed = 0, std::uint64_t its_step = 0)
      : pool(its_pool), arena(its_arena), seed(its_seed), step(its_step), mode_(mode) {}

  bool training() const { return mode_ == Mode::kTraining; }

  /// An activation whose values are not initialised and whose gradient, in training, is zero.
  Activation allocate(Index rows, Index columns);

  void record(std::function<void()> backward) {
    if (training()) closures_.push_back(std::move(backward));
  }

  /// A layer's forward is const, so that one network can serve many threads. A trainer owns its network, though, and
  /// backward writes the gradients: this is the one place that casts const away for it.
  static Parameter& trained(const Parameter& parameter) { return const_cast<Parameter&>(parameter); }

  /// Runs the recorded closures, last first, and forgets them.
  void backward();

  /// Remembers a layer's output by the layer's name, which must outlive the tape, so that `not_finite` can report where
  /// values stopped being finite.
  void watch(const char* layer, const Activation& output) {
    if (training()) watched_.emplace_back(layer, output);
  }

  /// After `backward`: the first layer whose output holds an infinity or NaN, or if all outputs are finite, the last
  /// one whose output's gradient does. Empty if there is none.
  std::string not_finite() const;

  ThreadPool& pool;
  Arena& arena;
  const std::uint64_t seed, step;
  CellTrace* trace = nullptr;               ///< where recurrent layers leave what their cells computed; null: nowhere
  InputTrace* input_trace = nullptr;        ///< scales the input of a network, see nn/input_trace.h
  GradientTrace* gradient_trace = nullptr;  ///< changes what `backward` computes, see nn/gradient_trace.h

 private:
  Mode mode_;
  std::vector<std::function<void()>> closures_;
  std::vector<std::pair<const char*, Activation>> watched_;
};

}  // namespace mnemo
