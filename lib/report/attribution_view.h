// The weights of a text's units, as a coloured text, rows, JSON, a drawing or a page.
#pragma once

#include <string>

#include "nn/attribution.h"
#include "report/findings.h"

namespace mnemo {

/// The coloured text, units from the weightiest to the lightest in a table, the values and the gap, the deletion curve.
Findings attribution_findings(const Attribution& attribution, const std::string& method, const std::string& title);

}  // namespace mnemo
