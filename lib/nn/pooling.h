// Pooling: from a row for each token to a row for each sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

enum class PoolingKind { kLast, kMean, kMax, kAttention };

/// Steps [begin, end) of a packing.
struct StepRange {
  Index begin, end;
};

class Pooling;

/// What is pooled of sequences whose rows come in pieces, consecutive steps from the first to the last: the bits that
/// Pooling gives of all rows at once.
class PooledPieces {
 public:
  /// `pooling` takes pieces. It, the packing and the tape's arena must outlive this. C columns.
  PooledPieces(const Pooling& pooling, Tape& tape, const Packing& packing, Index columns);

  /// The rows y [rows of the steps, C] of a piece.
  void add(StepRange steps, const float* y);
  /// Adds the gradient of the output to that of a piece's rows.
  void add_gradient(StepRange steps, float* dy) const;
  const Activation& output() const { return out_; }

 private:
  const Pooling& pooling_;
  ThreadPool& pool_;
  const Packing& packing_;
  Index columns_;
  Activation out_;
  std::vector<std::int32_t*> best_;  // [kinds] of max: the row of each maximum [B, C]
};

/// y [N, C] -> [B, kinds * C], what each kind gives side by side; rows in the sequences' original order. A sequence of
/// length 0 gives zeros.
///   last       the forward half of the columns at the last step, the backward half (`directions` = 2) at the first
///   mean, max  over the steps; max passes its gradient to the first step that has it
///   attention  sum_t a_t y_t with a = softmax_t(w . tanh(y_t)), w [C] (Zhou et al. 2016, "Attention-Based
///              Bidirectional LSTM for Relation Classification")
class Pooling {
 public:
  Pooling(const std::string& name, std::vector<PoolingKind> kinds, Index columns, Index directions);

  void initialise(std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  Activation forward(Tape& tape, const Packing& packing, const Activation& y) const;

  /// Whether rows may come in pieces. Attention needs all of them at once.
  bool takes_pieces() const { return !weight_; }

 private:
  friend class PooledPieces;

  // The rows of some steps, and where a kind's columns are in the output.
  struct Piece {
    const Packing& packing;
    StepRange steps;
    Index columns;  // C
    Activation out;
    Index first;         // of the kind's columns
    std::int32_t* best;  // of max
  };
  void pool(PoolingKind kind, ThreadPool& threads, const Piece& piece, const float* y) const;
  void pool_gradient(PoolingKind kind, const Piece& piece, float* dy) const;
  template <class Body>
  void for_halves(const Piece& piece, const Body& body) const;
  // Fills the columns of a kind, from `first` on.
  void attention(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const;

  std::vector<PoolingKind> kinds_;
  Index directions_;
  std::unique_ptr<Parameter> weight_;  // [C], attention only
};

}  // namespace mnemo
