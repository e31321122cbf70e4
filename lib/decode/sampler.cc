#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/finite.h"
#include "kernels/softmax.h"

namespace mnemo {
namespace {
constexpr double kHighestInverse = 1e30;
}  // namespace

Sampler::Sampler(const SamplingOptions& options, std::int64_t classes, std::uint64_t seed, std::uint64_t stream)
    : options_(options),
      random_(seed, Purpose::kSample, stream),
      scores_(classes),
      exponentials_(classes),
      guard_(options.no_repeat) {}

void Sampler::note(std::int32_t unit) {
  if (options_.repetition_penalty != 1.0) seen_.insert(unit);
  guard_.note(unit);
}

std::int32_t Sampler::next(std::span<const float> scores, std::span<const std::uint8_t> blocked,
                           const Constraint* constraint) {
  const auto V = std::ssize(scores);
  const float largest = kernels::largest_of_row(V, scores.data());
  const auto sum = static_cast<double>(kernels::exp_sum_of_row(V, scores.data(), largest));
  if (std::isnan(sum)) fail_not_finite("the score of a unit");
  std::copy(scores.begin(), scores.end(), scores_.begin());
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (const std::int32_t unit : seen_) {
    float& score = scores_[unit];
    score = score > 0 ? score / penalty : score * penalty;
  }
  const RepeatGuard::Units* repeating = guard_.repeating(constraint, repeating_);
  std::int32_t unit = choose(blocked, repeating);
  if (unit < 0 && repeating) unit = choose(blocked, nullptr);
  if (unit < 0) return unit;
  log_probability_ = finite(log_probability_ + (static_cast<double>(scores[unit] - largest) - std::log(sum)),
                            "the probability of a unit");
  note(unit);
  return unit;
}

std::int32_t Sampler::likeliest(std::span<const std::uint8_t> blocked, const RepeatGuard::Units* repeating) {
  std::copy(scores_.begin(), scores_.end(), exponentials_.begin());
  block_scores(blocked, exponentials_);
  if (repeating)
    for (const std::int32_t v : *repeating) exponentials_[v] = -INFINITY;
  std::int32_t best = -1;
  kernels::best_of_row(std::ssize(exponentials_), exponentials_.data(), 1, &best);
  return std::isinf(exponentials_[best]) ? -1 : best;
}

std::int32_t Sampler::choose(std::span<const std::uint8_t> blocked, const RepeatGuard::Units* repeating) {
  const auto V = std::ssize(scores_);
  const bool all = blocked.empty() && !repeating;
  const bool cut = options_.top_k > 0 || options_.top_p < 1.0 || options_.min_p > 0.0;
  kept_.clear();
  if (options_.temperature <= 0) return likeliest(blocked, repeating);
  if (!all || cut) {
    for (std::int32_t v = 0; v < V; ++v)
      if ((blocked.empty() || !blocked[v]) && (!repeating || !repeating->contains(v))) kept_.push_back(v);
    if (kept_.empty()) return -1;
  }
  // The remaining units are at the front, ordered by score if something is cut off.
  if (!kept_.empty()) {
    if (cut) {
      const auto more = [&](std::int32_t a, std::int32_t b) {
        return scores_[a] > scores_[b] || (scores_[a] == scores_[b] && a < b);
      };
      const std::int64_t most = options_.top_k > 0 ? std::min(options_.top_k, std::ssize(kept_)) : std::ssize(kept_);
      std::partial_sort(kept_.begin(), kept_.begin() + most, kept_.end(), more);
      kept_.resize(most);
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) exponentials_[i] = scores_[kept_[i]];
  } else {
    std::copy(scores_.begin(), scores_.end(), exponentials_.begin());
  }
  std::int64_t count = kept_.empty() ? V : std::ssize(kept_);
  const float largest = kernels::largest_of_row(count, exponentials_.data());
  // A temperature whose inverse overflows a float acts like the most probable unit's alone.
  const auto inverse = static_cast<float>(std::min(1.0 / options_.temperature, kHighestInverse));
  double sum =
      static_cast<double>(kernels::exp_row(count, exponentials_.data(), largest, inverse, exponentials_.data()));
  if (options_.top_p < 1.0 || options_.min_p > 0.0) {
    double taken = 0;
    std::int64_t keep = 0;
    // The most probable one has exp(0).
    while (keep < count &&
           (keep == 0 || (taken < options_.top_p * sum && static_cast<double>(exponentials_[keep]) >= options_.min_p)))
      taken += static_cast<double>(exponentials_[keep++]);
    count = keep;
    sum = taken;
  }
  double left = random_.uniform() * sum;
  std::int64_t chosen = -1;
  for (std::int64_t i = 0; i < count; ++i) {
    if (exponentials_[i] <= 0) continue;
    chosen = i;
    left -= static_cast<double>(exponentials_[i]);
    if (left < 0) break;
  }
  if (chosen < 0) return -1;
  return kept_.empty() ? static_cast<std::int32_t>(chosen) : kept_[chosen];
}

}  // namespace mnemo
