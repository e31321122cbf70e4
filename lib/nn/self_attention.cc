// Products with weights take all steps of a batch at once. Queries are compared with keys in tiles of some queries of a
// sequence against all rows that one of them sees, so that rows are read once for a tile; every score and every sum is
// a chain of its own, whatever is beside it, so tiles and single steps give the same bits. Shares are not kept for
// backward but computed again: of long texts they would take more memory than all else.
#include "nn/self_attention.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/activations.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/softmax.h"
#include "nn/activation.h"
#include "nn/cell_trace.h"
#include "nn/dropout.h"
#include "nn/mask_streams.h"

namespace mnemo {
namespace {

constexpr Index kQueriesPerTile = 16;
// The spread of b: that of SHA-RNN, whose dense layer gives a standard deviation of 0.29.
constexpr float kValueSpread = 0.5f;

}  // namespace

double self_attention_parameters(const SelfAttentionOptions& o, Index columns) {
  if (o.layer == 0) return 0;
  const auto C = static_cast<double>(columns), F = static_cast<double>(o.feed_forward);
  return C * C + 9 * C + (F > 0 ? 2 * F * C + F + 3 * C : 0);
}

SelfAttention::SelfAttention(const std::string& name, Index columns, const SelfAttentionOptions& options)
    : options_(options),
      norm_(name + ".norm", columns),
      query_(name + ".query", columns, columns),
      query_norm_(name + ".query_norm", columns, {name + ".query_gate", name + ".key_gate"}),
      value_open_(name + ".value_open", {columns}),
      value_shape_(name + ".value_shape", {columns}) {
  value_gate_.resize(columns);
  if (options.feed_forward == 0) return;
  feed_norm_.emplace(name + ".feed_norm", columns);
  up_.emplace(name + ".up", columns, options.feed_forward);
  down_.emplace(name + ".down", options.feed_forward, columns);
}

void SelfAttention::initialise(Initialiser initialiser, std::uint64_t seed) {
  norm_.initialise();
  query_.initialise(initialiser, seed);
  query_norm_.initialise();
  std::fill_n(value_open_.value.data(), value_open_.size(), 0.0f);
  initialise_uniform(value_shape_, kValueSpread, seed);
  if (feed_norm_) feed_norm_->initialise();
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->initialise(initialiser, seed);
  weights_changed();
}

void SelfAttention::visit(const ParameterVisitor& visitor) {
  norm_.visit(visitor);
  query_.visit(visitor);
  query_norm_.visit(visitor);
  visitor(value_open_);
  visitor(value_shape_);
  if (feed_norm_) feed_norm_->visit(visitor);
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->visit(visitor);
}

void SelfAttention::visit_matrices(const ParameterVisitor& visitor) {
  visitor(query_.weight);
  for (auto* linear : {&up_, &down_})
    if (*linear) visitor((*linear)->weight);
}

void SelfAttention::weights_changed() {
  folded_ = false;
  query_.weights_changed();
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->weights_changed();
}

void SelfAttention::set_precision(kernels::Precision precision) {
  query_.set_precision(precision);
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->set_precision(precision);
}

void SelfAttention::set_training_precision(kernels::Precision precision) {
  query_.set_training_precision(precision);
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->set_training_precision(precision);
}

void SelfAttention::fold() {
  if (folded_) return;
  norm_.prepare();
  query_norm_.prepare();
  if (feed_norm_) feed_norm_->prepare();
  const Index C = columns();
  std::vector<float> shape(C);
  kernels::logistic_values(value_open_.value.data(), value_gate_.data(), C);
  kernels::tanh_values(value_shape_.value.data(), shape.data(), C);
  for (Index j = 0; j < C; ++j) value_gate_[j] *= shape[j];
  folded_ = true;
}

void SelfAttention::prepare(Tape& tape) {
  fold();
  query_.prepare(tape);
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->prepare(tape);
}

void SelfAttention::prepare(ThreadPool& pool) {
  fold();
  query_.prepare(pool);
  for (auto* linear : {&up_, &down_})
    if (*linear) (*linear)->prepare(pool);
}

void SelfAttention::query_rows(Index rows, const float* m, float* q) const {
  query_.apply(rows, m, q);
  query_norm_.apply(rows, q, q);
}

void SelfAttention::add_gated_rows(Index rows, const float* m, const float* z, float* u) const {
  const Index C = columns();
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < C; ++j) u[r * C + j] = m[r * C + j] + value_gate_[j] * z[r * C + j];
}

void SelfAttention::feed_rows(Index rows, const float* u, float* room, float* y) const {
  const Index C = columns(), F = options_.feed_forward;
  float* wide = room + rows * C;
  feed_norm_->apply(rows, u, room);
  up_->apply(rows, room, wide);
  kernels::gelu_values(wide, wide, rows * F);
  down_->apply(rows, wide, y);
  kernels::add_scaled(1.0f, u, y, rows * C);
}

void SelfAttention::share(Index queries, Index terms, const float* const* q, const float* const* rows,
                          const Index* first, const Index* last, float* shares) const {
  const float scale = 1.0f / std::sqrt(static_cast<float>(columns()));
  kernels::dot_tile(queries, terms, columns(), q, rows, shares, terms);
  for (Index i = 0; i < queries; ++i) {
    float *row = shares + i * terms, *from = row + first[i];
    const Index n = last[i] - first[i];
    const float largest = kernels::largest_of_row(n, from);
    kernels::scale(1.0f / kernels::exp_row(n, from, largest, scale, from), from, n);
    std::fill(row, from, 0.0f);
    std::fill(from + n, row + terms, 0.0f);
  }
}

// The data of a call of `attend`.
struct SelfAttention::Batch {
  const Packing* packing;
  Activation q, m, z;  // [N, C]
  Index memory;        // M; 0: no bound
  // What sequence b has: rows[starts[b]] to rows[starts[b + 1] - 1], the first before[b] of them from earlier pieces.
  std::vector<const float*> rows;
  std::vector<Index> starts{0}, before;
  std::vector<float>* trace = nullptr;  // [N, N] of one sequence without earlier pieces

  // Rows [first, last) of the sequence are what its step t sees.
  Index first(Index b, Index t) const { return memory > 0 ? std::max<Index>(0, before[b] + t - memory) : 0; }
  Index last(Index b, Index t) const { return memory > 0 ? before[b] + t + 1 : starts[b + 1] - starts[b]; }
};

// Steps [from, to) of sequence b, and the rows that one of them sees: those of the sequence from `skipped` on.
struct SelfAttention::Tile {
  Tile(const Batch& batch, Index its_b, Index its_from, Index to)
      : b(its_b), from(its_from), queries(to - its_from), skipped(batch.first(its_b, its_from)) {
    terms = batch.last(b, to - 1) - skipped;
    rows = batch.rows.data() + batch.starts[b] + skipped;
    for (Index t = from; t < to; ++t) {
      q.push_back(at(batch, batch.q.value, t));
      first.push_back(batch.first(b, t) - skipped);
      last.push_back(batch.last(b, t) - skipped);
    }
  }

  // The row of step t in a matrix [N, C].
  float* at(const Batch& batch, float* values, Index t) const {
    return values + batch.packing->row(b, t) * batch.q.columns;
  }
  std::vector<float*> all(const Batch& batch, float* values) const {
    std::vector<float*> out;
    for (Index i = 0; i < queries; ++i) out.push_back(at(batch, values, from + i));
    return out;
  }

  Index b, from, queries, skipped, terms = 0;
  const float* const* rows = nullptr;  // [terms]
  std::vector<const float*> q;         // [queries]
  std::vector<Index> first, last;      // [queries] of what each sees, within `rows`
};

void SelfAttention::attend_tile(const Batch& batch, Index b, Index from, Index to) const {
  const Tile tile(batch, b, from, to);
  std::vector<float> shares(tile.queries * tile.terms);
  share(tile.queries, tile.terms, tile.q.data(), tile.rows, tile.first.data(), tile.last.data(), shares.data());
  const auto z = tile.all(batch, batch.z.value);
  for (float* row : z) std::fill_n(row, columns(), 0.0f);
  kernels::add_tile(tile.queries, tile.terms, columns(), shares.data(), tile.terms, 1, tile.rows, z.data());
  for (Index i = 0; batch.trace && i < tile.queries; ++i)
    std::copy_n(shares.data() + i * tile.terms, tile.terms,
                batch.trace->data() + (from + i) * batch.packing->tokens() + tile.skipped);
}

// With g the gradient of z_t = sum_j a_j m_j: da_j = g . m_j, and through the softmax ds_j = a_j (da_j - sum_k a_k
// da_k) / sqrt C; dq_t = sum_j ds_j m_j; dm_j gets a_j g + ds_j q_t from each t. The tiles of a sequence add to the
// same dm, so they are one task.
void SelfAttention::backward_sequence(const Batch& batch, Index b) const {
  const Index T = batch.packing->length(b), C = columns();
  const float scale = 1.0f / std::sqrt(static_cast<float>(C));
  std::vector<float> shares, slopes;
  for (Index from = 0; from < T; from += kQueriesPerTile) {
    const Tile tile(batch, b, from, std::min(T, from + kQueriesPerTile));
    const Index n = tile.terms;
    shares.resize(tile.queries * n);
    slopes.resize(tile.queries * n);
    share(tile.queries, n, tile.q.data(), tile.rows, tile.first.data(), tile.last.data(), shares.data());
    const auto g = tile.all(batch, batch.z.gradient), dq = tile.all(batch, batch.q.gradient);
    kernels::dot_tile(tile.queries, n, C, g.data(), tile.rows, slopes.data(), n);
    for (Index i = 0; i < tile.queries; ++i) {
      const float* a = shares.data() + i * n;
      float *ds = slopes.data() + i * n, mean = 0.0f;
      for (Index j = 0; j < n; ++j) mean += a[j] * ds[j];
      for (Index j = 0; j < n; ++j) ds[j] = scale * a[j] * (ds[j] - mean);
    }
    kernels::add_tile(tile.queries, n, C, slopes.data(), n, 1, tile.rows, dq.data());
    // Rows of earlier pieces get no gradient.
    const Index skipped = std::max<Index>(0, batch.before[b] - tile.skipped);
    std::vector<float*> dm;
    for (Index j = skipped; j < n; ++j)
      dm.push_back(tile.at(batch, batch.m.gradient, tile.skipped + j - batch.before[b]));
    kernels::add_tile(n - skipped, tile.queries, C, shares.data() + skipped, 1, n, g.data(), dm.data());
    kernels::add_tile(n - skipped, tile.queries, C, slopes.data() + skipped, 1, n, tile.q.data(), dm.data());
  }
}

Activation SelfAttention::attend(Tape& tape, const Packing& packing, const Activation& q, const Activation& m,
                                 const AttentionMemory& before) const {
  const Index B = packing.sequences(), M = options_.memory, C = columns();
  const auto batch = std::make_shared<Batch>();
  batch->packing = &packing;
  batch->q = q;
  batch->m = m;
  batch->z = tape.allocate(q.rows, C);
  batch->memory = M;
  struct Task {
    Index b, from, to;
  };
  std::vector<Task> tasks;
  for (Index b = 0; b < B; ++b) {
    batch->before.push_back(before.rows.value ? static_cast<Index>(before.seen.value[b]) : 0);
    for (Index j = 0; j < batch->before.back(); ++j) batch->rows.push_back(before.rows.value + (b * M + j) * C);
    for (Index t = 0; t < packing.length(b); ++t) batch->rows.push_back(m.value + packing.row(b, t) * C);
    batch->starts.push_back(std::ssize(batch->rows));
    for (Index t = 0; t < packing.length(b); t += kQueriesPerTile)
      tasks.push_back({b, t, std::min(packing.length(b), t + kQueriesPerTile)});
  }
  if (tape.trace && tape.trace->wants_attention && B == 1 && batch->before[0] == 0) {
    batch->trace = &tape.trace->attention.emplace_back(packing.tokens() * packing.tokens(), 0.0f);
  }
  tape.pool.parallel_for(std::ssize(tasks),
                         [&](std::int64_t i) { attend_tile(*batch, tasks[i].b, tasks[i].from, tasks[i].to); });
  tape.record(
      [this, &tape, batch, B] { tape.pool.parallel_for(B, [&](std::int64_t b) { backward_sequence(*batch, b); }); });
  return batch->z;
}

AttentionMemory SelfAttention::keep(Tape& tape, const Packing& packing, const Activation& m,
                                    const AttentionMemory& before) const {
  const Index B = packing.sequences(), M = options_.memory, C = columns();
  AttentionMemory out{{tape.arena.allocate(B * M * C), nullptr, B * M, C}, {tape.arena.allocate(B), nullptr, B, 1}};
  std::fill_n(out.rows.value, out.rows.size(), 0.0f);
  for (Index b = 0; b < B; ++b) {
    const Index old = before.rows.value ? static_cast<Index>(before.seen.value[b]) : 0, T = packing.length(b);
    const Index kept = std::min(M, old + T), dropped = old + T - kept;
    for (Index j = 0; j < kept; ++j) {
      const Index from = dropped + j;
      std::copy_n(from < old ? before.rows.value + (b * M + from) * C : m.value + packing.row(b, from - old) * C, C,
                  out.rows.value + (b * M + j) * C);
    }
    out.seen.value[b] = static_cast<float>(kept);
  }
  return out;
}

Activation SelfAttention::add_gated(Tape& tape, const Activation& m, const Activation& z) const {
  const Index C = columns();
  const Activation u = tape.allocate(m.rows, C);
  kernels::for_row_groups(tape.pool, m.rows, [&](Index first, Index rows) {
    add_gated_rows(rows, m.value + first * C, z.value + first * C, u.value + first * C);
  });
  tape.record([this, &tape, m, z, u, C] {
    kernels::for_row_groups(tape.pool, m.rows, [&](Index first, Index rows) {
      kernels::add_scaled(1.0f, u.gradient + first * C, m.gradient + first * C, rows * C);
      for (Index r = first; r < first + rows; ++r)
        for (Index j = 0; j < C; ++j) z.gradient[r * C + j] += value_gate_[j] * u.gradient[r * C + j];
    });
    // value_gate = s(a) o tanh(b)
    std::vector<float> dgate(C, 0.0f), open(C), shape(C);
    for (Index r = 0; r < m.rows; ++r)
      for (Index j = 0; j < C; ++j) dgate[j] += u.gradient[r * C + j] * z.value[r * C + j];
    kernels::logistic_values(value_open_.value.data(), open.data(), C);
    kernels::tanh_values(value_shape_.value.data(), shape.data(), C);
    Parameter &a = Tape::trained(value_open_), &b = Tape::trained(value_shape_);
    for (Index j = 0; j < C; ++j) {
      a.gradient[j] += dgate[j] * value_gate_[j] * (1.0f - open[j]);
      b.gradient[j] += dgate[j] * open[j] * (1.0f - shape[j] * shape[j]);
    }
  });
  return u;
}

Activation SelfAttention::feed(Tape& tape, const Activation& u, std::uint32_t stream, const Packing* shared) const {
  const Index C = columns();
  if (!tape.training()) {
    const Activation y = tape.allocate(u.rows, C);
    kernels::for_row_groups(tape.pool, u.rows, [&](Index first, Index rows) {
      AlignedVector room;
      room.resize(rows * feed_room());
      feed_rows(rows, u.value + first * C, room.data(), y.value + first * C);
    });
    return y;
  }
  const Activation wide = up_->forward(tape, feed_norm_->forward(tape, u));
  Activation y = down_->forward(tape, gelu(tape, wide));
  y = dropout(tape, y, options_.dropout, stream + mask_streams::kFedForward, shared);
  const Activation out = tape.allocate(u.rows, C);
  std::copy_n(y.value, y.size(), out.value);
  kernels::add_scaled(1.0f, u.value, out.value, out.size());
  tape.record([out, u, y] {
    kernels::add_scaled(1.0f, out.gradient, u.gradient, out.size());
    kernels::add_scaled(1.0f, out.gradient, y.gradient, out.size());
  });
  return out;
}

SelfAttention::Output SelfAttention::forward(Tape& tape, const Packing& packing, const Activation& h,
                                             const AttentionMemory& before, std::uint32_t stream,
                                             bool variational) const {
  const Packing* shared = variational ? &packing : nullptr;
  const Activation m = norm_.forward(tape, h);
  const Activation q = query_norm_.forward(tape, query_.forward(tape, m));
  Activation z = attend(tape, packing, q, m, before);
  z = dropout(tape, z, options_.dropout, stream + mask_streams::kAttended, shared);
  Output out{add_gated(tape, m, z), {}};
  if (up_) out.y = feed(tape, out.y, stream, shared);
  if (options_.causal()) out.after = keep(tape, packing, m, before);
  return out;
}

SelfAttentionSteps::SelfAttentionSteps(const SelfAttention& block, Index sequences) : block_(block) {
  if (!block.options().causal()) fail("single steps need a block of attention that does not see later ones");
  seen_rows_.resize(capacity());
  shares_.resize(capacity());
  make_room(sequences);
  reset();
}

void SelfAttentionSteps::make_room(Index sequences) {
  const Index size = sequences * block_.columns();
  steps_.resize(sequences);
  for (AlignedVector* one : {&present_, &query_, &sum_, &y_}) one->resize(size);
  for (AlignedVector* one : {&rows_, &spare_}) one->resize(size * capacity());
  room_.resize(sequences * block_.feed_room());
}

void SelfAttentionSteps::reset() { std::fill(steps_.begin(), steps_.end(), 0); }

void SelfAttentionSteps::select(std::span<const Index> from) {
  const Index size = capacity() * block_.columns();
  spare_.resize(std::ssize(from) * size);
  std::vector<Index> steps;
  for (Index b = 0; b < std::ssize(from); ++b) {
    steps.push_back(steps_[from[b]]);
    std::copy_n(rows_.data() + from[b] * size, std::min(steps.back(), capacity()) * block_.columns(),
                spare_.data() + b * size);
  }
  std::swap(rows_, spare_);
  make_room(std::ssize(from));
  steps_ = std::move(steps);
}

void SelfAttentionSteps::save(std::vector<float>& rows, std::vector<float>& seen) const {
  const Index C = block_.columns(), M = block_.options().memory, B = std::ssize(steps_);
  rows.assign(B * M * C, 0.0f);
  seen.clear();
  for (Index b = 0; b < B; ++b) {
    seen.push_back(static_cast<float>(this->seen(b)));
    for (Index j = 0; j < this->seen(b); ++j)
      std::copy_n(row(b, steps_[b] - this->seen(b) + j), C, rows.data() + (b * M + j) * C);
  }
}

void SelfAttentionSteps::load(const std::vector<float>& rows, const std::vector<float>& seen) {
  const Index C = block_.columns(), M = block_.options().memory, B = std::ssize(steps_);
  if (std::ssize(rows) != B * M * C || std::ssize(seen) != B)
    fail("a session's memory has {} values of {} sequences, expected {} of {}", rows.size(), seen.size(), B * M * C, B);
  const auto possible = [M](float n) { return n >= 0 && n <= static_cast<float>(M); };
  if (!std::ranges::all_of(seen, possible))
    fail("a session's memory has seen a number of steps that is not 0 to {}", M);
  for (Index b = 0; b < B; ++b) {
    steps_[b] = static_cast<Index>(seen[b]);
    for (Index j = 0; j < steps_[b]; ++j) std::copy_n(rows.data() + (b * M + j) * C, C, row(b, j));
  }
}

const float* SelfAttentionSteps::step(const float* h) {
  const Index C = block_.columns(), B = std::ssize(steps_);
  for (Index b = 0; b < B; ++b) {
    block_.remember_rows(1, h + b * C, row(b, steps_[b]));
    std::copy_n(row(b, steps_[b]), C, present_.data() + b * C);
  }
  block_.query_rows(B, present_.data(), query_.data());
  std::fill_n(sum_.data(), B * C, 0.0f);
  for (Index b = 0; b < B; ++b) {
    const Index n = seen(b) + 1, first = 0;
    for (Index j = 0; j < n; ++j) seen_rows_[j] = row(b, steps_[b] - n + 1 + j);
    const float* query = query_.data() + b * C;
    float* sum = sum_.data() + b * C;
    block_.share(1, n, &query, seen_rows_.data(), &first, &n, shares_.data());
    kernels::add_tile(1, n, C, shares_.data(), n, 1, seen_rows_.data(), &sum);
    ++steps_[b];
  }
  if (!block_.up_) {
    block_.add_gated_rows(B, present_.data(), sum_.data(), y_.data());
    return y_.data();
  }
  // The query is no longer needed.
  block_.add_gated_rows(B, present_.data(), sum_.data(), query_.data());
  block_.feed_rows(B, query_.data(), room_.data(), y_.data());
  return y_.data();
}

}  // namespace mnemo
