// The gates and states of recurrent layers over a text, as a table for the terminal, as rows, and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/highlight.h"
#include "base/json_fwd.h"
#include "nn/observed.h"

namespace mnemo {

struct GateChoice {
  std::optional<Index> layer;  ///< of each network, from 0; none: all
  std::vector<Index> units;    ///< from 0; empty: all, in a table for the terminal those that vary most
};

/// The layers of `observed` that `choice` leaves. Throws UsageError if there are none, or if one of the units is in
/// none of them.
std::vector<const CellTrace::Layer*> chosen_layers(const Observed& observed, const GateChoice& choice);

/// {"networks": [{"network", "units": [text, ...], "layers": [{"layer", "direction", "columns": [unit, ...], "values":
/// {name: [[one of each column], ... by unit of the text]}}]}]}.
Json gates_json(const Observed& observed, const GateChoice& choice);

/// A line for each value: network, layer, direction, name, unit of the layer, place in the text, text (escaped), value;
/// after a line of their names. Values are written with as many digits as it takes to read the same float again.
std::string gates_tsv(const Observed& observed, const GateChoice& choice);

/// A block for each layer, direction and value: a column for each unit of the text, a row for each unit of the layer,
/// by default the kFewUnits whose output varies most. Blocks wider than `width` columns are continued below; long words
/// are shortened. `highlights` gets the colours of report/tones.h, in four shades each.
std::string gates_text(const Observed& observed, const GateChoice& choice, std::size_t width,
                       std::vector<Highlight>& highlights);
inline constexpr Index kFewUnits = 8;

/// "forward" or "backward".
const char* direction_name(const CellTrace::Layer& layer);
/// A layer as headings name it: "lstm, layer 0, forward", "encoder gru, layer 1, backward". Without a cell:
/// "layer 0, forward".
std::string layer_title(const std::string& network, const std::string& cell, Index layer, const std::string& direction);
std::string layer_title(const CellTrace::Layer& layer);
/// The magnitude at which a value's colour is full: 1 of a gate, the largest of a state.
float scale_of(const CellTrace::Series& series);
/// The at most `most` units whose output varies most, in ascending order.
std::vector<Index> most_varied(const CellTrace::Layer& layer, Index most);
/// A unit of the text as drawings and tables show it, escaped for a terminal.
std::string shown_unit(const std::string& unit);

}  // namespace mnemo
