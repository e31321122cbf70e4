// The LSTM cell with layer normalisation (Ba, Kiros & Hinton 2016, equations 20 to 22) without its matrix products.
//
//   a = gain_x N(W_ih x) + gain_h N(W_hh h_prev) + bias        i, f, g, o of a as in the LSTM
//   c = f c_prev + i g        h = o tanh(gain_c N(c) + bias_c)
// where N(v) = (v - mean v) / sqrt(var v + kNormEpsilon) over all of v's elements: 4H, 4H and H of them.
//
// A row of gates is [8H]: the input's sums, then the recurrent ones, each i, f, g, o. `own` [14H]: gain_x [4H], gain_h
// [4H], bias [4H], gain_c [H], bias_c [H].
//
// kept [6H + 3], needed in inference too: i, f, g, o [4H]; N(c) [H]; tanh(...) [H]; 1 / sqrt(...) of the three norms.
#pragma once

#include "kernels/cell.h"
#include "kernels/layer_norm.h"

namespace mnemo::kernels {

void norm_lstm_cell_forward(const CellForward& args);
void norm_lstm_cell_backward(const CellBackward& args);

}  // namespace mnemo::kernels
