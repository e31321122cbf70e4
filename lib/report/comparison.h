// Intervals and paired tests in the forms that reports show.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "measure/bootstrap.h"

namespace mnemo {

/// {"value", "low", "high"}.
Json interval_json(const Interval& interval);
/// The 95% interval of a metric, with its name.
Json interval_json(const Interval& interval, const std::string& metric);

Json comparison_json(const Comparison& comparison, const std::string& other_model);
std::string comparison_text(const Comparison& comparison, const std::string& other_model);

}  // namespace mnemo
