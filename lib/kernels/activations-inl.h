// Vector forms of the activations, and access to the ends of rows, for the cells' kernels: compiled once for each
// instruction set.
// To be included after kernels/highway.h and hwy/highway.h, outside any namespace.
// NOLINTBEGIN(misc-definitions-in-headers): what is defined here belongs to the source that includes it.
#if defined(MNEMO_KERNELS_ACTIVATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MNEMO_KERNELS_ACTIVATIONS_INL_H_
#undef MNEMO_KERNELS_ACTIVATIONS_INL_H_
#else
#define MNEMO_KERNELS_ACTIVATIONS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "base/index.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr Index kLanes = static_cast<Index>(HWY_LANES(float));

// tanh(x) = x P(x^2) / Q(x^2) on [-9, 9], beyond which tanh is 1 to float's precision. Both polynomials were fitted for
// the smallest maximum relative error (2e-8 before rounding), by reweighted least squares on Chebyshev points.
struct Fraction {
  Vector numerator, denominator;
};

// x clamped to +-9; a NaN stays NaN. x86 returns the second operand if one is NaN; others may return the number.
HWY_INLINE Vector limit(Vector x) {
  const Vector limited = hn::Max(hn::Set(kTag, -9.0f), hn::Min(hn::Set(kTag, 9.0f), x));
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return limited;
#else
  return hn::IfThenElse(hn::IsNaN(x), x, limited);
#endif
}

HWY_INLINE Fraction tanh_fraction(Vector x) {
  x = limit(x);
  const Vector y = hn::Mul(x, x);
  Vector p = hn::Set(kTag, 1.3355593075914385e-08f);
  p = hn::MulAdd(p, y, hn::Set(kTag, 2.0609817511285655e-05f));
  p = hn::MulAdd(p, y, hn::Set(kTag, 0.0034956352319568396f));
  p = hn::MulAdd(p, y, hn::Set(kTag, 0.13381065428256989f));
  p = hn::MulAdd(p, y, hn::Set(kTag, 1.0f));
  Vector q = hn::Set(kTag, 7.77695845499693e-07f);
  q = hn::MulAdd(q, y, hn::Set(kTag, 0.00032857104088179767f));
  q = hn::MulAdd(q, y, hn::Set(kTag, 0.02587716467678547f));
  q = hn::MulAdd(q, y, hn::Set(kTag, 0.46714380383491516f));
  q = hn::MulAdd(q, y, hn::Set(kTag, 1.0f));
  return {hn::Mul(x, p), q};
}

HWY_INLINE Vector tanh_of(Vector x) {
  const Fraction f = tanh_fraction(x);
  return hn::Div(f.numerator, f.denominator);
}

// s(x) = (1 + tanh(x / 2)) / 2
HWY_INLINE Fraction logistic_fraction(Vector x) {
  const Fraction f = tanh_fraction(hn::Mul(x, hn::Set(kTag, 0.5f)));
  const Vector half = hn::Set(kTag, 0.5f);
  return {hn::MulAdd(half, f.numerator, hn::Mul(half, f.denominator)), f.denominator};
}

HWY_INLINE Vector logistic_of(Vector x) {
  const Fraction f = logistic_fraction(x);
  return hn::Div(f.numerator, f.denominator);
}

// Several fractions with one division: n_a / q_a = n_a q_b / (q_a q_b). The denominators are in [1, 417], so their
// products neither overflow nor lose precision.
struct Two {
  Vector a, b;
};
HWY_INLINE Two divide(Fraction a, Fraction b) {
  const Vector inverse = hn::Div(hn::Set(kTag, 1.0f), hn::Mul(a.denominator, b.denominator));
  return {hn::Mul(a.numerator, hn::Mul(inverse, b.denominator)), hn::Mul(b.numerator, hn::Mul(inverse, a.denominator))};
}
struct Three {
  Vector a, b, c;
};
HWY_INLINE Three divide(Fraction a, Fraction b, Fraction c) {
  const Vector both = hn::Mul(a.denominator, b.denominator);
  const Vector inverse = hn::Div(hn::Set(kTag, 1.0f), hn::Mul(both, c.denominator));
  const Vector both_inverse = hn::Mul(inverse, c.denominator);
  return {hn::Mul(a.numerator, hn::Mul(both_inverse, b.denominator)),
          hn::Mul(b.numerator, hn::Mul(both_inverse, a.denominator)), hn::Mul(c.numerator, hn::Mul(inverse, both))};
}
struct Four {
  Vector a, b, c, d;
};
HWY_INLINE Four divide(Fraction a, Fraction b, Fraction c, Fraction d) {
  const Vector left = hn::Mul(a.denominator, b.denominator), right = hn::Mul(c.denominator, d.denominator);
  const Vector inverse = hn::Div(hn::Set(kTag, 1.0f), hn::Mul(left, right));
  const Vector left_inverse = hn::Mul(inverse, right), right_inverse = hn::Mul(inverse, left);
  return {hn::Mul(a.numerator, hn::Mul(left_inverse, b.denominator)),
          hn::Mul(b.numerator, hn::Mul(left_inverse, a.denominator)),
          hn::Mul(c.numerator, hn::Mul(right_inverse, d.denominator)),
          hn::Mul(d.numerator, hn::Mul(right_inverse, c.denominator))};
}

// s'(a) from s(a), and tanh'(a) from tanh(a).
HWY_INLINE Vector logistic_slope(Vector s) { return hn::NegMulAdd(s, s, s); }
HWY_INLINE Vector tanh_slope(Vector t) { return hn::NegMulAdd(t, t, hn::Set(kTag, 1.0f)); }

// Access to whole vectors, or to the last `count` < kLanes floats of a row, whose neighbours must not be touched.
struct Whole {
  HWY_INLINE Vector load(const float* from) const { return hn::LoadU(kTag, from); }
  HWY_INLINE void store(Vector v, float* to) const { hn::StoreU(v, kTag, to); }
};
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
struct Partial {
  HWY_INLINE explicit Partial(Index count) : mask(hn::FirstN(kTag, static_cast<std::size_t>(count))) {}
  HWY_INLINE Vector load(const float* from) const { return hn::MaskedLoad(mask, kTag, from); }
  HWY_INLINE void store(Vector v, float* to) const { hn::BlendedStore(v, mask, kTag, to); }
  hn::Mask<decltype(kTag)> mask;
};
#else
// Where the processor has no masked loads, Highway's read the whole vector; hence a copy.
struct Partial {
  HWY_INLINE explicit Partial(Index its_count) : count(its_count) {}
  HWY_INLINE Vector load(const float* from) const {
    HWY_ALIGN float copy[kLanes] = {};
    std::memcpy(copy, from, count * sizeof(float));
    return hn::Load(kTag, copy);
  }
  HWY_INLINE void store(Vector v, float* to) const {
    HWY_ALIGN float copy[kLanes];
    hn::Store(v, kTag, copy);
    std::memcpy(to, copy, count * sizeof(float));
  }
  Index count;
};
#endif

// Calls body(row, first unit, access) for all units of all rows.
template <class Body>
HWY_INLINE void for_units(Index rows, Index hidden, const Body& body) {
  const Index whole = hidden / kLanes * kLanes;
  const Partial rest(hidden - whole);
  for (Index row = 0; row < rows; ++row) {
    for (Index j = 0; j < whole; j += kLanes) body(row, j, Whole{});
    if (whole < hidden) body(row, whole, rest);
  }
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

// NOLINTEND(misc-definitions-in-headers)
#endif
