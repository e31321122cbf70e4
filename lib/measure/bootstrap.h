// Uncertainty of metrics: confidence intervals and paired tests by resampling records.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "measure/metrics.h"

namespace mnemo {

struct BootstrapOptions {
  int resamples = 1000;
  std::uint64_t seed = 1;
  double level = 0.95;
  double threshold = 0.5;  ///< Of a label's probability, with multi_label.
};

struct Interval {
  double value = 0;  ///< On the original records.
  double low = 0;
  double high = 0;
};

/// The percentile bootstrap interval (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13) of a
/// metric of metric_names(): N records drawn with replacement, `resamples` times; the same arguments give the same
/// numbers. Time grows with N * resamples. Resamples in which `auc` is undefined (one class missing) are left out.
/// Throws UsageError for an unknown metric, Error where the metric is undefined on the records, and as
/// `check_predictions` does.
Interval bootstrap_interval(const Predictions& predictions, const std::string& metric,
                            const BootstrapOptions& options = {});

/// How often each of N records occurs in a resample. [N]
using ResampleCounts = std::vector<std::int32_t>;

/// Any metric of a resample; NaN where it is undefined. Whatever does not change between resamples is computed once.
using ResampledMetric = std::function<double(const ResampleCounts&)>;

/// The same interval for any metric, with its name for the error if it is undefined on the original records.
Interval bootstrap_interval(const ResampledMetric& metric, std::size_t records, const std::string& name,
                            const BootstrapOptions& options = {});

/// The same interval for sum(parts) / sum(wholes) over records, such as the F1 of spans: twice the correct ones over
/// those in gold plus prediction. Both have one value per record.
struct RecordRatio {
  std::vector<double> parts, wholes;
};
Interval bootstrap_ratio(const RecordRatio& ratio, const BootstrapOptions& options = {});

/// Two models on the same records.
struct Comparison {
  std::string metric;
  double first = 0;
  double second = 0;
  Interval difference;  ///< first - second, with its paired bootstrap interval.
  double p_value = 1;   ///< Two-sided; for the null hypothesis that the two models are equally good.
  std::string test;     ///< The test's name: "exact McNemar test" or "paired bootstrap test".
};

/// For accuracy the exact test of McNemar (1947): the records that only one model gets right follow a binomial
/// distribution with p = 1/2 if both are equally good. For every other metric the paired bootstrap test (Koehn 2004,
/// "Statistical Significance Tests for Machine Translation Evaluation"; in the centred, two-sided form of
/// Berg-Kirkpatrick, Burkett & Klein 2012, "An Empirical Investigation of Statistical Significance in NLP"):
/// p = (1 + resamples whose difference deviates from the observed one by at least its size) / (1 + resamples).
/// Throws as bootstrap_interval does, and Error if the gold labels are not the same.
Comparison compare_models(const Predictions& first, const Predictions& second, const std::string& metric,
                          const BootstrapOptions& options = {});

/// The paired bootstrap test of two such ratios on the same records; `metric` names them.
Comparison compare_ratios(const RecordRatio& first, const RecordRatio& second, const std::string& metric,
                          const BootstrapOptions& options = {});

/// What the deviation of a resample's difference is measured from.
enum class Centre { kObserved, kMean };  ///< kMean: the mean of the resampled differences.

/// The paired bootstrap test of any metric of N records that both models answered.
Comparison paired_bootstrap(const ResampledMetric& first, const ResampledMetric& second, std::size_t records,
                            const std::string& metric, const BootstrapOptions& options = {},
                            Centre centre = Centre::kObserved);

/// The two-sided p-value of McNemar's exact test, from the numbers of records that only one of the models gets right.
double mcnemar_exact(std::int64_t only_first, std::int64_t only_second);

}  // namespace mnemo
