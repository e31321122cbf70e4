#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_norm.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/layer_norm.h"
// After foreach_target.
#include "kernels/activations-inl.h"
#include "kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {

void normalize_rows(Index rows, Index columns, const float* x, const float* gain, const float* bias, float* norm,
                    float* inverse, float* y) {
  for (Index row = 0; row < rows; ++row) {
    float* n = norm + row * columns;
    inverse[row] = normalize(x + row * columns, n, columns);
    for_units(1, columns, [&](Index, Index i, auto at) HWY_ATTR {
      at.store(hn::MulAdd(at.load(gain + i), at.load(n + i), at.load(bias + i)), y + row * columns + i);
    });
  }
}

void normalize_rows_backward(Index rows, Index columns, const float* dy, const float* gain, const float* norm,
                             const float* inverse, float* dx) {
  for (Index row = 0; row < rows; ++row) {
    float* to = dx + row * columns;
    normalize_backward(dy + row * columns, gain, norm + row * columns, inverse[row], columns,
                       [&](Index i, auto at, Vector v) HWY_ATTR { at.store(hn::Add(at.load(to + i), v), to + i); });
  }
}

void add_norm_gradients(Index rows, Index columns, const float* dy, const float* norm, float* dgain, float* dbias) {
  for_units(rows, columns, [&](Index row, Index i, auto at) HWY_ATTR {
    const Vector d = at.load(dy + row * columns + i);
    at.store(hn::MulAdd(d, at.load(norm + row * columns + i), at.load(dgain + i)), dgain + i);
    at.store(hn::Add(d, at.load(dbias + i)), dbias + i);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(normalize_rows);
HWY_EXPORT(normalize_rows_backward);
HWY_EXPORT(add_norm_gradients);
}  // namespace

void normalize_rows(Index rows, Index columns, const float* x, const float* gain, const float* bias, float* norm,
                    float* inverse, float* y) {
  HWY_DYNAMIC_DISPATCH(normalize_rows)(rows, columns, x, gain, bias, norm, inverse, y);
}

void normalize_rows_backward(Index rows, Index columns, const float* dy, const float* gain, const float* norm,
                             const float* inverse, float* dx) {
  HWY_DYNAMIC_DISPATCH(normalize_rows_backward)(rows, columns, dy, gain, norm, inverse, dx);
}

void add_norm_gradients(Index rows, Index columns, const float* dy, const float* norm, float* dgain, float* dbias) {
  HWY_DYNAMIC_DISPATCH(add_norm_gradients)(rows, columns, dy, norm, dgain, dbias);
}

}  // namespace mnemo::kernels
#endif
