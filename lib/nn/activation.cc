#include "nn/activation.h"

#include "kernels/activations.h"

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

}  // namespace mnemo
