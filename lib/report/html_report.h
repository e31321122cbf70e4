// The report of an evaluation as a self-contained HTML page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure/bootstrap.h"
#include "measure/metrics.h"
#include "report/coloured_text.h"

namespace mnemo {

/// A curve, such as of learning: (x, value) in order of x.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

/// Curves that share an axis, drawn in one chart. Values that are not finite break the line.
struct CurveChart {
  std::string title;
  std::vector<Curve> curves;
  std::string x = "step";    ///< the name of the other axis
  bool logarithmic = false;  ///< powers of ten; values must be positive, others break the line
  bool doubles = false;      ///< the other axis: points hold logarithms to base 2, ticks the numbers
};

/// The scores of a classifier, or of a tagger's first column.
struct ReportScores {
  std::int64_t records = 0;
  std::map<std::string, double> metrics;
  std::vector<std::string> listed;     ///< the metrics of the table, in its order
  std::vector<ClassScores> per_class;  ///< [C], or by type of span
  std::vector<CalibrationBin> bins;
  /// Records, tokens or spans by (gold, predicted), of `labels`; empty: not shown.
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> confusion;
};
ReportScores report_scores(const Evaluation& evaluation, bool multi_label);

/// A column of metrics next to the model's: a baseline, or another model.
struct ReportColumn {
  std::string name;
  std::map<std::string, double> metrics;
};

/// A range of a text, in bytes, with its label.
struct TextMark {
  std::size_t begin = 0, end = 0;
  std::string label;
  bool right = true;
};

struct Mistake {
  std::int64_t record = 0;  ///< Line or record number, from 1.
  std::string gold;
  std::string predicted;
  double probability = 0;  ///< Of the predicted label, or of a tagger's true tags.
  std::string text;
  /// Of a tagger: the marks of gold tags and prediction, in order. Otherwise empty.
  std::vector<TextMark> gold_marks = {}, predicted_marks = {};
  std::optional<ColouredText> coloured = {};  ///< the text by what each unit weighs for the predicted label
};

/// A translation far from its reference, with what each of its units attended to.
struct WorstTranslation {
  std::int64_t line = 0;
  double chrf = 0;
  std::string source, reference, translation;
  std::vector<std::string> source_units, units;
  std::vector<std::vector<float>> attention;  ///< [units][source units]
};

/// Sentences of one range of lengths.
struct LengthRow {
  std::string tokens;  ///< of the reference, as BLEU counts them
  std::int64_t sentences = 0;
  double bleu = 0;
};

struct ReportData {
  std::string title;
  std::string language = "en";  ///< BCP 47 tag of the page's own text.
  /// Facts in order: model, data, producer, ...
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::string> labels;  ///< [C]
  std::string main_metric = "accuracy";
  std::optional<Interval> interval;  ///< Of the main metric, 95%.
  ReportScores scores;
  std::vector<ReportColumn> baselines;
  std::optional<Comparison> comparison;
  std::string comparison_name;  ///< The other model.
  std::vector<CurveChart> learning_curves;
  bool multi_label = false;
  bool tagger = false;            ///< Records are sentences, and mistakes have marks.
  std::vector<Mistake> mistakes;  ///< Worst first.
  bool translator = false;        ///< Records are pairs.
  std::vector<LengthRow> by_length;
  std::vector<WorstTranslation> worst;  ///< Worst first.
};

/// An HTML5 page that needs no network and no script: styles and drawings are inside it. Every string of `data` is
/// escaped; invalid UTF-8 and characters that HTML forbids are shown as U+FFFD. Sections without data are left out.
std::string html_report(const ReportData& data);

}  // namespace mnemo
