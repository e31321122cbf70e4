// Scores and sums are taken query by query: beside the products around it, attention to a sentence is little work. In
// backward the queries of a sequence are one task, as they add to the gradients of the same rows.
#include "nn/attention.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/softmax.h"

namespace mnemo {
namespace {

constexpr Index kQueriesPerTask = 16;

}  // namespace

// The data of a call of `attend`.
struct Attention::Batch {
  SharedMemory memory;
  Activation asked;  // [Q, Hq] what is compared with keys: the queries, for additive U q
  std::vector<std::int32_t> sequences;
  Output out;

  Index length(Index i) const { return memory->length(sequences[i]); }
  const std::int32_t* rows(Index i) const { return memory->rows_of(sequences[i]); }
  float* shares(Index i) const { return out.shares + out.starts[i]; }
};

std::vector<std::string> attention_conflicts(const AttentionOptions& o) {
  std::vector<std::string> out;
  if (o.kind == AttentionKind::kDot && o.query != o.memory)
    out.push_back(
        fmt::format("attention dot: the decoder has {} units, the memory {}: expected as many; set "
                    "model.decoder_hidden to 0, or attention to general",
                    o.query, o.memory));
  if (o.heads < 1 || o.query % o.heads != 0 || o.memory % o.heads != 0)
    out.push_back(
        fmt::format("attention: {} heads do not divide a query of {} and a memory of {}", o.heads, o.query, o.memory));
  return out;
}

Attention::Attention(const std::string& name, const AttentionOptions& options) : options_(options) {
  if (const auto conflicts = attention_conflicts(options); !conflicts.empty()) fail("{}", conflicts.front());
  if (options.kind != AttentionKind::kDot) key_.emplace(name + ".key", options.memory, options.query, false);
  if (options.kind != AttentionKind::kAdditive) return;
  query_.emplace(name + ".query", options.query, options.query, false);
  score_.emplace(name + ".score", std::vector<Index>{options.query});
}

void Attention::initialise(Initialiser initialiser, std::uint64_t seed) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->initialise(initialiser, seed);
  const Index part = options_.query / options_.heads;
  if (score_) initialise_uniform(*score_, 1.0f / std::sqrt(static_cast<float>(part)), seed);
}

void Attention::visit(const ParameterVisitor& visitor) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->visit(visitor);
  if (score_) visitor(*score_);
}

void Attention::visit_matrices(const ParameterVisitor& visitor) {
  for (auto* linear : {&key_, &query_})
    if (*linear) visitor((*linear)->weight);
}

void Attention::weights_changed() {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->weights_changed();
}

void Attention::set_precision(kernels::Precision precision) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->set_precision(precision);
}

void Attention::set_training_precision(kernels::Precision precision) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->set_training_precision(precision);
}

void Attention::prepare(Tape& tape) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->prepare(tape);
}

void Attention::prepare(ThreadPool& pool) {
  for (auto* linear : {&key_, &query_})
    if (*linear) (*linear)->prepare(pool);
}

Attention::SharedMemory Attention::remember(Tape& tape, const Packing& packing, const Activation& values) const {
  auto out = std::make_shared<Memory>();
  out->values = values;
  out->keys = key_ ? std::as_const(*key_).forward(tape, values) : values;
  out->rows.reserve(packing.tokens());
  out->starts.push_back(0);
  for (Index s = 0; s < packing.sequences(); ++s) {
    for (Index t = 0; t < packing.length(s); ++t) out->rows.push_back(static_cast<std::int32_t>(packing.row(s, t)));
    out->starts.push_back(static_cast<std::int32_t>(out->rows.size()));
  }
  return out;
}

float Attention::scale() const {
  if (options_.heads == 1 || options_.kind == AttentionKind::kAdditive) return 1.0f;
  const Index part = options_.query / options_.heads;
  return 1.0f / std::sqrt(static_cast<float>(part));
}

void Attention::attend_one(const float* asked, const Memory& memory, Index s, float* context, float* shares) const {
  const Index n = memory.length(s), A = options_.heads, Q = options_.query, C = options_.memory;
  const std::int32_t* rows = memory.rows_of(s);
  std::fill_n(context, C, 0.0f);
  for (Index a = 0; a < A && n > 0; ++a, shares += n) {
    const float *part = asked + a * (Q / A), *keys = memory.keys.value + a * (Q / A);
    if (score_)
      kernels::dot_tanh_rows(n, Q / A, part, score_->value.data() + a * (Q / A), keys, Q, rows, shares);
    else
      kernels::dot_rows(n, Q / A, part, keys, Q, rows, shares);
    const float largest = kernels::largest_of_row(n, shares);
    kernels::scale(1.0f / kernels::exp_row(n, shares, largest, scale(), shares), shares, n);
    kernels::add_rows(n, C / A, shares, memory.values.value + a * (C / A), C, rows, context + a * (C / A));
  }
}

void Attention::attend_rows(Index rows, const float* queries, const Memory& memory, const std::int32_t* sequences,
                            const Index* starts, float* scratch, float* context, float* shares) const {
  if (query_) query_->apply(rows, queries, scratch);
  const float* asked = query_ ? scratch : queries;
  for (Index i = 0; i < rows; ++i)
    attend_one(asked + i * options_.query, memory, sequences[i], context + i * options_.memory, shares + starts[i]);
}

// With g the context's gradient: da_n = g . m_n, and through the softmax ds_n = a_n (da_n - sum_k a_k da_k).
void Attention::backward_query(const Batch& batch, Index i, float* dv, std::vector<float>& scratch) const {
  const Memory& memory = *batch.memory;
  const Index n = batch.length(i), A = options_.heads, Q = options_.query, C = options_.memory;
  const std::int32_t* rows = batch.rows(i);
  scratch.resize(n);
  for (Index a = 0; a < A && n > 0; ++a) {
    const float *shares = batch.shares(i) + a * n, *g = batch.out.context.gradient + i * C + a * (C / A);
    kernels::dot_rows(n, C / A, g, memory.values.value + a * (C / A), C, rows, scratch.data());
    float mean = 0;
    for (Index j = 0; j < n; ++j) mean += shares[j] * scratch[j];
    for (Index j = 0; j < n; ++j) scratch[j] = scale() * shares[j] * (scratch[j] - mean);
    kernels::add_to_rows(n, C / A, shares, g, memory.values.gradient + a * (C / A), C, rows);
    const Index at = i * Q + a * (Q / A);
    const float* keys = memory.keys.value + a * (Q / A);
    float* dkeys = memory.keys.gradient + a * (Q / A);
    if (score_) {
      kernels::dot_tanh_rows_backward(n, Q / A, batch.asked.value + at, score_->value.data() + a * (Q / A), keys, Q,
                                      rows, scratch.data(), batch.asked.gradient + at, dv + a * (Q / A), dkeys);
    } else {
      kernels::add_rows(n, Q / A, scratch.data(), keys, Q, rows, batch.asked.gradient + at);
      kernels::add_to_rows(n, Q / A, scratch.data(), batch.asked.value + at, dkeys, Q, rows);
    }
  }
}

void Attention::backward(Tape& tape, const Batch& batch) const {
  const Index S = batch.memory->sequences(), Q = options_.query;
  std::vector<std::vector<Index>> queries_of(S);
  for (Index i = 0; i < std::ssize(batch.sequences); ++i) queries_of[batch.sequences[i]].push_back(i);
  // Each sequence has its own sum for v; they are added in order.
  std::vector<float> dv(score_ ? S * Q : 0, 0.0f);
  tape.pool.parallel_for(S, [&](std::int64_t s) {
    std::vector<float> scratch;
    for (const Index i : queries_of[s]) backward_query(batch, i, score_ ? dv.data() + s * Q : nullptr, scratch);
  });
  for (Index s = 0; score_ && s < S; ++s)
    kernels::add_scaled(1.0f, dv.data() + s * Q, Tape::trained(*score_).gradient.data(), Q);
}

Attention::Output Attention::attend(Tape& tape, const SharedMemory& memory, const Activation& queries,
                                    std::span<const std::int32_t> sequences) const {
  auto batch = std::make_shared<Batch>();
  batch->memory = memory;
  batch->asked = query_ ? std::as_const(*query_).forward(tape, queries) : queries;
  batch->sequences.assign(sequences.begin(), sequences.end());
  Index total = 0, longest = 0;
  for (const std::int32_t s : sequences) {
    batch->out.starts.push_back(total);
    total += options_.heads * memory->length(s);
    longest = std::max(longest, options_.heads * memory->length(s));
  }
  // Only backward needs the shares, which of two long sequences take more memory than all else.
  const bool kept = tape.training();
  if (kept) batch->out.shares = tape.arena.allocate(total);
  batch->out.context = tape.allocate(queries.rows, options_.memory);
  const Index Q = queries.rows;
  tape.pool.parallel_for((Q + kQueriesPerTask - 1) / kQueriesPerTask, [&](std::int64_t task) {
    std::vector<float> scratch(kept ? 0 : longest);
    for (Index i = task * kQueriesPerTask; i < std::min(Q, (task + 1) * kQueriesPerTask); ++i)
      attend_one(batch->asked.value + i * options_.query, *memory, batch->sequences[i],
                 batch->out.context.value + i * options_.memory, kept ? batch->shares(i) : scratch.data());
  });
  tape.record([this, &tape, batch] { backward(tape, *batch); });
  return batch->out;
}

}  // namespace mnemo
