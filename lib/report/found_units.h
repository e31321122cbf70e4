// The units of a network that follow a property of the text best.
#pragma once

#include <string>
#include <vector>

#include "measure/unit_search.h"
#include "report/coloured_text.h"
#include "report/findings.h"

namespace mnemo {

/// A unit's state: h or c.
struct FoundUnit {
  std::string network, cell, direction, value;
  Index layer = 0, unit = 0;
  Following following;
};

struct FoundUnits {
  std::string property;
  bool graded = false;
  Index steps = 0, texts = 0, present = 0;  ///< present: steps that have the property, unless it is graded
  Index left_out = 0;                       ///< steps of which neither can be said, which are not among `steps`
  std::vector<FoundUnit> units;             ///< the best first
  ColouredText beginning;                   ///< of the data, by the best unit's value
  /// Of the best unit the share of steps with the property above each value (below it if the unit falls), by the share
  /// of those without it.
  std::vector<std::pair<double, double>> curve;
};

/// At most this many units are in the table.
inline constexpr std::size_t kFoundShown = 20;
inline constexpr double kFoundLevel = 0.05;

Findings found_findings(const FoundUnits& found, const std::string& title);

}  // namespace mnemo
