#include "nn/layer_norm.h"

#include <algorithm>

#include "kernels/activations.h"
#include "kernels/layer_norm.h"
#include "kernels/product.h"

namespace mnemo {

LayerNorm::LayerNorm(const std::string& name, Index columns, const std::vector<std::string>& gate_names)
    : weight(name + ".weight", {columns}), bias(name + ".bias", {columns}) {
  for (const std::string& gate : gate_names) gates.emplace_back(gate, std::vector<Index>{columns});
}

void LayerNorm::initialise() {
  std::fill_n(weight.value.data(), weight.size(), 1.0f);
  std::fill_n(bias.value.data(), bias.size(), 0.0f);
  for (Parameter& gate : gates) std::fill_n(gate.value.data(), gate.size(), 0.0f);
}

void LayerNorm::visit(const ParameterVisitor& visitor) {
  visitor(weight);
  visitor(bias);
  for (Parameter& gate : gates) visitor(gate);
}

void LayerNorm::prepare() {
  const Index C = weight.size();
  for (AlignedVector* one : {&gain_, &shift_, &gate_}) one->resize(C);
  std::fill_n(gate_.data(), C, 1.0f);
  for (const Parameter& gate : gates) {
    kernels::logistic_values(gate.value.data(), gain_.data(), C);
    for (Index j = 0; j < C; ++j) gate_[j] *= gain_[j];
  }
  for (Index j = 0; j < C; ++j) {
    gain_[j] = gate_[j] * weight.value[j];
    shift_[j] = gate_[j] * bias.value[j];
  }
}

void LayerNorm::apply(Index rows, const float* x, float* y) const {
  const Index C = weight.size();
  float inverse = 0.0f;
  for (Index row = 0; row < rows; ++row)
    kernels::normalize_rows(1, C, x + row * C, gain_.data(), shift_.data(), y + row * C, &inverse, y + row * C);
}

Activation LayerNorm::forward(Tape& tape, const Activation& x) const {
  const Index C = x.columns;
  const Activation y = tape.allocate(x.rows, C);
  float* norm = tape.training() ? tape.arena.allocate(x.size()) : y.value;
  float* inverse = tape.arena.allocate(x.rows);
  kernels::for_row_groups(tape.pool, x.rows, [&](Index first, Index rows) {
    kernels::normalize_rows(rows, C, x.value + first * C, gain_.data(), shift_.data(), norm + first * C,
                            inverse + first, y.value + first * C);
  });
  tape.record([this, &tape, y, x, norm, inverse] { backward(tape, y, x, norm, inverse); });
  return y;
}

// With y = g o (w N(x) + b): the gradients of g o w and g o b, and from these those of w, b and each gate, of which
// g' = g (1 - s(gate)).
void LayerNorm::backward(Tape& tape, const Activation& y, const Activation& x, const float* norm,
                         const float* inverse) const {
  const Index C = x.columns;
  std::vector<float> dgain(C, 0.0f), dshift(C, 0.0f), open(C);
  kernels::add_norm_gradients(x.rows, C, y.gradient, norm, dgain.data(), dshift.data());
  kernels::for_row_groups(tape.pool, x.rows, [&](Index first, Index rows) {
    kernels::normalize_rows_backward(rows, C, y.gradient + first * C, gain_.data(), norm + first * C, inverse + first,
                                     x.gradient + first * C);
  });
  Parameter &w = Tape::trained(weight), &b = Tape::trained(bias);
  for (Index j = 0; j < C; ++j) {
    w.gradient[j] += gate_[j] * dgain[j];
    b.gradient[j] += gate_[j] * dshift[j];
  }
  for (const Parameter& gate : gates) {
    Parameter& to = Tape::trained(gate);
    kernels::logistic_values(gate.value.data(), open.data(), C);
    for (Index j = 0; j < C; ++j) to.gradient[j] += (gain_[j] * dgain[j] + shift_[j] * dshift[j]) * (1.0f - open[j]);
  }
}

}  // namespace mnemo
