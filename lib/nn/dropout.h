// Dropout (Srivastava et al. 2014), scaled in training so that inference needs nothing.
#pragma once

#include <cstdint>

#include "nn/packing.h"
#include "nn/tape.h"

namespace mnemo {

/// x [N, C] with each element zero at probability `rate` (rounded to 1/65536) and the others divided by 1 - rate.
/// `layer` names the mask's random stream. With `packing` one mask serves all steps of a sequence (variational, Gal &
/// Ghahramani 2016). Returns x itself in inference and at rate 0.
Activation dropout(Tape& tape, const Activation& x, float rate, std::uint32_t layer, const Packing* packing = nullptr);

}  // namespace mnemo
