// The learning curves of a run, from its log.
#pragma once

#include <string>
#include <vector>

#include "report/html_report.h"

namespace mnemo {

/// The loss of train and dev and a metric on dev over the steps of a run; empty without a log.
std::vector<CurveChart> learning_curves(const std::string& log_file, const std::string& metric);

}  // namespace mnemo
