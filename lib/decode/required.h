// Text that a sequence must have: a beginning, and terms anywhere after it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode/constraint.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Makes the constraints. The beginning is kept byte by byte, whatever units spell it, as its last word may go on;
/// terms are kept as the units that the tokenizer gives them, and neither begin nor end within a longer word.
class RequiredText {
 public:
  /// `end` is the unit that ends a text. `blanks`: the units are words, with a blank between them. All must outlive the
  /// constraints.
  RequiredText(const Vocabulary& vocabulary, const Tokenizer& tokenizer, bool blanks, std::int32_t end);

  /// Throws Error for text that the vocabulary cannot spell, naming it.
  std::unique_ptr<Constraint> constraint(const std::string& beginning, const std::vector<std::string>& terms) const;

  /// At most how many units the required text takes.
  static std::int64_t most_units(const std::string& beginning, const std::vector<std::string>& terms);

 private:
  friend class RequiredConstraint;

  // What the units that spell a text concatenate to, and at which of its bytes a unit may end.
  struct Beginning {
    std::string text;
    std::vector<bool> unit_ends;  // [text.size() + 1]
  };
  Beginning beginning_of(const std::string& text) const;
  std::vector<std::int32_t> units_of(const std::string& term) const;

  const Vocabulary& vocabulary_;
  const Tokenizer& tokenizer_;
  bool blanks_;
  std::int32_t end_;
  bool within_word(std::int32_t before, std::int32_t after) const;
  // Whether a unit is a byte of a code point of several.
  bool is_byte(std::int32_t unit) const { return spelled_[unit].size() == 1 && (spelled_[unit][0] & 0x80) != 0; }

  std::vector<std::string> spelled_;                 // [V] the bytes that a unit adds
  std::vector<std::int32_t> bytes_;                  // the units that are bytes of a code point of several
  std::vector<std::pair<char32_t, char32_t>> ends_;  // [V] first and last code point of a unit, or kPartial
};

}  // namespace mnemo
