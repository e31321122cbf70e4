// All loops over the packed rows visit a sequence's steps in ascending order, so every sum has one order. Attention
// takes its softmax per sequence in three passes over the rows: scores and maxima, exponentials and sums, weighted
// outputs.
#include "nn/pooling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activations.h"
#include "kernels/elementwise.h"
#include "nn/cell_trace.h"
#include "nn/initialise.h"

namespace mnemo {
namespace {

constexpr Index kColumnsPerTask = 64;

// Calls body(sorted sequence b, row of y) for every step of every sequence, steps ascending within a sequence.
template <class Body>
void for_tokens(const Packing& packing, const Body& body) {
  for (Index t = 0; t < packing.steps(); ++t)
    for (Index b = 0; b < packing.rows_at(t); ++b) body(b, packing.row(b, t));
}

Activation zeros(Tape& tape, const Packing& packing, Index columns) {
  Activation out = tape.allocate(packing.sequences(), columns);
  std::fill_n(out.value, out.size(), 0.0f);
  return out;
}

}  // namespace

Pooling::Pooling(const std::string& name, PoolingKind kind, Index columns, Index directions)
    : kind_(kind), directions_(directions) {
  if (kind == PoolingKind::kAttention) weight_ = std::make_unique<Parameter>(name + ".weight", std::vector{columns});
}

void Pooling::initialise(std::uint64_t seed) {
  if (weight_) initialise_uniform(*weight_, 1.0f / std::sqrt(static_cast<float>(weight_->size())), seed);
}

void Pooling::visit(const ParameterVisitor& visitor) {
  if (weight_) visitor(*weight_);
}

Activation Pooling::forward(Tape& tape, const Packing& packing, const Activation& y) const {
  switch (kind_) {
    case PoolingKind::kLast:
      return last(tape, packing, y);
    case PoolingKind::kMean:
      return mean(tape, packing, y);
    case PoolingKind::kMax:
      return max(tape, packing, y);
    case PoolingKind::kAttention:
      break;
  }
  return attention(tape, packing, y);
}

Activation Pooling::last(Tape& tape, const Packing& packing, const Activation& y) const {
  Activation out = zeros(tape, packing, y.columns);
  const Index H = y.columns / directions_;
  const auto for_halves = [&packing, H, D = directions_](const auto& body) {
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index d = 0; d < D && packing.length(b) > 0; ++d) {
        const Index row = packing.row(b, d == 0 ? packing.length(b) - 1 : 0);
        body(row * D * H + d * H, packing.original(b) * D * H + d * H);
      }
  };
  for_halves([&](Index from, Index to) { std::copy_n(y.value + from, H, out.value + to); });
  if (!y.gradient) return out;
  tape.record([=] {
    for_halves([&](Index from, Index to) { kernels::add_scaled(1.0f, out.gradient + to, y.gradient + from, H); });
  });
  return out;
}

Activation Pooling::mean(Tape& tape, const Packing& packing, const Activation& y) const {
  Activation out = zeros(tape, packing, y.columns);
  const Index C = y.columns;
  const auto weight = [&packing](Index b) { return 1.0f / static_cast<float>(packing.length(b)); };
  for_tokens(packing, [&](Index b, Index row) {
    kernels::add_scaled(weight(b), y.value + row * C, out.value + packing.original(b) * C, C);
  });
  if (!y.gradient) return out;
  tape.record([=, &packing] {
    for_tokens(packing, [&](Index b, Index row) {
      kernels::add_scaled(weight(b), out.gradient + packing.original(b) * C, y.gradient + row * C, C);
    });
  });
  return out;
}

Activation Pooling::max(Tape& tape, const Packing& packing, const Activation& y) const {
  Activation out = zeros(tape, packing, y.columns);
  const Index C = y.columns;
  // The row of y with each maximum; in memory for floats, as the arena has no other.
  auto* best = reinterpret_cast<std::int32_t*>(tape.arena.allocate(out.size()));
  for (Index b = 0; b < packing.rows_at(0); ++b) {
    std::copy_n(y.value + packing.row(b, 0) * C, C, out.value + packing.original(b) * C);
    std::fill_n(best + packing.original(b) * C, C, static_cast<std::int32_t>(packing.row(b, 0)));
  }
  tape.pool.parallel_for((C + kColumnsPerTask - 1) / kColumnsPerTask, [&](std::int64_t task) {
    const Index begin = task * kColumnsPerTask, end = std::min(C, begin + kColumnsPerTask);
    for_tokens(packing, [&](Index b, Index row) {
      const Index at = packing.original(b) * C + begin;
      kernels::running_max(y.value + row * C + begin, static_cast<std::int32_t>(row), out.value + at, best + at,
                           end - begin);
    });
  });
  if (!y.gradient) return out;
  tape.record([=, &packing] {
    for (Index b = 0; b < packing.rows_at(0); ++b) {
      const Index base = packing.original(b) * C;
      for (Index j = 0; j < C; ++j) y.gradient[best[base + j] * C + j] += out.gradient[base + j];
    }
  });
  return out;
}

Activation Pooling::attention(Tape& tape, const Packing& packing, const Activation& y) const {
  Activation out = zeros(tape, packing, y.columns);
  const Index C = y.columns, B = packing.sequences();
  // tanh(y): [N, C] if backward needs it, else one row at a time.
  float* squashed = tape.arena.allocate(tape.training() ? y.size() : C);
  float* share = tape.arena.allocate(packing.tokens() + 1);  // [N] a
  const float* w = weight_->value.data();
  std::vector<float> largest(B, -INFINITY), sum(B, 0.0f);
  for_tokens(packing, [&](Index b, Index row) {
    float score = 0;
    float* t = squashed + (tape.training() ? row * C : 0);
    kernels::tanh_values(y.value + row * C, t, C);
    for (Index j = 0; j < C; ++j) score += w[j] * t[j];
    share[row] = score;
    largest[b] = std::max(largest[b], score);
  });
  for_tokens(packing, [&](Index b, Index row) { sum[b] += share[row] = std::exp(share[row] - largest[b]); });
  for_tokens(packing, [&](Index b, Index row) {
    share[row] /= sum[b];
    kernels::add_scaled(share[row], y.value + row * C, out.value + packing.original(b) * C, C);
  });
  if (tape.trace) tape.trace->pooling.assign(share, share + packing.tokens());
  tape.record([this, &packing, y, out, squashed, share, C, B] {
    // out = sum_t a_t y_t: da_t = y_t . dout; through the softmax ds_t = a_t (da_t - sum_u a_u da_u).
    std::vector<float> d_share(packing.tokens()), mean_share(B, 0.0f);
    for_tokens(packing, [&](Index b, Index row) {
      const float* dout = out.gradient + packing.original(b) * C;
      float dot = 0;
      for (Index j = 0; j < C; ++j) dot += dout[j] * y.value[row * C + j];
      d_share[row] = dot;
      mean_share[b] += share[row] * dot;
    });
    float* dw = weight_->gradient.data();
    const float* weight = weight_->value.data();
    for_tokens(packing, [&](Index b, Index row) {
      const float d_score = share[row] * (d_share[row] - mean_share[b]);
      const float* dout = out.gradient + packing.original(b) * C;
      for (Index j = 0; j < C; ++j) {
        const float s = squashed[row * C + j];
        dw[j] += d_score * s;
        if (y.gradient) y.gradient[row * C + j] += share[row] * dout[j] + d_score * weight[j] * (1.0f - s * s);
      }
    });
  });
  return out;
}

}  // namespace mnemo
