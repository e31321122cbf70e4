// Loops over plain arrays: sums, random masks, optimiser updates. Unless stated otherwise, no result depends on how a
// caller cuts the arrays into pieces.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

/// y[i] += factor * x[i], rounded once.
void add_scaled(float factor, const float* x, float* y, Index count);

/// y[i] *= factor.
void scale(float factor, float* y, Index count);

/// y[i] rounded to bfloat16, to nearest, ties to even; NaN stays NaN.
void round_to_bfloat16(float* y, Index count);

/// Of floats that bfloat16 represents, the halves that hold their bits, and back.
void take_halves(const float* x, std::uint16_t* halves, Index count);
void from_halves(const std::uint16_t* halves, float* x, Index count);

/// The sum of squares in double precision, in a fixed order of 16 interleaved partial sums: the same on every target.
double sum_of_squares(const float* x, Index count);

/// Where x[i] > largest[i]: largest[i] = x[i] and at[i] = row.
void running_max(const float* x, std::int32_t row, float* largest, std::int32_t* at, Index count);

/// True if some value is infinite or NaN.
bool has_non_finite(const float* x, Index count);

/// Dropout masks: mask[i] = `factor` with probability 1 - threshold / 65536, else 0, for the elements
/// [first, first + count) of the stream that `key` and `name` give (Philox 4x32-10; element e takes 16 bits of
/// block e / 8). `first` must be a multiple of 8.
struct MaskStream {
  std::uint32_t key[2];
  std::uint32_t name[3];
};
void dropout_mask(const MaskStream& stream, Index first, Index count, std::uint32_t threshold, float factor,
                  float* mask);

/// One step of Adam (Kingma & Ba 2015) on `count` weights: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
/// w = w * keep - rate * m / (sqrt(v) * v_scale + epsilon). The caller folds the bias corrections into `rate` and
/// `v_scale`, and AdamW's decoupled decay into `keep`.
struct AdamStep {
  float beta1, beta2, rate, v_scale, epsilon, keep, gradient_scale;
};
void adam_update(const AdamStep& step, const float* g, float* w, float* m, float* v, Index count);

/// The steps that a row's weights missed while it did not occur: w = w * keep - rate * m / (sqrt(v) + epsilon), then
/// m *= m_decay, v *= v_decay.
struct AdamMissed {
  float rate, epsilon, keep, m_decay, v_decay;
};
void adam_missed(const AdamMissed& missed, float* w, float* m, float* v, Index count);

/// SGD with momentum (PyTorch's form): m = momentum m + g + decay w; w -= rate m, or with Nesterov's w -= rate
/// (g + decay w + momentum m).
struct SgdStep {
  float rate, momentum, decay, gradient_scale;
  bool nesterov;
};
void sgd_update(const SgdStep& step, const float* g, float* w, float* m, Index count);

/// RMSProp (Tieleman & Hinton 2012, PyTorch's form): v = alpha v + (1 - alpha) g^2;
/// u = g / (sqrt(v) + epsilon); with momentum m = momentum m + u, w -= rate m, else w -= rate u.
struct RmsPropStep {
  float rate, alpha, epsilon, momentum, decay, gradient_scale;
};
void rmsprop_update(const RmsPropStep& step, const float* g, float* w, float* m, float* v, Index count);

}  // namespace mnemo::kernels
