#include "nn/dropout.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "kernels/elementwise.h"

namespace mnemo {
namespace {

constexpr Index kMaskPiece = 1 << 14;  // elements of a task; a multiple of 8, as masks are drawn eight at a time

std::uint32_t threshold_of(float rate) {
  return static_cast<std::uint32_t>(std::lround(static_cast<double>(rate) * 65536.0));
}

// Zero with probability `threshold` / 65536, else `keep`.
float* draw(Tape& tape, std::uint32_t threshold, float keep, std::uint32_t layer, Index count) {
  const kernels::MaskStream stream{{static_cast<std::uint32_t>(tape.seed), static_cast<std::uint32_t>(tape.seed >> 32)},
                                   {static_cast<std::uint32_t>(tape.step), static_cast<std::uint32_t>(tape.step >> 32),
                                    static_cast<std::uint32_t>(Purpose::kDropout) << 24 ^ layer}};
  float* mask = tape.arena.allocate(count);
  tape.pool.parallel_for((count + kMaskPiece - 1) / kMaskPiece, [&](std::int64_t i) {
    kernels::dropout_mask(stream, i * kMaskPiece, std::min(kMaskPiece, count - i * kMaskPiece), threshold, keep,
                          mask + i * kMaskPiece);
  });
  return mask;
}

constexpr Index kDropoutRows = 64;

// Calls body(row) for each row, in groups of rows on the pool's threads.
template <class Body>
void for_rows(ThreadPool& pool, Index rows, const Body& body) {
  pool.parallel_for((rows + kDropoutRows - 1) / kDropoutRows, [&](std::int64_t task) {
    for (Index r = task * kDropoutRows; r < std::min(rows, (task + 1) * kDropoutRows); ++r) body(r);
  });
}

// The sequence of each row of the packing; empty if each row has a mask of its own.
std::vector<Index> rows_of_masks(const Packing* packing) {
  std::vector<Index> out;
  for (Index t = 0; packing && t < packing->steps(); ++t)
    for (Index b = 0; b < packing->rows_at(t); ++b) out.push_back(packing->original(b));
  return out;
}

}  // namespace

float* draw_mask(Tape& tape, float rate, std::uint32_t layer, Index count) {
  const std::uint32_t threshold = threshold_of(rate);
  return draw(tape, threshold, static_cast<float>(65536.0 / (65536.0 - threshold)), layer, count);
}

float* draw_choices(Tape& tape, float rate, std::uint32_t layer, Index count) {
  return draw(tape, 65536 - threshold_of(rate), 1.0f, layer, count);
}

DropoutMask::DropoutMask(Tape& tape, float rate, std::uint32_t layer, Index rows, Index columns, const Packing* packing)
    : tape_(&tape),
      mask_(draw_mask(tape, rate, layer, (packing ? packing->sequences() : rows) * columns)),
      mask_rows_(std::make_shared<const std::vector<Index>>(rows_of_masks(packing))) {}

void DropoutMask::apply(const Activation& x, Index first, const Activation& y) const {
  const Index C = x.columns;
  const auto mask_of = [rows = mask_rows_, mask = mask_, first, C](Index row) {
    return mask + (rows->empty() ? first + row : (*rows)[first + row]) * C;
  };
  for_rows(tape_->pool, x.rows, [&](Index row) {
    const float* mask = mask_of(row);
    for (Index j = 0; j < C; ++j) y.value[row * C + j] = x.value[row * C + j] * mask[j];
  });
  if (!x.gradient) return;
  tape_->record([tape = tape_, x, y, mask_of, C] {
    for_rows(tape->pool, x.rows, [&](Index row) {
      const float* mask = mask_of(row);
      for (Index j = 0; j < C; ++j) x.gradient[row * C + j] += y.gradient[row * C + j] * mask[j];
    });
  });
}

Activation dropout(Tape& tape, const Activation& x, float rate, std::uint32_t layer, const Packing* packing) {
  if (!tape.training() || rate <= 0.0f) return x;
  const DropoutMask mask(tape, rate, layer, x.rows, x.columns, packing);
  const Activation y = tape.allocate(x.rows, x.columns);
  mask.apply(x, 0, y);
  return y;
}

}  // namespace mnemo
