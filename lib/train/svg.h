// Drawings of a report as SVG elements, to stand inside an HTML page.
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

/// `text` for the inside of an element or of a quoted attribute: & < > " ' as entities; invalid UTF-8 and characters
/// that HTML forbids (controls but tab and newline, noncharacters) as U+FFFD; characters that turn the direction of
/// text (U+202A..202E, U+2066..2069) as U+FFFD too, as they would reorder what stands around them.
std::string escape_html(std::string_view text);

/// The same of at most `columns` columns of text (2 a wide character), an ellipsis at its end if it was longer.
std::string shortened_html(std::string_view text, std::size_t columns);

/// Lines over steps with axes, ticks and a legend. Empty if no curve has a finite point.
std::string svg_line_chart(const CurveChart& chart);

/// Counts by (gold, predicted), each cell shaded by its share of its gold class: at most 60 labels.
std::string svg_confusion_matrix(const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& confusion,
                                 const std::vector<std::string>& labels);

/// Accuracy over confidence by bin against the diagonal, with the share of answers in each bin below.
std::string svg_reliability_diagram(const std::vector<CalibrationBin>& bins);

}  // namespace mnemo
