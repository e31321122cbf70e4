// A recurrent stack step by step on a tape, for models whose next input depends on the last output: decoders with
// attention.
#pragma once

#include <memory>

#include "nn/packing.h"
#include "nn/recurrent.h"
#include "nn/tape.h"

namespace mnemo {

/// Steps of a batch through layers of one direction, with backward. Each step's output, and all gradients (except those
/// of a highway's own weights), have the bits of `Recurrent::forward` for the same inputs: gate gradients of all steps
/// are kept, and the products for the weights' gradients are computed once, after the first step's backward (a product
/// per step would move these gradients through memory at every step).
class RecurrentSteps {
 public:
  /// `packing` determines which sequences still run at a step, and must outlive the tape's backward, as must `layers`,
  /// which are prepared for the tape.
  /// `initial` as for `Recurrent::forward`. Throws Error for layers with two directions or
  /// self-attention.
  RecurrentSteps(const Recurrent& layers, Tape& tape, const Packing& packing, const RecurrentState* initial = nullptr);
  ~RecurrentSteps();
  RecurrentSteps(RecurrentSteps&&) noexcept = default;
  RecurrentSteps& operator=(RecurrentSteps&&) noexcept = default;

  /// The next step, from 0 on: x [rows_at(step), I], dense, gives y [rows_at(step), P]. Throws Error if another use of
  /// the layers packed other weights in between.
  Activation step(const Activation& x);

  /// After the last step: the state after each sequence's own last one. Throws Error, as the tape's backward does, if
  /// not all steps of the packing were run.
  RecurrentState final();

 private:
  struct Batch;
  std::shared_ptr<Batch> batch_;  // closures on the tape hold it too
};

}  // namespace mnemo
