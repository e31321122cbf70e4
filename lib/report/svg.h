// Drawings of a report as SVG elements inside an HTML page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mnemo {

struct CalibrationBin;
struct CurveChart;

/// Lines over steps with axes, ticks and a legend. Empty if no curve has a finite point.
std::string svg_line_chart(const CurveChart& chart);

/// Counts by (gold, predicted), each cell shaded by its fraction of its gold class: at most 60 labels.
std::string svg_confusion_matrix(const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& confusion,
                                 const std::vector<std::string>& labels);

/// Accuracy over confidence by bin against the diagonal, with the fraction of answers in each bin below.
std::string svg_reliability_diagram(const std::vector<CalibrationBin>& bins);

}  // namespace mnemo
