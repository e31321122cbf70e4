// A line is normalised as a whole, cut into units, and then folded (case, digits) unit by unit. Normalisation records
// the pieces that it changed, through which the units' positions are mapped back to the original. ASCII lines skip
// normalisation and the mapping. Words are then cut into subwords; as folding maps code points one to one, counting
// them finds a piece's place in the normal form.
#include "text/tokenizer.h"

#include <utf8proc.h>

#include <limits>

#include "base/error.h"
#include "text/script.h"
#include "text/utf8.h"
#include "text/word_break.h"

namespace mnemo {
namespace {

using Offset = std::uint32_t;

constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Each of the following calls `add(begin, end)` for every unit of `text`, in order.

template <class Add>
void cut_ascii_characters(std::string_view text, const Add& add) {
  for (Offset at = 0; at < text.size(); ++at) add(at, at + 1);
}

template <class Add>
void cut_characters(std::string_view text, const Add& add) {
  for (Offset at = 0; at < text.size();) {
    const Offset end = at + utf8_length(text[at]);
    add(at, end);
    at = end;
  }
}

template <class Add>
void cut_words(std::string_view text, const Add& add) {
  const auto size = static_cast<Offset>(text.size());
  for (Offset at = 0;;) {
    while (at < size && is_blank(text[at])) ++at;
    if (at == size) return;
    const Offset begin = at;
    while (at < size && !is_blank(text[at])) ++at;
    add(begin, at);
  }
}

// Printable ASCII and ideographs of the base plane: between any two of them there is a boundary.
constexpr bool stands_alone(char32_t c) { return (c >= 0x20 && c < 0x7F) || (c >= 0x3400 && c < 0xA000); }

template <class Add>
void cut_graphemes(std::string_view text, const Add& add) {
  if (text.empty()) return;
  CodePoint last = decode_utf8(text.data());
  Offset begin = 0, at = last.length;
  utf8proc_int32_t state = 0;
  while (at < text.size()) {
    const CodePoint next = decode_utf8(text.data() + at);
    const bool alone = stands_alone(last.value) && stands_alone(next.value);
    if (alone) state = 0;
    if (alone || utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.value),
                                                  static_cast<utf8proc_int32_t>(next.value), &state)) {
      add(begin, at);
      begin = at;
    }
    last = next;
    at += next.length;
  }
  add(begin, at);
}

template <class Add>
void cut_unicode_words(std::string_view text, const Add& add) {
  for (std::size_t at = 0; at < text.size();) {
    const WordSegment segment = next_word_segment(text, at);
    if (!segment.white_space_only) {
      // U+202F joins words (it is ExtendNumLet), and a mark may stand on a blank.
      const std::string_view word = trim_white_space(text.substr(at, segment.end - at));
      const auto begin = static_cast<Offset>(word.data() - text.data());
      add(begin, begin + static_cast<Offset>(word.size()));
    }
    at = segment.end;
  }
}

template <class Add>
void cut_subword_words(std::string_view text, const Add& add) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = subword_word_end(text, at);
    add(static_cast<Offset>(at), static_cast<Offset>(end));
    at = end;
  }
}

// Maps bytes of the normal form back to those of the original, for queries in ascending order.
class OriginalPlace {
 public:
  explicit OriginalPlace(const std::vector<ChangedPiece>& pieces) : next_(pieces.data()), end_(next_ + pieces.size()) {}

  /// Where the original of the byte at `offset` begins.
  Offset begin_of(Offset offset) {
    advance(offset);
    return inside(offset) ? next_->original_begin : offset + shift_;
  }
  /// Where the original of the byte before `offset` ends.
  Offset end_of(Offset offset) {
    advance(offset - 1);
    return inside(offset - 1) ? next_->original_end : offset + shift_;
  }

 private:
  void advance(Offset offset) {
    for (; next_ != end_ && next_->normal_end <= offset; ++next_) shift_ = next_->original_end - next_->normal_end;
  }
  bool inside(Offset offset) const { return next_ != end_ && next_->normal_begin <= offset; }

  const ChangedPiece* next_;
  const ChangedPiece* end_;
  Offset shift_ = 0;  // modulo 2^32, so that it may be "negative"
};

char fold_ascii(char c, const TokenizerOptions& options) {
  if (options.lowercase && c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  if (options.zero_digits && c >= '0' && c <= '9') c = '0';
  return c;
}

// Ideographs and Hangul syllables have neither case nor value.
constexpr bool folds_to_itself(char32_t c) { return (c >= 0x3400 && c < 0xA000) || (c >= 0xAC00 && c < 0xD7A4); }

void append_folded(std::string_view text, const TokenizerOptions& options, std::string& to) {
  for (std::size_t at = 0; at < text.size();) {
    CodePoint c = decode_utf8(text.data() + at);
    at += c.length;
    if (c.value < 0x80) {
      to += fold_ascii(static_cast<char>(c.value), options);
      continue;
    }
    if (!folds_to_itself(c.value)) {
      if (options.lowercase) c.value = to_lower(c.value);
      if (options.zero_digits && is_decimal_digit(c.value)) c.value = U'0';
    }
    append_utf8(to, c.value);
  }
}

void check_size(std::size_t bytes) {
  if (bytes >= std::numeric_limits<Offset>::max()) fail("a line of {} bytes, expected less than 4 GiB", bytes);
}

}  // namespace

std::string_view name_of(Unit unit) {
  switch (unit) {
    case Unit::kChar:
      return "char";
    case Unit::kGrapheme:
      return "grapheme";
    case Unit::kUnicodeWord:
      return "unicode-word";
    case Unit::kSubword:
      return "subword";
    default:
      return "word";
  }
}

std::optional<Unit> unit_from_name(std::string_view name) {
  for (const auto unit : {Unit::kChar, Unit::kGrapheme, Unit::kWord, Unit::kUnicodeWord, Unit::kSubword})
    if (name_of(unit) == name) return unit;
  return std::nullopt;
}

void Tokens::clear() {
  text_.clear();
  tokens_.clear();
  changes_.clear();
}

void Tokenizer::tokenize(std::string_view line, Tokens& out, bool after_blank, const MergeDropout& dropout) const {
  check_size(line.size());
  out.clear();
  const bool ascii = is_ascii(line);
  if (after_blank) {
    out.text_ = ' ';
    out.changes_.push_back({0, 0, 0, 1});
  }
  if (ascii)
    out.text_ += line;
  else
    normalize_mapped(line, options_.normalize, out.text_, out.changes_, out.code_points_);
  check_size(out.text_.size());
  segment(out, ascii);
  if (subwords_)
    for (auto& word : out.tokens_) word.begin = word.text_begin, word.end = word.text_end;
  const bool folds = options_.lowercase || options_.zero_digits;
  if (folds) fold(out, ascii);
  // Folding leaves the text that was there before in folded_, and ASCII where it is.
  if (subwords_) split_words(out, folds && !ascii ? out.folded_ : out.text_, dropout);
  if (options_.reverse) out.reverse();
}

Tokenizer Tokenizer::forward() const {
  TokenizerOptions options = options_;
  options.reverse = false;
  return Tokenizer(options, subwords_);
}

void Tokenizer::take_units(std::span<const std::string> units, Tokens& out) const {
  out.clear();
  Offset place = 0;
  bool all_ascii = true;
  for (const std::string& unit : units) {
    const auto begin = static_cast<Offset>(out.text_.size());
    if (is_ascii(unit)) {
      out.text_ += unit;
    } else {
      all_ascii = false;
      normalize_mapped(unit, options_.normalize, out.text_, out.changes_, out.code_points_);
    }
    check_size(out.text_.size());
    const auto end = static_cast<Offset>(out.text_.size()), next = place + static_cast<Offset>(unit.size());
    out.tokens_.push_back({begin, end, place, next});
    place = next;
  }
  out.changes_.clear();
  if (options_.lowercase || options_.zero_digits) fold(out, all_ascii);
}

void Tokenizer::segment(Tokens& out, bool ascii) const {
  const auto cut = [&](const auto& add) {
    switch (options_.unit) {
      case Unit::kChar:
        return ascii ? cut_ascii_characters(out.text_, add) : cut_characters(out.text_, add);
      case Unit::kGrapheme:
        return cut_graphemes(out.text_, add);
      case Unit::kWord:
        return cut_words(out.text_, add);
      case Unit::kUnicodeWord:
        return cut_unicode_words(out.text_, add);
      case Unit::kSubword:
        return cut_subword_words(out.text_, add);
    }
  };
  if (out.changes_.empty())
    return cut([&](Offset begin, Offset end) { out.tokens_.push_back({begin, end, begin, end}); });
  OriginalPlace begins(out.changes_), ends(out.changes_);
  cut([&](Offset begin, Offset end) { out.tokens_.push_back({begin, end, begins.begin_of(begin), ends.end_of(end)}); });
}

void Tokenizer::fold(Tokens& out, bool ascii) const {
  if (ascii) {
    for (char& c : out.text_) c = fold_ascii(c, options_);
    return;
  }
  out.folded_.clear();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto begin = static_cast<Offset>(out.folded_.size());
    append_folded(out.text(i), options_, out.folded_);
    out.tokens_[i].text_begin = begin;
    out.tokens_[i].text_end = static_cast<Offset>(out.folded_.size());
  }
  out.text_.swap(out.folded_);
}

// Replaces the words by their pieces. The words' ranges are those of the normal form; `normal` is where it lies.
void Tokenizer::split_words(Tokens& out, const std::string& normal, const MergeDropout& dropout) const {
  OriginalPlace begins(out.changes_), ends(out.changes_);
  out.words_.clear();
  out.words_.swap(out.tokens_);
  for (const Tokens::Token& word : out.words_) {
    out.pieces_.clear();
    subwords_->cut({out.text_.data() + word.text_begin, word.text_end - word.text_begin}, out.pieces_, out.memory_,
                   dropout);
    Offset at = word.text_begin, place = word.begin;
    for (std::size_t i = 0; i < out.pieces_.size();) {
      const Offset first = at, first_place = place;
      const bool bytes = out.pieces_[i].byte;
      const Offset end = bytes ? at + utf8_length(out.text_[at]) : word.text_begin + out.pieces_[i].end;
      for (; at < end; at += utf8_length(out.text_[at])) place += utf8_length(normal[place]);
      const Tokens::Token piece{first, end, begins.begin_of(first_place), ends.end_of(place)};
      if (!bytes) {
        out.tokens_.push_back(piece);
        ++i;
        continue;
      }
      for (Offset byte = first; byte < end; ++byte, ++i) {
        const auto begin = static_cast<Offset>(out.text_.size());
        out.text_ += byte_unit(static_cast<unsigned char>(out.text_[byte]));
        out.tokens_.push_back({begin, static_cast<Offset>(out.text_.size()), piece.begin, piece.end});
      }
    }
  }
}

}  // namespace mnemo
