// A block of self-attention and feed-forward over the outputs of a recurrent layer.
//
// Merity 2019 ("Single Headed Attention RNN: Stop Thinking With Your Head") and its code. Of the outputs h_t [C] of one
// sequence, with N, N' and N'' layer norms with weight and bias, s the logistic function and o the product of elements:
//   m_t = N(h_t)
//   q_t = s(g_q) o N'(W_q m_t + b_q)     k_t = s(g_k) o m_t     v_t = s(a) o tanh(b) o m_t
//   u_t = m_t + sum_j softmax_j(q_t . k_j / sqrt C) v_j,  over the steps j that t sees
//   y_t = u_t + W_2 gelu(W_1 N''(u_t) + b_1) + b_2,       where there is a feed-forward part
// A causal block sees the step itself and as many before it as its memory holds, in earlier pieces of the text too;
// else each step sees its whole sequence. Keys and values are gates times the same m_j, so a step leaves one vector in
// memory, and the gates move to the query and to the sum.
//
// It differs from the code in that one norm of h_t serves what is asked, remembered and added to (the code has two, and
// another of u_t for what the feed-forward part is added to); in that a and b are learned themselves, not by way of a
// dense layer of a third vector, which adds nothing to what v can be; and in that the feed-forward part has the width
// that is asked for and two matrices, not one and sums of its outputs. That m_t is added to and not h_t matters:
// outputs of a recurrent layer are small beside what a norm gives, and the layers above learn more slowly from them.
//
// Letters: N tokens, B sequences (in the packing's sorted order), C columns, M memory, F width of the feed-forward
// part.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/initialise.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

struct SelfAttentionOptions {
  Index layer = 0;         ///< the recurrent layer that the block follows, from 1; 0: no block
  Index memory = 0;        ///< M: steps before a step that it sees; 0: all of its sequence, later ones too
  Index feed_forward = 0;  ///< F; 0: no feed-forward part
  float dropout = 0.0f;    ///< of what either part adds

  bool causal() const { return memory > 0; }
};

/// Largest error of y against double precision, for values of about 1, weights of about 1 / sqrt(C) and up to 64
/// columns.
inline constexpr double kSelfAttentionError = 2e-5;

/// The number of its weights; a double, as the options of a damaged file may be anything.
double self_attention_parameters(const SelfAttentionOptions& options, Index columns);

/// The m of the last M steps of each sequence, the oldest first. Nothing has a gradient.
struct AttentionMemory {
  Activation rows;  ///< [B M, C]; null: nothing was seen yet
  Activation seen;  ///< [B, 1] how many of a sequence's M rows are of steps: the first ones
};

class SelfAttention {
 public:
  SelfAttention(const std::string& name, Index columns, const SelfAttentionOptions& options);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  /// The matrices of products, which lower precision rounds.
  void visit_matrices(const ParameterVisitor& visitor);
  void weights_changed();
  void set_precision(kernels::Precision precision);
  void set_training_precision(kernels::Precision precision);
  void prepare(Tape& tape);
  void prepare(ThreadPool& pool);

  struct Output {
    Activation y;           // [N, C]
    AttentionMemory after;  // of a causal block
  };
  /// h [N, C]. `before` is what preceded the sequences. `stream` is where the streams of its masks start; with
  /// `variational` there is one mask for all steps of a sequence. `packing` and `before` must outlive the tape's
  /// backward. Call after `prepare`; in inference several threads may call it at once.
  Output forward(Tape& tape, const Packing& packing, const Activation& h, const AttentionMemory& before,
                 std::uint32_t stream, bool variational) const;

  const SelfAttentionOptions& options() const { return options_; }
  Index columns() const { return value_open_.size(); }

 private:
  friend class SelfAttentionSteps;
  struct Batch;
  struct Tile;

  // The gates as vectors that rows are multiplied with.
  void fold();

  // What a step has in memory: [rows, C] of h [rows, C].
  void remember_rows(Index rows, const float* h, float* m) const { norm_.apply(rows, h, m); }
  // s(g_k) o q, of m [rows, C].
  void query_rows(Index rows, const float* m, float* q) const;
  // u = m + gate o z, of which all are [rows, C].
  void add_gated_rows(Index rows, const float* m, const float* z, float* u) const;
  // y = u + the feed-forward part; `room` is [rows, C + F].
  void feed_rows(Index rows, const float* u, float* room, float* y) const;
  Index feed_room() const { return columns() + options_.feed_forward; }
  // The softmax of some queries' scores over `terms` rows, of which query i sees those from first[i] to last[i] - 1,
  // all of the queries' shares being `shares` [queries, terms]; the others get zero.
  void share(Index queries, Index terms, const float* const* q, const float* const* rows, const Index* first,
             const Index* last, float* shares) const;

  Activation attend(Tape& tape, const Packing& packing, const Activation& q, const Activation& m,
                    const AttentionMemory& before) const;
  void attend_tile(const Batch& batch, Index b, Index from, Index to) const;
  void backward_sequence(const Batch& batch, Index b) const;
  AttentionMemory keep(Tape& tape, const Packing& packing, const Activation& m, const AttentionMemory& before) const;
  Activation add_gated(Tape& tape, const Activation& m, const Activation& z) const;
  Activation feed(Tape& tape, const Activation& u, std::uint32_t stream, const Packing* shared) const;

  SelfAttentionOptions options_;
  LayerNorm norm_;
  Linear query_;                        // [C, C]
  LayerNorm query_norm_;                // with the gates g_q and g_k
  Parameter value_open_, value_shape_;  // a and b [C]
  std::optional<LayerNorm> feed_norm_;
  std::optional<Linear> up_, down_;  // [F, C], [C, F]
  AlignedVector value_gate_;         // [C] s(a) o tanh(b)
  bool folded_ = false;              // the gates are as the weights are
};

/// The steps of B sequences through a causal block, one at a time, with the bits of `SelfAttention::forward`. After the
/// first step nothing is allocated. The block must be prepared for inference, and outlive this.
class SelfAttentionSteps {
 public:
  SelfAttentionSteps(const SelfAttention& block, Index sequences);

  /// h [B, C] -> y [B, C], which stays valid until the next step.
  const float* step(const float* h);
  /// Forgets all steps.
  void reset();
  /// From now on sequence b is a copy of what sequence from[b] was.
  void select(std::span<const Index> from);
  /// Copies the memory [B, M, C] and how much of it is in use [B] out, and in again.
  void save(std::vector<float>& rows, std::vector<float>& seen) const;
  void load(const std::vector<float>& rows, const std::vector<float>& seen);

 private:
  void make_room(Index sequences);
  // Rows that a sequence has room for: the steps in memory and the present one.
  Index capacity() const { return block_.options().memory + 1; }
  float* row(Index b, Index step) { return rows_.data() + (b * capacity() + step % capacity()) * block_.columns(); }
  const float* row(Index b, Index step) const { return const_cast<SelfAttentionSteps*>(this)->row(b, step); }
  Index seen(Index b) const { return std::min(steps_[b], block_.options().memory); }

  const SelfAttention& block_;
  AlignedVector rows_, spare_;  // [B, M + 1, C], step t of a sequence at row t modulo M + 1
  std::vector<Index> steps_;    // [B] taken by each sequence
  std::vector<const float*> seen_rows_;
  AlignedVector shares_, present_, query_, sum_, room_, y_;  // [M + 1], three of [B, C], [B, C + F], [B, C]
};

}  // namespace mnemo
