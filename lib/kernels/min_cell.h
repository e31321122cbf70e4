// The two cells of Feng et al. 2024 ("Were RNNs All We Needed?"), whose gates do not see the state: all of a batch's
// gates come from one product, and the rest is a linear recurrence whose units are independent of each other.
//
// min_lstm: f = s(a_f)  i = s(a_i)  k = f / (f + i)   h = k h_prev + (1 - k) a_h; a row of gates is [3H]: f, i, h.
//           (The paper's f' and i'. Sums are limited to +-80, so that k is defined where both gates vanish.)
// min_gru:  z = s(a_z)                                h = (1 - z) h_prev + z a_h; a row of gates is [2H]: z, h.
//
// The recurrence is split by units, not by time: tiles of at most 64 units run all steps without waiting for each
// other. So with 256 units and one direction only four threads have work, where chunks of time would employ more; but a
// scan over chunks passes over its values three times (once for the chunk, once for its incoming state, once to join
// both).
//
// Nothing is kept. `hidden` may be fewer units than the cell has: `gates_block` is the distance between two blocks.
#pragma once

#include "kernels/cell.h"

namespace mnemo::kernels {

/// The bound that the gates' sums are clamped to.
inline constexpr float kGateLimit = 80.0f;

void min_lstm_cell_forward(const CellForward& args);
void min_lstm_cell_backward(const CellBackward& args);

void min_gru_cell_forward(const CellForward& args);
void min_gru_cell_backward(const CellBackward& args);

}  // namespace mnemo::kernels
