// How far back the gradient of a sequence's last step reaches. A tape in training with such a trace drops, before it
// goes backward, what reaches the top layer's output from above at other steps than the last one of each direction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/packing.h"
#include "nn/tape.h"

namespace mnemo {

struct LayerRun;

struct GradientTrace {
  /// One direction of one layer. Norms are Euclidean.
  struct Layer {
    std::string network;  ///< the name of its `Recurrent`
    Index layer = 0, direction = 0;
    /// [sequences][lag] |dL/dh_t|, the total derivative, t being `lag` steps before the direction's last one.
    std::vector<std::vector<double>> h;
    /// The same of c_t where there is one, but only by way of the cell state that the next step takes over; 0 at lag 0
    /// unless the final c is used.
    std::vector<std::vector<double>> c;
  };

  std::vector<Layer> layers;  ///< in the order of going backward: of each network the last layer first
};

/// Keeps of the gradient of a network's output [N, D * P] that of each direction's last step. Internal to this folder.
void keep_last_steps(const Packing& packing, Index directions, const Activation& y);
/// Adds a layer's directions after its backward pass. Internal to this folder.
void trace_gradients(const LayerRun& run, const std::string& network, Index layer, GradientTrace& trace);

}  // namespace mnemo
