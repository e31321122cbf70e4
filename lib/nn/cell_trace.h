// What the cells of recurrent layers compute, step by step: for pictures and counts of gates. A tape with a trace lets
// its layers keep all rows, as in training, but computes what inference does, to the bit.
#pragma once

#include <string>
#include <vector>

#include "nn/cell.h"
#include "nn/tape.h"

namespace mnemo {

struct LayerRun;

struct CellTrace {
  /// One value of all units, by the name of CellTraits::values.
  struct Series {
    std::string name;
    bool gate = false;          ///< from 0, closed, to 1, open
    Index units = 0;            ///< H, or P for the output of a projection
    std::vector<float> values;  ///< [N, units], in the order of the packing: for one sequence, of time
  };
  /// One direction of one layer.
  struct Layer {
    std::string network;  ///< the name of its `Recurrent`
    Index layer = 0, direction = 0;
    std::vector<Series> series;
    std::string cell;  ///< its name in configurations
  };

  std::vector<Layer> layers;
  /// Asks for `attention`, which grows with the square of the text.
  bool wants_attention = false;
  std::vector<std::vector<float>> attention;  ///< [N, N] of one sequence's self-attention: a row for each step
  std::vector<float> pooling;                 ///< [N] the shares of a pooling by attention; empty if there is none
};

/// Adds a layer's directions after a forward pass that kept all rows. Internal to this folder.
void trace_cells(const LayerRun& run, const std::string& network, Index layer, CellTrace& trace);

}  // namespace mnemo
