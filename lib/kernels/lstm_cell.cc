// Forward and backward of the LSTM and its variants, one vector of units at a time. Forward computes its
// activations as fractions, several of which share a division; backward reads the activations left in the gates and
// replaces them by gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/lstm_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lstm_cell.h"
// After foreach_target.
#include "kernels/activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

// The LSTM; with kCapped its input gate is at most 1 - f (capped_lstm).
template <bool kCapped>
void gated_lstm_forward(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const auto [wanted, f, g, o] =
        divide(logistic_fraction(access.load(gates)), logistic_fraction(access.load(gates + H)),
               tanh_fraction(access.load(gates + 2 * H)), logistic_fraction(access.load(gates + 3 * H)));
    Vector i = wanted;
    if constexpr (kCapped) {
      const Vector cap = hn::Sub(hn::Set(kTag, 1.0f), f);
      // Not hn::Min, which may hide a NaN.
      i = hn::IfThenElse(hn::Lt(cap, wanted), cap, wanted);
    }
    const Vector c = hn::MulAdd(f, access.load(a.c_prev + row * a.c_prev_stride + j), hn::Mul(i, g));
    const Vector tanh_c = tanh_of(c);
    access.store(c, a.c + row * a.c_stride + j);
    access.store(hn::Mul(o, tanh_c), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(tanh_c, a.kept + row * a.kept_stride + j);
    access.store(i, gates);
    access.store(f, gates + H);
    access.store(g, gates + 2 * H);
    access.store(o, gates + 3 * H);
  });
}

// Mirrors gated_lstm_forward: h = o tanh(c); c = f c_prev + i g; i, f, o = s(a), i = min(1 - f, s(a_i)) if capped; g =
// tanh(a).
template <bool kCapped>
void gated_lstm_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dc_at = b.dc + row * b.dc_stride + j;
    const Vector i = access.load(gates), f = access.load(gates + H), g = access.load(gates + 2 * H),
                 o = access.load(gates + 3 * H);
    const Vector tanh_c = access.load(b.kept + row * b.kept_stride + j);
    const Vector dh =
        hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(b.dh_next + row * b.dh_next_stride + j));
    const Vector dc = hn::MulAdd(hn::Mul(dh, o), tanh_slope(tanh_c), access.load(dc_at));
    Vector di = hn::Mul(dc, g), df = hn::Mul(dc, access.load(b.c_prev + row * b.c_prev_stride + j));
    if constexpr (kCapped) {
      // The same subtraction as forward's, so a capped i is equal to it.
      const auto capped = hn::Ge(i, hn::Sub(hn::Set(kTag, 1.0f), f));
      df = hn::Sub(df, hn::IfThenElseZero(capped, di));
      di = hn::IfThenZeroElse(capped, di);
    }
    const Vector dg = hn::Mul(dc, i), d_o = hn::Mul(dh, tanh_c);
    access.store(hn::Mul(dc, f), dc_at);
    access.store(hn::Mul(di, logistic_slope(i)), gates);
    access.store(hn::Mul(df, logistic_slope(f)), gates + H);
    access.store(hn::Mul(dg, tanh_slope(g)), gates + 2 * H);
    access.store(hn::Mul(d_o, logistic_slope(o)), gates + 3 * H);
  });
}

void lstm_cell_forward(const CellForward& a) { gated_lstm_forward<false>(a); }
void lstm_cell_backward(const CellBackward& b) { gated_lstm_backward<false>(b); }
void capped_lstm_cell_forward(const CellForward& a) { gated_lstm_forward<true>(a); }
void capped_lstm_cell_backward(const CellBackward& b) { gated_lstm_backward<true>(b); }

void peephole_lstm_cell_forward(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const float* p = a.own + j;
    const Vector c_prev = access.load(a.c_prev + row * a.c_prev_stride + j);
    const auto [i, f, g] = divide(logistic_fraction(hn::MulAdd(access.load(p), c_prev, access.load(gates))),
                                  logistic_fraction(hn::MulAdd(access.load(p + H), c_prev, access.load(gates + H))),
                                  tanh_fraction(access.load(gates + 2 * H)));
    const Vector c = hn::MulAdd(f, c_prev, hn::Mul(i, g));
    const auto [o, tanh_c] =
        divide(logistic_fraction(hn::MulAdd(access.load(p + 2 * H), c, access.load(gates + 3 * H))), tanh_fraction(c));
    access.store(c, a.c + row * a.c_stride + j);
    access.store(hn::Mul(o, tanh_c), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(tanh_c, a.kept + row * a.kept_stride + j);
    access.store(c, a.kept + row * a.kept_stride + H + j);
    access.store(i, gates);
    access.store(f, gates + H);
    access.store(g, gates + 2 * H);
    access.store(o, gates + 3 * H);
  });
}

// Mirrors peephole_lstm_cell_forward: h = o tanh(c); o = s(a_o + p_o c); c = f c_prev + i g; i, f = s(a + p c_prev).
void peephole_lstm_cell_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dc_at = b.dc + row * b.dc_stride + j;
    const float* p = b.own + j;
    const Vector i = access.load(gates), f = access.load(gates + H), g = access.load(gates + 2 * H),
                 o = access.load(gates + 3 * H);
    const Vector tanh_c = access.load(b.kept + row * b.kept_stride + j);
    const Vector c_prev = access.load(b.c_prev + row * b.c_prev_stride + j);
    const Vector dh =
        hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(b.dh_next + row * b.dh_next_stride + j));
    const Vector da_o = hn::Mul(hn::Mul(dh, tanh_c), logistic_slope(o));
    const Vector dc =
        hn::MulAdd(access.load(p + 2 * H), da_o, hn::MulAdd(hn::Mul(dh, o), tanh_slope(tanh_c), access.load(dc_at)));
    const Vector da_i = hn::Mul(hn::Mul(dc, g), logistic_slope(i));
    const Vector da_f = hn::Mul(hn::Mul(dc, c_prev), logistic_slope(f));
    access.store(hn::MulAdd(access.load(p), da_i, hn::MulAdd(access.load(p + H), da_f, hn::Mul(dc, f))), dc_at);
    float* dp = b.own_gradients + row * b.own_gradients_stride + j;
    const Vector c = access.load(b.kept + row * b.kept_stride + H + j);
    access.store(hn::MulAdd(da_i, c_prev, access.load(dp)), dp);
    access.store(hn::MulAdd(da_f, c_prev, access.load(dp + H)), dp + H);
    access.store(hn::MulAdd(da_o, c, access.load(dp + 2 * H)), dp + 2 * H);
    access.store(da_i, gates);
    access.store(da_f, gates + H);
    access.store(hn::Mul(hn::Mul(dc, i), tanh_slope(g)), gates + 2 * H);
    access.store(da_o, gates + 3 * H);
  });
}

void cifg_lstm_cell_forward(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const auto [i, g, o] = divide(logistic_fraction(access.load(gates)), tanh_fraction(access.load(gates + H)),
                                  logistic_fraction(access.load(gates + 2 * H)));
    const Vector c_prev = access.load(a.c_prev + row * a.c_prev_stride + j);
    const Vector c = hn::MulAdd(i, hn::Sub(g, c_prev), c_prev);
    const Vector tanh_c = tanh_of(c);
    access.store(c, a.c + row * a.c_stride + j);
    access.store(hn::Mul(o, tanh_c), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(tanh_c, a.kept + row * a.kept_stride + j);
    access.store(i, gates);
    access.store(g, gates + H);
    access.store(o, gates + 2 * H);
  });
}

// Mirrors cifg_lstm_cell_forward: h = o tanh(c); c = c_prev + i (g - c_prev).
void cifg_lstm_cell_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dc_at = b.dc + row * b.dc_stride + j;
    const Vector i = access.load(gates), g = access.load(gates + H), o = access.load(gates + 2 * H);
    const Vector tanh_c = access.load(b.kept + row * b.kept_stride + j);
    const Vector dh =
        hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(b.dh_next + row * b.dh_next_stride + j));
    const Vector dc = hn::MulAdd(hn::Mul(dh, o), tanh_slope(tanh_c), access.load(dc_at));
    const Vector di = hn::Mul(dc, hn::Sub(g, access.load(b.c_prev + row * b.c_prev_stride + j)));
    access.store(hn::NegMulAdd(dc, i, dc), dc_at);
    access.store(hn::Mul(di, logistic_slope(i)), gates);
    access.store(hn::Mul(hn::Mul(dc, i), tanh_slope(g)), gates + H);
    access.store(hn::Mul(hn::Mul(dh, tanh_c), logistic_slope(o)), gates + 2 * H);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(lstm_cell_forward);
HWY_EXPORT(lstm_cell_backward);
HWY_EXPORT(peephole_lstm_cell_forward);
HWY_EXPORT(peephole_lstm_cell_backward);
HWY_EXPORT(cifg_lstm_cell_forward);
HWY_EXPORT(cifg_lstm_cell_backward);
HWY_EXPORT(capped_lstm_cell_forward);
HWY_EXPORT(capped_lstm_cell_backward);
}  // namespace

void lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(lstm_cell_forward)(args); }
void lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(lstm_cell_backward)(args); }
void peephole_lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(peephole_lstm_cell_forward)(args); }
void peephole_lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(peephole_lstm_cell_backward)(args); }
void cifg_lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(cifg_lstm_cell_forward)(args); }
void cifg_lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(cifg_lstm_cell_backward)(args); }
void capped_lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(capped_lstm_cell_forward)(args); }
void capped_lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(capped_lstm_cell_backward)(args); }

}  // namespace mnemo::kernels
#endif
