// The weights of a text's units, as a coloured text, rows, JSON, a drawing or a page.
#pragma once

#include <string>

#include "nn/attribution.h"
#include "report/findings.h"

namespace mnemo {

/// What the weights were asked for.
struct AttributionView {
  std::string method;           ///< as the option names it
  bool complete = false;        ///< whether the weights add up to F(x) - F(0), but for the gap
  std::string text;             ///< that the units are from
  bool blanks_between = false;  ///< whether the model's units are words
};

/// The coloured text, units from the weightiest to the lightest in a table, the values, the gap of a method that is
/// complete, the deletion curve.
Findings attribution_findings(const Attribution& attribution, const AttributionView& view, const std::string& title);

}  // namespace mnemo
