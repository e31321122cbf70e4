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

/// out[i] = x s(1.702 x) for x = in[i], with s the logistic function: the approximation of x Phi(x) by Hendrycks &
/// Gimpel 2016 ("Gaussian Error Linear Units"); in and out may be the same.
void gelu_values(const float* in, float* out, Index count);

/// gradient[i] *= the slope of gelu_values at in[i].
void gelu_backward(const float* in, float* gradient, Index count);

}  // namespace mnemo::kernels
