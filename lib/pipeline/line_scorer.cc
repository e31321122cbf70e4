#include "pipeline/line_scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/finite.h"
#include "base/json.h"

namespace mnemo {

double LineScore::log_probability() const {
  return std::accumulate(log_probabilities.begin(), log_probabilities.end(), 0.0);
}

double LineScore::perplexity() const {
  return finite(std::exp(-log_probability() / static_cast<double>(log_probabilities.size())), "a line's perplexity");
}

Json LineScore::json(const Vocabulary& vocabulary) const {
  Json out{
      {"units", units.size()}, {"unknown", unknown}, {"log_prob", log_probability()}, {"perplexity", perplexity()}};
  for (std::size_t t = 0; t < units.size(); ++t)
    out["unit_log_probs"].push_back({vocabulary.text(units[t]), log_probabilities[t]});
  return out;
}

LineScorer::LineScorer(const TextLanguageModel& model, const AdaptationOptions& adaptation, ThreadPool& pool)
    : model_(model), pool_(pool), conditions_(model.has_conditions() ? 1 : 0) {
  if (adaptation.any()) adaptive_ = std::make_unique<AdaptiveLoss>(model, adaptation, pool);
}

void LineScorer::add(std::string_view line) {
  unknown_.push_back(model_.encode_line(line, tokens_, ids_));
  starts_.push_back(std::ssize(ids_));
}

std::vector<LineScore> LineScorer::take() {
  std::vector<double> log_p(ids_.size());
  std::vector<StreamLoss::Lane> lanes;
  for (std::int64_t i = 0; i < lines(); ++i) lanes.push_back({starts_[i], starts_[i] + conditions_, starts_[i + 1]});
  const ReadUnits read = [&](std::int64_t first, std::span<std::int32_t> out) {
    std::copy_n(ids_.begin() + first, out.size(), out.begin());
  };
  const StreamLoss::Use use = [&](std::int32_t, std::int64_t place, double one) { log_p[place] = one; };
  if (adaptive_)
    for (const StreamLoss::Lane& lane : lanes) adaptive_->measure(read, lane, use);
  else
    StreamLoss(lanes).measure(model_, read, pool_, use);
  std::vector<LineScore> out;
  for (std::int64_t i = 0; i < lines(); ++i) {
    LineScore score;
    const std::int64_t from = starts_[i] + conditions_, to = starts_[i + 1];
    score.units.assign(ids_.begin() + from, ids_.begin() + to);
    score.log_probabilities.assign(log_p.begin() + from, log_p.begin() + to);
    score.unknown = unknown_[i];
    out.push_back(std::move(score));
  }
  ids_.clear();
  unknown_.clear();
  starts_.assign(1, 0);
  return out;
}

}  // namespace mnemo
