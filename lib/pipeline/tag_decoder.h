// Tags of a sentence from the scores of a tagger's column: the best sequences and the probabilities of their parts, in
// the scheme of the data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/chain.h"
#include "text/tags.h"

namespace mnemo {

/// A predicted column.
struct TagColumn {
  std::string name;               ///< as in the configuration
  TagScheme data_scheme;          ///< of the tags that are read and written
  TagScheme scheme;               ///< of the model's tags
  std::vector<std::string> tags;  ///< of the model
};

/// The tags, in the model's scheme, for a column whose tags in train are `found`, in the data's scheme: every letter of
/// each type, so that any span of a known type can be predicted.
std::vector<std::string> model_tags(const std::vector<std::string>& found, TagScheme data_scheme, TagScheme scheme);

/// The tags whose probabilities are shown, sorted: those of the model, converted to the data's scheme, where each of
/// the model's tags maps to one tag. For bio data, B-X is the model's B-X and S-X, I-X its I-X and E-X; for iob1 data,
/// I-X stands for everything in a span of X, as whether a token gets B-X depends on the token before it. `place`, if
/// not null, gets the index among them of each of the model's tags.
std::vector<std::string> shown_tags(const TagColumn& column, std::vector<std::size_t>* place = nullptr);

/// The model's tags, as indices into the column's, for the data's tags of a sentence; -1 for a tag of an unknown type.
std::vector<std::int32_t> tag_ids(const TagColumn& column, std::span<const std::string> tags);
/// The reverse: the data's tags for such indices.
std::vector<std::string> data_tags(const TagColumn& column, std::span<const std::int32_t> ids);

/// The transitions that the column's scheme allows.
AllowedTransitions allowed_transitions(const TagColumn& column);

/// The predictions of a column for a sentence, in the data's scheme.
struct PredictedTags {
  std::vector<std::string> tags;
  std::vector<double> probabilities;  ///< [tokens] of the one of shown_tags that the chosen tag maps to
  struct Span {
    std::string type;
    std::size_t begin, end;  ///< tokens
    double probability;      ///< of exactly this span
  };
  std::vector<Span> spans;        ///< empty if tags spell none
  std::vector<double> marginals;  ///< [tokens, shown_tags], if requested
  struct Sequence {
    std::vector<std::string> tags;
    double probability;
  };
  std::vector<Sequence> best;  ///< the n best, if requested
  /// The log-probability of the true tags, if the corpus has them.
  double gold_log_probability = 0;
};

struct TagRequest {
  bool marginals = false;
  std::int64_t best = 0;
  bool tags_alone = false;  ///< neither probabilities nor spans, which need sums over all sequences
};

/// Decodes the sentences of one column, which must outlive it.
class TagDecoder {
 public:
  TagDecoder(const TagColumn& column, Chain chain);

  const Chain& chain() const { return chain_; }

  /// Makes a span begin at each token for which `breaks` [tokens, or empty: no token] has 1, so that none crosses the
  /// boundary before it.
  void keep_breaks(std::span<const std::uint8_t> breaks, ChainScores& scores) const;

  /// `gold` [tokens], as the model's tags, or empty: for the log-probability of the true tags.
  PredictedTags decode(const ChainScores& scores, const TagRequest& request, std::span<const std::int32_t> gold) const;

 private:
  const TagColumn& column_;
  Chain chain_;
  AllowedTransitions allowed_;
  std::vector<std::size_t> place_;  // [K] indices of the model's tags among those shown
  std::size_t shown_;
};

}  // namespace mnemo
