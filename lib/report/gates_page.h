// The gates and states of recurrent layers over a text as drawings: SVG, and a page in which one turns through the
// units.
#pragma once

#include <string>

#include "report/gates.h"

namespace mnemo {

/// A file of heat maps: for each layer, direction and unit a row for each value, a column for each unit of the text,
/// whose text is below. Without chosen units the kDrawnUnits of each layer whose output varies most.
std::string gates_svg(const Observed& observed, const GateChoice& choice);
inline constexpr Index kDrawnUnits = 3;

/// A page with the same heat map of one unit at a time, a slider over the units, and the values under the pointer.
/// Values are rounded to steps of 1/250 of their range. Of a long text the page has as many units as fit into some 8
/// MB, those whose output varies most.
std::string gates_html(const Observed& observed, const GateChoice& choice, const std::string& title);

}  // namespace mnemo
