// What a model's recurrent layers compute while it reads one text, beside the units that they read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/cell_trace.h"

namespace mnemo {

struct Observed {
  CellTrace trace;
  /// The units of each network of the trace, by its name: as many as its series have rows.
  std::map<std::string, std::vector<std::string>> units;

  /// Leaves out the layers of networks without units: those that read something else than the text.
  void keep_networks_with_units() {
    std::erase_if(trace.layers, [&](const CellTrace::Layer& layer) { return !units.contains(layer.network); });
  }
};

}  // namespace mnemo
