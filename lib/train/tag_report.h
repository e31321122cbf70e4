// A tagger's report: counts of tokens and spans with an interval, as text and JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/bootstrap.h"
#include "train/tagging.h"

namespace mnemo {

/// How well the probabilities of predicted spans (where tags spell none, of tags) tell how often they are right:
/// expected calibration error over 15 bins of equal width (Guo et al. 2017, eq. 3).
struct SpanCalibration {
  std::int64_t spans = 0;
  double ece = 0, mean_probability = 0, share_right = 0;
};

struct TagReport {
  std::string model, data;  ///< as the user named them
  std::vector<TagColumn> columns;
  std::vector<TagEvaluation> evaluations;  ///< [columns]
  std::vector<SpanCalibration> calibrations;
  /// [columns] of the tag that each word has most often in train, and of words that train lacks the most frequent tag
  /// of all; empty without train.
  std::vector<TagEvaluation> baselines;
  std::string main_metric;
  RecordRatio main;   ///< of the first column's main metric, by sentence
  Interval interval;  ///< 95%, of it
  std::optional<Comparison> comparison;
  std::string other_model;
};

/// Evaluates on sentences. `train`, if it is not null, tells which words are unknown and gives the baseline.
TagReport report_tagger(TextTagger& model, const TaggedSentences& sentences, const TaggedSentences* train,
                        ThreadPool& pool);

/// Adds a paired test against another model's report on the same sentences. Throws Error if its first column is not
/// measured by the same metric.
void add_comparison(TagReport& report, const TagReport& other);

Json report_json(const TagReport& report);
std::string report_text(const TagReport& report);

}  // namespace mnemo
