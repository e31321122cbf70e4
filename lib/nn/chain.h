// Sequences of tags with weights for tags and transitions: sums over all of them, the best ones, and the probability of
// a part. Exact, in logarithms, in double precision (Lafferty, McCallum & Pereira 2001; Rabiner 1989).
//
// K tags, T tokens. A sequence y has the score
//   begin[y_0] + sum_t scores[t, y_t] + sum_t next[y_t, y_t+1] + end[y_T-1]
// and the probability exp(score) / sum over all sequences.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"
#include "kernels/chain.h"

namespace mnemo {

/// What a tagging scheme allows: 1 or 0 for each tag and transition.
struct AllowedTransitions {
  explicit AllowedTransitions(Index its_tags)
      : tags(its_tags), begin(its_tags, 1), end(its_tags, 1), next(its_tags * its_tags, 1) {}

  Index tags;
  std::vector<std::uint8_t> begin, end;  ///< [K]
  std::vector<std::uint8_t> next;        ///< [K, K] from, to
};

/// A sentence's scores as the recursions read them.
class ChainScores {
 public:
  /// [length, tags], to be filled by `set_row`.
  void resize(Index length, Index tags);
  /// Copies K scores of token t.
  void set_row(Index t, const float* scores);

  void add(Index t, Index tag, double score) { values_[t * stride_ + tag] += score; }
  /// Adds scores of the same length and tags, and divides all by `divisor`.
  void add(const ChainScores& other);
  void divide(double divisor);

  Index length() const { return length_; }
  const double* row(Index t) const { return values_.data() + t * stride_; }

 private:
  Index length_ = 0, tags_ = 0, stride_ = 0;
  std::vector<double> values_;  // [T, stride]
};

/// A sequence of tags and its score.
struct TagPath {
  std::vector<std::int32_t> tags;
  double score = 0;
};

/// Forward and backward sums of a sentence.
struct ChainSums {
  double log_sum = 0;            ///< the logarithm of the sum over all sequences
  std::vector<double> forward;   // [T, stride]: over all prefixes that end in a tag, its own score included
  std::vector<double> backward;  // [T, stride]: over all continuations, without the tag's own score
  std::vector<double> room;      // [2, stride]
};

class Chain {
 public:
  /// Weights [K], [K, K] and [K]; null: zero. Anything not allowed has the weight -infinity.
  Chain(const AllowedTransitions& allowed, const float* begin, const float* next, const float* end);

  /// The means of the weights of chains that allow the same.
  static Chain mean_of(std::span<const Chain> chains);

  Index tags() const { return tags_; }

  /// The score of a sequence; -infinity if it is not allowed.
  double score(const ChainScores& scores, std::span<const std::int32_t> tags) const;

  /// Throws Error if no sequence of this length is allowed. Sentences have at least one token, here and below.
  void sum(const ChainScores& scores, ChainSums& out) const;

  /// Adds the expected count of each transition, sum_t P(y_t = i, y_t+1 = j), to `transitions` [K, stride].
  void add_expected_transitions(const ChainScores& scores, const ChainSums& sums, double* transitions) const;

  /// P(y_t = k) for all k < K: they sum to 1.
  void marginals(const ChainSums& sums, Index t, double* out) const;

  /// The probability that tokens from `first` on have exactly these tags, and that the token after them, if any, does
  /// not have the tag `barred` (-1: it may have any).
  double probability(const ChainScores& scores, const ChainSums& sums, Index first, std::span<const std::int32_t> tags,
                     std::int32_t barred) const;

  /// The best sequence (Viterbi); among equals the one whose last differing tag is smallest.
  TagPath best(const ChainScores& scores) const;

  /// The `count` best sequences, best first, or all if there are fewer: each is found from the token at which it
  /// departs from a better one (Lawler 1972). Time grows with count * T * K.
  std::vector<TagPath> best(const ChainScores& scores, Index count) const;

 private:
  // The weights of transitions, in one direction.
  struct Transitions {
    std::vector<double> logs, factors, largest;
    kernels::ChainTransitions view(Index tags, Index stride) const {
      return {tags, stride, logs.data(), factors.data(), largest.data()};
    }
  };
  struct Viterbi {
    std::vector<double> values;      // [T, stride]
    std::vector<std::int32_t> back;  // [T, stride]
  };

  static Transitions transitions_of(Index tags, Index stride, std::vector<double> logs);
  Viterbi viterbi(const ChainScores& scores) const;
  double next(Index from, Index to) const { return forward_.logs[from * stride_ + to]; }

  Index tags_, stride_;
  std::vector<double> begin_, end_;  // [stride]
  Transitions forward_, backward_;   // from, to; and to, from
};

}  // namespace mnemo
