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

}  // namespace

Pooling::Pooling(const std::string& name, std::vector<PoolingKind> kinds, Index columns, Index directions)
    : kinds_(std::move(kinds)), directions_(directions) {
  if (std::ranges::count(kinds_, PoolingKind::kAttention) > 0)
    weight_ = std::make_unique<Parameter>(name + ".weight", std::vector{columns});
}

void Pooling::initialise(std::uint64_t seed) {
  if (weight_) initialise_uniform(*weight_, 1.0f / std::sqrt(static_cast<float>(weight_->size())), seed);
}

void Pooling::visit(const ParameterVisitor& visitor) {
  if (weight_) visitor(*weight_);
}

Activation Pooling::forward(Tape& tape, const Packing& packing, const Activation& y) const {
  const Activation out = tape.allocate(packing.sequences(), std::ssize(kinds_) * y.columns);
  std::fill_n(out.value, out.size(), 0.0f);
  Index first = 0;
  for (const PoolingKind kind : kinds_) {
    switch (kind) {
      case PoolingKind::kLast:
        last(tape, packing, y, out, first);
        break;
      case PoolingKind::kMean:
        mean(tape, packing, y, out, first);
        break;
      case PoolingKind::kMax:
        max(tape, packing, y, out, first);
        break;
      case PoolingKind::kAttention:
        attention(tape, packing, y, out, first);
        break;
    }
    first += y.columns;
  }
  return out;
}

void Pooling::last(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const {
  const Index H = y.columns / directions_;
  const auto for_halves = [&packing, H, D = directions_, first, columns = out.columns](const auto& body) {
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index d = 0; d < D && packing.length(b) > 0; ++d) {
        const Index row = packing.row(b, d == 0 ? packing.length(b) - 1 : 0);
        body(row * D * H + d * H, packing.original(b) * columns + first + d * H);
      }
  };
  for_halves([&](Index from, Index to) { std::copy_n(y.value + from, H, out.value + to); });
  if (!y.gradient) return;
  tape.record([=] {
    for_halves([&](Index from, Index to) { kernels::add_scaled(1.0f, out.gradient + to, y.gradient + from, H); });
  });
}

void Pooling::mean(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const {
  const Index C = y.columns;
  const auto weight = [&packing](Index b) { return 1.0f / static_cast<float>(packing.length(b)); };
  for_tokens(packing, [&](Index b, Index row) {
    kernels::add_scaled(weight(b), y.value + row * C, out.value + packing.original(b) * out.columns + first, C);
  });
  if (!y.gradient) return;
  tape.record([=, &packing] {
    for_tokens(packing, [&](Index b, Index row) {
      kernels::add_scaled(weight(b), out.gradient + packing.original(b) * out.columns + first, y.gradient + row * C, C);
    });
  });
}

void Pooling::max(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const {
  const Index C = y.columns;
  // The row of y with each maximum; in memory for floats, as the arena has no other.
  auto* best = reinterpret_cast<std::int32_t*>(tape.arena.allocate(out.rows * C));
  for (Index b = 0; b < packing.rows_at(0); ++b) {
    std::copy_n(y.value + packing.row(b, 0) * C, C, out.value + packing.original(b) * out.columns + first);
    std::fill_n(best + packing.original(b) * C, C, static_cast<std::int32_t>(packing.row(b, 0)));
  }
  tape.pool.parallel_for((C + kColumnsPerTask - 1) / kColumnsPerTask, [&](std::int64_t task) {
    const Index begin = task * kColumnsPerTask, end = std::min(C, begin + kColumnsPerTask);
    for_tokens(packing, [&](Index b, Index row) {
      kernels::running_max(y.value + row * C + begin, static_cast<std::int32_t>(row),
                           out.value + packing.original(b) * out.columns + first + begin,
                           best + packing.original(b) * C + begin, end - begin);
    });
  });
  if (!y.gradient) return;
  tape.record([=, &packing] {
    for (Index b = 0; b < packing.rows_at(0); ++b) {
      const std::int32_t* rows = best + packing.original(b) * C;
      const float* dout = out.gradient + packing.original(b) * out.columns + first;
      for (Index j = 0; j < C; ++j) y.gradient[rows[j] * C + j] += dout[j];
    }
  });
}

void Pooling::attention(Tape& tape, const Packing& packing, const Activation& y, const Activation& out,
                        Index first) const {
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
    kernels::add_scaled(share[row], y.value + row * C, out.value + packing.original(b) * out.columns + first, C);
  });
  if (tape.trace) tape.trace->pooling.assign(share, share + packing.tokens());
  tape.record([this, &packing, y, out, first, squashed, share, C, B] {
    // out = sum_t a_t y_t: da_t = y_t . dout; through the softmax ds_t = a_t (da_t - sum_u a_u da_u).
    std::vector<float> d_share(packing.tokens()), mean_share(B, 0.0f);
    for_tokens(packing, [&](Index b, Index row) {
      const float* dout = out.gradient + packing.original(b) * out.columns + first;
      float dot = 0;
      for (Index j = 0; j < C; ++j) dot += dout[j] * y.value[row * C + j];
      d_share[row] = dot;
      mean_share[b] += share[row] * dot;
    });
    float* dw = weight_->gradient.data();
    const float* weight = weight_->value.data();
    for_tokens(packing, [&](Index b, Index row) {
      const float d_score = share[row] * (d_share[row] - mean_share[b]);
      const float* dout = out.gradient + packing.original(b) * out.columns + first;
      for (Index j = 0; j < C; ++j) {
        const float s = squashed[row * C + j];
        dw[j] += d_score * s;
        if (y.gradient) y.gradient[row * C + j] += share[row] * dout[j] + d_score * weight[j] * (1.0f - s * s);
      }
    });
  });
}

}  // namespace mnemo
