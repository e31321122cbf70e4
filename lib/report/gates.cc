#include "report/gates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "report/append.h"
#include "report/tones.h"
#include "text/html.h"

namespace mnemo {
namespace {

// The columns of a series: those chosen, as far as it has them, or all.
std::vector<Index> columns_of_series(const CellTrace::Series& series, const std::vector<Index>& chosen) {
  std::vector<Index> out;
  if (chosen.empty()) {
    out.resize(static_cast<std::size_t>(series.units));
    std::iota(out.begin(), out.end(), Index{0});
  }
  for (const Index unit : chosen)
    if (unit < series.units) out.push_back(unit);
  return out;
}

// Text in a column of the given width, at its right end.
std::string right_aligned(const std::string& text, std::size_t width) {
  const std::size_t has = columns_of(text);
  return (has < width ? std::string(width - has, ' ') : "") + text;
}

// The columns of a word in the table's head at most.
constexpr std::size_t kWidestWord = 20;

class Table {
 public:
  Table(std::size_t width, std::vector<Highlight>& highlights) : width_(width), highlights_(highlights) {}

  void add(const CellTrace::Layer& layer, const CellTrace::Series& series, const std::vector<std::string>& units,
           const std::vector<Index>& rows) {
    append(out_, "{}: {}\n", layer_title(layer), series.name);
    std::size_t label = 4;
    for (const Index row : rows) label = std::max(label, std::to_string(row).size());
    // Of a narrow terminal the rest of the line.
    const std::size_t widest = std::clamp(width_ - std::min(width_, label + 1), std::size_t{5}, kWidestWord);
    const auto word = [&](std::size_t t) { return shortened(shown_unit(units[t]), widest); };
    const float scale = scale_of(series);
    for (std::size_t begin = 0; begin < units.size();) {
      std::vector<std::size_t> widths;
      std::size_t used = label;
      for (std::size_t t = begin; t < units.size(); ++t) {
        const std::size_t own = std::max(columns_of(word(t)), std::size_t{5}) + 1;
        if (t > begin && used + own > width_) break;
        widths.push_back(own);
        used += own;
      }
      out_ += right_aligned("unit", label);
      for (std::size_t k = 0; k < widths.size(); ++k) out_ += right_aligned(word(begin + k), widths[k]);
      out_ += "\n";
      for (const Index row : rows) {
        out_ += right_aligned(std::to_string(row), label);
        for (std::size_t k = 0; k < widths.size(); ++k)
          add_value(series.values[static_cast<Index>(begin + k) * series.units + row], widths[k], series.gate, scale);
        out_ += "\n";
      }
      out_ += "\n";
      begin += widths.size();
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void add_value(float value, std::size_t width, bool gate, float scale) {
    const std::string text = right_aligned(fmt::format("{:.2f}", value), width);
    const auto depth = static_cast<double>(std::abs(value) / scale);
    if (const int shade = palette_shade(tone_of(gate, static_cast<double>(value)), depth); shade >= 0)
      highlights_.push_back({out_.size(), out_.size() + text.size(), kPalette + shade});
    out_ += text;
  }

  std::size_t width_;
  std::vector<Highlight>& highlights_;
  std::string out_;
};

}  // namespace

const char* direction_name(const CellTrace::Layer& layer) { return layer.direction == 0 ? "forward" : "backward"; }

std::string layer_title(const std::string& network, const std::string& cell, Index layer,
                        const std::string& direction) {
  // The one network of most models is "rnn" whatever its cell.
  std::string out = network == "rnn" ? "" : network;
  if (!cell.empty()) out += (out.empty() ? "" : " ") + cell;
  return fmt::format("{}{}layer {}, {}", out, out.empty() ? "" : ", ", layer, direction);
}

std::string layer_title(const CellTrace::Layer& layer) {
  return layer_title(layer.network, layer.cell, layer.layer, direction_name(layer));
}

float scale_of(const CellTrace::Series& series) {
  if (series.gate) return 1.0f;
  float largest = 0.0f;
  for (const float value : series.values) largest = std::max(largest, std::abs(value));
  return largest > 0.0f ? largest : 1.0f;
}

std::vector<Index> most_varied(const CellTrace::Layer& layer, Index most) {
  const CellTrace::Series& h = layer.series.back();
  const Index rows = static_cast<Index>(h.values.size()) / h.units;
  std::vector<double> variances;
  for (Index j = 0; j < h.units; ++j) {
    double sum = 0, squares = 0;
    for (Index t = 0; t < rows; ++t) {
      const auto value = static_cast<double>(h.values[t * h.units + j]);
      sum += value;
      squares += value * value;
    }
    variances.push_back(squares - sum * sum / static_cast<double>(rows));
  }
  std::vector<Index> out(static_cast<std::size_t>(h.units));
  std::iota(out.begin(), out.end(), Index{0});
  std::stable_sort(out.begin(), out.end(), [&](Index a, Index b) { return variances[a] > variances[b]; });
  out.resize(static_cast<std::size_t>(std::min(most, h.units)));
  std::ranges::sort(out);
  return out;
}

std::string shown_unit(const std::string& unit) { return unit == "\n" ? "⏎" : escaped(unit); }

std::vector<const CellTrace::Layer*> chosen_layers(const Observed& observed, const GateChoice& choice) {
  std::vector<const CellTrace::Layer*> out;
  Index layers = 0, units = 0;
  for (const CellTrace::Layer& layer : observed.trace.layers) {
    layers = std::max(layers, layer.layer + 1);
    if (choice.layer && layer.layer != *choice.layer) continue;
    for (const CellTrace::Series& series : layer.series) units = std::max(units, series.units);
    out.push_back(&layer);
  }
  if (out.empty()) throw UsageError(fmt::format("--layer {}: the model has layers 0 to {}", *choice.layer, layers - 1));
  for (const Index unit : choice.units)
    if (unit >= units) throw UsageError(fmt::format("--unit {}: the layers have units 0 to {}", unit, units - 1));
  return out;
}

Json gates_json(const Observed& observed, const GateChoice& choice) {
  Json networks = Json::array();
  for (const CellTrace::Layer* chosen_layer : chosen_layers(observed, choice)) {
    const CellTrace::Layer& layer = *chosen_layer;
    if (networks.empty() || networks.back()["network"] != layer.network)
      networks.push_back(
          {{"network", layer.network}, {"units", observed.units.at(layer.network)}, {"layers", Json::array()}});
    Json values = Json::object();
    for (const CellTrace::Series& series : layer.series) {
      const std::vector<Index> columns = columns_of_series(series, choice.units);
      Json& rows = values[series.name] = Json::array();
      for (std::size_t at = 0; at < series.values.size(); at += static_cast<std::size_t>(series.units)) {
        Json& row = rows.emplace_back(Json::array());
        for (const Index j : columns) row.push_back(series.values[at + static_cast<std::size_t>(j)]);
      }
    }
    networks.back()["layers"].push_back({{"layer", layer.layer},
                                         {"direction", direction_name(layer)},
                                         {"columns", columns_of_series(layer.series.front(), choice.units)},
                                         {"values", std::move(values)}});
  }
  return {{"networks", std::move(networks)}};
}

std::string gates_tsv(const Observed& observed, const GateChoice& choice) {
  std::string out = "network\tlayer\tdirection\tname\tunit\tplace\ttext\tvalue\n";
  for (const CellTrace::Layer* chosen_layer : chosen_layers(observed, choice)) {
    const CellTrace::Layer& layer = *chosen_layer;
    std::vector<std::string> texts;
    for (const std::string& unit : observed.units.at(layer.network)) texts.push_back(escaped(unit));
    for (const CellTrace::Series& series : layer.series)
      for (const Index j : columns_of_series(series, choice.units))
        for (std::size_t t = 0; t < texts.size(); ++t)
          append(out, "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", layer.network, layer.layer, direction_name(layer),
                 series.name, j, t, texts[t], series.values[static_cast<Index>(t) * series.units + j]);
  }
  return out;
}

std::string gates_text(const Observed& observed, const GateChoice& choice, std::size_t width,
                       std::vector<Highlight>& highlights) {
  Table table(width, highlights);
  for (const CellTrace::Layer* chosen_layer : chosen_layers(observed, choice)) {
    const CellTrace::Layer& layer = *chosen_layer;
    const std::vector<Index> chosen = choice.units.empty() ? most_varied(layer, kFewUnits) : choice.units;
    for (const CellTrace::Series& series : layer.series)
      table.add(layer, series, observed.units.at(layer.network), columns_of_series(series, chosen));
  }
  return table.take();
}

}  // namespace mnemo
