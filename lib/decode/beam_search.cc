#include "decode/beam_search.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/finite.h"
#include "kernels/elementwise.h"
#include "kernels/softmax.h"

// Every step extends all hypotheses to candidates, best units first, and the best candidates of all form the next beam.
// A candidate that ends (by the end unit, or because its constraint has ended) leaves the beam and takes no place in
// it. The search stops when as many as wanted have ended and no open hypothesis ranks above the last of them.

namespace mnemo {

void blocked_now(const std::vector<std::uint8_t>& always, const Constraint& constraint, Index units,
                 std::vector<std::uint8_t>& out) {
  out = always;
  out.resize(static_cast<std::size_t>(units), 0);
  constraint.block(out);
}

BeamSearch::BeamSearch(StepScorer& scorer, std::span<const std::int32_t> prompt, const BeamOptions& options)
    : scorer_(scorer), options_(options), blocked_(options.blocked), exponentials_(scorer.units()) {
  beam_.push_back({{}, options.constraint ? options.constraint->clone() : nullptr, RepeatGuard(options.no_repeat)});
  for (const std::int32_t unit : prompt) beam_[0].guard.note(unit);
}

double BeamSearch::rank(const GeneratedText& text) const {
  if (options_.end < 0) return text.log_probability;
  return text.log_probability / static_cast<double>(std::max<std::size_t>(1, text.units.size()));
}

void BeamSearch::keep_best(std::vector<GeneratedText>& texts) const {
  std::stable_sort(texts.begin(), texts.end(),
                   [&](const GeneratedText& a, const GeneratedText& b) { return rank(a) > rank(b); });
  if (std::ssize(texts) > options_.beam) texts.resize(static_cast<std::size_t>(options_.beam));
}

// A unit that would repeat a sequence is allowed only if no other is.
void BeamSearch::find_allowed(const Hypothesis& one) {
  const Index V = scorer_.units();
  if (one.constraint) blocked_now(options_.blocked, *one.constraint, V, blocked_);
  for (const RepeatGuard::Units* repeating : {one.guard.repeating(), static_cast<const RepeatGuard::Units*>(nullptr)}) {
    allowed_.clear();
    for (std::int32_t v = 0; v < V; ++v)
      if ((blocked_.empty() || !blocked_[v]) && (!repeating || !repeating->contains(v))) allowed_.push_back(v);
    if (!allowed_.empty()) return;
  }
}

void BeamSearch::add_candidates(Index b) {
  const auto scores = scorer_.scores(b);
  const Index V = scorer_.units();
  if (kernels::has_non_finite(scores.data(), V)) fail_not_finite("the score of a unit");
  const float largest = kernels::largest_of_row(V, scores.data());
  const double log_sum =
      std::log(static_cast<double>(kernels::exp_row(V, scores.data(), largest, 1.0f, exponentials_.data())));
  find_allowed(beam_[b]);
  // One of them may be the end unit, which takes no place in the beam.
  const auto wanted = std::min<std::ptrdiff_t>(std::ssize(allowed_), options_.beam + 1);
  std::partial_sort(allowed_.begin(), allowed_.begin() + wanted, allowed_.end(),
                    [&](auto a, auto c) { return scores[a] > scores[c] || (scores[a] == scores[c] && a < c); });
  for (std::ptrdiff_t i = 0; i < wanted; ++i)
    candidates_.push_back(
        {finite(beam_[b].text.log_probability + static_cast<double>(scores[allowed_[i]] - largest) - log_sum,
                "the probability of a unit"),
         b, allowed_[i]});
}

// Returns whether the candidate became a hypothesis of the next beam, rather than ending.
bool BeamSearch::take(const Candidate& c) {
  GeneratedText text = beam_[c.from].text;
  text.log_probability = c.log_probability;
  if (c.unit == options_.end) {
    ended_.push_back(std::move(text));
    return false;
  }
  text.units.push_back(c.unit);
  std::unique_ptr<Constraint> constraint;
  if (options_.constraint) {
    constraint = beam_[c.from].constraint->clone();
    constraint->note(c.unit);
    if (constraint->ended()) {
      ended_.push_back(std::move(text));
      return false;
    }
  }
  RepeatGuard guard = beam_[c.from].guard;
  guard.note(c.unit);
  next_.push_back({std::move(text), std::move(constraint), std::move(guard)});
  return true;
}

void BeamSearch::take_best_candidates() {
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const auto& a, const auto& b) { return a.log_probability > b.log_probability; });
  next_.clear();
  from_.clear();
  units_.clear();
  for (const Candidate& c : candidates_) {
    if (std::ssize(next_) == options_.beam) break;
    if (!take(c)) continue;
    from_.push_back(c.from);
    units_.push_back(c.unit);
  }
  std::swap(beam_, next_);
  keep_best(ended_);
}

// The mean of an open sequence could still rise; waiting for that would mean searching to the full length.
bool BeamSearch::can_improve() const {
  return std::any_of(beam_.begin(), beam_.end(), [&](const Hypothesis& one) {
    return std::ssize(ended_) < options_.beam || rank(one.text) > rank(ended_.back());
  });
}

std::vector<GeneratedText> BeamSearch::run() {
  for (std::int64_t at = 0; at < options_.length && !beam_.empty(); ++at) {
    candidates_.clear();
    for (Index b = 0; b < std::ssize(beam_); ++b) add_candidates(b);
    take_best_candidates();
    if (!can_improve()) break;
    // Unused places of the beam continue with an arbitrary unit and are ignored.
    from_.resize(options_.beam, 0);
    units_.resize(options_.beam, units_.front());
    scorer_.advance(from_, units_);
  }
  if (!options_.constraint && std::ssize(ended_) < options_.beam) {
    std::vector<GeneratedText> cut;
    cut.reserve(beam_.size());
    for (Hypothesis& one : beam_) cut.push_back(std::move(one.text));
    keep_best(cut);
    cut.resize(std::min<std::size_t>(cut.size(), static_cast<std::size_t>(options_.beam) - ended_.size()));
    std::move(cut.begin(), cut.end(), std::back_inserter(ended_));
  }
  if (ended_.empty() && options_.constraint) throw Error(kNothingLeft);
  return std::move(ended_);
}

}  // namespace mnemo
