#include "report/saturation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/shown.h"
#include "report/gates.h"
#include "report/svg.h"

namespace mnemo {

void Saturation::add(const CellTrace& trace) {
  std::size_t at = 0;
  for (const CellTrace::Layer& layer : trace.layers)
    for (const CellTrace::Series& series : layer.series) {
      if (!series.gate) continue;
      if (at == gates_.size()) {
        Gate& made = gates_.emplace_back();
        made.network = layer.network;
        made.direction = direction_name(layer);
        made.title = layer_title(layer);
        made.name = series.name;
        made.layer = layer.layer;
        made.closed.resize(static_cast<std::size_t>(series.units));
        made.open.resize(static_cast<std::size_t>(series.units));
      }
      Gate& gate = gates_[at++];
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        const std::size_t unit = i % static_cast<std::size_t>(series.units);
        gate.closed[unit] += series.values[i] < kClosed ? 1 : 0;
        gate.open[unit] += series.values[i] > kOpen ? 1 : 0;
      }
      gate.steps += static_cast<std::int64_t>(series.values.size()) / series.units;
    }
}

Findings Saturation::findings(const std::string& title) const {
  if (gates_.empty()) throw UsageError("--saturation: the model's cell has no gates");
  Findings out;
  out.title = title;
  out.tables.push_back({"Share of steps by gate, mean over units",
                        {"layer", "gate", "below 0.1", "above 0.9", "units", "never open", "always open"},
                        {}});
  out.data = {"", {"network", "layer", "direction", "gate", "unit", "below", "above"}, {}};
  out.json = {{"below", kClosed}, {"above", kOpen}, {"gates", Json::array()}};
  std::map<std::string, std::vector<ScatterGroup>> plots;
  for (const Gate& gate : gates_) {
    const auto share = [&](std::int64_t count) {
      return static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(1, gate.steps));
    };
    double closed = 0, open = 0;
    std::int64_t never = 0, always = 0;
    ScatterGroup group{gate.name, {}};
    Json below = Json::array(), above = Json::array();
    for (std::size_t j = 0; j < gate.closed.size(); ++j) {
      const double low = share(gate.closed[j]), high = share(gate.open[j]);
      closed += low / static_cast<double>(gate.closed.size());
      open += high / static_cast<double>(gate.closed.size());
      never += low >= 1 - kRest ? 1 : 0;
      always += high >= 1 - kRest ? 1 : 0;
      group.points.emplace_back(high, low);
      below.push_back(low);
      above.push_back(high);
      out.data.rows.push_back({gate.network, fmt::to_string(gate.layer), gate.direction, gate.name, fmt::to_string(j),
                               fmt::format("{:.6f}", low), fmt::format("{:.6f}", high)});
    }
    out.tables.front().rows.push_back({gate.title, gate.name, fmt::format("{:.3f}", closed),
                                       fmt::format("{:.3f}", open), fmt::to_string(gate.closed.size()),
                                       fmt::to_string(never), fmt::to_string(always)});
    out.json["gates"].push_back({{"network", gate.network},
                                 {"layer", gate.layer},
                                 {"direction", gate.direction},
                                 {"gate", gate.name},
                                 {"steps", gate.steps},
                                 {"below", std::move(below)},
                                 {"above", std::move(above)},
                                 {"never_open", never},
                                 {"always_open", always}});
    plots[gate.title].push_back(std::move(group));
  }
  for (const auto& [name, groups] : plots)
    out.drawings.push_back({name, svg_scatter("share of steps above 0.9", "share of steps below 0.1", groups),
                            kScatterWidth, kScatterHeight});
  out.notes.push_back(
      fmt::format("Over {}. Never open: below 0.1 at 99% of the steps or more; always open: above "
                  "0.9 at as many. A point is a unit.",
                  counted(gates_.front().steps, "step")));
  return out;
}

}  // namespace mnemo
