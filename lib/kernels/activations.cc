#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activations.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activations.h"
// After foreach_target.
#include "kernels/activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {

template <class Function>
HWY_INLINE void map(const float* in, float* out, Index count, const Function& function) {
  for_units(1, count,
            [&](Index, Index i, auto access) HWY_ATTR { access.store(function(access.load(in + i)), out + i); });
}

void tanh_values(const float* in, float* out, Index count) {
  map(in, out, count, [](Vector x) HWY_ATTR { return tanh_of(x); });
}

void logistic_values(const float* in, float* out, Index count) {
  map(in, out, count, [](Vector x) HWY_ATTR { return logistic_of(x); });
}

constexpr float kGeluFactor = 1.702f;

void gelu_values(const float* in, float* out, Index count) {
  map(in, out, count,
      [](Vector x) HWY_ATTR { return hn::Mul(x, logistic_of(hn::Mul(hn::Set(kTag, kGeluFactor), x))); });
}

// With s = s(k x): (x s)' = s + k x s (1 - s).
void gelu_backward(const float* in, float* gradient, Index count) {
  for_units(1, count, [&](Index, Index i, auto access) HWY_ATTR {
    const Vector scaled = hn::Mul(hn::Set(kTag, kGeluFactor), access.load(in + i)), s = logistic_of(scaled);
    const Vector slope = hn::MulAdd(scaled, logistic_slope(s), s);
    access.store(hn::Mul(access.load(gradient + i), slope), gradient + i);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(tanh_values);
HWY_EXPORT(logistic_values);
HWY_EXPORT(gelu_values);
HWY_EXPORT(gelu_backward);
}  // namespace

void tanh_values(const float* in, float* out, Index count) { HWY_DYNAMIC_DISPATCH(tanh_values)(in, out, count); }
void logistic_values(const float* in, float* out, Index count) {
  HWY_DYNAMIC_DISPATCH(logistic_values)(in, out, count);
}
void gelu_values(const float* in, float* out, Index count) { HWY_DYNAMIC_DISPATCH(gelu_values)(in, out, count); }
void gelu_backward(const float* in, float* gradient, Index count) {
  HWY_DYNAMIC_DISPATCH(gelu_backward)(in, gradient, count);
}

}  // namespace mnemo::kernels
#endif
