#include "text/encoder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Bytes that never occur in UTF-8.
constexpr std::string_view kBetweenUnits = "\xFF";
constexpr std::string_view kBeforeFirst = "\xFE";

constexpr std::int64_t kMostRows = std::numeric_limits<std::int32_t>::max();

void check(const NgramOptions& ngrams) {
  if (ngrams.char_min < 0 || ngrams.char_max < 0 || (ngrams.char_max > 0 && ngrams.char_min < 1) ||
      ngrams.char_min > ngrams.char_max)
    throw UsageError(
        fmt::format("character n-grams from {} to {}: expected 1 <= shortest <= longest, or 0 and 0 for none",
                    ngrams.char_min, ngrams.char_max));
  if (ngrams.unit < 1) throw UsageError(fmt::format("n-grams of up to {} units: expected 1 or more", ngrams.unit));
  if (ngrams.any() && ngrams.buckets == 0) throw UsageError("n-grams need at least 1 bucket, found 0");
}

void add_row(std::int32_t row, float weight, EncodedText& out) {
  out.rows.push_back(row);
  out.weights.push_back(weight);
}

// Gives the rows from `first` on the weights of their mean.
void take_mean(std::size_t first, EncodedText& out) {
  const float weight = 1.0f / static_cast<float>(std::max<std::size_t>(1, out.rows.size() - first));
  std::fill(out.weights.begin() + static_cast<std::ptrdiff_t>(first), out.weights.end(), weight);
}

}  // namespace

TextEncoder::TextEncoder(Tokenizer tokenizer, const Vocabulary& vocabulary, NgramOptions ngrams)
    : tokenizer_(std::move(tokenizer)), vocabulary_(vocabulary), ngrams_(ngrams) {
  check(ngrams_);
  if (table_rows() > kMostRows) fail("the embedding would have {} rows, expected at most {}", table_rows(), kMostRows);
}

std::int64_t TextEncoder::table_rows() const {
  return std::int64_t{vocabulary_.size()} + (ngrams_.any() ? std::int64_t{ngrams_.buckets} : 0);
}

void TextEncoder::encode(std::string_view line, EncodedText& out, const MergeDropout& dropout) const {
  tokenizer_.tokenize(line, out.tokens, dropout);
  encode_tokens(out, {}, dropout);
}

void TextEncoder::encode_units(std::span<const std::string> units, EncodedText& out,
                               const MergeDropout& dropout) const {
  tokenizer_.take_units(units, out.tokens);
  encode_tokens(out, tokenizer_.subwords() ? units : std::span<const std::string>(), dropout);
}

UnitCount TextEncoder::count(std::string_view line, Tokens& tokens) const {
  tokenizer_.tokenize(line, tokens);
  UnitCount out{static_cast<std::int32_t>(tokens.size()), 0};
  for (std::size_t i = 0; i < tokens.size(); ++i) out.unknown += vocabulary_.contains(tokens.text(i)) ? 0 : 1;
  return out;
}

// `words`, if not empty, are the tokens before normalisation, to be cut into pieces.
void TextEncoder::encode_tokens(EncodedText& out, std::span<const std::string> words,
                                const MergeDropout& dropout) const {
  out.starts.assign(1, 0);
  out.rows.clear();
  out.weights.clear();
  out.unknown = 0;
  for (std::size_t i = 0; i < out.tokens.size(); ++i) {
    if (words.empty())
      add_own(out.tokens.text(i), out);
    else
      add_pieces(words[i], dropout, out);
    if (ngrams_.char_max > 0) add_character_ngrams(out.tokens.text(i), out);
    if (ngrams_.unit > 1) add_unit_ngrams(i, out);
    if (out.rows.size() > static_cast<std::size_t>(kMostRows))
      fail("a text of {} units is too long", out.tokens.size());
    out.starts.push_back(static_cast<std::int32_t>(out.rows.size()));
  }
}

void TextEncoder::add_own(std::string_view unit, EncodedText& out) const {
  const std::int32_t id = vocabulary_.find(unit);
  if (id == Vocabulary::kUnknown) ++out.unknown;
  add_row(id, 1, out);
}

// Adds the mean of the rows of the word's pieces. An empty word has none, and is unknown.
void TextEncoder::add_pieces(std::string_view word, const MergeDropout& dropout, EncodedText& out) const {
  if (word.empty()) return add_own(word, out);
  tokenizer_.tokenize(word, out.pieces, dropout);
  const std::size_t first = out.rows.size();
  for (std::size_t i = 0; i < out.pieces.size(); ++i) add_own(out.pieces.text(i), out);
  take_mean(first, out);
}

// Adds the mean of the rows of the unit's character n-grams.
void TextEncoder::add_character_ngrams(std::string_view unit, EncodedText& out) const {
  const std::size_t first_row = out.rows.size();
  std::string& word = out.marked_unit;
  word.clear();
  word += '<';
  word += unit;
  word += '>';
  for (std::size_t begin = 0; begin < word.size(); begin += utf8_length(word[begin])) {
    std::uint32_t hash = kFnvStart;
    std::size_t end = begin;
    for (int n = 1; n <= ngrams_.char_max && end < word.size(); ++n) {
      const std::size_t next = end + utf8_length(word[end]);
      hash = fnv1a(std::string_view(word).substr(end, next - end), hash);
      end = next;
      const bool mark_alone = n == 1 && (begin == 0 || end == word.size());
      if (n >= ngrams_.char_min && !mark_alone) add_row(bucket_row(hash), 0, out);
    }
  }
  take_mean(first_row, out);
}

void TextEncoder::add_unit_ngrams(std::size_t i, EncodedText& out) const {
  for (int n = 2; n <= ngrams_.unit; ++n) {
    std::uint32_t hash = kFnvStart;
    for (int back = n - 1; back >= 0; --back) {
      const auto distance = static_cast<std::size_t>(back);
      hash = fnv1a(distance > i ? kBeforeFirst : out.tokens.text(i - distance), hash);
      if (back > 0) hash = fnv1a(kBetweenUnits, hash);
    }
    add_row(bucket_row(hash), 1, out);
  }
}

std::int32_t TextEncoder::bucket_row(std::uint32_t hash) const {
  return vocabulary_.size() + static_cast<std::int32_t>(hash % ngrams_.buckets);
}

void count_units(const Tokenizer& tokenizer, std::span<const std::string> units, Tokens& tokens,
                 VocabularyBuilder& builder) {
  const auto count = [&] {
    for (std::size_t i = 0; i < tokens.size(); ++i) builder.add(tokens.text(i));
  };
  if (tokenizer.options().unit != Unit::kSubword) {
    tokenizer.take_units(units, tokens);
    return count();
  }
  for (const std::string& word : units) {
    tokenizer.tokenize(word, tokens);
    count();
  }
}

}  // namespace mnemo
