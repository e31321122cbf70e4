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

// Calls body(sorted sequence b, row of y) for every step of every sequence, steps ascending within a sequence. Rows are
// counted from the first of the steps.
template <class Body>
void for_tokens(const Packing& packing, StepRange steps, const Body& body) {
  for (Index t = steps.begin; t < steps.end; ++t)
    for (Index b = 0; b < packing.rows_at(t); ++b) body(b, packing.row(b, t) - packing.offset(steps.begin));
}

template <class Body>
void for_tokens(const Packing& packing, const Body& body) {
  for_tokens(packing, {0, packing.steps()}, body);
}

// Memory for integers, as the arena has floats alone.
std::int32_t* allocate_integers(Tape& tape, Index count) {
  return reinterpret_cast<std::int32_t*>(tape.arena.allocate(count));
}

// Maxima so far, and the rows of all steps that have them.
void running_maxima(ThreadPool& threads, const Packing& packing, StepRange steps, Index C, const float* y,
                    const Activation& out, Index first, std::int32_t* best) {
  const Index offset = packing.offset(steps.begin);
  for (Index b = 0; steps.begin == 0 && b < packing.rows_at(0); ++b) {
    std::copy_n(y + packing.row(b, 0) * C, C, out.value + packing.original(b) * out.columns + first);
    std::fill_n(best + packing.original(b) * C, C, static_cast<std::int32_t>(packing.row(b, 0)));
  }
  threads.parallel_for((C + kColumnsPerTask - 1) / kColumnsPerTask, [&](std::int64_t task) {
    const Index begin = task * kColumnsPerTask, end = std::min(C, begin + kColumnsPerTask);
    for_tokens(packing, steps, [&](Index b, Index row) {
      kernels::running_max(y + row * C + begin, static_cast<std::int32_t>(offset + row),
                           out.value + packing.original(b) * out.columns + first + begin,
                           best + packing.original(b) * C + begin, end - begin);
    });
  });
}

float mean_weight(const Packing& packing, Index b) { return 1.0f / static_cast<float>(packing.length(b)); }

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
    if (kind == PoolingKind::kAttention) {
      attention(tape, packing, y, out, first);
    } else {
      const Piece all{packing,   {0, packing.steps()},
                      y.columns, out,
                      first,     kind == PoolingKind::kMax ? allocate_integers(tape, out.rows * y.columns) : nullptr};
      pool(kind, tape.pool, all, y.value);
      if (y.gradient) tape.record([this, kind, all, dy = y.gradient] { pool_gradient(kind, all, dy); });
    }
    first += y.columns;
  }
  return out;
}

// Calls body(element of y, element of out) at the beginning of what each direction ends with.
template <class Body>
void Pooling::for_halves(const Piece& piece, const Body& body) const {
  const auto& [packing, steps, C, out, first, best] = piece;
  const Index H = C / directions_;
  for (Index b = 0; b < packing.sequences(); ++b)
    for (Index d = 0; d < directions_ && packing.length(b) > 0; ++d) {
      const Index step = d == 0 ? packing.length(b) - 1 : 0;
      if (step < steps.begin || step >= steps.end) continue;
      body((packing.row(b, step) - packing.offset(steps.begin)) * C + d * H,
           packing.original(b) * out.columns + first + d * H);
    }
}

void Pooling::pool(PoolingKind kind, ThreadPool& threads, const Piece& piece, const float* y) const {
  const Packing& packing = piece.packing;
  const Index C = piece.columns, H = C / directions_;
  const Activation& out = piece.out;
  if (kind == PoolingKind::kLast)
    for_halves(piece, [&](Index from, Index to) { std::copy_n(y + from, H, out.value + to); });
  else if (kind == PoolingKind::kMean)
    for_tokens(packing, piece.steps, [&](Index b, Index row) {
      kernels::add_scaled(mean_weight(packing, b), y + row * C,
                          out.value + packing.original(b) * out.columns + piece.first, C);
    });
  else
    running_maxima(threads, packing, piece.steps, C, y, out, piece.first, piece.best);
}

void Pooling::pool_gradient(PoolingKind kind, const Piece& piece, float* dy) const {
  const Packing& packing = piece.packing;
  const Index C = piece.columns, H = C / directions_;
  const Activation& out = piece.out;
  if (kind == PoolingKind::kLast)
    return for_halves(piece, [&](Index from, Index to) { kernels::add_scaled(1.0f, out.gradient + to, dy + from, H); });
  if (kind == PoolingKind::kMean)
    return for_tokens(packing, piece.steps, [&](Index b, Index row) {
      kernels::add_scaled(mean_weight(packing, b), out.gradient + packing.original(b) * out.columns + piece.first,
                          dy + row * C, C);
    });
  const Index begin = packing.offset(piece.steps.begin), end = packing.offset(piece.steps.end);
  for (Index b = 0; b < packing.rows_at(0); ++b) {
    const std::int32_t* rows = piece.best + packing.original(b) * C;
    const float* dout = out.gradient + packing.original(b) * out.columns + piece.first;
    for (Index j = 0; j < C; ++j)
      if (rows[j] >= begin && rows[j] < end) dy[(rows[j] - begin) * C + j] += dout[j];
  }
}

PooledPieces::PooledPieces(const Pooling& pooling, Tape& tape, const Packing& packing, Index columns)
    : pooling_(pooling),
      pool_(tape.pool),
      packing_(packing),
      columns_(columns),
      out_(tape.allocate(packing.sequences(), std::ssize(pooling.kinds_) * columns)) {
  std::fill_n(out_.value, out_.size(), 0.0f);
  for (const PoolingKind kind : pooling.kinds_)
    best_.push_back(kind == PoolingKind::kMax ? allocate_integers(tape, out_.rows * columns) : nullptr);
}

void PooledPieces::add(StepRange steps, const float* y) {
  for (std::size_t k = 0; k < best_.size(); ++k)
    pooling_.pool(pooling_.kinds_[k], pool_,
                  {packing_, steps, columns_, out_, static_cast<Index>(k) * columns_, best_[k]}, y);
}

void PooledPieces::add_gradient(StepRange steps, float* dy) const {
  for (std::size_t k = best_.size(); k-- > 0;)
    pooling_.pool_gradient(pooling_.kinds_[k],
                           {packing_, steps, columns_, out_, static_cast<Index>(k) * columns_, best_[k]}, dy);
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
