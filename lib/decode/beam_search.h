// Beam search for the most probable sequences. It is independent of the model: anything that scores the possible next
// units can be searched.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/index.h"
#include "decode/constraint.h"
#include "decode/repeat_guard.h"

namespace mnemo {

/// A sequence of units and the model's log p of it, given the prompt.
struct GeneratedText {
  std::vector<std::int32_t> units;
  double log_probability = 0;
};

/// A search's interface to the model: a fixed number of sequences side by side, each with scores for its next unit.
class StepScorer {
 public:
  virtual ~StepScorer() = default;

  /// V, the size of the vocabulary.
  virtual Index units() const = 0;
  /// Scores [V] of sequence b: their softmax is the probability of the next unit.
  virtual std::span<const float> scores(Index b) const = 0;
  /// Sequence b becomes a copy of the previous sequence from[b], continued with units[b].
  virtual void advance(std::span<const Index> from, std::span<const std::int32_t> units) = 0;
};

struct BeamOptions {
  std::int64_t beam = 4;
  std::int64_t length = 100;               ///< most units of a sequence
  std::vector<std::uint8_t> blocked;       ///< [V] 1: a unit that is never chosen; empty: none
  std::int32_t end = -1;                   ///< the unit that ends a sequence, and is not part of it; -1: none does
  std::int64_t no_repeat = 0;              ///< as SamplingOptions::no_repeat
  const Constraint* constraint = nullptr;  ///< each sequence follows a copy of it, and ends with it
};

/// One search. Sequences compete by their log p or, where an end unit may come at any place, by their log p per unit,
/// as they have different lengths.
class BeamSearch {
 public:
  /// `scorer` has `options.beam` sequences, all in the same state, after `prompt`. Both, and the options, must outlive
  /// the search.
  BeamSearch(StepScorer& scorer, std::span<const std::int32_t> prompt, const BeamOptions& options);

  /// At most `beam` sequences, the best first; those cut off at the length come after those that ended. Throws Error if
  /// a constraint leaves no unit.
  std::vector<GeneratedText> run();

 private:
  struct Hypothesis {
    GeneratedText text;
    std::unique_ptr<Constraint> constraint;
    RepeatGuard guard;
  };
  // A hypothesis of the beam with one more unit.
  struct Candidate {
    double log_probability;
    Index from;
    std::int32_t unit;
  };

  double rank(const GeneratedText& text) const;
  void keep_best(std::vector<GeneratedText>& texts) const;
  void find_allowed(const Hypothesis& one);
  void add_candidates(Index b);
  void take_best_candidates();
  bool take(const Candidate& candidate);
  bool can_improve() const;

  StepScorer& scorer_;
  const BeamOptions& options_;
  std::vector<Hypothesis> beam_, next_;
  std::vector<GeneratedText> ended_;
  std::vector<Candidate> candidates_;
  std::vector<Index> from_;            // of each hypothesis of `next_`, its place in the previous beam
  std::vector<std::int32_t> units_;    // and its last unit
  std::vector<std::uint8_t> blocked_;  // [V]
  std::vector<std::int32_t> allowed_;  // units that may come next
  std::vector<float> exponentials_;    // [V]
};

/// The units that may not come next, by the caller's list and by a constraint: [units], 1 where blocked.
void blocked_now(const std::vector<std::uint8_t>& always, const Constraint& constraint, Index units,
                 std::vector<std::uint8_t>& out);

/// The message if a constraint leaves no unit.
inline constexpr const char* kNothingLeft = "no unit of the vocabulary fits the form here";

}  // namespace mnemo
