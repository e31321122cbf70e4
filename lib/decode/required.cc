#include "decode/required.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "text/subwords.h"
#include "text/utf8.h"

namespace mnemo {

// A hypothesis's place in the beginning and in the terms. Of the terms at most one is under way: another unit than its
// next one abandons it.
class RequiredConstraint : public Constraint {
 public:
  RequiredConstraint(const RequiredText& text, std::string beginning, std::vector<std::vector<std::int32_t>> terms)
      : text_(text),
        wanted_(std::make_shared<const Wanted>(Wanted{std::move(beginning), std::move(terms)})),
        met_(wanted_->terms.size(), false) {}

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
    if (active_ >= 0 && wanted_->terms[active_][at_] != unit) active_ = -1;
    for (std::size_t k = 0; k < met_.size() && active_ < 0; ++k)
      if (!met_[k] && wanted_->terms[k].front() == unit) {
        active_ = static_cast<std::int32_t>(k);
        at_ = 0;
      }
    if (active_ < 0 || ++at_ < wanted_->terms[active_].size()) return;
    met_[active_] = true;
    active_ = -1;
  }

  bool ended() const override { return false; }
  bool complete() const override {
    return done_ == wanted_->beginning.size() && std::ranges::find(met_, false) == met_.end();
  }

  std::vector<std::int32_t> wanted() const override {
    if (done_ < wanted_->beginning.size()) return {};
    if (active_ >= 0) return {wanted_->terms[active_][at_]};
    std::vector<std::int32_t> out;
    for (std::size_t k = 0; k < met_.size(); ++k)
      if (!met_[k]) out.push_back(wanted_->terms[k].front());
    return out;
  }

  std::int64_t progress() const override {
    std::size_t out = active_ >= 0 ? at_ : 0;
    for (std::size_t k = 0; k < met_.size(); ++k) out += met_[k] ? wanted_->terms[k].size() : 0;
    return static_cast<std::int64_t>(out);
  }

  bool has_terms() const override { return !met_.empty(); }

 private:
  struct Wanted {
    std::string beginning;
    std::vector<std::vector<std::int32_t>> terms;
  };

  bool fits(std::string_view unit, std::string_view rest) const {
    if (unit.empty()) return false;
    if (unit.size() >= rest.size()) return unit.starts_with(rest);
    // A word must end where a word of the beginning does.
    return rest.starts_with(unit) && (!text_.blanks_ || rest[unit.size()] == ' ');
  }

  const RequiredText& text_;
  std::shared_ptr<const Wanted> wanted_;
  std::size_t done_ = 0, at_ = 0;
  std::int32_t active_ = -1;
  std::vector<bool> met_;
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
  if (blanks_ && !text.empty() && text.back() == ' ') out += ' ';
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
  if (blanks_ && !out.empty() && out.back() == ' ') out.pop_back();
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
