// From a line of text to rows of the embedding table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Hashed n-grams, which share `buckets` rows of the embedding table after those of the vocabulary.
struct NgramOptions {
  /// Shortest and longest n-gram of characters (code points) of a unit with `<` before and `>` after it, as in
  /// Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"; 0: none. `<` and `>` alone are not
  /// n-grams.
  int char_min = 0, char_max = 0;
  /// Longest n-gram of units: 2 adds bigrams, 3 also trigrams; 1: none.
  int unit = 1;
  std::uint32_t buckets = 100000;

  bool any() const { return char_max > 0 || unit > 1; }
};

/// A line as rows of the embedding table E. The input vector of unit i is
///     sum over j in [starts[i], starts[i+1]) of weights[j] * E[rows[j]].
struct EncodedText {
  std::vector<std::int32_t> starts;  ///< [units + 1]
  std::vector<std::int32_t> rows;    ///< [starts.back()]
  std::vector<float> weights;        ///< [starts.back()]
  std::int32_t unknown = 0;          ///< units that are not in the vocabulary
  Tokens tokens;                     ///< the units themselves, with their positions in the line
  Tokens pieces;                     ///< working memory of the encoder, as is the next one
  std::string marked_unit;

  std::int32_t units() const { return starts.empty() ? 0 : static_cast<std::int32_t>(starts.size()) - 1; }
};

struct UnitCount {
  std::int32_t units = 0, unknown = 0;
};

/// Encodes lines. Threads may share it, each with its own EncodedText; when that is reused, it stops allocating memory
/// after a while.
///
/// The first row of a unit is its own, its id or Vocabulary::kUnknown, with weight 1. A unit that is cut into subwords
/// has their mean instead: each of its own rows has weight 1 / their number. N-grams of its characters add
/// their mean: each has weight 1 / their number. N-grams of units add, for n = 2 to `unit`, the row of the units t-n+1
/// .. t with weight 1 (a mark stands for each unit before the first). The row of an n-gram is vocabulary.size() +
/// FNV-1a(UTF-8 bytes) mod buckets; the units of an n-gram are separated by the byte FF, and FE is the mark for units
/// before the first.
class TextEncoder {
 public:
  /// The vocabulary must outlive the encoder, and must not grow while the encoder is used. Throws UsageError if the
  /// options are invalid (char_min > char_max, a negative number, no bucket), Error if the table would have 2^31 rows
  /// or more.
  TextEncoder(Tokenizer tokenizer, const Vocabulary& vocabulary, NgramOptions ngrams);

  /// `line` must be valid UTF-8. `dropout` cuts subwords at random.
  void encode(std::string_view line, EncodedText& out, const MergeDropout& dropout = {}) const;
  /// The same for units that are already cut, each valid UTF-8. A tokenizer of subwords cuts each of them further, as
  /// within a line: they are words, which it spells with the blank before them.
  void encode_units(std::span<const std::string> units, EncodedText& out, const MergeDropout& dropout = {}) const;

  /// How many units `encode` finds, and how many of them are unknown, without their rows. `tokens` gets the units.
  UnitCount count(std::string_view line, Tokens& tokens) const;

  /// Rows of the embedding table: vocabulary.size(), plus the buckets if there are n-grams.
  std::int64_t table_rows() const;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const NgramOptions& ngrams() const { return ngrams_; }

 private:
  void encode_tokens(EncodedText& out, std::span<const std::string> words, const MergeDropout& dropout) const;
  void add_own(std::string_view unit, EncodedText& out) const;
  void add_pieces(std::string_view word, const MergeDropout& dropout, EncodedText& out) const;
  void add_character_ngrams(std::string_view unit, EncodedText& out) const;
  void add_unit_ngrams(std::size_t i, EncodedText& out) const;
  std::int32_t bucket_row(std::uint32_t hash) const;

  Tokenizer tokenizer_;
  const Vocabulary& vocabulary_;
  NgramOptions ngrams_;
};

/// Counts for a vocabulary what `encode_units` will look up: the units or, of a tokenizer of subwords, the words that
/// these are learnt from. `tokens` is working memory.
void count_units(const Tokenizer& tokenizer, std::span<const std::string> units, Tokens& tokens,
                 VocabularyBuilder& builder);

}  // namespace mnemo
