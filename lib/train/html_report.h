// The report of an evaluation as one self-contained page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/bootstrap.h"
#include "train/metrics.h"

namespace mnemo {

/// A line of a learning curve: (step, value) in order of step.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

/// Curves that share an axis, drawn in one chart. Values that are not finite break the line.
struct CurveChart {
  std::string title;
  std::vector<Curve> curves;
};

/// A column of numbers beside the model's: a baseline, or another model.
struct ReportColumn {
  std::string name;
  Evaluation evaluation;
};

struct Mistake {
  std::int64_t record = 0;  ///< Line or record number, from 1.
  std::string gold;
  std::string predicted;
  double probability = 0;  ///< Of the predicted label.
  std::string text;
};

struct ReportData {
  std::string title;
  std::string language = "en";  ///< BCP 47 tag of the page's own words.
  /// Facts in order: model, data, producer, ...
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::string> labels;  ///< [C]
  std::string main_metric = "accuracy";
  std::optional<Interval> interval;  ///< Of the main metric, 95%.
  Evaluation evaluation;
  std::vector<ReportColumn> baselines;
  std::optional<Comparison> comparison;
  std::string comparison_name;  ///< The other model.
  std::vector<CurveChart> learning_curves;
  bool multi_label = false;
  std::vector<Mistake> mistakes;  ///< Worst first.
};

/// An HTML5 page that needs no network and no script: styles and drawings are inside it. Every text of `data` is
/// escaped, invalid UTF-8 and characters that HTML forbids are shown as U+FFFD. Sections without data are left out.
std::string html_report(const ReportData& data);

}  // namespace mnemo
