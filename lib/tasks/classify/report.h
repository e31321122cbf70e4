// A classifier's report: metrics with an interval, baselines beside them, as text, JSON and a page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/baseline.h"
#include "measure/bootstrap.h"
#include "measure/metrics.h"
#include "report/html_report.h"
#include "tasks/classify/training.h"

namespace mnemo {

/// A baseline, or another model, beside the model.
struct BaselineScores {
  std::string name;
  Evaluation evaluation;
};

struct ModelReport {
  std::string model, data;  ///< as the user named them
  std::string main_metric;
  Predictions predictions;
  Evaluation evaluation;
  std::optional<Interval> interval;  ///< 95%, of the main metric; absent where it is not defined
  std::vector<BaselineScores> baselines;
  std::optional<Comparison> comparison;
  std::string other_model;
};

/// Evaluates on labelled texts. `main_metric` empty: the metric that the model was chosen by.
ModelReport report_model(TextClassifier& model, const LabelledTexts& texts, const std::string& main_metric,
                         ThreadPool& pool);

/// Adds the majority class and a bag of hashed n-grams under logistic regression, both fitted to `train` now.
void add_baselines(ModelReport& report, const TextClassifier& model, const LabelledTexts& texts,
                   const LabelledTexts& train);

/// Adds a paired test against another model on the same texts. Throws Error if its labels differ.
void add_comparison(ModelReport& report, const TextClassifier& model, TextClassifier& other, const std::string& name,
                    const LabelledTexts& texts, ThreadPool& pool);

/// A paired test as reports show it.
Json comparison_json(const Comparison& comparison, const std::string& other_model);
std::string comparison_text(const Comparison& comparison, const std::string& other_model);

Json report_json(const ModelReport& report);
std::string report_text(const ModelReport& report, const std::vector<std::string>& labels);

/// The loss of train and dev and a metric on dev over the steps of a run; empty without a log.
std::vector<CurveChart> learning_curves(const std::string& log_file, const std::string& metric);

/// The page; learning curves come from the log of the run that the model lies in, if there is one.
std::string report_html(const ModelReport& report, const TextClassifier& model, const LabelledTexts& texts,
                        const std::string& log_file);

}  // namespace mnemo
