// A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) over a network's scores for the tags of
// each token.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "nn/chain.h"
#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

class Crf {
 public:
  /// Tensors `name`.transitions [K, K] (from, to), `name`.start_transitions and `name`.end_transitions [K], as in
  /// pytorch-crf.
  Crf(const std::string& name, AllowedTransitions allowed);

  /// All zero: only the scores distinguish the allowed sequences.
  void initialise();
  void visit(const ParameterVisitor& visitor);

  /// -log P(gold), mean over the sentences that have tokens and no gold tag of -1, which stands for one that is not
  /// among the K; the gradient is added to that of `scores` [N, K] and to the weights'. `gold` [N] is in the packing's
  /// order. Throws Error if a gold sequence is not allowed.
  double loss(Tape& tape, const Packing& packing, const Activation& scores, std::span<const std::int32_t> gold) const;

  /// For decoding with the current weights.
  Chain chain() const;

  Parameter transitions, start, end;

 private:
  AllowedTransitions allowed_;
};

/// Fills a sentence's scores [length, K] from the rows of a packing's sorted sequence b.
void copy_scores(const Packing& packing, Index b, const Activation& scores, ChainScores& out);

}  // namespace mnemo
