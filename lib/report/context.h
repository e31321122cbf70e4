// How much context a model uses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/findings.h"

namespace mnemo {

struct ContextLosses {
  std::int64_t units = 0;      ///< that were kept
  std::vector<double> losses;  ///< in nats, at the same places for each number of units
};

/// The mean loss by the number of units, in ascending order, and from which number on more of them do not lower it by
/// more than kNoticed nats and two standard errors of the paired differences.
inline constexpr double kNoticed = 0.01;
Findings context_findings(const std::string& title, const std::vector<ContextLosses>& losses);

}  // namespace mnemo
