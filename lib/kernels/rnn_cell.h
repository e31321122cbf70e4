// The plain recurrent cell (Elman 1990) without its matrix products: h = tanh(a), or h = max(0, a). A row of gates is
// [H]; nothing is kept.
#pragma once

#include "kernels/cell.h"

namespace mnemo::kernels {

void rnn_tanh_cell_forward(const CellForward& args);
void rnn_tanh_cell_backward(const CellBackward& args);

void rnn_relu_cell_forward(const CellForward& args);
void rnn_relu_cell_backward(const CellBackward& args);

}  // namespace mnemo::kernels
