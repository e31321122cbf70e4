// A recurrent stack one step at a time: for answers while a text is still being written, and for generation.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "nn/recurrent.h"

namespace mnemo {

/// A session's state: h [L, B, P] and, for cells with a cell state, c [L, B, H], row after row; with self-attention its
/// memory [B, M, C] and how many of each sequence's rows are in use [B].
struct SessionState {
  std::vector<float> h, c, memory = {}, seen = {};
};

/// Steps of B sequences at once through a layer stack of one direction. Every step gives the bits that
/// `Recurrent::forward` gives for the same inputs in inference. After the first step nothing is allocated. The layers
/// must be prepared for inference and outlive the session; any number of sessions may step through them, each on a
/// thread of its own. A step throws Error if the layers' weights were changed, or packed for training, and not prepared
/// since.
class RecurrentSession {
 public:
  /// Begins with the learned initial state, or zero. Throws Error for layers with two directions, or with
  /// self-attention to later steps.
  explicit RecurrentSession(const Recurrent& layers, Index sequences = 1);

  /// Takes x [B, I] and gives y [B, P], which stays valid until the next step.
  const float* step(const float* x);

  /// Returns to the state after construction.
  void reset();

  /// Copies the state out, and in again; throws Error for a state of another shape.
  SessionState state() const;
  void set_state(const SessionState& state);

  /// From now on sequence b is a copy of what sequence from[b] was; their number becomes that of `from`.
  void select(std::span<const Index> from);

  Index sequences() const { return sequences_; }

 private:
  // Room for `sequences` in the working memory and in one of the two states of every layer.
  void make_room(Index sequences, int which);

  // The state of one layer; the previous state and the one being computed swap places at every step.
  struct Layer {
    AlignedVector h[2], c[2];  // [B, P], [B, H]
    AlignedVector y;           // [2, B, P] the layer's output, where it is not h, and a highway's gate
  };

  const float* step_layer(Index l, const float* x, Index inputs);
  const float* connect_layer(Index l, const float* x, const float* h);

  const Recurrent& layers_;
  Index sequences_;
  std::vector<Layer> state_;
  int now_ = 0;       // which of the two is the current state
  bool zero_ = true;  // the current state is all zero
  AlignedVector gates_, kept_, raw_, zeros_, mogrified_;
  AlignedVector sum_;  // [B, P] of the layers' outputs
  std::optional<SelfAttentionSteps> attention_;
};

}  // namespace mnemo
