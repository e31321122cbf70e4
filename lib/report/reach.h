// How far gradients reach back in time, beside other networks.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/gradient_trace.h"
#include "report/findings.h"

namespace mnemo {

/// Median and quantiles of a ratio over sequences, at one lag.
struct ReachAtLag {
  double low = 0, median = 0, high = 0;  ///< 10%, 50%, 90%
  std::int64_t sequences = 0;
};

/// By lag, of norms relative to the first that is not zero; up to the last lag that kFewSequences reach.
inline constexpr std::int64_t kFewSequences = 5;
std::vector<ReachAtLag> reach_by_lag(const std::vector<std::vector<double>>& norms);

/// The last lag that half_life looks at, from lag 1 on: kLastFitted, or the last one that the data reach or at which
/// there is a gradient left. Fixed, so that a half-life does not depend on how many lags were asked for.
inline constexpr std::int64_t kLastFitted = 20;
std::int64_t last_fitted(const std::vector<ReachAtLag>& reach);

/// The steps in which the median halves: a straight line through its logarithms at lags 1 to last_fitted, by least
/// squares. None if it does not fall, or for fewer than three lags.
std::optional<double> half_life(const std::vector<ReachAtLag>& reach);

/// The traces of several networks on the same data, by name, the inspected one first. Throws Error if fewer than
/// kFewSequences reach back by a step.
Findings reach_findings(const std::string& title, const std::vector<std::pair<std::string, GradientTrace>>& networks);

}  // namespace mnemo
