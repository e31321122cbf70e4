#include "decode/beam_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>

#include "base/error.h"
#include "base/finite.h"
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

BeamSearch::BeamSearch(Index units, std::span<const std::int32_t> prompt, const BeamOptions& options)
    : vocabulary_(units), options_(options) {
  for (std::size_t v = 0; v < options.blocked.size(); ++v)
    if (options.blocked[v] != 0) always_blocked_.push_back(static_cast<std::int32_t>(v));
  beam_.push_back({{}, options.constraint ? options.constraint->clone() : nullptr, RepeatGuard(options.no_repeat)});
  for (const std::int32_t unit : prompt) beam_[0].guard.note(unit);
  done_ = options.length <= 0 || (options.constraint && options.constraint->ended());
}

double BeamSearch::rank(const GeneratedText& text, bool ended) const {
  if (options_.end < 0) return text.log_probability;
  if (options_.length_penalty) {
    const auto units = static_cast<double>(text.units.size() + (ended ? 1 : 0));
    return text.log_probability / std::pow((5.0 + units) / 6.0, *options_.length_penalty);
  }
  return text.log_probability / static_cast<double>(std::max<std::size_t>(1, text.units.size()));
}

void BeamSearch::keep_best(std::vector<GeneratedText>& texts) const {
  std::stable_sort(texts.begin(), texts.end(),
                   [](const GeneratedText& a, const GeneratedText& b) { return a.score > b.score; });
  if (std::ssize(texts) > options_.beam) texts.resize(static_cast<std::size_t>(options_.beam));
}

// Copies the scores, with -infinity for what is blocked.
void BeamSearch::block(const Hypothesis& one, std::span<const float> scores) {
  allowed_.assign(scores.begin(), scores.end());
  if (one.constraint) return block_scores(blocked_, allowed_);
  for (const std::int32_t v : always_blocked_) allowed_[v] = -INFINITY;
}

// A unit that would repeat a sequence is allowed only if no other is. The end is not while the text is too short.
const float* BeamSearch::allowed_scores(const Hypothesis& one, std::span<const float> scores) {
  const RepeatGuard::Units* repeating = one.guard.repeating(one.constraint.get(), repeating_);
  const bool too_short = options_.end >= 0 && steps_ < options_.least;
  if (always_blocked_.empty() && !one.constraint && !repeating && !too_short) return scores.data();
  if (one.constraint) blocked_now(options_.blocked, *one.constraint, vocabulary_, blocked_);
  block(one, scores);
  if (repeating) {
    for (const std::int32_t v : *repeating) allowed_[v] = -INFINITY;
    if (std::isinf(kernels::largest_of_row(vocabulary_, allowed_.data()))) block(one, scores);
  }
  // Unless nothing else may come.
  if (too_short && std::any_of(allowed_.begin(), allowed_.end(), [&](const float& score) {
        return !std::isinf(score) && &score != &allowed_[options_.end];
      }))
    allowed_[options_.end] = -INFINITY;
  return allowed_.data();
}

void BeamSearch::add_candidates(Index b, std::span<const float> scores) {
  const Index V = vocabulary_;
  const float largest = kernels::largest_of_row(V, scores.data());
  const auto sum = static_cast<double>(kernels::exp_sum_of_row(V, scores.data(), largest));
  if (std::isnan(sum)) fail_not_finite("the score of a unit");
  const double log_sum = std::log(sum);
  const float* allowed = allowed_scores(beam_[b], scores);
  // One of them may be the end unit, which takes no place in the beam.
  best_.resize(std::min(V, options_.beam + 1));
  kernels::best_of_row(V, allowed, std::ssize(best_), best_.data());
  for (const std::int32_t unit : best_) {
    if (std::isinf(allowed[unit])) break;
    candidates_.push_back({finite(beam_[b].text.log_probability + static_cast<double>(scores[unit] - largest) - log_sum,
                                  "the probability of a unit"),
                           b, unit});
  }
  if (beam_[b].constraint && beam_[b].constraint->has_terms())
    add_wanted(b, scores.data(), allowed, static_cast<double>(largest) + log_sum);
}

// Units that bring a constraint forward are candidates however improbable they are.
void BeamSearch::add_wanted(Index b, const float* scores, const float* allowed, double shift) {
  for (const std::int32_t unit : beam_[b].constraint->wanted())
    if (!std::isinf(allowed[unit]) && std::ranges::find(best_, unit) == best_.end())
      candidates_.push_back({beam_[b].text.log_probability + static_cast<double>(scores[unit]) - shift, b, unit});
}

// Candidates in turn from each number of required units that they have, beginning with the highest: so the beam is
// divided among hypotheses of all stages.
std::vector<BeamSearch::Candidate> BeamSearch::by_progress(const std::vector<Candidate>& sorted) const {
  std::map<std::int64_t, std::vector<Candidate>, std::greater<>> stages;
  for (const Candidate& c : sorted) stages[beam_[c.from].constraint->progress_with(c.unit)].push_back(c);
  std::vector<Candidate> out;
  for (std::size_t i = 0; out.size() < sorted.size(); ++i)
    for (const auto& [progress, stage] : stages)
      if (i < stage.size()) out.push_back(stage[i]);
  return out;
}

void BeamSearch::end(GeneratedText text, Index from) {
  text.score = rank(text, true) + (options_.bonus ? options_.bonus(from) : 0.0);
  ended_.push_back(std::move(text));
}

// Returns whether the candidate became a hypothesis of the next beam, rather than ending.
bool BeamSearch::take(const Candidate& c) {
  GeneratedText text = beam_[c.from].text;
  text.log_probability = c.log_probability;
  if (!attention_.empty()) text.attention = attention_[c.from];
  if (c.unit == options_.end) {
    end(std::move(text), c.from);
    return false;
  }
  text.units.push_back(c.unit);
  std::unique_ptr<Constraint> constraint;
  if (options_.constraint) {
    constraint = beam_[c.from].constraint->clone();
    constraint->note(c.unit);
    if (constraint->ended()) {
      end(std::move(text), c.from);
      return false;
    }
  }
  RepeatGuard guard = beam_[c.from].guard;
  guard.note(c.unit);
  next_.push_back({std::move(text), std::move(constraint), std::move(guard), c.from});
  return true;
}

void BeamSearch::take_best_candidates() {
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const auto& a, const auto& b) { return a.log_probability > b.log_probability; });
  if (options_.constraint && options_.constraint->has_terms()) candidates_ = by_progress(candidates_);
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
  next_.clear();
  keep_best(ended_);
}

// The rank of an open text could still rise, as it is divided by a power of its length; waiting for that would mean
// searching to the full length.
bool BeamSearch::can_improve() const {
  return std::any_of(beam_.begin(), beam_.end(), [&](const Hypothesis& one) {
    return std::ssize(ended_) < options_.beam || rank(one.text, false) > ended_.back().score;
  });
}

void BeamSearch::extend(const HypothesisScores& scores, std::span<const AttentionChain> attention) {
  candidates_.clear();
  attention_ = attention;
  for (Index b = 0; b < std::ssize(beam_); ++b) add_candidates(b, scores(b));
  take_best_candidates();
  done_ = ++steps_ >= options_.length || beam_.empty() || !can_improve();
}

// Texts that have ended may still be the best, so what is settled is no longer than they are.
std::span<const std::int32_t> BeamSearch::settled() {
  std::vector<const std::vector<std::int32_t>*> texts;
  for (const Hypothesis& one : beam_) texts.push_back(&one.text.units);
  for (const GeneratedText& one : ended_) texts.push_back(&one.units);
  if (texts.empty()) return {};
  const std::vector<std::int32_t>& first = *texts.front();
  const auto agree = [&](const auto* units) {
    return units->size() > settled_ && (*units)[settled_] == first[settled_];
  };
  while (settled_ < first.size() && std::ranges::all_of(texts, agree)) ++settled_;
  return {first.data(), settled_};
}

std::vector<GeneratedText> BeamSearch::take() {
  if (std::ssize(ended_) < options_.beam) {
    std::vector<GeneratedText> cut;
    for (Hypothesis& one : beam_) {
      if (one.constraint && !one.constraint->complete()) continue;
      one.text.score = rank(one.text, false) + (options_.bonus ? options_.bonus(one.from) : 0.0);
      cut.push_back(std::move(one.text));
    }
    keep_best(cut);
    cut.resize(std::min<std::size_t>(cut.size(), static_cast<std::size_t>(options_.beam) - ended_.size()));
    std::move(cut.begin(), cut.end(), std::back_inserter(ended_));
  }
  if (ended_.empty() && options_.constraint) throw Error(kNothingLeft);
  return std::move(ended_);
}

SingleSearch::SingleSearch(Index units, std::span<const std::int32_t> prompt, const Options& options)
    : vocabulary_(units),
      options_(options),
      sampler_(options.sampling, units, options.seed, options.stream),
      constraint_(options.constraint ? options.constraint->clone() : nullptr),
      done_(options.length <= 0 || (constraint_ && constraint_->ended())) {
  for (const std::int32_t unit : prompt) sampler_.note(unit);
}

void SingleSearch::extend(const HypothesisScores& scores, std::span<const AttentionChain> attention) {
  const bool too_short = options_.end >= 0 && std::ssize(text_.units) < options_.least;
  std::span<const std::uint8_t> blocked = options_.blocked;
  if (constraint_ || too_short) {
    blocked_ = options_.blocked;
    blocked_.resize(static_cast<std::size_t>(vocabulary_), 0);
    if (constraint_) constraint_->block(blocked_);
    if (too_short) blocked_[options_.end] = 1;
    blocked = blocked_;
  }
  std::int32_t unit = sampler_.next(scores(0), blocked, constraint_.get());
  // The end, if nothing else may come.
  if (unit < 0 && too_short) unit = options_.end;
  if (unit < 0 && constraint_) throw Error(kNothingLeft);
  text_.log_probability = text_.score = sampler_.log_probability();
  if (!attention.empty()) text_.attention = attention[0];
  done_ = unit < 0 || unit == options_.end;
  from_.clear();
  units_.clear();
  if (done_) return;
  text_.units.push_back(unit);
  if (constraint_) {
    constraint_->note(unit);
    done_ = constraint_->ended();
  }
  done_ = done_ || std::ssize(text_.units) >= options_.length;
  if (done_) return;
  from_.push_back(0);
  units_.push_back(unit);
}

std::vector<GeneratedText> run_beam_search(StepScorer& scorer, std::span<const std::int32_t> prompt,
                                           const BeamOptions& options) {
  BeamSearch search(scorer.units(), prompt, options);
  while (search.open() > 0) {
    search.extend([&](Index b) { return scorer.scores(b); });
    if (search.open() == 0) break;
    // Unused places of the beam continue with an arbitrary unit and are ignored.
    std::vector<Index> from(search.from().begin(), search.from().end());
    std::vector<std::int32_t> units(search.units().begin(), search.units().end());
    from.resize(options.beam, 0);
    units.resize(options.beam, units.front());
    scorer.advance(from, units);
  }
  return search.take();
}

}  // namespace mnemo
