// A tagger's report: counts of tokens and spans with an interval, as text and JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/bootstrap.h"
#include "report/html_report.h"
#include "tasks/tag/training.h"

namespace mnemo {

/// How well the probabilities of predicted spans (where tags spell none, of tags) tell how often they are right:
/// expected calibration error over 15 bins of equal width (Guo et al. 2017, eq. 3).
struct SpanCalibration {
  std::int64_t spans = 0;
  double ece = 0, mean_probability = 0, share_right = 0;
  std::vector<CalibrationBin> bins;
};

struct TagReport {
  std::string model, data;  ///< as the user named them
  std::vector<TagColumn> columns;
  std::vector<TagEvaluation> evaluations;  ///< [columns]
  std::vector<SpanCalibration> calibrations;
  /// Fitted to train; none without it: the tag that each word has most often, where words that train lacks get the most
  /// frequent tag of all, and a linear CRF.
  struct Baseline {
    std::string name;
    std::vector<TagEvaluation> evaluations;  ///< [columns]
  };
  std::vector<Baseline> baselines;
  std::string main_metric;
  RecordRatio main;   ///< of the first column's main metric, by sentence
  Interval interval;  ///< 95%, of it
  /// Of the first column, the sentences with a mistake whose true tags are least probable, at most 50.
  std::vector<Mistake> mistakes;
  std::optional<Comparison> comparison;
  std::string other_model;
};

/// Evaluates on sentences. `train`, if it is not null, tells which words are unknown and has the baselines
/// fitted to it.
/// `main_metric` is f1, precision, recall or token_accuracy; empty: f1 where the first column's tags spell spans, else
/// token_accuracy. Throws UsageError for another one, and for one of spans where there are none.
TagReport report_tagger(TextTagger& model, const TaggedSentences& sentences, const TaggedSentences* train,
                        const std::string& main_metric, ThreadPool& pool);

/// Adds a paired test against another model's report on the same sentences. Throws Error if its first column is not
/// measured by the same metric.
void add_comparison(TagReport& report, const TagReport& other);

/// All metrics of all columns, with the calibration error `ece`.
Metrics report_metrics(const TagReport& report);
/// Throws UsageError if a report of these columns cannot have a metric of this name.
void check_tag_metric(const std::string& name, const std::vector<TagColumn>& columns);

Json report_json(const TagReport& report);
std::string report_text(const TagReport& report);
/// The page; learning curves come from the log of the run that the model lies in, if there is one.
std::string report_html(const TagReport& report, const std::string& log_file);

}  // namespace mnemo
