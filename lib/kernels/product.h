// Matrix products on packed panels, and which library computes which product.
//
// Letters: m rows, k summed over, n columns. All matrices are row-major floats with a stride (`lda`, `ldc`: elements
// from one row to the next).
//
// Every element of a result is one chain of fused multiply-adds over k in ascending order, starting from the bias or
// from the previous value of the result (for kBfloat16 by tiles, a chain of sums over blocks of 32 k). It does not
// depend on how many rows or columns are computed together, nor on the number of threads. Maximum error against double
// precision: kProductUlp units in the last place of sum_k |a_k b_k| + |initial|, times sqrt(k); in lower precision,
// against double precision of the rounded operands. The integer sums of kInt8 are the same to the bit on every path;
// each row of a gets a scale of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "base/index.h"
#include "base/thread_pool.h"

namespace mnemo::kernels {

inline constexpr double kProductUlp = 2.0;

/// The precision that a product's operands are rounded to; its sums are float32 (for kInt8, exact integers).
enum class Precision {
  kFloat32,
  kBfloat16,         ///< both operands, by the processor's own bfloat16 products: see `no_bfloat16_products`
  kBfloat16Weights,  ///< the packed operand alone, on any processor
  kInt8,             ///< the packed operand with a scale for each column, the other with one for each row
};

/// "float32", "bfloat16" or "int8".
const char* precision_name(Precision precision);

/// The precision of inference (kFloat32, kBfloat16Weights or kInt8) of one of those names.
std::optional<Precision> inference_precision(std::string_view name);

/// Bytes of one packed value.
constexpr Index precision_bytes(Precision precision) {
  return precision == Precision::kFloat32 ? 4 : precision == Precision::kInt8 ? 1 : 2;
}

/// Why this processor, or the instruction set in use, has no bfloat16 products; empty if it has them.
std::string no_bfloat16_products();

/// A [k, n] matrix cut into panels of `width` columns. Each panel is stored row after row in elements of 32 bits, which
/// hold one value of a column (kFloat32), two of consecutive k (bfloat16) or four (int8): element (i, j) is stored at
/// data[(j / width) * panel_rows() * width + i * width + j % width]. Rows and columns beyond k and n are zero; for
/// kBfloat16 a panel has whole blocks of 16 rows, as the tiles need.
struct PackedMatrix {
  Precision precision = Precision::kFloat32;
  Index k = 0, n = 0, width = 0;
  AlignedVector data;
  AlignedVector scales;               // [panels * width] for kInt8: value = scale * integer
  std::vector<std::int32_t> offsets;  // [panels * width] for kInt8: -128 times a column's sum

  Index depth() const { return 4 / precision_bytes(precision); }
  Index elements() const { return (k + depth() - 1) / depth(); }
  Index panel_rows() const { return precision == Precision::kBfloat16 ? (elements() + 15) / 16 * 16 : elements(); }
  Index panels() const { return width == 0 ? 0 : (n + width - 1) / width; }
  const float* panel(Index p) const { return data.data() + p * panel_rows() * width; }
};

/// The largest magnitude of `count` values; NaN if one of them is.
float largest_magnitude(const float* values, Index count);

/// The scale of int8 values whose largest magnitude is `largest`: largest / 127, rounded to 16 significant bits, so
/// that scale * integer is exact and yields the same scale and integers again.
float int8_scale(float largest);

/// The integer in [-127, 127] for a value: value / scale to nearest, ties to even. 0 for a scale of 0. Values that are
/// not finite have a scale that is not either, and so stay visible.
std::int8_t int8_value(float value, float scale);

/// The `count` values scale * integer. False if an integer is -128, which int8_value never gives.
bool widen_int8(const std::int8_t* integers, Index count, float scale, float* to);

/// To bfloat16 and back, to nearest, ties to even.
float round_to_bfloat16(float value);

/// Packs b [k, n]; with `transposed`, the b that is stored is [n, k]. Throws Error for kInt8 with more than
/// kLargestInt8Sum rows, whose sums could overflow.
void pack(ThreadPool& pool, const float* b, Index ldb, bool transposed, Index k, Index n, PackedMatrix& out,
          Precision precision = Precision::kFloat32);

inline constexpr Index kLargestInt8Sum = 65536;

/// The initial value of a product's sums.
enum class Start { kZero, kBias, kResult };

/// c [m, n] = start + a [m, k] * b, on the calling thread. `bias` is [n] for Start::kBias, else unused.
/// `first_panel` and `last_panel` restrict the columns.
void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc);

/// One product c [m, n] = start + a [m, k] * b over all columns.
struct Product {
  Index m;
  const float* a;
  Index lda;
  const PackedMatrix* b;
  Start start;
  const float* bias;
  float* c;
  Index ldc;
};

/// Splits rows [0, m) into groups and calls `body(first, rows)` for each on the pool's threads.
void for_row_groups(ThreadPool& pool, Index m, const std::function<void(Index, Index)>& body);

/// All products at once, in groups of rows on the pool's threads; no two of them may write to the same c.
void multiply(ThreadPool& pool, std::span<const Product> products);

/// The gradients of weights that share an output, and of its bias: c [m, n] += a^T b for each of one or two b, summed
/// over `rows` rows, and if `a_sum` is given, a_sum [m] += the sum of a's rows. a is [rows, m]; row r of b is at
/// b_rows[r], or if `b_rows` is null at b + r * ldb. Two b cost as much as one of their joint width.
struct TransposedProduct {
  struct Right {
    Index n = 0;  // 0: no second one
    const float* b = nullptr;
    Index ldb = 0;
    const float* const* b_rows = nullptr;
    float* c = nullptr;
    Index ldc = 0;

    const float* row(Index r) const { return b_rows ? b_rows[r] : b + r * ldb; }
  };

  Index rows, m;
  const float* a;
  Index lda;
  Right right[2];
  float* a_sum = nullptr;

  Index n() const { return right[0].n + right[1].n; }
};

/// All of them at once, in tiles of c on the pool's threads; no two may write to the same c or a_sum. `scratch` grows
/// as needed and may be kept between calls. `precision` is kFloat32 or kBfloat16.
void multiply_transposed(ThreadPool& pool, std::span<const TransposedProduct> products, AlignedVector& scratch,
                         Precision precision = Precision::kFloat32);

/// True where OpenBLAS (one thread per call) computes weight gradients instead of our product: on processors for which
/// this build has no vector kernels of its own. Elsewhere ours is faster at every size of a recurrent layer
/// (`mnemo bench` compares them), and OpenBLAS is only the reference of the tests.
bool openblas_serves();

/// Which code computes the matrix products, for `--version`: "mnemo's packed panels, AVX-512; OpenBLAS core SkylakeX".
std::string product_provider();

/// c [m, n] += a^T b by OpenBLAS's cblas_sgemm on one thread: the reference of tests and benchmarks.
void openblas_multiply_transposed(Index rows, Index m, Index n, const float* a, Index lda, const float* b, Index ldb,
                                  float* c, Index ldc);

/// c [m, n] = a [m, k] b [k, n] by OpenBLAS, for the same purpose.
void openblas_multiply(Index m, Index n, Index k, const float* a, Index lda, const float* b, Index ldb, float* c,
                       Index ldc);

/// Runs independent fused multiply-adds in registers on the calling thread for about `milliseconds` and returns the
/// number of operations. Measures the float32 peak if run on as many threads at once as are to be used.
double multiply_adds(double milliseconds);

}  // namespace mnemo::kernels
