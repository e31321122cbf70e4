// Cutting a line into units: code points, grapheme clusters, words between blanks, words by Unicode's boundaries,
// subwords.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalize.h"
#include "text/subwords.h"

namespace mnemo {

/// char:         every code point of the normalised line, blanks included.
/// grapheme:     extended grapheme clusters (UAX #29), blanks included.
/// word:         runs between ASCII blanks (space, tab, LF, VT, FF, CR). U+00A0 and U+3000 are not ASCII blanks; NFKC
///               turns them into spaces, NFC does not.
/// unicode-word: segments between word boundaries (UAX #29), without white space at either end; segments of only white
///               space are left out. Punctuation marks and ideographs are units of their own.
/// subword:      pieces of words (text/subwords.h). The line is read with a blank before it, so that its first word is
///               spelled as within a line; each word is a blank, if there is one, and characters of one script
///               (text/script.h). The units' concatenation without its first blank is the normalised line.
enum class Unit { kChar, kGrapheme, kWord, kUnicodeWord, kSubword };

/// char, grapheme, word, unicode-word, subword.
std::string_view name_of(Unit unit);
std::optional<Unit> unit_from_name(std::string_view name);

struct TokenizerOptions {
  Unit unit = Unit::kWord;
  Normalization normalize = Normalization::kNfc;
  bool lowercase = false;    ///< simple case mapping, see to_lower
  bool zero_digits = false;  ///< every decimal digit (Nd) becomes `0`
  bool reverse = false;      ///< of a line, the last unit comes first
};

/// The units of one line. Reused from line to line, it does not allocate once it has seen the longest one.
class Tokens {
 public:
  std::size_t size() const { return tokens_.size(); }
  bool empty() const { return tokens_.empty(); }

  /// The look-up form: normalised, lower-cased, digits as 0, as the options require. Valid until the next `tokenize`.
  std::string_view text(std::size_t i) const {
    const Token& token = tokens_[i];
    return {text_.data() + token.text_begin, token.text_end - token.text_begin};
  }

  /// Bytes [begin, end) of the original line that the unit came from; never inside a code point. From one unit to the
  /// next neither begin nor end decreases, or increases where the last unit comes first. Units overlap only if a
  /// stretch of the original that normalises as a whole gave several units, or a character of several bytes: each of
  /// them then has the range of the whole stretch.
  std::uint32_t begin(std::size_t i) const { return tokens_[i].begin; }
  std::uint32_t end(std::size_t i) const { return tokens_[i].end; }

  void clear();
  /// Turns the order of the units around.
  void reverse() { std::ranges::reverse(tokens_); }

 private:
  friend class Tokenizer;

  struct Token {
    std::uint32_t text_begin, text_end;  // in text_
    std::uint32_t begin, end;            // in the original line
  };

  std::string text_;  // the whole line in look-up form
  std::vector<Token> tokens_;
  std::vector<ChangedPiece> changes_;  // the rest is working memory of Tokenizer
  std::vector<std::int32_t> code_points_;
  std::string folded_;
  std::vector<Token> words_;  // that are cut into subwords
  std::vector<Piece> pieces_;
  SubwordMemory memory_;
};

/// Cuts lines into units. It has no state, so threads may share it.
class Tokenizer {
 public:
  /// `subwords` is needed for Unit::kSubword alone; without it the units are the words that subwords are made of.
  explicit Tokenizer(TokenizerOptions options, std::shared_ptr<const Subwords> subwords = nullptr)
      : options_(options), subwords_(std::move(subwords)) {}

  /// `line` must be valid UTF-8. Throws Error if it, or its normal form, has 4 GiB or more.
  /// `dropout` cuts subwords at random.
  void tokenize(std::string_view line, Tokens& out, const MergeDropout& dropout = {}) const {
    tokenize(line, out, options_.unit == Unit::kSubword && !line.empty(), dropout);
  }

  /// The rest of a line that was cut between two units, for subwords before a blank that follows another character: the
  /// units that the whole line would have there.
  void tokenize_rest(std::string_view rest, Tokens& out) const { tokenize(rest, out, false, {}); }

  /// Brings units that are already cut into look-up form, in the order that they have. Their positions are bytes of the
  /// concatenation of all units.
  void take_units(std::span<const std::string> units, Tokens& out) const;

  /// The same with units from the beginning of a line to its end.
  Tokenizer forward() const;

  const TokenizerOptions& options() const { return options_; }
  const Subwords* subwords() const { return subwords_.get(); }

 private:
  void tokenize(std::string_view line, Tokens& out, bool after_blank, const MergeDropout& dropout) const;
  void segment(Tokens& out, bool ascii) const;
  void fold(Tokens& out, bool ascii) const;
  void split_words(Tokens& out, const std::string& normal, const MergeDropout& dropout) const;

  TokenizerOptions options_;
  std::shared_ptr<const Subwords> subwords_;
};

}  // namespace mnemo
