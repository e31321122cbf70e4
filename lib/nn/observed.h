// What a model's recurrent layers compute while it reads one text, beside the units that they read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/cell_trace.h"

namespace mnemo {

/// What each row gave to each of the columns.
struct AttentionMatrix {
  std::string name;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<float>> shares;  ///< [rows][columns]
};

struct Observed {
  CellTrace trace;
  std::vector<AttentionMatrix>
      attention;  ///< a pooling's and a block's over the text's units, a translator's over the source's
  /// The units of each network of the trace, by its name: as many as its series have rows.
  std::map<std::string, std::vector<std::string>> units;

  /// Takes over what the block of self-attention of this network, whose units are known, attended to.
  void add_self_attention(const std::string& network) {
    const std::vector<std::string>& named = units.at(network);
    for (const std::vector<float>& all : trace.attention) {
      AttentionMatrix matrix{"self-attention", named, named, {}};
      const std::size_t n = named.size();
      for (std::size_t t = 0; t < n; ++t)
        matrix.shares.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(t * n),
                                   all.begin() + static_cast<std::ptrdiff_t>((t + 1) * n));
      attention.push_back(std::move(matrix));
    }
  }

  /// Leaves out the layers of networks without units: those that read something else than the text.
  void keep_networks_with_units() {
    std::erase_if(trace.layers, [&](const CellTrace::Layer& layer) { return !units.contains(layer.network); });
  }
};

}  // namespace mnemo
