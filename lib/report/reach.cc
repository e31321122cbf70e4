#include "report/reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/shown.h"
#include "report/gates.h"
#include "report/html_report.h"
#include "report/svg.h"

namespace mnemo {
namespace {

double quantile_of(std::vector<double>& values, double q) {
  const auto at = values.begin() + std::lround(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// 1, 2 and 5 times powers of ten, so that a table of any longest lag is narrow.
bool is_drawn_lag(std::size_t lag) {
  while (lag >= 10 && lag % 10 == 0) lag /= 10;
  return lag == 1 || lag == 2 || lag == 5;
}

// What is below the smallest normal number has lost its digits.
std::string norm_text(double norm) {
  constexpr double kSmallest = std::numeric_limits<float>::min();
  return norm > 0 && norm < kSmallest ? fmt::format("<{:.1e}", kSmallest) : fmt::format("{:.2g}", norm);
}

}  // namespace

std::vector<ReachAtLag> reach_by_lag(const std::vector<std::vector<double>>& norms) {
  std::size_t longest = 0;
  for (const auto& one : norms) longest = std::max(longest, one.size());
  std::vector<ReachAtLag> out;
  for (std::size_t lag = 0; lag < longest; ++lag) {
    std::vector<double> ratios;
    for (const auto& one : norms) {
      const auto first = std::ranges::find_if(one, [](double norm) { return norm > 0; });
      if (lag < one.size() && first != one.end()) ratios.push_back(one[lag] / *first);
    }
    if (std::ssize(ratios) < kFewSequences) break;
    ReachAtLag& at = out.emplace_back();
    at.sequences = std::ssize(ratios);
    at.low = quantile_of(ratios, 0.1);
    at.median = quantile_of(ratios, 0.5);
    at.high = quantile_of(ratios, 0.9);
  }
  return out;
}

std::int64_t last_fitted(const std::vector<ReachAtLag>& reach) {
  std::int64_t last = 0;
  while (last < kLastFitted && last + 1 < std::ssize(reach) && reach[last + 1].median > 1e-30) ++last;
  return last;
}

std::optional<double> half_life(const std::vector<ReachAtLag>& reach) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::int64_t lag = 1; lag <= last_fitted(reach); ++lag) {
    const auto at = static_cast<double>(lag);
    const double value = std::log2(reach[lag].median);
    n += 1, x += at, y += value, xx += at * at, xy += at * value;
  }
  if (n < 3) return std::nullopt;
  const double slope = (n * xy - x * y) / (n * xx - x * x);
  if (slope >= 0) return std::nullopt;
  return -1.0 / slope;
}

namespace {

// Collects the curves of several networks.
class ReachTables {
 public:
  explicit ReachTables(bool quantiles) : quantiles_(quantiles) {
    out_.data = {
        "", {"model", "network", "layer", "direction", "state", "lag", "low", "median", "high", "sequences"}, {}};
    out_.json = {{"networks", Json::array()}};
  }

  void add(const std::string& model, const GradientTrace::Layer& layer, bool cell) {
    const auto reach = reach_by_lag(cell ? layer.c : layer.h);
    if (reach.empty()) return;
    const std::string direction = layer.direction == 0 ? "forward" : "backward", state = cell ? "c" : "h",
                      of = fmt::format("d{}, {}", state, layer_title(layer.network, "", layer.layer, direction));
    Json medians = Json::array(), lows = Json::array(), highs = Json::array();
    Curve median{model, {}}, low{model + ", 10%", {}}, high{model + ", 90%", {}};
    for (std::size_t lag = 0; lag < reach.size(); ++lag) {
      const ReachAtLag& at = reach[lag];
      medians.push_back(at.median);
      lows.push_back(at.low);
      highs.push_back(at.high);
      const auto place = static_cast<double>(lag);
      median.points.emplace_back(place, at.median);
      low.points.emplace_back(place, at.low);
      high.points.emplace_back(place, at.high);
      out_.data.rows.push_back({model, layer.network, fmt::to_string(layer.layer), direction, state,
                                fmt::to_string(lag), fmt::format("{:.6g}", at.low), fmt::format("{:.6g}", at.median),
                                fmt::format("{:.6g}", at.high), fmt::to_string(at.sequences)});
    }
    CurveChart& chart = chart_of(of);
    chart.curves.push_back(std::move(median));
    if (quantiles_) {
      chart.curves.push_back(std::move(low));
      chart.curves.push_back(std::move(high));
    }
    const std::optional<double> half = half_life(reach);
    const std::int64_t last = last_fitted(reach);
    out_.json["networks"].push_back({{"model", model},
                                     {"network", layer.network},
                                     {"layer", layer.layer},
                                     {"direction", direction},
                                     {"state", state},
                                     {"median", medians},
                                     {"low", lows},
                                     {"high", highs},
                                     {"half_life", half ? Json(*half) : Json()},
                                     {"half_life_lags", {1, last}}});
    add_row({model, of,
             half       ? fmt::format("{:.1f}", *half)
             : last < 3 ? "-"
                        : "does not fall",
             last == 0 ? "-" : fmt::format("1 to {}", last)},
            reach);
  }

  Findings take() {
    std::ranges::sort(lags_);
    for (const std::size_t lag : lags_) table_.columns.push_back(fmt::to_string(lag));
    for (auto& row : table_.rows) row.resize(table_.columns.size());
    out_.tables.push_back(std::move(table_));
    for (const auto& [of, chart] : charts_) {
      Findings::Drawing drawing{of, svg_line_chart(chart), kChartWidth, chart_height(chart)};
      if (!drawing.svg.empty()) out_.drawings.push_back(std::move(drawing));
    }
    return std::move(out_);
  }

 private:
  CurveChart& chart_of(const std::string& of) {
    const auto found = std::ranges::find(charts_, of, [](const auto& entry) { return entry.first; });
    if (found != charts_.end()) return found->second;
    return charts_.emplace_back(of, CurveChart{of, {}, "lag in steps", true}).second;
  }

  // The medians at the lags that the table shows; these are the same for all rows but for their number.
  void add_row(std::vector<std::string> row, const std::vector<ReachAtLag>& reach) {
    for (std::size_t lag = 0; lag < reach.size(); ++lag) {
      if (!is_drawn_lag(lag)) continue;
      row.push_back(norm_text(reach[lag].median));
      if (std::ranges::find(lags_, lag) == lags_.end()) lags_.push_back(lag);
    }
    table_.rows.push_back(std::move(row));
  }

  bool quantiles_;
  Findings out_;
  Findings::Table table_{"Norm of the gradient by lag in steps, relative to the first, median over sequences",
                         {"model", "of", "half-life", "over lags"},
                         {}};
  std::vector<std::size_t> lags_;
  std::vector<std::pair<std::string, CurveChart>> charts_;
};

}  // namespace

namespace {

// Of the first network, whose data are those of the others.
void check_reach(const GradientTrace& trace) {
  std::int64_t most = 0;
  for (const GradientTrace::Layer& layer : trace.layers)
    most =
        std::max<std::int64_t>(most, std::ranges::count_if(layer.h, [](const std::vector<double>& norms) {
                                 return norms.size() > 1 && std::ranges::any_of(norms, [](double n) { return n > 0; });
                               }));
  if (most < kFewSequences)
    fail("--gradient-flow: {} of two or more steps with a gradient, expected at least {}", counted(most, "sequence"),
         kFewSequences);
}

}  // namespace

Findings reach_findings(const std::string& title, const std::vector<std::pair<std::string, GradientTrace>>& networks) {
  check_reach(networks.front().second);
  ReachTables tables(networks.size() == 1);
  for (const auto& [name, trace] : networks)
    for (const GradientTrace::Layer& layer : trace.layers)
      for (const bool cell : {false, true}) tables.add(name, layer, cell);
  Findings out = tables.take();
  out.title = title;
  out.notes.push_back(fmt::format(
      "dh: total derivative of the loss by the output of the step that many steps before the last one, whose gradient "
      "alone comes from above; dc: by the cell state that the next step takes over. Half-life: that of the "
      "exponential that fits the medians best, by least squares on their logarithms at lags 1 to {}, or as far as "
      "the data and the gradient reach.",
      kLastFitted));
  return out;
}

}  // namespace mnemo
