// A translator one step at a time, for decoding: hypotheses side by side, each the beginning of a translation of one of
// several sources.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "models/translator.h"
#include "nn/session.h"

namespace mnemo {

/// Steps of hypotheses through a decoder, with the bits of `Translator::forward` in inference, whatever is translated
/// beside them. Works on the calling thread. The translator must be prepared and outlive it.
class TranslationSteps {
 public:
  /// Encodes the sources, in `arena`, which must not be reset while this is used. There is one hypothesis for each
  /// source, in their order, before its first unit.
  TranslationSteps(const Translator& model, Tape& tape, std::span<const std::span<const std::int32_t>> sources);

  Index hypotheses() const { return static_cast<Index>(sequence_.size()); }

  /// Reads the next unit of each hypothesis, the end unit at first.
  void step(std::span<const std::int32_t> units);

  /// After a step: the scores [V] of what may follow hypothesis b; their softmax is its probability. Computed together
  /// for all hypotheses at the first call.
  std::span<const float> scores(Index b);
  /// After a step: what hypothesis b gave to each unit of its source, the mean over heads.
  std::vector<float> shares(Index b) const;
  /// Units of the source of hypothesis b.
  Index source_length(Index b) const { return memory_->length(sequence_[b]); }

  /// Hypothesis b becomes a copy of what from[b] was; their number becomes that of `from`.
  void select(std::span<const Index> from);

 private:
  const Translator& model_;
  Attention::SharedMemory memory_;
  std::vector<std::int32_t> sequence_;  // of each hypothesis, in the sorted order of the sources
  RecurrentSession first_;
  std::optional<RecurrentSession> further_;
  std::vector<Index> starts_;                      // of each hypothesis's shares
  AlignedVector input_, asked_, context_, upper_;  // of one step
  AlignedVector v_, other_v_;                      // [hypotheses, E] the last attentional vectors
  AlignedVector shares_, scores_;
  bool has_scores_ = false;
};

}  // namespace mnemo
