#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/min_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/min_cell.h"
// After foreach_target.
#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>

#include "kernels/activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

// s(a) with a small relative error even where it is tiny, as k is a ratio of two of them. A NaN stays NaN.
HWY_INLINE Vector gate_of(Vector a) {
  const Vector limit = hn::Set(kTag, kGateLimit), one = hn::Set(kTag, 1.0f);
  const Vector x = hn::Max(hn::Neg(limit), hn::Min(limit, hn::Neg(a)));
  return hn::IfThenElse(hn::IsNaN(a), a, hn::Div(one, hn::Add(one, hn::Exp(kTag, x))));
}

// k = f / (f + i)
HWY_INLINE Vector kept_fraction(Vector f, Vector i) { return hn::Div(f, hn::Add(f, i)); }

void min_lstm_cell_forward(const CellForward& a) {
  const Index H = a.gates_block;
  for_units(a.rows, a.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const Vector f = gate_of(access.load(gates)), i = gate_of(access.load(gates + H)), g = access.load(gates + 2 * H);
    const Vector h_prev = access.load(a.h_prev + row * a.h_prev_stride + j);
    access.store(hn::MulAdd(kept_fraction(f, i), hn::Sub(h_prev, g), g), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(f, gates);
    access.store(i, gates + H);
  });
}

// Mirrors min_lstm_cell_forward: h = g + k (h_prev - g); k = f / (f + i); f, i = s(a).
void min_lstm_cell_backward(const CellBackward& b) {
  const Index H = b.gates_block;
  for_units(b.rows, b.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    const Vector f = access.load(gates), i = access.load(gates + H), g = access.load(gates + 2 * H);
    const Vector k = kept_fraction(f, i), one = hn::Set(kTag, 1.0f);
    const Vector dh = hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(dh_next));
    const Vector dk = hn::Mul(dh, hn::Sub(access.load(b.h_prev + row * b.h_prev_stride + j), g));
    const Vector d_ratio = hn::Mul(dk, logistic_slope(k));  // of log f - log i
    access.store(hn::Mul(dh, k), dh_next);
    access.store(hn::Mul(d_ratio, hn::Sub(one, f)), gates);
    access.store(hn::Mul(d_ratio, hn::Sub(i, one)), gates + H);
    access.store(hn::NegMulAdd(dh, k, dh), gates + 2 * H);
  });
}

void min_gru_cell_forward(const CellForward& a) {
  const Index H = a.gates_block;
  for_units(a.rows, a.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const Vector z = logistic_of(access.load(gates)), g = access.load(gates + H);
    const Vector h_prev = access.load(a.h_prev + row * a.h_prev_stride + j);
    access.store(hn::MulAdd(z, hn::Sub(g, h_prev), h_prev), a.h + row * a.h_stride + j);
    if (a.kept) access.store(z, gates);
  });
}

// Mirrors min_gru_cell_forward: h = h_prev + z (g - h_prev); z = s(a_z).
void min_gru_cell_backward(const CellBackward& b) {
  const Index H = b.gates_block;
  for_units(b.rows, b.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    const Vector z = access.load(gates), g = access.load(gates + H);
    const Vector dh = hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(dh_next));
    const Vector dz = hn::Mul(dh, hn::Sub(g, access.load(b.h_prev + row * b.h_prev_stride + j)));
    access.store(hn::NegMulAdd(dh, z, dh), dh_next);
    access.store(hn::Mul(dz, logistic_slope(z)), gates);
    access.store(hn::Mul(dh, z), gates + H);
  });
}

// What the highway passes on.
template <class Args, class Access>
HWY_INLINE Vector passed_on(const Args& args, Index row, Index j, const float* gates, Access access) {
  if (!args.x) return access.load(gates + 3 * args.gates_block);
  return hn::Mul(hn::Set(kTag, kSruFactor), access.load(args.x + row * args.x_stride + j));
}

void sru_cell_forward(const CellForward& a) {
  const Index H = a.gates_block;
  for_units(a.rows, a.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const Vector c_prev = access.load(a.c_prev + row * a.c_prev_stride + j), g = access.load(gates + 2 * H);
    const Vector x = passed_on(a, row, j, gates, access);
    const Vector f = logistic_of(hn::MulAdd(access.load(a.own + j), c_prev, access.load(gates)));
    const Vector r = logistic_of(hn::MulAdd(access.load(a.own + H + j), c_prev, access.load(gates + H)));
    const Vector c = hn::MulAdd(f, hn::Sub(c_prev, g), g);
    access.store(c, a.c + row * a.c_stride + j);
    access.store(hn::MulAdd(r, hn::Sub(c, x), x), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(f, gates);
    access.store(r, gates + H);
  });
}

// Prefetches what backward touches at the next step. The rows of a step lie far apart, and few columns of each belong
// to a tile, so that the processor does not foresee them.
HWY_INLINE void prefetch_next(const CellBackward& b, Index row, Index j) {
  const Index next = row + b.ahead;
  const float* gates = b.gates + next * b.gates_stride + j;
  for (Index block = 0; block < 3; ++block) hwy::Prefetch(gates + block * b.gates_block);
  hwy::Prefetch(b.dh + next * b.dh_stride + j);
  hwy::Prefetch(b.c_prev + next * b.c_prev_stride + j);
  if (b.x) hwy::Prefetch(b.x + next * b.x_stride + j);
  if (b.dx) hwy::Prefetch(b.dx + next * b.dx_stride + j);
}

// Mirrors sru_cell_forward: h = x + r (c - x); c = g + f (c_prev - g); f, r = s(a + v c_prev). No h reaches the next
// step.
void sru_cell_backward(const CellBackward& b) {
  const Index H = b.gates_block;
  for_units(b.rows, b.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    if (b.ahead != 0) prefetch_next(b, row, j);
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    float* dc_at = b.dc + row * b.dc_stride + j;
    float* own = b.own_gradients + row * b.own_gradients_stride + j;
    const Vector f = access.load(gates), r = access.load(gates + H), g = access.load(gates + 2 * H);
    const Vector x = passed_on(b, row, j, gates, access);
    const Vector c_prev = access.load(b.c_prev + row * b.c_prev_stride + j);
    const Vector c = hn::MulAdd(f, hn::Sub(c_prev, g), g);
    const Vector dh = hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(dh_next));
    const Vector dc = hn::MulAdd(dh, r, access.load(dc_at));
    const Vector dr = hn::Mul(hn::Mul(dh, hn::Sub(c, x)), logistic_slope(r));
    const Vector df = hn::Mul(hn::Mul(dc, hn::Sub(c_prev, g)), logistic_slope(f));
    const Vector dx = hn::NegMulAdd(dh, r, dh);
    access.store(df, gates);
    access.store(dr, gates + H);
    access.store(hn::NegMulAdd(dc, f, dc), gates + 2 * H);
    if (!b.x) {
      access.store(dx, gates + 3 * H);
    } else if (b.dx) {
      float* to = b.dx + row * b.dx_stride + j;
      access.store(hn::MulAdd(hn::Set(kTag, kSruFactor), dx, access.load(to)), to);
    }
    access.store(hn::Zero(kTag), dh_next);
    const Vector through_gates = hn::MulAdd(df, access.load(b.own + j), hn::Mul(dr, access.load(b.own + H + j)));
    access.store(hn::MulAdd(dc, f, through_gates), dc_at);
    access.store(hn::MulAdd(df, c_prev, access.load(own)), own);
    access.store(hn::MulAdd(dr, c_prev, access.load(own + H)), own + H);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(min_lstm_cell_forward);
HWY_EXPORT(min_lstm_cell_backward);
HWY_EXPORT(min_gru_cell_forward);
HWY_EXPORT(min_gru_cell_backward);
HWY_EXPORT(sru_cell_forward);
HWY_EXPORT(sru_cell_backward);
}  // namespace

void min_lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(min_lstm_cell_forward)(args); }
void min_lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(min_lstm_cell_backward)(args); }
void min_gru_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(min_gru_cell_forward)(args); }
void min_gru_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(min_gru_cell_backward)(args); }
void sru_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(sru_cell_forward)(args); }
void sru_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(sru_cell_backward)(args); }

}  // namespace mnemo::kernels
#endif
