// Arguments of the kernels of every gated cell: one time step of some rows, after the matrix products.
//
// Letters: B rows (sequences at one time step), H hidden units. A row of gates is a row of blocks of H floats; each
// cell's header says which. The products leave the gates' sums a there; the forward kernel turns them into the cell's
// next state and, where a gradient will be needed, into the values that the backward kernel takes.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

/// Pointers to a row's first element, and elements from one row to the next. A stride of 0 repeats one row.
struct CellForward {
  Index rows, hidden;
  float* gates;                     // [B, blocks * H] in: a; out: the input of backward, if `kept` is given
  Index gates_stride, gates_block;  // a block of a row: H, unless a kernel handles only some of the units
  const float* h_prev;              // [B, H]
  Index h_prev_stride;
  const float* c_prev;  // [B, H], for cells that have a cell state
  Index c_prev_stride;
  const float* own;  // the cell's own vectors, concatenated
  const float* x;    // [B, H] the layer's input, for cells that pass it on; null if their products do that
  Index x_stride;
  float* c;  // [B, H] out; may be c_prev
  Index c_stride;
  float* kept;  // [B, as the cell's header says] out; null where no gradient will be needed, except for cells that
                // need it in inference too
  Index kept_stride;
  float* h;  // [B, H] out
  Index h_stride;
};

struct CellBackward {
  Index rows, hidden;
  float* gates;  // [B, blocks * H] in: as forward left them; out: gradients of a
  Index gates_stride, gates_block;
  const float* h_prev;  // [B, H]
  Index h_prev_stride;
  const float* c_prev;  // [B, H]
  Index c_prev_stride;
  const float* x;  // as in forward
  Index x_stride;
  float* dx;  // [B, H] the gradient of x is added; null where none is needed
  Index dx_stride;
  const float* own;
  float* own_gradients;  // [B, own] each row's part of the gradient of the cell's own vectors is added, all
                         // to one with a stride of 0; where threads share the sequences, each sequence has its own, so
                         // that the order of a sum does not depend on which of them handles it
  Index own_gradients_stride;
  float* kept;  // as forward left it
  Index kept_stride;
  const float* dh;  // [B, H] gradient of h from above
  Index dh_stride;
  float* dh_next;  // [B, H] in: gradient of h from the next step, added to dh; out: the part that reaches h_prev
                   // bypassing the products (cells that have a bypass; else left alone)
  Index dh_next_stride;
  float* dc;  // [B, H] in: gradient of c from the next step; out: gradient of c_prev
  Index dc_stride;
  Index ahead = 0;  // rows from these to those of the step that backward takes next, for prefetching; 0: not known
};

}  // namespace mnemo::kernels
