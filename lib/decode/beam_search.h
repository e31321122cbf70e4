// Beam search for the most probable sequences, and the search of a single one, greedy or sampled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decode/constraint.h"
#include "decode/repeat_guard.h"
#include "decode/sampler.h"
#include "decode/search.h"

namespace mnemo {

struct BeamOptions {
  std::int64_t beam = 4;
  std::int64_t length = 100;               ///< most units of a sequence
  std::vector<std::uint8_t> blocked;       ///< [V] 1: a unit that is never chosen; empty: none
  std::int32_t end = -1;                   ///< the unit that ends a sequence, and is not part of it; -1: none does
  std::int64_t no_repeat = 0;              ///< as SamplingOptions::no_repeat
  const Constraint* constraint = nullptr;  ///< each sequence follows a copy of it, and ends with it
  std::int64_t least = 0;                  ///< units before which the end unit is not chosen
  /// Sequences of n units, the end included, compete by log p / ((5 + n) / 6)^a (Wu et al. 2016, equation 14) for this
  /// a; if it is not set, by log p per unit without the end.
  std::optional<double> length_penalty = std::nullopt;
  /// Added to the score of a sequence that ends as a continuation of open hypothesis b; empty: nothing.
  std::function<double(Index b)> bonus = {};
};

/// One search. Sequences compete by their log p or, where an end unit may come at any place, by their log p over their
/// length, as they have different lengths.
class BeamSearch : public Search {
 public:
  /// For a vocabulary of `units`. The options must outlive the search.
  BeamSearch(Index units, std::span<const std::int32_t> prompt, const BeamOptions& options);

  Index open() const override { return done_ ? 0 : static_cast<Index>(beam_.size()); }
  void extend(const HypothesisScores& scores, std::span<const AttentionChain> attention = {}) override;
  std::span<const std::int32_t> settled() override;
  /// At most `beam` sequences, the best first; those cut off at the length come after those that ended.
  std::vector<GeneratedText> take() override;

 private:
  struct Hypothesis {
    GeneratedText text;
    std::unique_ptr<Constraint> constraint;
    RepeatGuard guard;
    Index from = 0;  // the hypothesis of the step before that it continues
  };
  // A hypothesis of the beam with one more unit.
  struct Candidate {
    double log_probability;
    Index from;
    std::int32_t unit;
  };

  double rank(const GeneratedText& text, bool ended) const;
  void keep_best(std::vector<GeneratedText>& texts) const;
  const float* allowed_scores(const Hypothesis& one, std::span<const float> scores);
  void block(const Hypothesis& one, std::span<const float> scores);
  void add_candidates(Index b, std::span<const float> scores);
  void add_wanted(Index b, const float* scores, const float* allowed, double shift);
  std::vector<Candidate> by_progress(const std::vector<Candidate>& sorted) const;
  void take_best_candidates();
  bool take(const Candidate& candidate);
  void end(GeneratedText text, Index from);
  bool can_improve() const;

  Index vocabulary_;
  const BeamOptions& options_;
  bool done_ = false;
  std::int64_t steps_ = 0;
  std::size_t settled_ = 0;  // units in which all texts are known to agree
  std::vector<Hypothesis> beam_, next_;
  std::vector<GeneratedText> ended_;
  std::vector<Candidate> candidates_;
  std::span<const AttentionChain> attention_;  // of the step that is being taken
  std::vector<std::int32_t> always_blocked_;   // the units of options_.blocked
  std::vector<std::uint8_t> blocked_;          // [V] what a constraint blocks too
  std::vector<std::int32_t> best_;             // units of one hypothesis, the best first
  std::vector<float> allowed_;                 // [V]
  RepeatGuard::Units repeating_;
};

/// A single sequence: the most probable unit at each step or, by the options, a sampled one.
class SingleSearch : public Search {
 public:
  struct Options {
    SamplingOptions sampling = {.temperature = 0};
    std::uint64_t seed = 1, stream = 0;
    std::int64_t length = 100, least = 0;    ///< as for beams
    std::vector<std::uint8_t> blocked = {};  ///< [V] 1: a unit that is never chosen; empty: none
    std::int32_t end = -1;
    const Constraint* constraint = nullptr;  ///< the sequence follows a copy of it, and ends with it
  };

  /// For a vocabulary of `units`. The options must outlive the search.
  SingleSearch(Index units, std::span<const std::int32_t> prompt, const Options& options);

  Index open() const override { return done_ ? 0 : 1; }
  void extend(const HypothesisScores& scores, std::span<const AttentionChain> attention = {}) override;
  std::span<const std::int32_t> settled() override { return text_.units; }
  std::vector<GeneratedText> take() override { return {std::move(text_)}; }

 private:
  Index vocabulary_;
  const Options& options_;
  Sampler sampler_;
  std::unique_ptr<Constraint> constraint_;
  std::vector<std::uint8_t> blocked_;
  GeneratedText text_;
  bool done_ = false;
};

/// The interface of a model to a search of its own: a fixed number of sequences side by side, each with scores for its
/// next unit.
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

/// Runs one beam search over a scorer with `options.beam` sequences, all in the same state, after `prompt`. Throws
/// Error if a constraint leaves no unit.
std::vector<GeneratedText> run_beam_search(StepScorer& scorer, std::span<const std::int32_t> prompt,
                                           const BeamOptions& options);

}  // namespace mnemo
