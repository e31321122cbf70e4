// Metrics of a tagger: counts of tokens and of spans, as the reference scorers count them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/tags.h"

namespace mnemo {

/// A sentence's true and predicted tags, in the scheme of the data.
struct TaggedSentence {
  std::vector<std::string> gold, predicted;
  std::vector<std::uint8_t> unknown;  ///< 1 where the token does not occur in train; empty: not known
};

/// Spans of one type or of all. A rate whose denominator is 0 is 0, as in conlleval.
struct SpanCounts {
  std::int64_t gold = 0, predicted = 0, correct = 0;

  double precision() const;
  double recall() const;
  double f1() const;
  SpanCounts& operator+=(const SpanCounts& other);
  bool operator==(const SpanCounts&) const = default;
};

struct TagEvaluation {
  std::int64_t sentences = 0, tokens = 0, correct_tokens = 0;
  std::int64_t unknown_tokens = 0, correct_unknown = 0;
  TagScheme scheme = TagScheme::kNone;
  SpanCounts spans;                            ///< exact boundaries and type, as conlleval counts
  std::map<std::string, SpanCounts> per_type;  ///< where the scheme has spans: by type, else by tag (tokens)
  std::optional<SpanCounts> strict;            ///< seqeval's strict count, where it differs from `spans`
  /// Spans with the same boundaries by (gold type, predicted type), with "" where a side has none; if the scheme has no
  /// spans, tokens by (gold tag, predicted tag).
  std::map<std::pair<std::string, std::string>, std::int64_t> confusion;

  double token_accuracy() const;
  std::optional<double> unknown_accuracy() const;  ///< empty without an unknown token
  /// token_accuracy, unknown_accuracy and where the scheme has spans precision, recall, f1 and strict_f1.
  std::map<std::string, double> metrics() const;
};

/// Spans of one sentence in gold, in the prediction, and in both.
SpanCounts count_spans(const TaggedSentence& sentence);

/// `scheme` applies to both sides. Throws Error if the sides of a sentence differ in length.
TagEvaluation evaluate_tags(const std::vector<TaggedSentence>& sentences, TagScheme scheme);

}  // namespace mnemo
