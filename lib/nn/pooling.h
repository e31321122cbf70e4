// Pooling: from a row for each token to a row for each sequence.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

enum class PoolingKind { kLast, kMean, kMax, kAttention };

/// y [N, C] -> [B, kinds * C], what each kind gives side by side; rows in the sequences' original order. A sequence of
/// length 0 gives zeros.
///   last       the forward half of the columns at the last step, the backward half (`directions` = 2) at the first
///   mean, max  over the steps; max passes its gradient to the first step that has it
///   attention  sum_t a_t y_t with a = softmax_t(w . tanh(y_t)), w [C] (Zhou et al. 2016, "Attention-Based
///   Bidirectional
///              LSTM for Relation Classification")
class Pooling {
 public:
  Pooling(const std::string& name, std::vector<PoolingKind> kinds, Index columns, Index directions);

  void initialise(std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  Activation forward(Tape& tape, const Packing& packing, const Activation& y) const;

 private:
  // Each fills the columns of a kind, from `first` on.
  void last(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const;
  void mean(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const;
  void max(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const;
  void attention(Tape& tape, const Packing& packing, const Activation& y, const Activation& out, Index first) const;

  std::vector<PoolingKind> kinds_;
  Index directions_;
  std::unique_ptr<Parameter> weight_;  // [C], attention only
};

}  // namespace mnemo
