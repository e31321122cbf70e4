// The core of one time step of one direction of a recurrent layer: the recurrent products and the cell. Whole sequences
// and sessions of one step at a time both run through it, and so give the same bits.
#pragma once

#include "nn/recurrent.h"
#include "nn/strided_rows.h"

namespace mnemo {

// The state before a step. `fed` is h as the recurrent product takes it; `zero`: h is zero, so no product is needed.
struct Previous {
  Rows h, fed, c;
  bool zero = false;
};

struct CellStep {
  Index rows;
  const float* x;  // [rows, I] the layer's input
  Index x_stride;
  Index begin, end;  // units to compute: all, or some for a cell without a recurrent product
  float* gates;      // [rows, blocks H]: the input's blocks are filled
  Index gates_stride;
  float* c;  // [rows, H], null for cells without a cell state
  Index c_stride;
  float* kept;  // [rows, kept H + kept_scalars], null where nothing is kept
  Index kept_stride;
  float* raw;  // [rows, H] h before a projection, null where there is none
  Index raw_stride;
  float* y;  // [rows, P]
  Index y_stride;
};

/// For layers with a mogrifier, before `run_cell`: gates the step's x and previous.fed in `room` [rows,
/// Mogrifier::room()], fills the input's blocks of gates, and returns `previous` with the gated h.
Previous mogrify(const RecurrentDirection& weights, const CellStep& step, Previous previous, float* room, Index stride);

/// gates += previous.fed W_hh^T, then the cell, then the projection.
void run_cell(const RecurrentDirection& weights, const CellStep& step, const Previous& previous);

/// out = x + y, or with a gate x + gate (y - x): the output of a residual layer with input x and layer output y. `out`
/// must not be any of them.
void connect_values(Index count, const float* x, const float* y, const float* gate, float* out);

/// to[r] = keep[r] previous[r] + (1 - keep[r]) to[r]; a null `keep` stands for `rate` everywhere, the expectation used
/// in inference.
void zoneout_rows(Index rows, Index columns, const float* keep, Index keep_stride, float rate, const Rows& previous,
                  float* to, Index stride);

}  // namespace mnemo
