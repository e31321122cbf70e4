#include "report/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/shown.h"
#include "report/html_report.h"
#include "report/svg.h"

namespace mnemo {
namespace {

struct Difference {
  double mean = 0, error = 0;
};

// Of paired losses: how much the first is above the second.
Difference difference_of(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] - b[i];
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  const double mean = sum / n;
  return {mean, n > 1 ? std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)) : 0.0};
}

}  // namespace

Findings context_findings(const std::string& title, const std::vector<ContextLosses>& losses) {
  Findings out;
  out.title = title;
  Findings::Table table{
      "Loss per position by units of context", {"units kept", "loss, nats", "above the longest", "+-"}, {}};
  out.data = {"", {"units", "loss", "above", "standard_error", "places"}, {}};
  const ContextLosses& longest = losses.back();
  CurveChart chart{"Loss per position by units of context", {{"mean loss, nats", {}}}, "units kept", false, true};
  Json rows = Json::array();
  std::int64_t used = longest.units;
  bool within = true, unclear = false;  // unclear: by the standard error alone
  for (auto one = losses.rbegin(); one != losses.rend(); ++one) {
    const Difference above = difference_of(one->losses, longest.losses);
    within &= above.mean <= std::max(kNoticed, 2 * above.error);
    if (!within) break;
    used = one->units;
    unclear |= above.mean > kNoticed;
  }
  for (const ContextLosses& one : losses) {
    double sum = 0;
    for (const double loss : one.losses) sum += loss;
    const double mean = sum / static_cast<double>(one.losses.size());
    const Difference above = difference_of(one.losses, longest.losses);
    table.rows.push_back({fmt::to_string(one.units), fmt::format("{:.4f}", mean), fmt::format("{:+.4f}", above.mean),
                          fmt::format("{:.4f}", above.error)});
    out.data.rows.push_back({fmt::to_string(one.units), fmt::format("{:.6f}", mean), fmt::format("{:.6f}", above.mean),
                             fmt::format("{:.6f}", above.error), fmt::to_string(one.losses.size())});
    rows.push_back({{"units", one.units},
                    {"loss", mean},
                    {"above", above.mean},
                    {"standard_error", above.error},
                    {"losses", one.losses}});
    chart.curves.front().points.emplace_back(std::log2(static_cast<double>(one.units)), mean);
  }
  out.tables.push_back(std::move(table));
  const auto places = std::ssize(losses.front().losses);
  out.notes.push_back(
      unclear ? fmt::format("At {} this model uses at least the last {}; up to {} more lower the loss by "
                            "over {} nats, but by less than two standard errors: more places would tell.",
                            counted(places, "place"), counted(used, "unit"), longest.units, kNoticed)
      : used == longest.units && losses.size() > 1
          ? fmt::format("At {} this model still gains from the last of {}.", counted(places, "place"),
                        counted(longest.units, "unit"))
          : fmt::format(
                "At {} this model uses the last {}: more, up to {}, lower the loss by no more than {} nats or two "
                "standard errors.",
                counted(places, "place"), counted(used, "unit"), longest.units, kNoticed));
  out.notes.emplace_back(
      "Per position: the loss of one unit of the text given only that many units before it, or of a text's label given "
      "only that many of its last units; the mean over the places. +-: the standard error of the mean difference from "
      "the longest context, place by "
      "place.");
  out.json = {{"places", places}, {"longest", longest.units}, {"used", used}, {"losses", std::move(rows)}};
  out.drawings.push_back({chart.title, svg_line_chart(chart), kChartWidth, chart_height(chart)});
  return out;
}

}  // namespace mnemo
