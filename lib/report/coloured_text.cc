#include "report/coloured_text.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/shown.h"
#include "report/append.h"
#include "report/tones.h"
#include "text/html.h"

namespace mnemo {
namespace {

// Calls `between` with each stretch of text that is in no unit, and `unit` with each unit's text and its weight as a
// share of the largest, in order. Units may overlap, as several may come from one character: what was shown is not
// shown again.
void for_stretches(const ColouredText& coloured, const std::function<void(const std::string&)>& between,
                   const std::function<void(const std::string&, double share, double weight)>& unit) {
  double largest = 1e-30;
  for (const double weight : coloured.weights) largest = std::max(largest, std::abs(weight));
  std::size_t shown = 0;
  for (std::size_t i = 0; i < coloured.places.size(); ++i) {
    const auto [begin, end] = coloured.places[i];
    if (begin > shown) between(coloured.text.substr(shown, begin - shown));
    const std::size_t from = std::max(begin, shown);
    if (end > from) unit(coloured.text.substr(from, end - from), coloured.weights[i] / largest, coloured.weights[i]);
    shown = std::max(shown, end);
  }
  if (shown < coloured.text.size()) between(coloured.text.substr(shown));
}

// The text of a unit; line breaks are shown, and break the line.
std::string visible(const std::string& text, const char* line_break) {
  std::string out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += escaped(std::string_view(text).substr(begin, end - begin));
    if (end < text.size()) out += line_break;
    begin = end + 1;
  }
  return out;
}

}  // namespace

ColouredText coloured_units(const std::string& text, const std::vector<std::string>& units, bool blanks,
                            std::vector<double> weights) {
  ColouredText out{text, {}, std::move(weights)};
  std::size_t at = 0;
  for (const std::string& unit : units) {
    if (!text.substr(std::min(at, text.size())).starts_with(unit)) at = text.find_first_not_of(" \t\r\n", at);
    if (at == text.npos || text.compare(at, unit.size(), unit) != 0) break;
    out.places.emplace_back(at, at + unit.size());
    at += unit.size();
  }
  if (out.places.size() == units.size()) return out;
  // Units that are written otherwise than in the text, or that are not in it, as the end of a line.
  out.text.clear();
  out.places.clear();
  for (const std::string& unit : units) {
    if (blanks && !out.text.empty() && !out.text.ends_with('\n')) out.text += ' ';
    const std::size_t begin = out.text.size();
    out.text += unit;
    out.places.emplace_back(begin, out.text.size());
  }
  return out;
}

std::string coloured_lines(const ColouredText& coloured, std::vector<Highlight>& highlights) {
  constexpr double kShown = 0.2, kStrong = 0.6;
  std::string out;
  for_stretches(
      coloured, [&](const std::string& text) { out += visible(text, "\n"); },
      [&](const std::string& text, double share, double) {
        const std::size_t begin = out.size();
        out += visible(text, "⏎\n");
        if (std::abs(share) > kShown)
          highlights.push_back({begin, out.size() - (out.ends_with('\n') ? 1 : 0),
                                (share > 0 ? 31 : 34) + (std::abs(share) > kStrong ? 10 : 0)});
      });
  return out + (out.ends_with('\n') ? "" : "\n");
}

std::string coloured_html(const ColouredText& coloured) {
  std::string out = R"(<p class="text" dir="auto">)";
  for_stretches(
      coloured, [&](const std::string& text) { out += escape_html(text); },
      [&](const std::string& text, double share, double weight) {
        append(out, R"x(<span style="background:rgba({},{:.2f})" title="{:+.4f}">{}</span>)x",
               tone_of(false, share).rgb, 0.75 * std::abs(share), weight, escape_html(visible(text, "⏎\n")));
      });
  return out + "</p>";
}

std::string coloured_svg(const ColouredText& coloured, double& height) {
  constexpr double kLine = 24, kColumn = 8.5;
  std::string out;
  double x = 4, y = kLine;
  for_stretches(
      coloured,
      [&](const std::string& text) {
        if (text.find('\n') != std::string::npos)
          x = 4, y += kLine;
        else
          x += kColumn * 0.7 * static_cast<double>(columns_of(text));
      },
      [&](const std::string& text, double share, double weight) {
        const std::string unit = visible(text, "⏎");
        const double width = kColumn * static_cast<double>(columns_of(unit)) + 4;
        if (x + width > kColouredWidth) x = 4, y += kLine;
        append(out,
               R"(<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="18" fill="{}" fill-opacity="{:.2f}"><title>)"
               R"({:+.4f}</title></rect><text x="{:.1f}" y="{:.0f}" text-anchor="middle" font-size="13">{}</text>)",
               x, y - 14, width, tone_of(false, share).hex, 0.75 * std::abs(share), weight, x + width / 2, y,
               escape_html(unit));
        x += width;
        if (text.ends_with('\n')) x = 4, y += kLine;
      });
  height = y + kLine;
  return out;
}

}  // namespace mnemo
