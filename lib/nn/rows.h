// Rows assembled from other rows: neighbours in a sequence, or several layers' outputs side by side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/packing.h"
#include "nn/tape.h"

namespace mnemo {

/// y [N, width * C]: for each row of the packing, the rows of its sequence from width / 2 steps before it to (width -
/// 1) / 2 after it, zeros where there is none. A dense layer on it is a convolution over time. An even width has one
/// step more before than after. `packing` must outlive the tape's backward.
Activation windows(Tape& tape, const Packing& packing, const Activation& x, Index width);

/// Columns of y: row n is row `rows[n]` of x, or row n where `rows` is empty.
struct Columns {
  Activation x;
  std::span<const std::int32_t> rows;  ///< [N], must outlive the tape's backward
};

/// y [rows, C1 + C2 + ...].
Activation side_by_side(Tape& tape, Index rows, const std::vector<Columns>& parts);

}  // namespace mnemo
