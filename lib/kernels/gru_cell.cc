#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gru_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/gru_cell.h"
// After foreach_target.
#include "kernels/activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

void gru_cell_forward(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const auto [r, z] =
        divide(logistic_fraction(access.load(gates + H)), logistic_fraction(access.load(gates + 2 * H)));
    const Vector n = tanh_of(hn::MulAdd(r, access.load(gates + 3 * H), access.load(gates)));
    const Vector h_prev = access.load(a.h_prev + row * a.h_prev_stride + j);
    access.store(hn::MulAdd(z, hn::Sub(h_prev, n), n), a.h + row * a.h_stride + j);
    if (!a.kept) return;
    access.store(n, gates);
    access.store(r, gates + H);
    access.store(z, gates + 2 * H);
  });
}

// Mirrors gru_cell_forward: h = n + z (h_prev - n); n = tanh(a_n + r u_n); r, z = s(a).
void gru_cell_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    const Vector n = access.load(gates), r = access.load(gates + H), z = access.load(gates + 2 * H),
                 u_n = access.load(gates + 3 * H);
    const Vector dh = hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(dh_next));
    const Vector dz = hn::Mul(dh, hn::Sub(access.load(b.h_prev + row * b.h_prev_stride + j), n));
    const Vector da_n = hn::Mul(hn::NegMulAdd(dh, z, dh), tanh_slope(n));
    access.store(hn::Mul(dh, z), dh_next);
    access.store(da_n, gates);
    access.store(hn::Mul(hn::Mul(da_n, u_n), logistic_slope(r)), gates + H);
    access.store(hn::Mul(dz, logistic_slope(z)), gates + 2 * H);
    access.store(hn::Mul(da_n, r), gates + 3 * H);
  });
}

void gru_before_cell_reset(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const auto [r, z] = divide(logistic_fraction(access.load(gates)), logistic_fraction(access.load(gates + H)));
    access.store(r, gates);
    access.store(z, gates + H);
    access.store(hn::Mul(r, access.load(a.h_prev + row * a.h_prev_stride + j)), a.kept + row * a.kept_stride + j);
  });
}

void gru_before_cell_forward(const CellForward& a) {
  const Index H = a.hidden;
  for_units(a.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const Vector z = access.load(gates + H), n = tanh_of(access.load(gates + 2 * H));
    const Vector h_prev = access.load(a.h_prev + row * a.h_prev_stride + j);
    access.store(n, gates + 2 * H);
    access.store(hn::MulAdd(z, hn::Sub(h_prev, n), n), a.h + row * a.h_stride + j);
  });
}

// Mirrors gru_before_cell_forward: h = n + z (h_prev - n); n = tanh(a_n); z = s(a_z).
void gru_before_cell_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    const Vector z = access.load(gates + H), n = access.load(gates + 2 * H);
    const Vector dh = hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(dh_next));
    const Vector dz = hn::Mul(dh, hn::Sub(access.load(b.h_prev + row * b.h_prev_stride + j), n));
    access.store(hn::Mul(dh, z), dh_next);
    access.store(hn::Mul(dz, logistic_slope(z)), gates + H);
    access.store(hn::Mul(hn::NegMulAdd(dh, z, dh), tanh_slope(n)), gates + 2 * H);
  });
}

// Mirrors gru_before_cell_reset: kept = r h_prev; r = s(a_r).
void gru_before_cell_reset_backward(const CellBackward& b) {
  const Index H = b.hidden;
  for_units(b.rows, H, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    float* dh_next = b.dh_next + row * b.dh_next_stride + j;
    const Vector d_reset = access.load(b.kept + row * b.kept_stride + H + j), r = access.load(gates);
    const Vector h_prev = access.load(b.h_prev + row * b.h_prev_stride + j);
    access.store(hn::MulAdd(d_reset, r, access.load(dh_next)), dh_next);
    access.store(hn::Mul(hn::Mul(d_reset, h_prev), logistic_slope(r)), gates);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(gru_cell_forward);
HWY_EXPORT(gru_cell_backward);
HWY_EXPORT(gru_before_cell_reset);
HWY_EXPORT(gru_before_cell_forward);
HWY_EXPORT(gru_before_cell_backward);
HWY_EXPORT(gru_before_cell_reset_backward);
}  // namespace

void gru_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(gru_cell_forward)(args); }
void gru_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(gru_cell_backward)(args); }
void gru_before_cell_reset(const CellForward& args) { HWY_DYNAMIC_DISPATCH(gru_before_cell_reset)(args); }
void gru_before_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(gru_before_cell_forward)(args); }
void gru_before_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(gru_before_cell_backward)(args); }
void gru_before_cell_reset_backward(const CellBackward& args) {
  HWY_DYNAMIC_DISPATCH(gru_before_cell_reset_backward)(args);
}

}  // namespace mnemo::kernels
#endif
