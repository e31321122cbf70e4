// Drawings of a report as SVG elements inside an HTML page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/findings.h"

namespace mnemo {

struct CalibrationBin;
struct CurveChart;

/// A drawing as a file of its own, in the colours of the reader's choice of light and dark.
std::string svg_file(double width, double height, std::string_view label, std::string_view content);

/// Lines over steps with axes, ticks and a legend. Empty if no curve has a finite point.
std::string svg_line_chart(const CurveChart& chart);
inline constexpr double kChartWidth = 424;
double chart_height(const CurveChart& chart);

/// Points (x, y) with x, y in [0, 1], in the colour of their group, and a legend.
struct ScatterGroup {
  std::string name;
  std::vector<std::pair<double, double>> points;
};
std::string svg_scatter(std::string_view x, std::string_view y, const std::vector<ScatterGroup>& groups);
inline constexpr double kScatterWidth = 420, kScatterHeight = 370;

/// A matrix of shares from 0 to 1 with the names of its rows and columns; the darkest cell of a row is its largest.
Findings::Drawing svg_weights(const std::string& title, const std::vector<std::string>& rows,
                              const std::vector<std::string>& columns, const std::vector<std::vector<float>>& shares);

/// Counts by (gold, predicted), each cell shaded by its fraction of its gold class: at most 60 labels.
std::string svg_confusion_matrix(const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& confusion,
                                 const std::vector<std::string>& labels);

/// Accuracy over confidence by bin against the diagonal, with the fraction of answers in each bin below.
std::string svg_reliability_diagram(const std::vector<CalibrationBin>& bins);

}  // namespace mnemo
