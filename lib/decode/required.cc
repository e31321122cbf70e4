#include "decode/required.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/shown.h"
#include "text/subwords.h"
#include "text/utf8.h"

namespace mnemo {

// A hypothesis's place in the beginning and in the terms: of each term how many of its units end the text so far, or
// all once the text has had them. So terms may overlap, begin alike, or lie within one another.
class RequiredConstraint : public Constraint {
 public:
  RequiredConstraint(const RequiredText& text, std::string beginning, std::vector<std::vector<std::int32_t>> terms)
      : text_(text),
        wanted_(std::make_shared<const Wanted>(Wanted{std::move(beginning), std::move(terms)})),
        had_(wanted_->terms.size(), 0) {}

  std::unique_ptr<Constraint> clone() const override { return std::make_unique<RequiredConstraint>(*this); }

  void block(std::span<std::uint8_t> blocked) const override {
    if (!complete()) blocked[text_.end_] = 1;
    const std::string_view rest = std::string_view(wanted_->beginning).substr(done_);
    if (rest.empty()) return;
    for (std::size_t v = 0; v < blocked.size(); ++v)
      if (!fits(text_.spelled_[v], rest)) blocked[v] = 1;
  }

  void note(std::int32_t unit) override {
    done_ = std::min(wanted_->beginning.size(), done_ + text_.spelled_[unit].size());
    for (std::size_t k = 0; k < had_.size(); ++k)
      if (!met(k)) had_[k] = longest_with(wanted_->terms[k], had_[k], unit);
  }

  bool ended() const override { return false; }
  bool complete() const override {
    if (done_ < wanted_->beginning.size()) return false;
    for (std::size_t k = 0; k < had_.size(); ++k)
      if (!met(k)) return false;
    return true;
  }

  std::vector<std::int32_t> wanted() const override {
    std::vector<std::int32_t> out;
    for (std::size_t k = 0; k < had_.size() && done_ == wanted_->beginning.size(); ++k)
      if (!met(k)) out.push_back(wanted_->terms[k][had_[k]]);
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  std::int64_t progress() const override {
    return static_cast<std::int64_t>(std::accumulate(had_.begin(), had_.end(), std::size_t{0}));
  }

  bool has_terms() const override { return !had_.empty(); }

 private:
  struct Wanted {
    std::string beginning;
    std::vector<std::vector<std::int32_t>> terms;
  };

  bool met(std::size_t k) const { return had_[k] == wanted_->terms[k].size(); }

  // How many of the term's units end a text that ended with `had` of them and is continued with `unit`.
  static std::size_t longest_with(std::span<const std::int32_t> term, std::size_t had, std::int32_t unit) {
    for (std::size_t n = had + 1; n > 0; --n)
      if (term[n - 1] == unit && std::ranges::equal(term.first(n - 1), term.subspan(had + 1 - n, n - 1))) return n;
    return 0;
  }

  bool fits(std::string_view unit, std::string_view rest) const {
    if (unit.empty()) return false;
    if (unit.size() >= rest.size()) return unit.starts_with(rest);
    // A word must end where a word of the beginning does.
    return rest.starts_with(unit) && (!text_.blanks_ || rest[unit.size()] == ' ');
  }

  const RequiredText& text_;
  std::shared_ptr<const Wanted> wanted_;
  std::size_t done_ = 0;          // bytes of the beginning
  std::vector<std::size_t> had_;  // units of each term
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
  }
}

// What the units that spell the text concatenate to.
std::string RequiredText::beginning_of(const std::string& text) const {
  Tokens tokens;
  tokenizer_.tokenize(text, tokens);
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto byte = vocabulary_.subwords() ? byte_of_unit(tokens.text(i)) : std::nullopt;
    if (blanks_) out += ' ';
    if (byte)
      out += static_cast<char>(*byte);
    else
      out += tokens.text(i);
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
  return out;
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
  if (out.empty()) fail("\"{}\": a term without text", shown(term));
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
