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

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(tanh_values);
HWY_EXPORT(logistic_values);
}  // namespace

void tanh_values(const float* in, float* out, Index count) { HWY_DYNAMIC_DISPATCH(tanh_values)(in, out, count); }
void logistic_values(const float* in, float* out, Index count) {
  HWY_DYNAMIC_DISPATCH(logistic_values)(in, out, count);
}

}  // namespace mnemo::kernels
#endif
