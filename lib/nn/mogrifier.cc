#include "nn/mogrifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/activations.h"

namespace mnemo {

using kernels::Start;

double mogrifier_parameters(const MogrifierOptions& options, Index input, Index output) {
  const auto number = [](Index n) { return static_cast<double>(n); };
  const double odd = number((options.rounds + 1) / 2), even = number(options.rounds / 2);
  return number(options.rounds) * number(options.rank) * (number(input) + number(output)) + odd * number(input) +
         even * number(output);
}

Mogrifier::Mogrifier(const std::string& prefix, const std::string& suffix, Index input, Index output,
                     const MogrifierOptions& options) {
  const Index K = options.rank;
  for (Index i = 0; i < options.rounds; ++i) {
    const Index T = gates_input(i) ? input : output, F = gates_input(i) ? output : input;
    const auto name = [&](const char* what) { return fmt::format("{}mogrifier{}_{}{}", prefix, i + 1, what, suffix); };
    rounds_.push_back(std::make_unique<Round>(Round{.down = Parameter(name("down"), {K, F}),
                                                    .up = Parameter(name("up"), {T, K}),
                                                    .bias = Parameter(name("bias"), {T}),
                                                    .inner = room_,
                                                    .inner_gradient = room_ + K,
                                                    .gate = room_ + 2 * K,
                                                    .gated = room_ + 2 * K + T,
                                                    .down_panels = {},
                                                    .up_panels = {},
                                                    .down_back_panels = {},
                                                    .up_back_panels = {}}));
    room_ += 2 * (K + T);
  }
}

void Mogrifier::initialise(Initialiser initialiser, std::uint64_t seed) {
  for (auto& round : rounds_) {
    for (Parameter* p : {&round->down, &round->up}) {
      if (initialiser == Initialiser::kUniform)
        initialise_uniform(*p, 1.0f / std::sqrt(static_cast<float>(p->row_size())), seed);
      else
        initialise_glorot(*p, 0, p->rows(), seed);
    }
    std::fill_n(round->bias.value.data(), round->bias.size(), 0.0f);
  }
}

void Mogrifier::visit(const ParameterVisitor& visitor) {
  for (auto& round : rounds_)
    for (Parameter* p : {&round->down, &round->up, &round->bias}) visitor(*p);
}

void Mogrifier::visit_factors(const ParameterVisitor& visitor) {
  for (auto& round : rounds_)
    for (Parameter* p : {&round->down, &round->up}) visitor(*p);
}

void Mogrifier::pack(ThreadPool& pool, bool training, kernels::Precision precision) {
  const auto pack_both = [&](const Parameter& p, kernels::PackedMatrix& panels, kernels::PackedMatrix& back) {
    const Index in = p.row_size(), out = p.rows();
    kernels::pack(pool, p.value.data(), in, true, in, out, panels, precision);
    if (training) kernels::pack(pool, p.value.data(), in, false, out, in, back, precision);
  };
  for (auto& round : rounds_) {
    pack_both(round->down, round->down_panels, round->down_back_panels);
    pack_both(round->up, round->up_panels, round->up_back_panels);
  }
}

// Round i reads what round i - 1 gated, the first one h.
Rows Mogrifier::read_by(Index i, const Pair& given, const float* room, Index stride) const {
  return i == 0 ? given.h : Rows{room + round(i - 1).gated, stride};
}

Rows Mogrifier::gated_by(Index i, const Pair& given, const float* room, Index stride) const {
  if (i < 2) return gates_input(i) ? given.x : given.h;
  return {room + round(i - 2).gated, stride};
}

Mogrifier::Pair Mogrifier::gated(const Pair& given, const float* room, Index stride) const {
  Pair out = given;
  for (Index i = std::max<Index>(0, rounds() - 2); i < rounds(); ++i)
    (gates_input(i) ? out.x : out.h) = {room + round(i).gated, stride};
  return out;
}

Mogrifier::Pair Mogrifier::forward(Index rows, const Pair& given, float* room, Index stride) const {
  for (Index i = 0; i < rounds(); ++i) {
    const Round& w = round(i);
    const Rows from = read_by(i, given, room, stride), to = gated_by(i, given, room, stride);
    const Index T = w.up.rows();
    kernels::multiply_rows(rows, from.at, from.stride, w.down_panels, 0, w.down_panels.panels(), Start::kZero, nullptr,
                           room + w.inner, stride);
    kernels::multiply_rows(rows, room + w.inner, stride, w.up_panels, 0, w.up_panels.panels(), Start::kBias,
                           w.bias.value.data(), room + w.gate, stride);
    for (Index r = 0; r < rows; ++r) {
      float *gate = room + r * stride + w.gate, *out = room + r * stride + w.gated;
      const float* in = to.at + r * to.stride;
      kernels::logistic_values(gate, gate, T);
      for (Index j = 0; j < T; ++j) out[j] = 2.0f * gate[j] * in[j];
    }
  }
  return gated(given, room, stride);
}

// Mirrors forward, last round first: out = 2 s(a) in, a = U D v + b.
void Mogrifier::backward(Index rows, const Pair& given, float* room, Index stride, float* dx, Index dx_stride,
                         float* dh, Index dh_stride) const {
  for (Index i = rounds() - 1; i >= 0; --i) {
    const Round& w = round(i);
    const Rows to = gated_by(i, given, room, stride);
    const Index T = w.up.rows();
    float *dto = gates_input(i) ? dx : dh, *dfrom = gates_input(i) ? dh : dx;
    const Index dto_stride = gates_input(i) ? dx_stride : dh_stride,
                dfrom_stride = gates_input(i) ? dh_stride : dx_stride;
    for (Index r = 0; r < rows; ++r) {
      float *gate = room + r * stride + w.gate, *d = dto + r * dto_stride;
      const float* in = to.at + r * to.stride;
      for (Index j = 0; j < T; ++j) {
        const float s = gate[j];
        gate[j] = 2.0f * d[j] * in[j] * s * (1.0f - s);
        d[j] *= 2.0f * s;
      }
    }
    kernels::multiply_rows(rows, room + w.gate, stride, w.up_back_panels, 0, w.up_back_panels.panels(), Start::kZero,
                           nullptr, room + w.inner_gradient, stride);
    kernels::multiply_rows(rows, room + w.inner_gradient, stride, w.down_back_panels, 0, w.down_back_panels.panels(),
                           Start::kResult, nullptr, dfrom, dfrom_stride);
  }
}

}  // namespace mnemo
