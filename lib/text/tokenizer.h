// Cutting a line into units: code points, grapheme clusters, words between blanks, words by Unicode's boundaries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalize.h"

namespace mnemo {

/// char:         every code point of the normalised line, blanks included.
/// grapheme:     extended grapheme clusters (UAX #29), blanks included.
/// word:         runs between ASCII blanks (space, tab, LF, VT, FF, CR). U+00A0 and U+3000 are not ASCII blanks; NFKC
///               turns them into spaces, NFC does not.
/// unicode-word: segments between word boundaries (UAX #29), without white space at either end; segments of only white
///               space are left out. Punctuation marks and ideographs are units of their own.
enum class Unit { kChar, kGrapheme, kWord, kUnicodeWord };

/// char, grapheme, word, unicode-word.
std::string_view name_of(Unit unit);
std::optional<Unit> unit_from_name(std::string_view name);

struct TokenizerOptions {
  Unit unit = Unit::kWord;
  Normalization normalize = Normalization::kNfc;
  bool lowercase = false;    ///< simple case mapping, see to_lower
  bool zero_digits = false;  ///< every decimal digit (Nd) becomes `0`
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
  /// next neither begin nor end decreases. Units overlap only if a stretch of the original that normalises as a whole
  /// gave several units: each of them then has the range of the whole stretch.
  std::uint32_t begin(std::size_t i) const { return tokens_[i].begin; }
  std::uint32_t end(std::size_t i) const { return tokens_[i].end; }

  void clear();

 private:
  friend class Tokenizer;

  struct Token {
    std::uint32_t text_begin, text_end;  // in text_
    std::uint32_t begin, end;            // in the original line
  };

  std::string text_;  // the whole line in look-up form
  std::vector<Token> tokens_;
  std::vector<ChangedPiece> pieces_;  // the rest is working memory of Tokenizer
  std::vector<std::int32_t> code_points_;
  std::string folded_;
};

/// Cuts lines into units. It has no state, so threads may share it.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerOptions options) : options_(options) {}

  /// `line` must be valid UTF-8. Throws Error if it, or its normal form, has 4 GiB or more.
  void tokenize(std::string_view line, Tokens& out) const;

  /// Brings units that are already cut into look-up form. Their positions are bytes of the concatenation of all units.
  void take_units(std::span<const std::string> units, Tokens& out) const;

  const TokenizerOptions& options() const { return options_; }

 private:
  void segment(Tokens& out, bool ascii) const;
  void fold(Tokens& out, bool ascii) const;

  TokenizerOptions options_;
};

}  // namespace mnemo
