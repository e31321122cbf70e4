// The inner loops of attention: one query against rows of a matrix that are named by their numbers, or several against
// rows that are anywhere, as the rows of a packed sequence are not neighbours.
//
// Letters: n rows, C columns. Each element of a result is one chain of sums, in the order of the columns (by vectors)
// or of the rows, and depends on nothing else that is computed with it. Maximum error against double precision:
// kAttentionUlp units in the last place of the sum of magnitudes, times the square root of its number of terms.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

inline constexpr double kAttentionUlp = 2.0;

/// out[j] = x . m[rows[j]], for x [C] and rows of m `ldm` apart.
void dot_rows(Index n, Index columns, const float* x, const float* m, Index ldm, const std::int32_t* rows, float* out);

/// out [C] += sum_j factors[j] * m[rows[j]].
void add_rows(Index n, Index columns, const float* factors, const float* m, Index ldm, const std::int32_t* rows,
              float* out);

/// m[rows[j]] += factors[j] * x, for x [C]; the rows must be distinct.
void add_to_rows(Index n, Index columns, const float* factors, const float* x, float* m, Index ldm,
                 const std::int32_t* rows);

/// out[j] = w . tanh(x + m[rows[j]]), for x [C] and w [C].
void dot_tanh_rows(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                   const std::int32_t* rows, float* out);

/// out[i * ldo + j] = x[i] . m[j], for rows x[i] [C], i < n, and m[j] [C], j < terms: the bits of dot_rows.
void dot_tile(Index n, Index terms, Index columns, const float* const* x, const float* const* m, float* out, Index ldo);

/// out[i] [C] += sum_j factors[i * ldf + j * step] * m[j], for i < n and j < terms: the bits of add_rows. No out may be
/// an m.
void add_tile(Index n, Index terms, Index columns, const float* factors, Index ldf, Index step, const float* const* m,
              float* const* out);

/// The gradients of dot_tanh_rows for those of out [n]: with t = tanh(x + m[rows[j]]) and s = dout[j] * w * (1 - t^2),
/// dx += s, dm[rows[j]] += s and dw += dout[j] * t, row after row. A null dm is left out.
void dot_tanh_rows_backward(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                            const std::int32_t* rows, const float* dout, float* dx, float* dw, float* dm);

}  // namespace mnemo::kernels
