// Cells without a recurrent product: all of a batch's gates come from one product with the inputs, and the rest is a
// recurrence whose units are independent of each other. min_lstm and min_gru are those of Feng et al. 2024 ("Were RNNs
// All We Needed?"), sru is that of Lei et al. 2018 ("Simple Recurrent Units for Highly Parallelizable Recurrence").
//
// min_lstm: f = s(a_f)  i = s(a_i)  k = f / (f + i)   h = k h_prev + (1 - k) a_h; a row of gates is [3H]: f, i, h.
//           (The paper's f' and i'. Sums are limited to +-80, so that k is defined where both gates vanish.)
// min_gru:  z = s(a_z)                                h = (1 - z) h_prev + z a_h; a row of gates is [2H]: z, h.
// sru:      f = s(a_f + v_f c_prev)  r = s(a_r + v_r c_prev)
//           c = f c_prev + (1 - f) a_g   h = r c + (1 - r) a_x; a row of gates is [4H]: f, r, g, x; own: v_f, v_r.
//           Given x, a_x is kSruFactor x, and a row is [3H].
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

/// sqrt(3), with which the outputs of a highway gate of one half vary as much as the inputs (Lei et al. 2018).
inline constexpr float kSruFactor = 1.7320508f;

void min_lstm_cell_forward(const CellForward& args);
void min_lstm_cell_backward(const CellBackward& args);

void min_gru_cell_forward(const CellForward& args);
void min_gru_cell_backward(const CellBackward& args);

void sru_cell_forward(const CellForward& args);
void sru_cell_backward(const CellBackward& args);

}  // namespace mnemo::kernels
