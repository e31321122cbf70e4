// Log-probabilities of lines under a language model: the answers of `mnemo score`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "pipeline/adaptation.h"
#include "pipeline/stream_loss.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

struct LineScore {
  std::vector<std::int32_t> units;        ///< of the line, and the end of line
  std::vector<double> log_probabilities;  ///< of each
  std::int64_t unknown = 0;

  double log_probability() const;
  double perplexity() const;
  /// {"units", "unknown", "log_prob", "perplexity", "unit_log_probs"}.
  Json json(const Vocabulary& vocabulary) const;
};

/// Takes lines and scores them many at a time. Each is scored as if it began the text; with adaptation, by a model that
/// has adapted to the lines before it.
class LineScorer {
 public:
  /// `model` and `pool` must outlive it.
  LineScorer(const TextLanguageModel& model, const AdaptationOptions& adaptation, ThreadPool& pool);

  /// Adds a line of valid UTF-8.
  void add(std::string_view line);
  std::int64_t lines() const { return std::ssize(starts_) - 1; }
  std::int64_t units() const { return std::ssize(ids_); }
  /// The scores of the lines added since the last call, in order.
  std::vector<LineScore> take();

 private:
  const TextLanguageModel& model_;
  ThreadPool& pool_;
  std::int64_t conditions_;  // units of a line that are read but not scored
  std::unique_ptr<AdaptiveLoss> adaptive_;
  Tokens tokens_;
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> unknown_, starts_{0};
};

}  // namespace mnemo
