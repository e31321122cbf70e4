#include "report/comparison.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/shown.h"

namespace mnemo {

Json interval_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

Json interval_json(const Interval& interval, const std::string& metric) {
  return {{"metric", metric},
          {"value", interval.value},
          {"low", interval.low},
          {"high", interval.high},
          {"level", BootstrapOptions().level}};
}

Json comparison_json(const Comparison& comparison, const std::string& other_model) {
  const Comparison& c = comparison;
  return {{"model", other_model},
          {"metric", c.metric},
          {"first", c.first},
          {"second", c.second},
          {"difference", interval_json(c.difference)},
          {"p_value", c.p_value},
          {"test", c.test}};
}

std::string comparison_text(const Comparison& comparison, const std::string& other_model) {
  const Comparison& c = comparison;
  return fmt::format("\nagainst {}: {} {:.4f} - {:.4f} = {:+.4f} ({:+.4f} to {:+.4f}), {}: p = {:.4g}\n",
                     escaped(other_model), c.metric, c.first, c.second, c.difference.value, c.difference.low,
                     c.difference.high, c.test, c.p_value);
}

}  // namespace mnemo
