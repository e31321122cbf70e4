#include "report/attribution_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/shown.h"
#include "report/append.h"
#include "report/gates.h"
#include "report/html_report.h"
#include "report/svg.h"
#include "text/html.h"

namespace mnemo {
namespace {

double largest_weight(const std::vector<double>& weights) {
  double largest = 1e-30;
  for (const double weight : weights) largest = std::max(largest, std::abs(weight));
  return largest;
}

// Whether blanks are to stand between units: not if all are single characters or carry their blanks.
bool needs_blanks(const std::vector<std::string>& units) {
  return std::ranges::any_of(units, [](const std::string& unit) { return columns_of(unit) > 2; }) &&
         std::ranges::none_of(units, [](const std::string& unit) { return unit == " "; });
}

// The units in colour for a page.
std::string coloured_units(const std::vector<std::string>& units, const std::vector<double>& weights) {
  const double largest = largest_weight(weights);
  const bool blanks = needs_blanks(units);
  std::string out = R"(<p class="text" dir="auto">)";
  for (std::size_t t = 0; t < units.size(); ++t) {
    const double share = weights[t] / largest;
    append(out, R"x({}<span style="background:rgba({},{:.2f})" title="{:+.4f}">{}</span>)x", t > 0 && blanks ? " " : "",
           share > 0 ? "214,69,61" : "59,130,196", 0.75 * std::abs(share), weights[t],
           escape_html(shown_unit(units[t])));
  }
  return out + "</p>";
}

}  // namespace

Findings attribution_findings(const Attribution& a, const std::string& method, const std::string& title) {
  Findings out;
  out.title = title;
  out.lead = coloured_units(a.units, a.weights);
  Findings::Table table{"Weights of the units for the " + a.name, {"unit", "place", "weight"}, {}};
  out.data = {"", {"place", "unit", "weight"}, {}};
  std::vector<std::size_t> order(a.units.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const std::size_t t : order)
    out.data.rows.push_back({fmt::to_string(t), a.units[t], fmt::format("{:.6f}", a.weights[t])});
  std::ranges::stable_sort(order, [&](std::size_t x, std::size_t y) { return a.weights[x] > a.weights[y]; });
  for (const std::size_t t : order)
    table.rows.push_back({a.units[t], fmt::to_string(t), fmt::format("{:+.4f}", a.weights[t])});
  out.tables.push_back(std::move(table));
  const double sum = std::accumulate(a.weights.begin(), a.weights.end(), 0.0);
  out.notes.push_back(
      fmt::format("F(x) = {:.4f}, F(0) = {:.4f}, difference {:.4f}; the weights add up to {:.4f}: gap "
                  "{:.2f}%.",
                  a.value, a.baseline, a.value - a.baseline, sum, 100 * a.gap()));
  if (!a.deleted.empty()) {
    CurveChart chart{a.name + " as units are left out",
                     {{"weightiest first", {}}, {fmt::format("mean of {} random orders", kRandomOrders), {}}},
                     "share of units left out"};
    double by_weight = 0, at_random = 0;
    for (std::size_t k = 0; k < a.deleted.size(); ++k) {
      chart.curves[0].points.emplace_back(a.deleted[k], a.by_weight[k]);
      chart.curves[1].points.emplace_back(a.deleted[k], a.at_random[k]);
      by_weight += a.by_weight[k] / static_cast<double>(a.deleted.size());
      at_random += a.at_random[k] / static_cast<double>(a.deleted.size());
    }
    out.notes.push_back(
        fmt::format("As units are left out, the mean of F is {:.4f} if the weightiest go first, {:.4f} in "
                    "random order.",
                    by_weight, at_random));
    out.drawings.push_back({chart.title, svg_line_chart(chart), kChartWidth, chart_height(chart)});
  }
  out.json = {
      {"target", a.name}, {"method", method},
      {"units", a.units}, {"weights", a.weights},
      {"value", a.value}, {"baseline", a.baseline},
      {"gap", a.gap()},   {"deletion", {{"share", a.deleted}, {"by_weight", a.by_weight}, {"at_random", a.at_random}}}};
  return out;
}

std::string attribution_text(const Attribution& a, const Findings& findings, std::vector<Highlight>& highlights) {
  const double largest = largest_weight(a.weights);
  const bool blanks = needs_blanks(a.units);
  std::string out;
  for (std::size_t t = 0; t < a.units.size(); ++t) {
    if (t > 0 && blanks) out += " ";
    const std::string unit = shown_unit(a.units[t]);
    if (const double share = a.weights[t] / largest; std::abs(share) > 0.2)
      highlights.push_back(
          {out.size(), out.size() + unit.size(), (share > 0 ? 31 : 34) + (std::abs(share) > 0.6 ? 10 : 0)});
    out += unit;
  }
  return out + "\n\n" + findings_text(findings);
}

std::string attribution_svg(const Attribution& a, const Findings& findings) {
  constexpr double kWidth = 900, kLine = 24;
  const double largest = largest_weight(a.weights), gap = needs_blanks(a.units) ? 6 : 0;
  std::string content;
  double x = 4, y = kLine;
  for (std::size_t t = 0; t < a.units.size(); ++t) {
    const std::string unit = shown_unit(a.units[t]);
    const double width = 8.5 * static_cast<double>(columns_of(unit)) + 4, share = a.weights[t] / largest;
    if (x + width > kWidth) x = 4, y += kLine;
    append(
        content,
        R"(<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="18" fill="{}" fill-opacity="{:.2f}"><title>{:+.4f}</title>)"
        R"(</rect><text x="{:.1f}" y="{:.0f}" text-anchor="middle" font-size="13">{}</text>)",
        x, y - 14, width, share > 0 ? "#d6453d" : "#3b82c4", 0.75 * std::abs(share), a.weights[t], x + width / 2, y,
        escape_html(unit));
    x += width + gap;
  }
  y += kLine;
  for (const Findings::Drawing& drawing : findings.drawings) {
    append(content, R"svg(<g transform="translate(0 {:.0f})">{}</g>)svg", y, drawing.svg);
    y += drawing.height;
  }
  return svg_file(kWidth, y, a.name, content);
}

}  // namespace mnemo
