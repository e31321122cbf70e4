// A resample is a vector of counts: how often each record was drawn. Every metric is turned into a function of these
// counts that computes labels, bins or orders once, so a resample costs one pass over the records. Resample k has a
// random stream of its own, which makes two models comparable on the same resamples.
#include "measure/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace mnemo {
namespace {

// ---- Metrics that are a mean over records.

ResampledMetric mean_of(std::vector<double> values) {
  return [values = std::move(values)](const ResampleCounts& counts) {
    double sum = 0, n = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) sum += counts[i] * values[i], n += counts[i];
    return sum / n;
  };
}

std::vector<double> per_record_right(const Predictions& predictions, double threshold) {
  std::vector<double> right(predictions.records());
  for (std::size_t i = 0; i < right.size(); ++i) {
    auto gold = predictions.gold[i];
    std::ranges::sort(gold);
    right[i] = predicted_labels(predictions, i, threshold) == gold;
  }
  return right;
}

std::vector<double> per_record_loss(const Predictions& predictions) {
  std::vector<double> loss(predictions.records());
  for (std::size_t i = 0; i < loss.size(); ++i) loss[i] = record_log_loss(predictions, i);
  return loss;
}

// ---- Precision, recall and F1.

// The labels of a record: one list after the other, gold before predicted.
struct RecordLabels {
  std::vector<std::int32_t> labels;
  std::vector<std::size_t> gold_begin, answer_begin;  // [N + 1], [N]

  RecordLabels(const Predictions& predictions, double threshold) {
    for (std::size_t i = 0; i < predictions.records(); ++i) {
      gold_begin.push_back(labels.size());
      labels.insert(labels.end(), predictions.gold[i].begin(), predictions.gold[i].end());
      answer_begin.push_back(labels.size());
      const auto answer = predicted_labels(predictions, i, threshold);
      labels.insert(labels.end(), answer.begin(), answer.end());
    }
    gold_begin.push_back(labels.size());
  }
};

enum class Average { kMicro, kMacro, kWeighted };
enum class Score { kPrecision, kRecall, kF1 };

struct ClassCounts {
  double right = 0, predicted = 0, support = 0;

  double score(Score score) const {
    if (score == Score::kPrecision) return ratio(right, predicted);
    if (score == Score::kRecall) return ratio(right, support);
    return ratio(2 * right, predicted + support);
  }
};

void tally(const RecordLabels& records, std::size_t i, double count, std::vector<ClassCounts>& classes) {
  const auto* labels = records.labels.data();
  const auto *gold = labels + records.gold_begin[i], *answer = labels + records.answer_begin[i],
             *end = labels + records.gold_begin[i + 1];
  for (const auto* label = gold; label != answer; ++label) classes[static_cast<std::size_t>(*label)].support += count;
  for (const auto* label = answer; label != end; ++label) {
    ClassCounts& one = classes[static_cast<std::size_t>(*label)];
    one.predicted += count;
    if (std::find(gold, answer, *label) != answer) one.right += count;
  }
}

double average_of(const std::vector<ClassCounts>& classes, Average average, Score score, bool multi_label) {
  ClassCounts all;
  double macro = 0, weighted = 0, occurring = 0;
  for (const ClassCounts& one : classes) {
    all.right += one.right, all.predicted += one.predicted, all.support += one.support;
    macro += one.score(score);
    weighted += one.support * one.score(score);
    occurring += multi_label || one.predicted + one.support > 0;
  }
  if (average == Average::kMicro) return all.score(score);
  return average == Average::kMacro ? ratio(macro, occurring) : ratio(weighted, all.support);
}

ResampledMetric label_metric(const Predictions& predictions, Average average, Score score, double threshold) {
  return [records = RecordLabels(predictions, threshold), average, score, multi_label = predictions.multi_label,
          classes = std::vector<ClassCounts>(static_cast<std::size_t>(predictions.classes))](
             const ResampleCounts& counts) mutable {
    std::ranges::fill(classes, ClassCounts());
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0) tally(records, i, counts[i], classes);
    return average_of(classes, average, score, multi_label);
  };
}

// ---- Expected calibration error.

// An answer's bin, and by how much its confidence exceeds its truth (0 or 1).
struct Answer {
  std::size_t record;
  int bin;
  double excess;
};

std::vector<Answer> answers_of(const Predictions& predictions) {
  std::vector<Answer> answers;
  const auto add = [&](std::size_t i, std::int32_t c) {
    const double confidence = predictions.row(i)[c];
    const bool right = std::ranges::find(predictions.gold[i], c) != predictions.gold[i].end();
    answers.push_back({i, calibration_bin(confidence), confidence - right});
  };
  for (std::size_t i = 0; i < predictions.records(); ++i) {
    if (!predictions.multi_label)
      add(i, predicted_labels(predictions, i)[0]);
    else
      for (std::int32_t c = 0; c < predictions.classes; ++c) add(i, c);
  }
  return answers;
}

ResampledMetric ece_metric(const Predictions& predictions) {
  return [answers = answers_of(predictions)](const ResampleCounts& counts) {
    double excess[64] = {}, total = 0;
    for (const Answer& answer : answers) {
      excess[answer.bin] += counts[answer.record] * answer.excess;
      total += counts[answer.record];
    }
    double error = 0;
    for (const double each : excess) error += std::abs(each);
    return error / total;
  };
}

// ---- Area under the ROC curve.

ResampledMetric auc_metric(const Predictions& predictions) {
  std::vector<std::size_t> order(predictions.records());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto score = [&](std::size_t i) { return predictions.row(i)[1]; };
  std::ranges::sort(order, {}, score);
  std::vector<char> positive(order.size()), ends_group(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    positive[k] = predictions.gold[order[k]][0] == 1;
    ends_group[k] = k + 1 == order.size() || score(order[k + 1]) != score(order[k]);
  }
  return [order, positive, ends_group](const ResampleCounts& counts) {
    double wins = 0, below = 0, positives = 0, group[2] = {0, 0};
    for (std::size_t k = 0; k < order.size(); ++k) {
      group[positive[k] ? 1 : 0] += counts[order[k]];
      if (!ends_group[k]) continue;
      wins += group[1] * (below + group[0] / 2);
      below += std::exchange(group[0], 0), positives += std::exchange(group[1], 0);
    }
    return below * positives == 0 ? std::numeric_limits<double>::quiet_NaN() : wins / (below * positives);
  };
}

// ---- Any metric by its name.

ResampledMetric resampled_metric(const Predictions& predictions, const std::string& metric, double threshold) {
  if (metric == "accuracy") return mean_of(per_record_right(predictions, threshold));
  if (metric == "log_loss") return mean_of(per_record_loss(predictions));
  if (metric == "ece") return ece_metric(predictions);
  if (metric == "auc") {
    if (predictions.classes != 2 || predictions.multi_label)
      fail("auc is defined only for two classes with one label per record; this model has {} classes{}",
           predictions.classes, predictions.multi_label ? ", several per record" : "");
    return auc_metric(predictions);
  }
  const auto separator = metric.find('_');
  const std::string average = metric.substr(0, separator), score = metric.substr(separator + 1);
  return label_metric(predictions,
                      average == "micro"   ? Average::kMicro
                      : average == "macro" ? Average::kMacro
                                           : Average::kWeighted,
                      score == "precision" ? Score::kPrecision
                      : score == "recall"  ? Score::kRecall
                                           : Score::kF1,
                      threshold);
}

ResampleCounts resample(std::size_t records, const BootstrapOptions& options, int index) {
  RandomStream random(options.seed, Purpose::kBootstrap, static_cast<std::uint64_t>(index));
  ResampleCounts counts(records);
  for (std::size_t i = 0; i < records; ++i) ++counts[random.below(records)];
  return counts;
}

// The quantile of sorted values, interpolated between neighbours.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval percentile_interval(double value, std::vector<double> resampled, double level) {
  if (resampled.empty()) return {value, value, value};
  std::ranges::sort(resampled);
  return {value, quantile(resampled, (1 - level) / 2), quantile(resampled, (1 + level) / 2)};
}

// The values of the statistic over the resamples for which it is defined.
template <class Statistic>
std::vector<double> resampled_values(std::size_t records, const BootstrapOptions& options, Statistic statistic) {
  std::vector<double> values;
  for (int k = 0; k < options.resamples; ++k) {
    const double value = statistic(resample(records, options, k));
    if (!std::isnan(value)) values.push_back(value);
  }
  return values;
}

double defined_value(const ResampledMetric& metric, std::size_t records, const std::string& name) {
  const double value = metric(ResampleCounts(records, 1));
  if (std::isnan(value)) fail("{} is undefined on these records: one of the two classes does not occur", name);
  return value;
}

void check_same_gold(const Predictions& first, const Predictions& second) {
  if (first.records() != second.records())
    fail("expected the same records for both models, found {} and {} records", first.records(), second.records());
  for (std::size_t i = 0; i < first.records(); ++i) {
    auto a = first.gold[i], b = second.gold[i];
    std::ranges::sort(a), std::ranges::sort(b);
    if (a != b) fail("record {}: the gold labels given to the two models differ", i + 1);
  }
}

double mcnemar_p_value(const Predictions& first, const Predictions& second, double threshold) {
  const auto a = per_record_right(first, threshold), b = per_record_right(second, threshold);
  std::int64_t only_first = 0, only_second = 0;
  for (std::size_t i = 0; i < a.size(); ++i) only_first += a[i] > b[i], only_second += b[i] > a[i];
  return mcnemar_exact(only_first, only_second);
}

double centred_p_value(const std::vector<double>& resampled, double centre, double difference) {
  // A resample that repeats the observed difference up to rounding counts as reaching it.
  const double reached = std::abs(difference) * (1 - 1e-9);
  const auto beyond = std::ranges::count_if(resampled, [&](double d) { return std::abs(d - centre) >= reached; });
  return static_cast<double>(1 + beyond) / static_cast<double>(1 + resampled.size());
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

ResampledMetric ratio_of(const RecordRatio& values) {
  return [&values](const ResampleCounts& counts) {
    double part = 0, whole = 0;
    for (std::size_t i = 0; i < counts.size(); ++i)
      part += counts[i] * values.parts[i], whole += counts[i] * values.wholes[i];
    return ratio(part, whole);
  };
}

}  // namespace

Interval bootstrap_interval(const Predictions& predictions, const std::string& metric,
                            const BootstrapOptions& options) {
  check_predictions(predictions);
  check_metric(metric);
  return bootstrap_interval(resampled_metric(predictions, metric, options.threshold), predictions.records(), metric,
                            options);
}

Interval bootstrap_interval(const ResampledMetric& metric, std::size_t records, const std::string& name,
                            const BootstrapOptions& options) {
  const double value = defined_value(metric, records, name);
  return percentile_interval(value, resampled_values(records, options, std::cref(metric)), options.level);
}

Interval bootstrap_ratio(const RecordRatio& ratio, const BootstrapOptions& options) {
  return bootstrap_interval(ratio_of(ratio), ratio.parts.size(), "ratio", options);
}

Comparison paired_bootstrap(const ResampledMetric& first, const ResampledMetric& second, std::size_t records,
                            const std::string& metric, const BootstrapOptions& options, Centre centre) {
  Comparison result;
  result.metric = metric;
  result.first = defined_value(first, records, metric);
  result.second = defined_value(second, records, metric);
  const double difference = result.first - result.second;
  const auto resampled =
      resampled_values(records, options, [&](const ResampleCounts& counts) { return first(counts) - second(counts); });
  result.difference = percentile_interval(difference, resampled, options.level);
  result.test = "paired bootstrap test";
  const bool observed = centre == Centre::kObserved || resampled.empty();
  result.p_value = centred_p_value(resampled, observed ? difference : mean(resampled), difference);
  return result;
}

Comparison compare_ratios(const RecordRatio& first, const RecordRatio& second, const std::string& metric,
                          const BootstrapOptions& options) {
  return paired_bootstrap(ratio_of(first), ratio_of(second), first.parts.size(), metric, options);
}

Comparison compare_models(const Predictions& first, const Predictions& second, const std::string& metric,
                          const BootstrapOptions& options) {
  check_predictions(first);
  check_predictions(second);
  check_metric(metric);
  check_same_gold(first, second);
  const auto a = resampled_metric(first, metric, options.threshold);
  const auto b = resampled_metric(second, metric, options.threshold);
  Comparison result = paired_bootstrap(a, b, first.records(), metric, options);
  if (metric != "accuracy") return result;
  result.test = "exact McNemar test";
  result.p_value = mcnemar_p_value(first, second, options.threshold);
  return result;
}

double mcnemar_exact(std::int64_t only_first, std::int64_t only_second) {
  // 2 * sum over k <= min of binomial(n, k) / 2^n, by logarithms.
  const auto n = static_cast<double>(only_first + only_second);
  const std::int64_t fewer = std::min(only_first, only_second);
  double sum = 0;
  for (std::int64_t k = 0; k <= fewer; ++k) {
    const auto x = static_cast<double>(k);
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * sum);
}

}  // namespace mnemo
