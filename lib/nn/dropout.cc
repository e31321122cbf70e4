#include "nn/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "kernels/elementwise.h"

namespace mnemo {
namespace {

constexpr Index kPiece = 1 << 14;  // elements of a task; a multiple of 8, as masks are drawn eight at a time

// A mask of `count` elements for this tape's seed and step.
float* draw_mask(Tape& tape, float rate, std::uint32_t layer, Index count) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(static_cast<double>(rate) * 65536.0));
  const float keep = static_cast<float>(65536.0 / (65536.0 - threshold));
  const kernels::MaskStream stream{
      {static_cast<std::uint32_t>(tape.seed), static_cast<std::uint32_t>(tape.seed >> 32)},
      {static_cast<std::uint32_t>(tape.step), static_cast<std::uint32_t>(tape.step >> 32),
       static_cast<std::uint32_t>(Purpose::kDropout) << 24 ^ layer}};
  float* mask = tape.arena.allocate(count);
  tape.pool.parallel_for((count + kPiece - 1) / kPiece, [&](std::int64_t i) {
    kernels::dropout_mask(stream, i * kPiece, std::min(kPiece, count - i * kPiece), threshold, keep, mask + i * kPiece);
  });
  return mask;
}

// Calls body(row of x, row of the mask) for each row.
template <class Body>
void for_rows(const Packing* packing, Index rows, const Body& body) {
  if (!packing) {
    for (Index r = 0; r < rows; ++r) body(r, r);
    return;
  }
  for (Index t = 0; t < packing->steps(); ++t)
    for (Index b = 0; b < packing->rows_at(t); ++b) body(packing->row(b, t), packing->original(b));
}

}  // namespace

Activation dropout(Tape& tape, const Activation& x, float rate, std::uint32_t layer, const Packing* packing) {
  if (!tape.training() || rate <= 0.0f) return x;
  const Index C = x.columns;
  const float* mask = draw_mask(tape, rate, layer, (packing ? packing->sequences() : x.rows) * C);
  Activation y = tape.allocate(x.rows, C);
  for_rows(packing, x.rows, [&](Index row, Index mask_row) {
    for (Index j = 0; j < C; ++j) y.value[row * C + j] = x.value[row * C + j] * mask[mask_row * C + j];
  });
  if (!x.gradient) return y;
  tape.record([x, y, mask, packing, C] {
    for_rows(packing, x.rows, [&](Index row, Index mask_row) {
      for (Index j = 0; j < C; ++j) x.gradient[row * C + j] += y.gradient[row * C + j] * mask[mask_row * C + j];
    });
  });
  return y;
}

}  // namespace mnemo
