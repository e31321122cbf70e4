// Activation functions between layers.
#pragma once

#include "nn/tape.h"

namespace mnemo {

/// y = tanh(y). In backward the gradient is that of the argument from there on, so nothing else may use the argument.
void tanh_in_place(Tape& tape, const Activation& y);

/// y = max(0, y), likewise. A NaN stays one.
void relu_in_place(Tape& tape, const Activation& y);

/// gelu(x), see kernels::gelu_values; nothing else may use x.
Activation gelu(Tape& tape, const Activation& x);

}  // namespace mnemo
