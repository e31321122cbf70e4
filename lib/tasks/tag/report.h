// A tagger's report: metrics of tokens and spans with a confidence interval.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/bootstrap.h"
#include "pipeline/averaged_taggers.h"
#include "report/html_report.h"
#include "report/report.h"
#include "tasks/tag/training.h"

namespace mnemo {

/// Calibration of the probabilities of predicted spans or, where tags spell none, of tags: expected calibration error
/// over 15 bins of equal width (Guo et al. 2017, eq. 3).
struct SpanCalibration {
  std::int64_t spans = 0;
  double ece = 0, mean_probability = 0, share_right = 0;
  std::vector<CalibrationBin> bins;
};

class TaggerReport : public Report {
 public:
  /// Measures on sentences. `metric` is f1, precision, recall or token_accuracy; empty: f1 where the first column's
  /// tags spell spans, else token_accuracy. Throws UsageError for another one, and for one of spans if there are none.
  /// With `train`, which also defines the unknown words, two baselines are fitted to it: the most frequent tag of each
  /// word (words that train lacks get the most frequent tag of all), and a linear CRF.
  TaggerReport(const AveragedTaggers& models, const TaggedSentences& sentences, const std::string& metric,
               const TaggedSentences* train, ThreadPool& pool);

  /// Of all columns, with the calibration error `ece`.
  Metrics metrics() const override;
  /// The strict count has a name of its own only if it differs: else strict_f1 is f1.
  std::optional<double> metric(const std::string& name) const override;
  const std::string& main_metric() const override { return main_metric_; }
  /// Throws Error if the other's first column is not measured by the same metric.
  void compare(const Report& other) override;
  Json json() const override;
  std::string text() const override;
  std::string summary() const override;
  std::string page(const std::string& log_file) const override;

 private:
  struct Baseline {
    std::string name;
    std::vector<TagEvaluation> evaluations;  // [columns]
  };

  void measure_column(std::size_t k, const TaggedSentences& sentences, const TaggedSentences* train,
                      const std::vector<std::vector<PredictedTags>>& predicted);
  void add_baselines(std::size_t column, const TaggedSentences& train, const TaggedSentences& sentences,
                     std::vector<TaggedSentence> beside);

  std::vector<TagColumn> columns_;
  std::string main_metric_;
  std::vector<TagEvaluation> evaluations_;  // [columns]
  std::vector<SpanCalibration> calibrations_;
  std::vector<Baseline> baselines_;
  RecordRatio main_;                  // of the first column's main metric, by sentence
  std::optional<Interval> interval_;  // 95%, of that metric; none if it is not defined
  // Of the first column, the sentences with a mistake whose true tags are least probable, at most 50.
  std::vector<Mistake> mistakes_;
  std::optional<Comparison> comparison_;
  std::string other_model_;
};

/// Throws UsageError if a report of these columns cannot have a metric of this name.
void check_tag_metric(const std::string& name, const std::vector<TagColumn>& columns);

}  // namespace mnemo
