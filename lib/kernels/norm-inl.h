// Layer normalisation of a row, for the kernels that contain one: compiled once for each instruction set.
// To be included after kernels/activations-inl.h, outside any namespace.
// NOLINTBEGIN(misc-definitions-in-headers): what is defined here belongs to the source that includes it.
#if defined(MNEMO_KERNELS_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MNEMO_KERNELS_NORM_INL_H_
#undef MNEMO_KERNELS_NORM_INL_H_
#else
#define MNEMO_KERNELS_NORM_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>

#include "kernels/activations-inl.h"
#include "kernels/layer_norm.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {

// The sum over i of term(i, access), in an order that depends on `count` alone.
template <class Term>
HWY_INLINE float sum_of(Index count, const Term& term) {
  Vector sum = hn::Zero(kTag);
  const Index whole = count / kLanes * kLanes;
  for (Index i = 0; i < whole; i += kLanes) sum = hn::Add(sum, term(i, Whole{}));
  if (whole < count) {
    // Lanes beyond the end must not count, whatever `term` returns for zeros.
    HWY_ALIGN float rest[kLanes] = {};
    HWY_ALIGN float all[kLanes];
    hn::Store(term(whole, Partial(count - whole)), kTag, all);
    for (Index i = 0; i < count - whole; ++i) rest[i] = all[i];
    sum = hn::Add(sum, hn::Load(kTag, rest));
  }
  return hn::GetLane(hn::SumOfLanes(kTag, sum));
}

// to = N(from); returns 1 / sqrt(var + epsilon). `to` may be `from`.
HWY_INLINE float normalize(const float* from, float* to, Index count) {
  const float n = static_cast<float>(count);
  const float mean = sum_of(count, [&](Index i, auto access) HWY_ATTR { return access.load(from + i); }) / n;
  const Vector m = hn::Set(kTag, mean);
  const float variance = sum_of(count,
                                [&](Index i, auto access) HWY_ATTR {
                                  const Vector d = hn::Sub(access.load(from + i), m);
                                  return hn::Mul(d, d);
                                }) /
                         n;
  const float inverse = 1.0f / std::sqrt(variance + kNormEpsilon);
  const Vector factor = hn::Set(kTag, inverse);
  for_units(1, count, [&](Index, Index i, auto access) HWY_ATTR {
    access.store(hn::Mul(hn::Sub(access.load(from + i), m), factor), to + i);
  });
  return inverse;
}

// The gradient of v through y = gain N(v): d v = inverse (u - mean u - N(v) mean(u N(v))) with u = gain dy. Passes
// (first element, access, d v) to `use`.
template <class Use>
HWY_INLINE void normalize_backward(const float* dy, const float* gain, const float* norm, float inverse, Index count,
                                   const Use& use) {
  const float n = static_cast<float>(count);
  const auto u = [&](Index i, auto access) HWY_ATTR { return hn::Mul(access.load(dy + i), access.load(gain + i)); };
  const Vector mean = hn::Set(kTag, sum_of(count, u) / n);
  const Vector along = hn::Set(kTag, sum_of(count, [&](Index i, auto access) HWY_ATTR {
                                       return hn::Mul(u(i, access), access.load(norm + i));
                                     }) / n);
  const Vector factor = hn::Set(kTag, inverse);
  for_units(1, count, [&](Index, Index i, auto access) HWY_ATTR {
    const Vector centred = hn::Sub(u(i, access), mean);
    use(i, access, hn::Mul(factor, hn::NegMulAdd(access.load(norm + i), along, centred)));
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// NOLINTEND(misc-definitions-in-headers)
#endif
