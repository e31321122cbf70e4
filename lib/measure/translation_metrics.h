// Metrics of translations against one reference each: BLEU (Papineni et al. 2002, "BLEU: a Method for Automatic
// Evaluation of Machine Translation") and chrF (Popović 2015, "chrF: character n-gram F-score for automatic MT
// evaluation"), with the numbers of sacrebleu 2.6.0 (Post 2018, "A Call for Clarity in Reporting BLEU Scores"). Both
// are functions of counts that add up over sentences, so a corpus needs one pass and a resample none of the texts.
// Texts are valid UTF-8; time is linear in their length.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/bootstrap.h"

namespace mnemo {

/// Scores deviate by at most this from those of sacrebleu 2.6.0, which are in percent, 0 to 100.
inline constexpr double kTranslationScoreError = 1e-9;

inline constexpr std::size_t kBleuOrders = 4;  ///< BLEU counts n-grams of 1 to 4 tokens.
inline constexpr std::size_t kChrfOrders = 6;  ///< chrF counts n-grams of 1 to 6 characters.

/// What a token of BLEU is, by sacrebleu's names: 13a (Western languages; the rules of the script mteval-v13a), none
/// (text between white space), char (every code point but white space), zh (Chinese: every character of some blocks on
/// its own, the rest as in 13a).
enum class BleuTokens { k13a, kNone, kChar, kZh };

std::string_view name_of(BleuTokens tokens);
std::optional<BleuTokens> bleu_tokens_from_name(std::string_view name);

/// The tokens of a line. White space is what Python's str.split() takes for it.
std::vector<std::string> bleu_tokens(std::string_view line, BleuTokens tokens);

/// Statistics of BLEU, of a sentence or a corpus; index n - 1 is that of n-grams of n tokens.
struct BleuCounts {
  std::array<std::int64_t, kBleuOrders> correct{};  ///< In both; each as often as in the one that has fewer of it.
  std::array<std::int64_t, kBleuOrders> total{};    ///< Of the hypothesis.
  std::int64_t hypothesis_length = 0;               ///< In tokens.
  std::int64_t reference_length = 0;

  void add(const BleuCounts& other, std::int64_t times);
  BleuCounts& operator+=(const BleuCounts& other);
  bool operator==(const BleuCounts&) const = default;
};

BleuCounts count_bleu(std::string_view hypothesis, std::string_view reference, BleuTokens tokens);

/// The precisions of 1-grams to 4-grams in percent. The k-th of those that are 0 is 100 / (2^k total) instead
/// (smoothing "exp", of mteval-v13a); 0 where no n-gram is that long, and all four if no token is correct.
std::array<double, kBleuOrders> bleu_precisions(const BleuCounts& counts);

/// exp(1 - reference length / hypothesis length), at most 1; 0 for an empty hypothesis of a reference that is not.
double brevity_penalty(const BleuCounts& counts);

/// BLEU of a corpus in percent, 0 to 100, as sacrebleu's corpus_bleu computes it by default: the brevity penalty times
/// the geometric mean of the four precisions. 0 if no token is correct or no hypothesis has 4 tokens.
double bleu(const BleuCounts& counts);

/// BLEU of a sentence in percent, as sacrebleu's sentence_bleu: the mean over those orders only of which the hypothesis
/// has an n-gram (sacrebleu's effective order).
double sentence_bleu(const BleuCounts& counts);

/// Statistics of chrF, of a sentence or a corpus; index n - 1 is that of n-grams of n characters. White space does not
/// count as a character, and n-grams cross it.
struct ChrfCounts {
  std::array<std::int64_t, kChrfOrders> hypothesis{};  ///< 0 for a sentence whose reference has no n-gram that long.
  std::array<std::int64_t, kChrfOrders> reference{};
  std::array<std::int64_t, kChrfOrders> matched{};  ///< In both; each as often as in the one that has fewer of it.

  void add(const ChrfCounts& other, std::int64_t times);
  ChrfCounts& operator+=(const ChrfCounts& other);
  bool operator==(const ChrfCounts&) const = default;
};

ChrfCounts count_chrf(std::string_view hypothesis, std::string_view reference);

/// chrF2 in percent, 0 to 100, of a corpus as sacrebleu's corpus_chrf and of a sentence as its sentence_chrf: the F
/// score, recall counting twice as much as precision (beta 2), of the mean precision and the mean recall over the
/// orders of which both sides have n-grams. 0 if there is no such order.
double chrf(const ChrfCounts& counts);

/// What a score depends on, in the form of sacrebleu's signatures. The version is that whose scores are equal.
std::string bleu_signature(BleuTokens tokens);
std::string chrf_signature();

/// The percentile bootstrap interval of the score of a corpus, from the counts of its sentences. Time grows with
/// sentences * resamples. Of the options, `threshold` is not used.
Interval bootstrap_corpus(const std::vector<BleuCounts>& sentences, const BootstrapOptions& options = {});
Interval bootstrap_corpus(const std::vector<ChrfCounts>& sentences, const BootstrapOptions& options = {});

/// The paired bootstrap test of two systems that translated the same sentences; the metric's name is `bleu` or `chrf`.
/// The p-value is two-sided: (1 + resamples whose difference deviates from the mean of all by at least the size of the
/// observed one) / (1 + resamples), so it is 1 for equal systems. That of sacrebleu's --paired-bs counts the resamples
/// whose absolute difference exceeds the mean of those by more than that size: one tail, about half of this p-value for
/// systems that differ, and 1 / (1 + resamples) for equal ones. Throws Error if the numbers of sentences differ.
Comparison compare_corpora(const std::vector<BleuCounts>& first, const std::vector<BleuCounts>& second,
                           const BootstrapOptions& options = {});
Comparison compare_corpora(const std::vector<ChrfCounts>& first, const std::vector<ChrfCounts>& second,
                           const BootstrapOptions& options = {});

}  // namespace mnemo
