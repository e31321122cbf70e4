// The LSTM cell, plain, with peepholes, with coupled gates, and with a capped input gate, without the matrix products.
//
// After Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000; a are the sums of the
// products and biases, s is the logistic function, and a row of gates is [4H] in PyTorch's order i, f, g, o:
//   i = s(a_i)  f = s(a_f)  g = tanh(a_g)  o = s(a_o)
//   c = f c_prev + i g        h = o tanh(c)
//
// Peepholes (Gers & Schmidhuber 2000): the gates see the cell through diagonal weights, `own` = p_i, p_f, p_o [3H]:
//   i = s(a_i + p_i c_prev)  f = s(a_f + p_f c_prev)  o = s(a_o + p_o c)
//
// Coupled gates (Greff et al. 2015): a row of gates is [3H], i, g, o, and f = 1 - i.
//
// Capped input gate (cap_input_gate of Melis et al. 2018, "On the State of the Art of Evaluation in Neural Language
// Models"): no more is added than the forget gate takes away, so that c stays within -1 and 1 if it began there:
//   i = min(1 - f, s(a_i))
// Forward leaves this i in the row of gates; where it is 1 - f, its gradient goes to f.
//
// kept: tanh(c) [H], and for the peephole cell also c [H].
#pragma once

#include "kernels/cell.h"

namespace mnemo::kernels {

void lstm_cell_forward(const CellForward& args);
void lstm_cell_backward(const CellBackward& args);

void peephole_lstm_cell_forward(const CellForward& args);
void peephole_lstm_cell_backward(const CellBackward& args);

void cifg_lstm_cell_forward(const CellForward& args);
void cifg_lstm_cell_backward(const CellBackward& args);

void capped_lstm_cell_forward(const CellForward& args);
void capped_lstm_cell_backward(const CellBackward& args);

}  // namespace mnemo::kernels
