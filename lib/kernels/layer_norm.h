// Layer normalisation of rows (Ba, Kiros & Hinton 2016):
//
//   y = gain N(x) + bias,  N(x) = (x - mean x) / sqrt(var x + kNormEpsilon)  over the C elements of a row
//
// A row's result does not depend on the others.
#pragma once

#include "base/index.h"

namespace mnemo::kernels {

inline constexpr float kNormEpsilon = 1e-5f;

/// Largest error of y against double precision, relative to |gain N(x)| + |bias| of at most 10, for rows whose standard
/// deviation is no less than a tenth of their mean.
inline constexpr double kNormError = 1e-5;

/// y [rows, C] of x [rows, C], both dense. `norm` [rows, C] gets N(x) and `inverse` [rows] the factors 1 / sqrt(...);
/// norm may be y, where backward does not follow.
void normalize_rows(Index rows, Index columns, const float* x, const float* gain, const float* bias, float* norm,
                    float* inverse, float* y);

/// The gradients for those of y: dx is added to.
void normalize_rows_backward(Index rows, Index columns, const float* dy, const float* gain, const float* norm,
                             const float* inverse, float* dx);

/// Those of gain and bias [C], which are added to, row after row.
void add_norm_gradients(Index rows, Index columns, const float* dy, const float* norm, float* dgain, float* dbias);

}  // namespace mnemo::kernels
