// The layer-normalised LSTM runs row by row: a norm needs a row's mean and variance before any of its gates, so nothing
// can be fused across the norms. The order of a sum depends only on its length, so results do not depend on batch or
// threads. Norms overwrite their sums, which backward does not need.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm_lstm_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/norm_lstm_cell.h"
// After foreach_target.
#include "kernels/activations-inl.h"
#include "kernels/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

void norm_lstm_cell_forward(const CellForward& a) {
  const Index H = a.hidden;
  const float *gain_x = a.own, *gain_h = a.own + 4 * H, *bias = a.own + 8 * H, *gain_c = a.own + 12 * H,
              *bias_c = a.own + 13 * H;
  for (Index row = 0; row < a.rows; ++row) {
    float* sums = a.gates + row * a.gates_stride;
    float* kept = a.kept + row * a.kept_stride;
    float* c = a.c + row * a.c_stride;
    const float* c_prev = a.c_prev + row * a.c_prev_stride;
    kept[6 * H] = normalize(sums, sums, 4 * H);
    kept[6 * H + 1] = normalize(sums + 4 * H, sums + 4 * H, 4 * H);
    const auto sum = [&](Index at, auto access) HWY_ATTR {
      const Vector x = hn::MulAdd(access.load(gain_x + at), access.load(sums + at), access.load(bias + at));
      return hn::MulAdd(access.load(gain_h + at), access.load(sums + 4 * H + at), x);
    };
    for_units(1, H, [&](Index, Index j, auto access) HWY_ATTR {
      const Vector i = logistic_of(sum(j, access)), f = logistic_of(sum(H + j, access)),
                   g = tanh_of(sum(2 * H + j, access)), o = logistic_of(sum(3 * H + j, access));
      access.store(hn::MulAdd(f, access.load(c_prev + j), hn::Mul(i, g)), c + j);
      access.store(i, kept + j);
      access.store(f, kept + H + j);
      access.store(g, kept + 2 * H + j);
      access.store(o, kept + 3 * H + j);
    });
    kept[6 * H + 2] = normalize(c, kept + 4 * H, H);
    for_units(1, H, [&](Index, Index j, auto access) HWY_ATTR {
      const Vector t =
          tanh_of(hn::MulAdd(access.load(gain_c + j), access.load(kept + 4 * H + j), access.load(bias_c + j)));
      access.store(t, kept + 5 * H + j);
      access.store(hn::Mul(access.load(kept + 3 * H + j), t), a.h + row * a.h_stride + j);
    });
  }
}

// Mirrors norm_lstm_cell_forward: h = o t; t = tanh(gain_c N(c) + bias_c); c = f c_prev + i g; i, f, g, o of a;
// a = gain_x N(x) + gain_h N(h) + bias. The gradients of a overwrite the kept gates, those of tanh's argument overwrite
// t.
void norm_lstm_cell_backward(const CellBackward& b) {
  const Index H = b.hidden;
  const float *gain_x = b.own, *gain_h = b.own + 4 * H, *gain_c = b.own + 12 * H;
  for (Index row = 0; row < b.rows; ++row) {
    float* norms = b.gates + row * b.gates_stride;
    float* kept = b.kept + row * b.kept_stride;
    float* dc_at = b.dc + row * b.dc_stride;
    float* own = b.own_gradients + row * b.own_gradients_stride;
    const float* dh = b.dh + row * b.dh_stride;
    const float* dh_next = b.dh_next + row * b.dh_next_stride;
    const auto add = [](auto access, Vector v, float* to) HWY_ATTR { access.store(hn::Add(access.load(to), v), to); };
    for_units(1, H, [&](Index, Index j, auto access) HWY_ATTR {
      const Vector t = access.load(kept + 5 * H + j), o = access.load(kept + 3 * H + j);
      const Vector d = hn::Add(access.load(dh + j), access.load(dh_next + j));
      const Vector inner = hn::Mul(hn::Mul(d, o), tanh_slope(t));
      access.store(hn::Mul(hn::Mul(d, t), logistic_slope(o)), kept + 3 * H + j);
      access.store(inner, kept + 5 * H + j);
      add(access, hn::Mul(inner, access.load(kept + 4 * H + j)), own + 12 * H + j);
      add(access, inner, own + 13 * H + j);
    });
    normalize_backward(kept + 5 * H, gain_c, kept + 4 * H, kept[6 * H + 2], H,
                       [&](Index j, auto access, Vector through) HWY_ATTR { add(access, through, dc_at + j); });
    for_units(1, H, [&](Index, Index j, auto access) HWY_ATTR {
      const Vector i = access.load(kept + j), f = access.load(kept + H + j), g = access.load(kept + 2 * H + j);
      const Vector dc = access.load(dc_at + j);
      const Vector df = hn::Mul(dc, access.load(b.c_prev + row * b.c_prev_stride + j));
      access.store(hn::Mul(dc, f), dc_at + j);
      access.store(hn::Mul(hn::Mul(dc, g), logistic_slope(i)), kept + j);
      access.store(hn::Mul(df, logistic_slope(f)), kept + H + j);
      access.store(hn::Mul(hn::Mul(dc, i), tanh_slope(g)), kept + 2 * H + j);
    });
    for_units(1, 4 * H, [&](Index, Index j, auto access) HWY_ATTR {
      const Vector da = access.load(kept + j);
      add(access, hn::Mul(da, access.load(norms + j)), own + j);
      add(access, hn::Mul(da, access.load(norms + 4 * H + j)), own + 4 * H + j);
      add(access, da, own + 8 * H + j);
    });
    for (Index side = 0; side < 2; ++side) {
      float* norm = norms + side * 4 * H;
      normalize_backward(kept, side == 0 ? gain_x : gain_h, norm, kept[6 * H + side], 4 * H,
                         [&](Index j, auto access, Vector v) HWY_ATTR { access.store(v, norm + j); });
    }
  }
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(norm_lstm_cell_forward);
HWY_EXPORT(norm_lstm_cell_backward);
}  // namespace

void norm_lstm_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(norm_lstm_cell_forward)(args); }
void norm_lstm_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(norm_lstm_cell_backward)(args); }

}  // namespace mnemo::kernels
#endif
