// The gated recurrent unit (Cho et al. 2014) without its matrix products, in its two forms.
//
//   r = s(a_r)  z = s(a_z)        h = (1 - z) n + z h_prev
//
// `gru_cell`, the reset gate after the product, as in PyTorch and cuDNN: n = tanh(a_n + r u_n), where a_n is the
// input's sum and u_n the recurrent one, each with its bias. A row of gates is [4H]: a_n, a_r, a_z, u_n. Nothing is
// kept.
//
// `gru_before_cell`, the reset gate before the product, as in the paper: n = tanh(a_n), where the recurrent product of
// a_n takes r h_prev. A row of gates is [3H]: a_r, a_z, a_n; kept [2H], needed in inference too: r h_prev, then room
// for its gradient. `reset` runs between the products of r and z and that of n.
#pragma once

#include "kernels/cell.h"

namespace mnemo::kernels {

void gru_cell_forward(const CellForward& args);
void gru_cell_backward(const CellBackward& args);

void gru_before_cell_reset(const CellForward& args);
void gru_before_cell_forward(const CellForward& args);
void gru_before_cell_backward(const CellBackward& args);
/// After the product that leaves the gradient of r h_prev in kept's second half.
void gru_before_cell_reset_backward(const CellBackward& args);

}  // namespace mnemo::kernels
