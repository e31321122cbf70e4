// The weights of a text's units, as a coloured text, rows, JSON, a drawing or a page.
#pragma once

#include <string>
#include <vector>

#include "base/highlight.h"
#include "nn/attribution.h"
#include "report/findings.h"

namespace mnemo {

/// Units from the weightiest to the lightest in a table, the values and the gap, the deletion curve.
Findings attribution_findings(const Attribution& attribution, const std::string& method, const std::string& title);

/// The units, those that weigh most for the number red and against it blue, then the table and the notes.
std::string attribution_text(const Attribution& attribution, const Findings& findings,
                             std::vector<Highlight>& highlights);

/// The coloured text above the drawings.
std::string attribution_svg(const Attribution& attribution, const Findings& findings);

}  // namespace mnemo
