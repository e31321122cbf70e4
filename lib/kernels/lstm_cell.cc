#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lstm_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/lstm_cell.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr Index kLanes = static_cast<Index>(HWY_LANES(float));

// tanh(x) = x P(x^2) / Q(x^2) on [-9, 9], beyond which tanh is 1 to float's precision. Both polynomials were fitted for
// the smallest largest relative error (2e-8 before rounding) by reweighted least squares on Chebyshev points.
struct Fraction {
  Vector numerator, denominator;
};

// x limited to +-9; a NaN stays one. x86 returns the second operand if one is NaN, and NEON the NaN.
HWY_INLINE Vector limit(Vector x) {
  const Vector limited = hn::Max(hn::Set(kTag, -9.0f), hn::Min(hn::Set(kTag, 9.0f), x));
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return hn::IfThenElse(hn::IsNaN(x), x, limited);
#else
  return limited;
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

struct Gates {
  Vector i, f, g, o;
};

// The four activations with one division: 1/q of each from 1 / (q_i q_f q_g q_o). The denominators lie in
// [1, 93], so their product neither overflows nor loses precision.
HWY_INLINE Gates activate(Vector i, Vector f, Vector g, Vector o) {
  const Fraction ii = logistic_fraction(i), ff = logistic_fraction(f), gg = tanh_fraction(g), oo = logistic_fraction(o);
  const Vector left = hn::Mul(ii.denominator, ff.denominator), right = hn::Mul(gg.denominator, oo.denominator);
  const Vector inverse = hn::Div(hn::Set(kTag, 1.0f), hn::Mul(left, right));
  const Vector left_inverse = hn::Mul(inverse, right), right_inverse = hn::Mul(inverse, left);
  return {hn::Mul(ii.numerator, hn::Mul(left_inverse, ff.denominator)),
          hn::Mul(ff.numerator, hn::Mul(left_inverse, ii.denominator)),
          hn::Mul(gg.numerator, hn::Mul(right_inverse, oo.denominator)),
          hn::Mul(oo.numerator, hn::Mul(right_inverse, gg.denominator))};
}

// Whole vectors, or the last `count` < kLanes floats of a row through a copy: neighbours of a row belong to others.
struct Whole {
  HWY_INLINE Vector load(const float* from) const { return hn::LoadU(kTag, from); }
  HWY_INLINE void store(Vector v, float* to) const { hn::StoreU(v, kTag, to); }
};
struct Partial {
  Index count;
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
};

template <class Access>
HWY_INLINE void forward_units(const LstmCellForward& a, Index row, Index j, const Access& access) {
  float* gates = a.gates + row * a.gates_stride + j;
  const Index H = a.hidden;
  const Gates gate =
      activate(access.load(gates), access.load(gates + H), access.load(gates + 2 * H), access.load(gates + 3 * H));
  const Vector c = hn::MulAdd(gate.f, access.load(a.c_prev + row * a.c_prev_stride + j), hn::Mul(gate.i, gate.g));
  const Vector tanh_c = tanh_of(c);
  access.store(c, a.c + row * a.c_stride + j);
  access.store(hn::Mul(gate.o, tanh_c), a.h + row * a.h_stride + j);
  if (!a.tanh_c) return;
  access.store(tanh_c, a.tanh_c + row * a.tanh_c_stride + j);
  access.store(gate.i, gates);
  access.store(gate.f, gates + H);
  access.store(gate.g, gates + 2 * H);
  access.store(gate.o, gates + 3 * H);
}

void lstm_cell_forward(const LstmCellForward& a) {
  const Index whole = a.hidden / kLanes * kLanes;
  for (Index row = 0; row < a.rows; ++row) {
    for (Index j = 0; j < whole; j += kLanes) forward_units(a, row, j, Whole{});
    if (whole < a.hidden) forward_units(a, row, whole, Partial{a.hidden - whole});
  }
}

// Mirrors forward_units: h = o tanh(c); c = f c_prev + i g; i, f, o = s(a); g = tanh(a).
template <class Access>
HWY_INLINE void backward_units(const LstmCellBackward& b, Index row, Index j, const Access& access) {
  float* gates = b.gates + row * b.gates_stride + j;
  float* dc_at = b.dc + row * b.dc_stride + j;
  const Index H = b.hidden;
  const Vector i = access.load(gates), f = access.load(gates + H), g = access.load(gates + 2 * H),
               o = access.load(gates + 3 * H);
  const Vector tanh_c = access.load(b.tanh_c + row * b.tanh_c_stride + j);
  const Vector dh =
      hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(b.dh_next + row * b.dh_next_stride + j));
  const Vector one = hn::Set(kTag, 1.0f);
  const Vector dc = hn::MulAdd(hn::Mul(dh, o), hn::NegMulAdd(tanh_c, tanh_c, one), access.load(dc_at));
  const Vector di = hn::Mul(dc, g), df = hn::Mul(dc, access.load(b.c_prev + row * b.c_prev_stride + j));
  const Vector dg = hn::Mul(dc, i), d_o = hn::Mul(dh, tanh_c);
  access.store(hn::Mul(dc, f), dc_at);
  access.store(hn::Mul(di, hn::NegMulAdd(i, i, i)), gates);
  access.store(hn::Mul(df, hn::NegMulAdd(f, f, f)), gates + H);
  access.store(hn::Mul(dg, hn::NegMulAdd(g, g, one)), gates + 2 * H);
  access.store(hn::Mul(d_o, hn::NegMulAdd(o, o, o)), gates + 3 * H);
}

void lstm_cell_backward(const LstmCellBackward& b) {
  const Index whole = b.hidden / kLanes * kLanes;
  for (Index row = 0; row < b.rows; ++row) {
    for (Index j = 0; j < whole; j += kLanes) backward_units(b, row, j, Whole{});
    if (whole < b.hidden) backward_units(b, row, whole, Partial{b.hidden - whole});
  }
}

template <class Function>
HWY_INLINE void map(const float* in, float* out, Index count, const Function& function) {
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(function(hn::LoadU(kTag, in + i)), kTag, out + i);
  if (i < count) {
    const Partial rest{count - i};
    rest.store(function(rest.load(in + i)), out + i);
  }
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
HWY_EXPORT(lstm_cell_forward);
HWY_EXPORT(lstm_cell_backward);
HWY_EXPORT(tanh_values);
HWY_EXPORT(logistic_values);
}  // namespace

void lstm_cell_forward(const LstmCellForward& args) { HWY_DYNAMIC_DISPATCH(lstm_cell_forward)(args); }
void lstm_cell_backward(const LstmCellBackward& args) { HWY_DYNAMIC_DISPATCH(lstm_cell_backward)(args); }
void tanh_values(const float* in, float* out, Index count) { HWY_DYNAMIC_DISPATCH(tanh_values)(in, out, count); }
void logistic_values(const float* in, float* out, Index count) {
  HWY_DYNAMIC_DISPATCH(logistic_values)(in, out, count);
}

}  // namespace mnemo::kernels
#endif
