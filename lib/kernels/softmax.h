// The softmax over many classes, on transposed scores: x [K, n] holds the scores of n rows, class after class, so that
// vectors run over rows and no row's sum has to cross a vector's lanes.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

/// Largest relative error of the kernel's exponential function for arguments from -87 to 88; below -87 its value is at
/// most 2e-38, above 88 it is that of 88.
inline constexpr double kExpRelativeError = 3e-7;

/// largest[j] = max(largest[j], x[k, j] + bias[k]), for k < classes and j < n.
void largest_of_columns(Index classes, Index n, const float* bias, const float* x, Index ldx, float* largest);

/// x[k, j] = exp(x[k, j] + bias[k] - shifts[j]), and sums[j] += x[k, j], class after class.
void exp_columns(Index classes, Index n, const float* bias, const float* shifts, float* x, Index ldx, float* sums);

/// out[k] += sum_j x[k, j] * factors[j], in a fixed order.
void row_dots(Index classes, Index n, const float* x, Index ldx, const float* factors, float* out);

/// The largest of n > 0 values; if one is NaN, that or another value.
float largest_of_row(Index n, const float* x);

/// The places of the `most` <= n largest values, the largest first, of equal ones the first. None may
/// be NaN.
void best_of_row(Index n, const float* x, Index most, std::int32_t* places);

/// out[i] = exp((x[i] - largest) * scale), for arguments of at most 0; returns their sum, in a fixed order.
float exp_row(Index n, const float* x, float largest, float scale, float* out);

/// The same bits as the sum that exp_row returns with scale 1, without storing its terms; NaN if a value is not finite.
float exp_sum_of_row(Index n, const float* x, float largest);

}  // namespace mnemo::kernels
