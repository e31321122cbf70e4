#include "nn/activation.h"

#include "kernels/activations.h"
#include "kernels/product.h"

namespace mnemo {

void tanh_in_place(Tape& tape, const Activation& y) {
  kernels::tanh_values(y.value, y.value, y.size());
  tape.record([y] {
    for (Index i = 0; i < y.size(); ++i) y.gradient[i] *= 1.0f - y.value[i] * y.value[i];
  });
}

void relu_in_place(Tape& tape, const Activation& y) {
  for (Index i = 0; i < y.size(); ++i) y.value[i] = y.value[i] < 0.0f ? 0.0f : y.value[i];
  tape.record([y] {
    for (Index i = 0; i < y.size(); ++i) y.gradient[i] = y.value[i] > 0.0f ? y.gradient[i] : 0.0f;
  });
}

Activation gelu(Tape& tape, const Activation& x) {
  // Where y's gradient was, that of x is from then on.
  const Activation y{tape.arena.allocate(x.size()), x.gradient, x.rows, x.columns};
  kernels::for_row_groups(tape.pool, x.rows, [&](Index first, Index rows) {
    kernels::gelu_values(x.value + first * x.columns, y.value + first * x.columns, rows * x.columns);
  });
  tape.record([&tape, x] {
    kernels::for_row_groups(tape.pool, x.rows, [&](Index first, Index rows) {
      kernels::gelu_backward(x.value + first * x.columns, x.gradient + first * x.columns, rows * x.columns);
    });
  });
  return y;
}

}  // namespace mnemo
