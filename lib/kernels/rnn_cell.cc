#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rnn_cell.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/rnn_cell.h"
// After foreach_target.
#include "kernels/activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

template <class Activation>
HWY_INLINE void forward(const CellForward& a, const Activation& activation) {
  for_units(a.rows, a.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = a.gates + row * a.gates_stride + j;
    const Vector h = activation(access.load(gates));
    access.store(h, a.h + row * a.h_stride + j);
    if (a.kept) access.store(h, gates);
  });
}

// `slope` gives the activation's derivative from its value.
template <class Slope>
HWY_INLINE void backward(const CellBackward& b, const Slope& slope) {
  for_units(b.rows, b.hidden, [&](Index row, Index j, auto access) HWY_ATTR {
    float* gates = b.gates + row * b.gates_stride + j;
    const Vector dh =
        hn::Add(access.load(b.dh + row * b.dh_stride + j), access.load(b.dh_next + row * b.dh_next_stride + j));
    access.store(hn::Mul(dh, slope(access.load(gates))), gates);
  });
}

void rnn_tanh_cell_forward(const CellForward& a) {
  forward(a, [](Vector x) HWY_ATTR { return tanh_of(x); });
}
void rnn_tanh_cell_backward(const CellBackward& b) {
  backward(b, [](Vector h) HWY_ATTR { return tanh_slope(h); });
}

// A comparison keeps a NaN; x86's Max would return its second operand.
void rnn_relu_cell_forward(const CellForward& a) {
  forward(a, [](Vector x) HWY_ATTR { return hn::IfThenElse(hn::Lt(x, hn::Zero(kTag)), hn::Zero(kTag), x); });
}
void rnn_relu_cell_backward(const CellBackward& b) {
  backward(b, [](Vector h)
                  HWY_ATTR { return hn::IfThenElse(hn::Gt(h, hn::Zero(kTag)), hn::Set(kTag, 1.0f), hn::Zero(kTag)); });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(rnn_tanh_cell_forward);
HWY_EXPORT(rnn_tanh_cell_backward);
HWY_EXPORT(rnn_relu_cell_forward);
HWY_EXPORT(rnn_relu_cell_backward);
}  // namespace

void rnn_tanh_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(rnn_tanh_cell_forward)(args); }
void rnn_tanh_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(rnn_tanh_cell_backward)(args); }
void rnn_relu_cell_forward(const CellForward& args) { HWY_DYNAMIC_DISPATCH(rnn_relu_cell_forward)(args); }
void rnn_relu_cell_backward(const CellBackward& args) { HWY_DYNAMIC_DISPATCH(rnn_relu_cell_backward)(args); }

}  // namespace mnemo::kernels
#endif
