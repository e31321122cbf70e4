#include "report/found_units.h"

#include <fmt/format.h>

#include "base/shown.h"
#include "report/gates.h"
#include "report/html_report.h"
#include "report/svg.h"

namespace mnemo {

Findings found_findings(const FoundUnits& found, const std::string& title) {
  const std::string score = found.graded ? "rank correlation" : "AUC", key = found.graded ? "rho" : "auc";
  Findings out;
  out.title = title;
  out.coloured = found.beginning;
  Findings::Table table{"Units that follow " + found.property + " best", {"layer", "state", "unit", score, "p"}, {}};
  out.data = {"", {"network", "layer", "direction", "value", "unit", key, "p"}, {}};
  Json units = Json::array();
  std::size_t named = 0;
  for (const FoundUnit& one : found.units) {
    named += one.following.p_value < kFoundLevel ? 1 : 0;
    if (table.rows.size() < kFoundShown)
      table.rows.push_back({layer_title(one.network, one.cell, one.layer, one.direction), one.value,
                            fmt::to_string(one.unit), fmt::format("{:.4f}", one.following.score),
                            fmt::format("{:.3f}", one.following.p_value)});
    out.data.rows.push_back({one.network, fmt::to_string(one.layer), one.direction, one.value, fmt::to_string(one.unit),
                             fmt::format("{:.6f}", one.following.score), fmt::format("{:.3f}", one.following.p_value)});
    units.push_back({{"network", one.network},
                     {"layer", one.layer},
                     {"direction", one.direction},
                     {"value", one.value},
                     {"unit", one.unit},
                     {key, one.following.score},
                     {"p", one.following.p_value}});
  }
  out.tables.push_back(std::move(table));
  out.notes.push_back(found.graded
                          ? fmt::format("{} of {}.", counted(found.steps, "unit"), counted(found.texts, "text"))
                          : fmt::format("{} of {} of {} have the property.", found.present,
                                        counted(found.steps, "unit"), counted(found.texts, "text")));
  if (found.left_out > 0)
    out.notes.push_back(fmt::format("{} more are marks of pairs, which are neither inside nor outside.",
                                    counted(found.left_out, "unit")));
  out.notes.push_back(
      fmt::format("{} of {} states follow it, at 5% by a permutation test that allows for their number.",
                  named == 0 ? "None" : fmt::to_string(named), found.units.size()));
  out.notes.push_back(found.graded ? "Rank correlation: Spearman's, negative where the state falls."
                                   : "AUC: how often the state is higher at a step with the property than at one "
                                     "without it; near 0 it is lower.");
  out.coloured_note =
      "The beginning of the data, coloured by the first state: red where it is above its median, blue below.";
  if (!found.curve.empty()) {
    CurveChart chart{"ROC curve of the best", {{score, found.curve}}, "share of steps without the property"};
    out.drawings.push_back({chart.title, svg_line_chart(chart), kChartWidth, chart_height(chart)});
  }
  out.json = {{"property", found.property},    {"texts", found.texts},
              {"steps", found.steps},          {"present", found.graded ? Json() : Json(found.present)},
              {"permutations", kPermutations}, {"found", named},
              {"units", std::move(units)}};
  return out;
}

}  // namespace mnemo
