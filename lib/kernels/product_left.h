// The left operand of a product in the form that its arithmetic takes, and the kernels of lower precision: one source
// for all processors, and one for those with AVX-512 products of bfloat16 and int8. Internal to this folder.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/product.h"

namespace mnemo::kernels {

// Rows of a as 32-bit elements, or as the arithmetic says.
struct LeftRows {
  const char* at;
  Index stride;         // bytes
  const float* scales;  // [rows] for int8
};

// The scale of a row of a from its largest magnitude, and its inverse: zero for a row of zeros, infinite or NaN where a
// value is, so values that are not finite stay so.
struct RowScale {
  float scale, inverse;
};
inline RowScale row_scale(float largest) { return {largest / 127.0f, largest != 0.0f ? 127.0f / largest : 0.0f}; }

// The last bit of a sum with this, 1.5 * 2^23, has the value 1, so adding it rounds to nearest, ties to even.
constexpr float kIntegerShift = 12582912.0f;
constexpr auto kIntegerShiftBits = std::bit_cast<std::int32_t>(kIntegerShift);

inline std::int32_t row_integer(float value, float inverse) {
  const std::int32_t integer = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(value * inverse + kIntegerShift) -
                                                         std::uint32_t{kIntegerShiftBits});
  return std::min(std::max(integer, -127), 127);
}

// The upper half of a float after rounding to nearest, ties to even; a NaN stays one.
inline std::uint32_t bfloat16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  return (bits & 0x7fffffffU) > 0x7f800000U ? (bits >> 16) | 0x40U : rounded;
}

// kernels::multiply_rows for kBfloat16Weights and kInt8, on any instruction set.
void multiply_rows_narrow(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel,
                          Index last_panel, Start start, const float* bias, float* c, Index ldc);
// Panel p of b, all but kFloat32; writes scales and offsets too.
void pack_narrow_panel(const float* b, Index ldb, bool transposed, Index p, PackedMatrix& out);

namespace avx512 {

// Whether the processor has the instructions; kernels/targets.h decides whether they are used.
bool has_bfloat16();
bool has_vnni();

// kernels::multiply_rows for kBfloat16 and kInt8.
void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc);
// The layout of a transposed product of kBfloat16: how many of a's columns are packed together, and how many elements
// the packed columns of b have.
struct GradientShape {
  Index group, elements;
};
GradientShape gradient_shape(Index rows);
// Like those of product.cc, for kBfloat16. A task has at most as many columns of a as for float32.
void pack_gradient_rows(const TransposedProduct& t, Index from, Index to, float* out);
void gradient_columns(const TransposedProduct& t, const float* packed_b, Index begin, Index columns);

}  // namespace avx512
}  // namespace mnemo::kernels
