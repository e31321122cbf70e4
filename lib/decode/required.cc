#include "decode/required.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "text/script.h"
#include "text/subwords.h"
#include "text/utf8.h"

namespace mnemo {

namespace {

// Stands for a byte of a code point that several units spell.
constexpr char32_t kPartial = 0x110000;
constexpr std::int32_t kNoUnit = -1;

// The first and the last code point of a unit's bytes.
std::pair<char32_t, char32_t> ends_of(std::string_view bytes) {
  if (bytes.empty()) return {kPartial, kPartial};
  if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) >= 0x80) return {kPartial, kPartial};
  std::size_t last = bytes.size() - 1;
  while (last > 0 && is_continuation(bytes[last])) --last;
  return {decode_utf8(bytes.data()).value, decode_utf8(&bytes[last]).value};
}

// Whether bytes are a code point, or can become one if others follow.
bool begins_code_point(std::string_view bytes) {
  const auto invalid = find_invalid_utf8(bytes);
  const auto lead = static_cast<unsigned char>(bytes[0]);
  return !invalid || (invalid->length == bytes.size() && lead >= 0xC2 && lead <= 0xF4);
}

}  // namespace

// A hypothesis's place in the beginning and in the terms: of each term how many of its units end the text so far, or
// all once the text has had them. So terms may overlap, begin alike, or lie within one another. A term that has just
// been completed must not go on as a longer word: after the beginning such units are blocked, within it the term counts
// from the start again. A text that has bytes of a code point goes on with the others: units that only a required text
// makes probable enough would otherwise leave broken ones where another hypothesis takes its place.
class RequiredConstraint : public Constraint {
 public:
  RequiredConstraint(const RequiredText& text, RequiredText::Beginning beginning,
                     std::vector<std::vector<std::int32_t>> terms)
      : text_(text),
        wanted_(std::make_shared<const Wanted>(Wanted{std::move(beginning), std::move(terms)})),
        had_(wanted_->terms.size(), 0) {}

  std::unique_ptr<Constraint> clone() const override { return std::make_unique<RequiredConstraint>(*this); }

  void block(std::span<std::uint8_t> blocked) const override {
    if (!complete()) blocked[text_.end_] = 1;
    for (std::size_t v = 0; v < blocked.size() && !partial_.empty(); ++v)
      if (!text_.is_byte(static_cast<std::int32_t>(v))) blocked[v] = 1;
    for (const std::int32_t v : text_.bytes_)
      if (!begins_code_point(partial_ + text_.spelled_[v])) blocked[v] = 1;
    const std::string_view rest = std::string_view(wanted_->beginning.text).substr(done_);
    for (std::size_t v = 0; v < blocked.size() && !rest.empty(); ++v)
      if (!fits(text_.spelled_[v], rest)) blocked[v] = 1;
    for (std::size_t v = 0; v < blocked.size() && rest.empty() && !just_met_.empty(); ++v)
      if (text_.within_word(last_, static_cast<std::int32_t>(v))) blocked[v] = 1;
  }

  void note(std::int32_t unit) override {
    done_ = std::min(wanted_->beginning.text.size(), done_ + text_.spelled_[unit].size());
    std::vector<std::size_t> just_met;
    for (std::size_t k = 0; k < had_.size(); ++k) {
      const bool was_met = met(k);
      had_[k] = had_after(k, unit);
      if (met(k) && !was_met) just_met.push_back(k);
    }
    just_met_ = std::move(just_met);
    last_ = unit;
    partial_ = text_.is_byte(unit) ? partial_ + text_.spelled_[unit] : std::string();
    if (!find_invalid_utf8(partial_)) partial_.clear();
  }

  bool ended() const override { return false; }
  bool complete() const override {
    if (done_ < wanted_->beginning.text.size()) return false;
    for (std::size_t k = 0; k < had_.size(); ++k)
      if (!met(k)) return false;
    return true;
  }

  std::vector<std::int32_t> wanted() const override {
    std::vector<std::int32_t> out;
    for (std::size_t k = 0; k < had_.size() && done_ == wanted_->beginning.text.size(); ++k)
      if (!met(k)) out.push_back(wanted_->terms[k][had_[k]]);
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  bool demands(std::int32_t unit) const override {
    if (done_ < wanted_->beginning.text.size()) return true;
    for (std::size_t k = 0; k < had_.size(); ++k)
      if (!met(k) && wanted_->terms[k][had_[k]] == unit) return true;
    return false;
  }

  std::int64_t progress_with(std::int32_t unit) const override {
    // Of terms that are not complete only the one that is nearest: two that begin alike would count twice what both
    // have, and going on with one of them would be no progress.
    std::size_t whole = 0, begun = 0;
    for (std::size_t k = 0; k < had_.size(); ++k) {
      const std::size_t had = had_after(k, unit);
      if (had == wanted_->terms[k].size())
        whole += had;
      else
        begun = std::max(begun, had);
    }
    return static_cast<std::int64_t>(whole + begun);
  }

  bool has_terms() const override { return !had_.empty(); }

 private:
  struct Wanted {
    RequiredText::Beginning beginning;
    std::vector<std::vector<std::int32_t>> terms;
  };

  bool met(std::size_t k) const { return had_[k] == wanted_->terms[k].size(); }

  // How many of the term's units end a text that ended with `had` of them and is continued with `unit`. They must not
  // begin within a word.
  std::size_t longest_with(std::span<const std::int32_t> term, std::size_t had, std::int32_t unit) const {
    for (std::size_t n = had + 1; n > 0; --n) {
      const bool begun_before = had > 0 && n == had + 1;
      const std::int32_t before = n <= had ? term[had - n] : last_;
      if (term[n - 1] == unit && std::ranges::equal(term.first(n - 1), term.subspan(had + 1 - n, n - 1)) &&
          (begun_before || !text_.within_word(before, term[0])))
        return n;
    }
    return 0;
  }

  // had_[k] once `unit` follows.
  std::size_t had_after(std::size_t k, std::int32_t unit) const {
    const bool undone = std::ranges::find(just_met_, k) != just_met_.end() && text_.within_word(last_, unit);
    if (unit == text_.end_ || (met(k) && !undone)) return had_[k];
    return longest_with(wanted_->terms[k], undone ? 0 : had_[k], unit);
  }

  bool fits(std::string_view unit, std::string_view rest) const {
    if (unit.empty()) return false;
    if (unit.size() >= rest.size()) return unit.starts_with(rest);
    return rest.starts_with(unit) && wanted_->beginning.unit_ends[done_ + unit.size()];
  }

  const RequiredText& text_;
  std::shared_ptr<const Wanted> wanted_;
  std::size_t done_ = 0;               // bytes of the beginning
  std::vector<std::size_t> had_;       // units of each term
  std::vector<std::size_t> just_met_;  // terms that the last unit completed
  std::int32_t last_ = kNoUnit;
  std::string partial_;  // the bytes of a code point that is not whole yet
};

RequiredText::RequiredText(const Vocabulary& vocabulary, const Tokenizer& tokenizer, bool blanks, std::int32_t end)
    : vocabulary_(vocabulary), tokenizer_(tokenizer), blanks_(blanks), end_(end) {
  for (std::int32_t v = 0; v < vocabulary.size(); ++v) {
    const std::string_view text = vocabulary.text(v);
    const auto byte = vocabulary.subwords() ? byte_of_unit(text) : std::nullopt;
    const bool is_text = v != Vocabulary::kUnknown && v != end;
    spelled_.push_back(!is_text ? std::string()
                       : byte   ? std::string(1, static_cast<char>(*byte))
                                : (blanks ? " " : "") + std::string(text));
    ends_.push_back(ends_of(spelled_.back()));
    if (is_byte(v)) bytes_.push_back(v);
  }
}

// Bytes of a code point that is not whole count as letters of the word that they stand in.
bool RequiredText::within_word(std::int32_t before, std::int32_t after) const {
  if (before < 0 || spelled_[before].empty() || spelled_[after].empty()) return false;
  const char32_t left = ends_[before].second, right = ends_[after].first;
  if (left == kPartial) return right == kPartial || (!is_unsegmented(right) && character_class(right) >= kFirstScript);
  if (right == kPartial) return !is_unsegmented(left) && character_class(left) >= kFirstScript;
  return mnemo::within_word(left, right);
}

// Subwords spell a text in many ways; a word or a grapheme must end where one of the beginning does, as nothing may
// follow that goes on from there.
RequiredText::Beginning RequiredText::beginning_of(const std::string& text) const {
  Tokens tokens;
  tokenizer_.tokenize(text, tokens);
  std::string out;
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto byte = vocabulary_.subwords() ? byte_of_unit(tokens.text(i)) : std::nullopt;
    if (blanks_) out += ' ';
    if (byte)
      out += static_cast<char>(*byte);
    else
      out += tokens.text(i);
    ends.push_back(out.size());
  }
  // A blank after the last word ends it: another one follows.
  if (blanks_ && !tokens.empty() && text.back() == ' ') out += ' ';
  // The units must be able to spell each word; of the last one, some unit's beginning.
  for (std::size_t i = 0; blanks_ && i < tokens.size(); ++i) {
    const std::string word = " " + std::string(tokens.text(i));
    const bool last = i + 1 == tokens.size() && out.back() != ' ';
    if (std::ranges::none_of(spelled_,
                             [&](const std::string& unit) { return last ? unit.starts_with(word) : unit == word; }))
      fail("the vocabulary has no unit for \"{}\" in \"{}\"", shown(tokens.text(i)), shown(text));
  }
  for (std::size_t at = 0; !blanks_ && !vocabulary_.subwords() && at < tokens.size(); ++at)
    if (!vocabulary_.contains(tokens.text(at)))
      fail("the vocabulary has no unit for \"{}\" in \"{}\"", shown(tokens.text(at)), shown(text));
  std::vector<bool> unit_ends(out.size() + 1, vocabulary_.subwords() != nullptr);
  for (const std::size_t end : ends) unit_ends[end] = true;
  return {std::move(out), std::move(unit_ends)};
}

std::vector<std::int32_t> RequiredText::units_of(const std::string& term) const {
  Tokens tokens;
  tokenizer_.tokenize(term, tokens);
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    out.push_back(vocabulary_.find(tokens.text(i)));
    if (out.back() == Vocabulary::kUnknown)
      fail("the vocabulary has no unit for \"{}\" in \"{}\"", shown(tokens.text(i)), shown(term));
  }
  if (out.empty() || term.find_first_not_of(" \t") == std::string::npos)
    fail("\"{}\": a term without text", shown(term));
  return out;
}

std::unique_ptr<Constraint> RequiredText::constraint(const std::string& beginning,
                                                     const std::vector<std::string>& terms) const {
  std::vector<std::vector<std::int32_t>> units;
  units.reserve(terms.size());
  for (const std::string& term : terms) units.push_back(units_of(term));
  return std::make_unique<RequiredConstraint>(*this, beginning_of(beginning), std::move(units));
}

std::int64_t RequiredText::most_units(const std::string& beginning, const std::vector<std::string>& terms) {
  std::size_t out = beginning.size();
  for (const std::string& term : terms) out += term.size();
  return static_cast<std::int64_t>(out);
}

}  // namespace mnemo
