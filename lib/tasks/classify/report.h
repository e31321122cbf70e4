// A classifier's report: metrics with a confidence interval, beside baselines.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/bootstrap.h"
#include "measure/metrics.h"
#include "report/report.h"
#include "tasks/classify/training.h"

namespace mnemo {

/// The evaluation of a baseline.
struct BaselineScores {
  std::string name;
  Evaluation evaluation;
};

class ClassifierReport : public Report {
 public:
  /// Measures on labelled texts; models and `texts` must outlive the report. What is not a matter of probabilities,
  /// such as the units that weighed most in a mistake, is the first model's. `metric` empty: the one by which the first
  /// model was chosen. With `train` two baselines are fitted to it: the majority class, and logistic regression on a
  /// bag of hashed n-grams. Throws Error if a requested metric is not defined on the texts.
  ClassifierReport(const AveragedClassifiers& models, const LabelledTexts& texts, const std::string& metric,
                   const LabelledTexts* train, ThreadPool& pool);

  Metrics metrics() const override { return evaluation_.metrics(); }
  const std::string& main_metric() const override { return main_metric_; }
  /// Throws Error if the other model has other labels.
  void compare(const Report& other) override;
  Json json() const override;
  std::string text() const override;
  std::string summary() const override;
  std::string page(const std::string& log_file) const override;

  const TextGold& gold() const { return gold_; }

 private:
  void add_baselines(const LabelledTexts& train);

  const TextClassifier& classifier_;
  const LabelledTexts& texts_;
  std::string main_metric_;
  TextGold gold_;
  Predictions predictions_;
  Evaluation evaluation_;
  std::optional<Interval> interval_;  // 95%, of the main metric; none if that is not defined
  std::vector<BaselineScores> baselines_;
  std::optional<Comparison> comparison_;
  std::string other_model_;
};

}  // namespace mnemo
