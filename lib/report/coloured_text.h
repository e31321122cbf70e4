// A text whose units are in colour by their weights: red for positive ones, blue for negative ones.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/highlight.h"

namespace mnemo {

struct ColouredText {
  std::string text;                                         ///< valid UTF-8
  std::vector<std::pair<std::size_t, std::size_t>> places;  ///< [units] bytes [begin, end) of the text, ascending
  std::vector<double> weights;                              ///< [units]
};

/// Units in the text that they are from; where they are not found in it as they follow each other, one after the other,
/// with blanks between them if `blanks` says that the model's units are words.
ColouredText coloured_units(const std::string& text, const std::vector<std::string>& units, bool blanks,
                            std::vector<double> weights);

/// As lines for a terminal, escaped, with a line break after the last. Adds the colours of units whose weight is above
/// a fifth of the largest; the places of `highlights` are bytes of what is returned.
std::string coloured_lines(const ColouredText& coloured, std::vector<Highlight>& highlights);

/// As a paragraph of a page, with the weights to be read under the pointer.
std::string coloured_html(const ColouredText& coloured);

/// As SVG elements in lines of at most kColouredWidth; `height` gets their height.
std::string coloured_svg(const ColouredText& coloured, double& height);
inline constexpr double kColouredWidth = 900;

}  // namespace mnemo
