// Metrics of a classifier: pure functions, all sums in double precision.
// N = records, C = classes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mnemo {

/// Values of metrics by name.
using Metrics = std::map<std::string, double>;

/// Precision, recall and the like, which are taken as 0 where nothing was counted.
inline double ratio(double numerator, double denominator) { return denominator == 0 ? 0 : numerator / denominator; }

/// A classifier's probabilities and the gold labels.
struct Predictions {
  int classes = 0;
  bool multi_label = false;
  std::vector<float> probabilities;             ///< [N, C]; rows sum to 1 unless multi_label.
  std::vector<std::vector<std::int32_t>> gold;  ///< [N] label ids, each once; exactly one unless multi_label.

  std::size_t records() const { return gold.size(); }
  const float* row(std::size_t record) const {
    return probabilities.data() + record * static_cast<std::size_t>(classes);
  }
};

/// Throws Error unless the sizes match, there is a record, every label id is in range and occurs once per record, and
/// every probability is in [0, 1] (up to 1e-4 for rounding).
void check_predictions(const Predictions& predictions);

/// The predicted label ids: the most probable one (the first of equals), or for multi_label those with a probability of
/// at least `threshold`, which may be none.
std::vector<std::int32_t> predicted_labels(const Predictions& predictions, std::size_t record, double threshold = 0.5);

/// The log loss of one record, as Evaluation::log_loss averages it.
double record_log_loss(const Predictions& predictions, std::size_t record);

/// The bin of Evaluation::bins that a confidence falls into.
int calibration_bin(double confidence);

/// A quotient whose denominator is 0 counts as 0, here and in every average (scikit-learn's zero_division=0).
struct ClassScores {
  std::string label;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  std::int64_t support = 0;    ///< Records whose gold labels include this class.
  std::int64_t predicted = 0;  ///< Records whose predicted labels include it.
};

/// One bin of a reliability diagram: answers whose confidence is in (lower, upper], the first bin's 0 included.
struct CalibrationBin {
  double lower = 0;
  double upper = 0;
  std::int64_t count = 0;
  double confidence = 0;  ///< Mean confidence; 0 in an empty bin.
  double accuracy = 0;    ///< Fraction that was right; 0 in an empty bin.
};

/// The names of the averages are scikit-learn's, and so are their values. `macro_*` is the plain mean over classes:
/// those that occur in gold or prediction, and with multi_label all of them. `weighted_*` weights each class by its
/// support. A quotient of nothing by nothing is 0: all of these if no record has a label and none is predicted.
struct Evaluation {
  std::int64_t records = 0;
  double accuracy = 0;  ///< With multi_label: the fraction of records whose whole set of labels is right.
  double micro_precision = 0, micro_recall = 0, micro_f1 = 0;
  double macro_precision = 0, macro_recall = 0, macro_f1 = 0;
  double weighted_precision = 0, weighted_recall = 0, weighted_f1 = 0;
  /// Mean of -log p(gold) in nats, p clipped to [1e-15, 1 - 1e-15]; with multi_label the mean over records and classes
  /// of the binary log loss.
  double log_loss = 0;
  /// Expected calibration error, 15 bins of equal width (Guo et al. 2017, "On Calibration of Modern Neural Networks",
  /// eq. 3): confidence is the top probability, right if that class is the gold one. With multi_label every
  /// (record, class) is an answer: confidence is its probability, and it is right if the class is a gold one.
  double ece = 0;
  std::vector<CalibrationBin> bins;  ///< [15]
  /// Area under the ROC curve of class 1 by the Mann-Whitney statistic, equal scores counting half. Present for two
  /// classes with one label per record, if both classes are in gold.
  std::optional<double> auc;
  std::vector<ClassScores> per_class;  ///< [C]
  /// Records by (gold, predicted), without absent pairs; empty with multi_label.
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> confusion;

  /// Metric by name: accuracy, {micro,macro,weighted}_{precision,recall,f1}, log_loss, ece, and auc where it is
  /// defined.
  std::map<std::string, double> metrics() const;
};

/// `labels` [C] names the classes. Throws Error as `check_predictions` does.
Evaluation evaluate(const Predictions& predictions, const std::vector<std::string>& labels, double threshold = 0.5);

/// The keys that `metrics()` can have.
const std::vector<std::string>& metric_names();

/// Throws UsageError for a name that is not in metric_names().
void check_metric(std::string_view metric);

/// False for losses, ece, nats, bits and perplexity; true for every other name.
bool higher_is_better(std::string_view metric);

/// How much worse a metric got; negative if it got better.
double drop_of(std::string_view metric, double before, double after);

/// Whether a metric goes to 100, as those of translations do, where others are fractions or have no bound.
bool is_percentage(std::string_view metric);

/// How much worse a metric may get where nothing else is asked for: most are fractions, but those of translations go to
/// 100, and greedy decoding moves them by a few tenths.
double admissible_drop(std::string_view metric);

}  // namespace mnemo
