#include "report/attribution_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/html_report.h"
#include "report/svg.h"

namespace mnemo {
namespace {

constexpr double kLargestGap = 0.01;

}  // namespace

Findings attribution_findings(const Attribution& a, const AttributionView& view, const std::string& title) {
  Findings out;
  out.title = title;
  out.coloured = coloured_units(view.text, a.units, view.blanks_between, a.weights);
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
  std::string values =
      fmt::format("F(x) = {:.4f}, F(0) = {:.4f}, difference {:.4f}", a.value, a.baseline, a.value - a.baseline);
  if (view.complete) values += fmt::format("; the weights add up to {:.4f}: gap {:.2f}%", sum, 100 * a.gap());
  out.notes.push_back(values + ".");
  if (view.complete && a.gap() > kLargestGap)
    out.notes.push_back(
        "The weights miss the difference by more than 1%: the network bends too often on the way from no input to the "
        "text, or both numbers are nearly the same.");
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
  out.json = {{"target", a.name},
              {"method", view.method},
              {"units", a.units},
              {"weights", a.weights},
              {"value", a.value},
              {"baseline", a.baseline},
              {"gap", view.complete ? Json(a.gap()) : Json()},
              {"deletion", {{"share", a.deleted}, {"by_weight", a.by_weight}, {"at_random", a.at_random}}}};
  return out;
}

}  // namespace mnemo
