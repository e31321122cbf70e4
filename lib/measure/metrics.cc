// Label metrics are counted in one pass over the records and averaged as scikit-learn does. The area under the ROC
// curve walks the sorted scores in groups of equal ones; calibration bins are half open, (lower, upper].
#include "measure/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {
namespace {

constexpr int kBins = 15;
constexpr double kClip = 1e-15;

// From counts: precision = tp / (tp + fp), recall = tp / (tp + fn), F1 = 2 tp / (2 tp + fp + fn).
struct Scores {
  double precision, recall, f1;
};

Scores scores(std::int64_t right, std::int64_t predicted, std::int64_t support) {
  const auto tp = static_cast<double>(right), p = static_cast<double>(predicted), s = static_cast<double>(support);
  return {ratio(tp, p), ratio(tp, s), ratio(2 * tp, p + s)};
}

int top_class(const Predictions& predictions, std::size_t record) {
  const float* row = predictions.row(record);
  return static_cast<int>(std::max_element(row, row + predictions.classes) - row);
}

bool contains(const std::vector<std::int32_t>& labels, std::int32_t label) {
  return std::ranges::find(labels, label) != labels.end();
}

// Counts of each class: how often it was right, predicted, and gold.
struct Tallies {
  std::vector<std::int64_t> right, predicted, support;  // [C]
  std::int64_t records_right = 0;

  explicit Tallies(int classes)
      : right(static_cast<std::size_t>(classes)), predicted(right.size()), support(right.size()) {}

  void add(const std::vector<std::int32_t>& gold, const std::vector<std::int32_t>& answer) {
    std::size_t hits = 0;
    for (const std::int32_t label : gold) ++support[static_cast<std::size_t>(label)];
    for (const std::int32_t label : answer) {
      ++predicted[static_cast<std::size_t>(label)];
      if (!contains(gold, label)) continue;
      ++right[static_cast<std::size_t>(label)];
      ++hits;
    }
    records_right += hits == gold.size() && hits == answer.size();
  }
};

void set_averages(const Tallies& tallies, bool multi_label, Evaluation& result) {
  std::int64_t right = 0, predicted = 0, support = 0;
  double classes = 0;
  for (std::size_t c = 0; c < tallies.right.size(); ++c) {
    right += tallies.right[c], predicted += tallies.predicted[c], support += tallies.support[c];
    if (!multi_label && tallies.predicted[c] == 0 && tallies.support[c] == 0) continue;
    const Scores one = scores(tallies.right[c], tallies.predicted[c], tallies.support[c]);
    const auto weight = static_cast<double>(tallies.support[c]);
    classes += 1;
    result.macro_precision += one.precision, result.weighted_precision += weight * one.precision;
    result.macro_recall += one.recall, result.weighted_recall += weight * one.recall;
    result.macro_f1 += one.f1, result.weighted_f1 += weight * one.f1;
  }
  for (double* sum : {&result.macro_precision, &result.macro_recall, &result.macro_f1}) *sum = ratio(*sum, classes);
  for (double* sum : {&result.weighted_precision, &result.weighted_recall, &result.weighted_f1})
    *sum = ratio(*sum, static_cast<double>(support));
  const Scores micro = scores(right, predicted, support);
  result.micro_precision = micro.precision, result.micro_recall = micro.recall, result.micro_f1 = micro.f1;
}

std::vector<ClassScores> class_scores(const Tallies& tallies, const std::vector<std::string>& labels) {
  std::vector<ClassScores> result;
  for (std::size_t c = 0; c < labels.size(); ++c) {
    const Scores one = scores(tallies.right[c], tallies.predicted[c], tallies.support[c]);
    result.push_back({labels[c], one.precision, one.recall, one.f1, tallies.support[c], tallies.predicted[c]});
  }
  return result;
}

std::vector<CalibrationBin> empty_bins() {
  std::vector<CalibrationBin> bins(kBins);
  for (int b = 0; b < kBins; ++b) {
    bins[static_cast<std::size_t>(b)].lower = b / double{kBins};
    bins[static_cast<std::size_t>(b)].upper = (b + 1) / double{kBins};
  }
  return bins;
}

void set_calibration(const Predictions& predictions, Evaluation& result) {
  result.bins = empty_bins();
  const auto add = [&](double confidence, bool right) {
    CalibrationBin& bin = result.bins[static_cast<std::size_t>(calibration_bin(confidence))];
    ++bin.count;
    bin.confidence += confidence;
    bin.accuracy += right;
  };
  for (std::size_t i = 0; i < predictions.records(); ++i) {
    if (!predictions.multi_label) {
      const int top = top_class(predictions, i);
      add(predictions.row(i)[top], predictions.gold[i][0] == top);
      continue;
    }
    for (int c = 0; c < predictions.classes; ++c) add(predictions.row(i)[c], contains(predictions.gold[i], c));
  }
  double total = 0, error = 0;
  for (CalibrationBin& bin : result.bins) {
    error += std::abs(bin.confidence - bin.accuracy);
    total += static_cast<double>(bin.count);
    bin.confidence = ratio(bin.confidence, static_cast<double>(bin.count));
    bin.accuracy = ratio(bin.accuracy, static_cast<double>(bin.count));
  }
  result.ece = error / total;
}

double mean_log_loss(const Predictions& predictions) {
  double sum = 0;
  for (std::size_t i = 0; i < predictions.records(); ++i) sum += record_log_loss(predictions, i);
  return sum / static_cast<double>(predictions.records());
}

std::optional<double> auc_of(const Predictions& predictions) {
  if (predictions.classes != 2 || predictions.multi_label) return std::nullopt;
  std::vector<std::size_t> order(predictions.records());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto score = [&](std::size_t i) { return predictions.row(i)[1]; };
  std::ranges::sort(order, {}, score);
  // Each positive wins against the negatives below it, and against half of those with an equal score.
  double wins = 0, negatives = 0, positives = 0;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double group_negatives = 0, group_positives = 0;
    for (; end < order.size() && score(order[end]) == score(order[begin]); ++end)
      (predictions.gold[order[end]][0] == 1 ? group_positives : group_negatives) += 1;
    wins += group_positives * (negatives + group_negatives / 2);
    negatives += group_negatives, positives += group_positives;
  }
  if (negatives == 0 || positives == 0) return std::nullopt;
  return wins / (negatives * positives);
}

void check_gold(const Predictions& predictions, std::size_t record) {
  const auto& gold = predictions.gold[record];
  if (!predictions.multi_label && gold.size() != 1)
    fail("record {}: expected one gold label, found {}", record + 1, gold.size());
  for (std::size_t i = 0; i < gold.size(); ++i) {
    if (gold[i] < 0 || gold[i] >= predictions.classes)
      fail("record {}: expected a label id from 0 to {}, found {}", record + 1, predictions.classes - 1, gold[i]);
    if (std::find(gold.begin(), gold.begin() + static_cast<std::ptrdiff_t>(i), gold[i]) !=
        gold.begin() + static_cast<std::ptrdiff_t>(i))
      fail("record {}: label id {} occurs twice", record + 1, gold[i]);
  }
}

}  // namespace

int calibration_bin(double confidence) {
  const int bin = static_cast<int>(std::ceil(confidence * kBins)) - 1;
  return std::clamp(bin, 0, kBins - 1);
}

double record_log_loss(const Predictions& predictions, std::size_t record) {
  const float* row = predictions.row(record);
  const auto& gold = predictions.gold[record];
  const auto loss = [](double p) { return -std::log(std::clamp(p, kClip, 1 - kClip)); };
  if (!predictions.multi_label) return loss(row[gold[0]]);
  double sum = 0;
  for (int c = 0; c < predictions.classes; ++c) sum += contains(gold, c) ? loss(row[c]) : loss(1.0 - row[c]);
  return sum / predictions.classes;
}

void check_predictions(const Predictions& predictions) {
  if (predictions.classes < 1) fail("expected at least one class, found {}", predictions.classes);
  if (predictions.records() == 0) fail("there are no records to evaluate");
  const std::size_t expected = predictions.records() * static_cast<std::size_t>(predictions.classes);
  if (predictions.probabilities.size() != expected)
    fail("expected {} probabilities for {} records of {} classes, found {}", expected, predictions.records(),
         predictions.classes, predictions.probabilities.size());
  for (std::size_t i = 0; i < predictions.records(); ++i) {
    check_gold(predictions, i);
    for (const float p : std::span(predictions.row(i), static_cast<std::size_t>(predictions.classes)))
      if (!(p >= -1e-4F && p <= 1 + 1e-4F)) fail("record {}: expected a probability from 0 to 1, found {}", i + 1, p);
  }
}

std::vector<std::int32_t> predicted_labels(const Predictions& predictions, std::size_t record, double threshold) {
  if (!predictions.multi_label) return {top_class(predictions, record)};
  std::vector<std::int32_t> labels;
  for (int c = 0; c < predictions.classes; ++c)
    if (predictions.row(record)[c] >= threshold) labels.push_back(c);
  return labels;
}

Evaluation evaluate(const Predictions& predictions, const std::vector<std::string>& labels, double threshold) {
  check_predictions(predictions);
  if (labels.size() != static_cast<std::size_t>(predictions.classes))
    fail("expected {} labels, found {}", predictions.classes, labels.size());
  Evaluation result;
  Tallies tallies(predictions.classes);
  for (std::size_t i = 0; i < predictions.records(); ++i) {
    const auto answer = predicted_labels(predictions, i, threshold);
    tallies.add(predictions.gold[i], answer);
    if (!predictions.multi_label) ++result.confusion[{predictions.gold[i][0], answer[0]}];
  }
  result.records = static_cast<std::int64_t>(predictions.records());
  result.accuracy = static_cast<double>(tallies.records_right) / static_cast<double>(result.records);
  set_averages(tallies, predictions.multi_label, result);
  result.per_class = class_scores(tallies, labels);
  result.log_loss = mean_log_loss(predictions);
  set_calibration(predictions, result);
  result.auc = auc_of(predictions);
  return result;
}

std::map<std::string, double> Evaluation::metrics() const {
  std::map<std::string, double> result = {{"accuracy", accuracy},
                                          {"micro_precision", micro_precision},
                                          {"micro_recall", micro_recall},
                                          {"micro_f1", micro_f1},
                                          {"macro_precision", macro_precision},
                                          {"macro_recall", macro_recall},
                                          {"macro_f1", macro_f1},
                                          {"weighted_precision", weighted_precision},
                                          {"weighted_recall", weighted_recall},
                                          {"weighted_f1", weighted_f1},
                                          {"log_loss", log_loss},
                                          {"ece", ece}};
  if (auc) result["auc"] = *auc;
  return result;
}

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = [] {
    Evaluation all;
    all.auc = 0;
    std::vector<std::string> keys;
    for (const auto& [key, value] : all.metrics()) keys.push_back(key);
    return keys;
  }();
  return names;
}

void check_metric(std::string_view metric) {
  if (std::ranges::find(metric_names(), metric) == metric_names().end())
    throw UsageError(
        fmt::format("unknown metric {}, expected one of {}", shown(metric), fmt::join(metric_names(), ", ")));
}

double drop_of(std::string_view metric, double before, double after) {
  return higher_is_better(metric) ? before - after : after - before;
}

bool is_percentage(std::string_view metric) { return metric == "bleu" || metric == "chrf"; }

double admissible_drop(std::string_view metric) { return is_percentage(metric) ? 0.5 : 0.01; }

bool higher_is_better(std::string_view metric) {
  static constexpr std::string_view kLower[] = {"loss", "log_loss", "ece", "nats", "bits", "perplexity"};
  return std::find(std::begin(kLower), std::end(kLower), metric) == std::end(kLower);
}

}  // namespace mnemo
