// The activation functions over plain arrays.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

/// Largest error of the kernels' tanh and logistic function, in the cells too: tanh relative, the logistic function
/// absolute.
inline constexpr double kTanhRelativeError = 6e-7;
inline constexpr double kLogisticError = 3e-7;

/// out[i] = tanh(in[i]) and 1 / (1 + exp(-in[i])); in and out may be the same.
void tanh_values(const float* in, float* out, Index count);
void logistic_values(const float* in, float* out, Index count);

}  // namespace mnemo::kernels
