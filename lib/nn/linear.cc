#include "nn/linear.h"

#include <algorithm>
#include <cmath>

namespace mnemo {

using kernels::Start;

Linear::Linear(const std::string& name, Index in, Index out, bool with_bias)
    : weight(name + ".weight", {out, in}), bias(name + ".bias", {with_bias ? out : 0}) {}

void Linear::initialise(Initialiser initialiser, std::uint64_t seed) {
  if (initialiser == Initialiser::kUniform) {
    const float bound = 1.0f / std::sqrt(static_cast<float>(weight.row_size()));
    visit([&](Parameter& p) { initialise_uniform(p, bound, seed); });
  } else {
    initialise_glorot(weight, 0, weight.rows(), seed);
    std::fill_n(bias.value.data(), bias.size(), 0.0f);
  }
  weights_changed();
}

void Linear::visit(const ParameterVisitor& visitor) {
  visitor(weight);
  if (bias.size() > 0) visitor(bias);
}

void Linear::pack(ThreadPool& pool, bool training) {
  const Index in = weight.row_size(), out = weight.rows();
  const bool serves = packed_for_training_ == training || (packed_for_training_ && precision_ == training_precision_);
  if (packed_ && serves) return;
  kernels::pack(pool, weight.value.data(), in, true, in, out, panels_, training ? training_precision_ : precision_);
  if (training) kernels::pack(pool, weight.value.data(), in, false, out, in, back_panels_, training_precision_);
  packed_ = true;
  packed_for_training_ = training;
}

void Linear::apply(Index rows, const float* x, float* y) const {
  kernels::multiply_rows(rows, x, weight.row_size(), panels_, 0, panels_.panels(), start(), bias.value.data(), y,
                         weight.rows());
}

Activation Linear::forward(Tape& tape, const Activation& x) const {
  const Index in = weight.row_size(), out = weight.rows();
  Activation y = tape.allocate(x.rows, out);
  const kernels::Product forward_product{x.rows, x.value, in, &panels_, start(), bias.value.data(), y.value, out};
  kernels::multiply(tape.pool, {&forward_product, 1});
  tape.record([this, &tape, x, y, in, out] {
    Parameter &w = Tape::trained(weight), &b = Tape::trained(bias);
    const kernels::TransposedProduct weights{
        .rows = x.rows,
        .m = out,
        .a = y.gradient,
        .lda = out,
        .right = {{.n = in, .b = x.value, .ldb = in, .c = w.gradient.data(), .ldc = in}, {}},
        .a_sum = b.size() > 0 ? b.gradient.data() : nullptr};
    kernels::multiply_transposed(tape.pool, {&weights, 1}, tape.arena.scratch(), training_precision_);
    const kernels::Product inputs{x.rows, y.gradient, out, &back_panels_, Start::kResult, nullptr, x.gradient, in};
    if (x.gradient) kernels::multiply(tape.pool, {&inputs, 1});
  });
  return y;
}

}  // namespace mnemo
