// Properties of a text's units that units of a network may follow.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mnemo {

/// Units of one text: bytes [begin, end) of it, in order.
using UnitPlaces = std::vector<std::pair<std::size_t, std::size_t>>;

class UnitProperty {
 public:
  enum class Kind { kBrackets, kQuotes, kPosition, kLabel, kRegex };

  /// "brackets", "quotes", "position", "label:X" or "regex:R". Throws UsageError for others, and for an expression that
  /// is none.
  explicit UnitProperty(const std::string& spelled);

  Kind kind() const { return kind_; }
  /// A phrase for a heading, such as "being inside brackets".
  std::string name() const;

  /// Of each unit 1 if it has the property, 0 if not, and NaN if neither can be said; the position is a number.
  ///
  /// brackets: it lies between an opening and a closing mark of one kind (Unicode's categories Ps and Pe but for
  ///           quotation marks). Marks of a pair are neither inside nor outside.
  /// quotes:   the same for quotation marks: " and ", pairs of “ ” „ “ « » 「 」 『 』. A " after a Latin letter or a
  ///           digit never opens. Single ones are not told from apostrophes, and so are no marks.
  /// position: units since the beginning of the text or line.
  /// regex:    it overlaps a match of the expression (PCRE2's syntax, Unicode's classes) in the text.
  ///
  /// Both marks of a pair stand in one paragraph, which an empty line ends; a mark without its counterpart is a
  /// character as any other. Throws Error if a match takes too many steps. Not for labels.
  std::vector<float> values(const std::string& text, const UnitPlaces& places) const;

  /// The same for the gold labels of one unit or text: whether X is among them.
  bool among(const std::vector<std::string>& labels) const;

 private:
  Kind kind_;
  std::string argument_;
};

}  // namespace mnemo
