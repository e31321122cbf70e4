// Baseline for a tagger: a linear-chain CRF over features of a token and its neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "nn/chain.h"

namespace mnemo {

struct LinearCrfOptions {
  int epochs = 12;
  double learning_rate = 0.2;
  std::uint32_t min_count = 2;  ///< features that are rarer in train are not used
  std::uint64_t seed = 1;
};

/// The features of each token of a sentence, as 64-bit hashes: the lower-cased words and the shapes (X upper case, x
/// lower case, 0 digit, at most eight) two tokens to each side, the pairs of neighbours, and the token's first and last
/// one to four characters. These are the usual templates for names and parts of speech (Ratnaparkhi 1996; Okazaki 2007,
/// CRFsuite's tutorial).
std::vector<std::vector<std::uint64_t>> crf_features(std::span<const std::string> tokens);

/// A conditional random field (Lafferty, McCallum & Pereira 2001) with a weight for each feature and tag, and for each
/// transition that the scheme allows. Trained by AdaGrad (Duchi, Hazan & Singer 2011) on one sentence at a time,
/// ignoring gradients below kSmallest; the weights are the mean over all steps. Large data with many tags get fewer
/// epochs and lose the rarest features, so training takes at most about a minute and 0.6 GB.
class LinearCrf {
 public:
  /// Needed because AdaGrad's first steps are as long for small gradients as for large ones.
  static constexpr double kSmallest = 1e-4;

  struct Sentence {
    std::vector<std::vector<std::uint64_t>> features;  ///< [tokens], of crf_features
    std::vector<std::int32_t> tags;                    ///< [tokens]
  };
  /// The same arguments give the same model. Every sentence's tags must be an allowed sequence.
  LinearCrf(const std::vector<Sentence>& train, const AllowedTransitions& allowed, const LinearCrfOptions& options);

  /// The best sequence of tags.
  std::vector<std::int32_t> predict(const std::vector<std::vector<std::uint64_t>>& features) const;

 private:
  using Rows = std::vector<std::vector<std::uint32_t>>;  // [tokens] rows of the weights
  class Fit;

  int choose_features(const std::vector<Sentence>& train, const LinearCrfOptions& options);
  Rows rows_of(const std::vector<std::vector<std::uint64_t>>& features) const;
  void set_scores(const Rows& rows, ChainScores& out) const;

  AllowedTransitions allowed_;
  std::unordered_map<std::uint64_t, std::uint32_t> rows_;
  std::vector<float> weights_;             // [rows, K]
  std::vector<float> begin_, next_, end_;  // [K], [K, K], [K]
};

}  // namespace mnemo
