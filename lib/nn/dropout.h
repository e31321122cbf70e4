// Dropout (Srivastava et al. 2014), scaled in training so that inference needs nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/packing.h"
#include "nn/tape.h"

namespace mnemo {

/// x [N, C] with each element zero with probability `rate` (rounded to 1/65536) and the others divided by 1 - rate.
/// `layer` names the mask's random stream. With `packing` one mask serves all steps of a sequence (variational, Gal &
/// Ghahramani 2016). Returns x itself in inference and at rate 0.
Activation dropout(Tape& tape, const Activation& x, float rate, std::uint32_t layer, const Packing* packing = nullptr);

/// One mask for the rows of a packing, applied piece by piece: the same as `dropout` of all rows at once.
class DropoutMask {
 public:
  DropoutMask(Tape& tape, float rate, std::uint32_t layer, Index rows, Index columns, const Packing* packing);

  /// y = x times the mask of rows [first, first + x.rows). Both are dense; y's gradient goes to x.
  void apply(const Activation& x, Index first, const Activation& y) const;

 private:
  Tape* tape_;
  const float* mask_;
  std::shared_ptr<const std::vector<Index>> mask_rows_;  // empty: each row has its own
};

/// `count` elements that are 0 with probability `rate` and else 1 / (1 - rate), for the tape's seed and step. From the
/// tape's arena.
float* draw_mask(Tape& tape, float rate, std::uint32_t layer, Index count);

/// The same with 1 with probability `rate` and else 0.
float* draw_choices(Tape& tape, float rate, std::uint32_t layer, Index count);

}  // namespace mnemo
