#include "nn/cell_step.h"

#include <cstring>

namespace mnemo {

using kernels::Start;

Previous mogrify(const RecurrentDirection& w, const CellStep& s, Previous previous, float* room, Index stride) {
  const Mogrifier::Pair gated = w.mogrifier->forward(s.rows, {{s.x, s.x_stride}, previous.fed}, room, stride);
  kernels::multiply_rows(s.rows, gated.x.at, gated.x.stride, w.input_panels, 0, w.input_panels.panels(), Start::kBias,
                         w.bias.data(), s.gates, s.gates_stride);
  previous.fed = gated.h;
  return previous;
}

void run_cell(const RecurrentDirection& w, const CellStep& s, const Previous& prev) {
  const CellTraits& cell = w.cell;
  const Index H = w.hidden(), u = s.begin;
  const Index first_own = std::ssize(cell.input_order) * H, own = cell.recurrent_blocks() * H;
  for (Index r = 0; r < s.rows && own > 0; ++r)
    std::memcpy(s.gates + r * s.gates_stride + first_own, w.bias.data() + first_own, own * sizeof(float));
  const auto multiply = [&](const kernels::PackedMatrix& panels, const Rows& a, Index block) {
    kernels::multiply_rows(s.rows, a.at, a.stride, panels, 0, panels.panels(), Start::kResult, nullptr,
                           s.gates + block * H, s.gates_stride);
  };
  if (!prev.zero && cell.hidden_gates > 0) multiply(w.recurrent_panels, prev.fed, cell.hidden_first);
  const kernels::CellForward args{.rows = s.rows,
                                  .hidden = s.end - u,
                                  .gates = s.gates + u,
                                  .gates_stride = s.gates_stride,
                                  .gates_block = H,
                                  .h_prev = prev.h.at + u,
                                  .h_prev_stride = prev.h.stride,
                                  .c_prev = prev.c.at + u,
                                  .c_prev_stride = prev.c.stride,
                                  .own = w.own_values.data() + u,
                                  .x = cell.otherwise ? s.x + w.through_column + u : nullptr,
                                  .x_stride = s.x_stride,
                                  .c = s.c ? s.c + u : nullptr,
                                  .c_stride = s.c_stride,
                                  .kept = s.kept,
                                  .kept_stride = s.kept_stride,
                                  .h = (s.raw ? s.raw : s.y) + u,
                                  .h_stride = s.raw ? s.raw_stride : s.y_stride};
  if (cell.reset) {
    cell.reset(args);
    if (!prev.zero) multiply(w.last_panels, {args.kept, args.kept_stride}, cell.blocks - 1);
  }
  cell.forward(args);
  if (s.raw)
    kernels::multiply_rows(s.rows, s.raw, s.raw_stride, w.projection_panels, 0, w.projection_panels.panels(),
                           Start::kZero, nullptr, s.y, s.y_stride);
}

void connect_values(Index count, const float* x, const float* y, const float* gate, float* out) {
  for (Index i = 0; i < count; ++i) out[i] = gate ? x[i] + gate[i] * (y[i] - x[i]) : x[i] + y[i];
}

void zoneout_rows(Index rows, Index columns, const float* keep, Index keep_stride, float rate, const Rows& previous,
                  float* to, Index stride) {
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < columns; ++j) {
      float& value = to[r * stride + j];
      const float share = keep ? keep[r * keep_stride + j] : rate;
      value += share * (previous.at[r * previous.stride + j] - value);
    }
}

}  // namespace mnemo
