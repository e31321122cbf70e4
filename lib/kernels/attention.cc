#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activations-inl.h"
#include "kernels/attention.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {

// The rows that a query is compared with.
struct NamedRows {
  const float* m;
  Index ldm;
  const std::int32_t* rows;
  HWY_INLINE const float* at(Index j) const { return m + rows[j] * ldm; }
};

struct Product {
  const float* x;
  template <class Access>
  HWY_INLINE Vector add(const Access& at, Index i, const float* row, Vector sum) const {
    return hn::MulAdd(at.load(x + i), at.load(row + i), sum);
  }
};

struct TanhProduct {
  const float *x, *w;
  template <class Access>
  HWY_INLINE Vector add(const Access& at, Index i, const float* row, Vector sum) const {
    return hn::MulAdd(at.load(w + i), tanh_of(hn::Add(at.load(x + i), at.load(row + i))), sum);
  }
};

// Dots with kRows rows from row j on: each is a chain of its own, and so has the same bits as one that is computed
// alone, but the processor runs the chains side by side.
template <int kRows, class Term>
HWY_INLINE void dots(Index columns, const Term& term, const NamedRows& rows, Index j, float* out) {
  const Index whole = columns / kLanes * kLanes;
  const Partial rest(columns - whole);
  Vector sum[kRows];
  for (int r = 0; r < kRows; ++r) sum[r] = hn::Zero(kTag);
  for (Index i = 0; i < whole; i += kLanes)
    for (int r = 0; r < kRows; ++r) sum[r] = term.add(Whole{}, i, rows.at(j + r), sum[r]);
  if (whole < columns)
    for (int r = 0; r < kRows; ++r) sum[r] = term.add(rest, whole, rows.at(j + r), sum[r]);
  for (int r = 0; r < kRows; ++r) out[j + r] = hn::GetLane(hn::SumOfLanes(kTag, sum[r]));
}

template <class Term>
HWY_INLINE void all_dots(Index n, Index columns, const Term& term, const NamedRows& rows, float* out) {
  Index j = 0;
  for (; j + 4 <= n; j += 4) dots<4>(columns, term, rows, j, out);
  for (; j < n; ++j) dots<1>(columns, term, rows, j, out);
}

// How many queries are computed side by side: as many as leave the sums in registers.
#if HWY_TARGET == HWY_AVX3
constexpr int kSide = 4;
#else
constexpr int kSide = 2;
#endif

// kX queries from x on against kM rows from m on.
template <int kX, int kM>
HWY_INLINE void dot_block(Index columns, const float* const* x, const float* const* m, float* out, Index ldo) {
  const Index whole = columns / kLanes * kLanes;
  Vector sum[kX][kM];
  for (int i = 0; i < kX; ++i)
    for (int j = 0; j < kM; ++j) sum[i][j] = hn::Zero(kTag);
  const auto add = [&](const auto& at, Index c) HWY_ATTR {
    Vector row[kM];
    for (int j = 0; j < kM; ++j) row[j] = at.load(m[j] + c);
    for (int i = 0; i < kX; ++i) {
      const Vector query = at.load(x[i] + c);
      for (int j = 0; j < kM; ++j) sum[i][j] = hn::MulAdd(query, row[j], sum[i][j]);
    }
  };
  for (Index c = 0; c < whole; c += kLanes) add(Whole{}, c);
  if (whole < columns) add(Partial(columns - whole), whole);
  for (int i = 0; i < kX; ++i)
    for (int j = 0; j < kM; ++j) out[i * ldo + j] = hn::GetLane(hn::SumOfLanes(kTag, sum[i][j]));
}

template <int kX>
HWY_INLINE void dot_band(Index terms, Index columns, const float* const* x, const float* const* m, float* out,
                         Index ldo) {
  Index j = 0;
  for (; j + 4 <= terms; j += 4) dot_block<kX, 4>(columns, x, m + j, out + j, ldo);
  for (; j < terms; ++j) dot_block<kX, 1>(columns, x, m + j, out + j, ldo);
}

// The sums of kX outputs over a block of columns from c on stay in registers while all rows pass.
template <int kX>
HWY_INLINE void add_band(Index terms, Index columns, const float* factors, Index ldf, Index step, const float* const* m,
                         float* const* out) {
  constexpr int kVectors = 4;
  Index c = 0;
  for (; c + kVectors * kLanes <= columns; c += kVectors * kLanes) {
    Vector sum[kX][kVectors];
    for (int i = 0; i < kX; ++i)
      for (int k = 0; k < kVectors; ++k) sum[i][k] = hn::LoadU(kTag, out[i] + c + k * kLanes);
    for (Index j = 0; j < terms; ++j) {
      Vector row[kVectors];
      for (int k = 0; k < kVectors; ++k) row[k] = hn::LoadU(kTag, m[j] + c + k * kLanes);
      for (int i = 0; i < kX; ++i) {
        const Vector factor = hn::Set(kTag, factors[i * ldf + j * step]);
        for (int k = 0; k < kVectors; ++k) sum[i][k] = hn::MulAdd(factor, row[k], sum[i][k]);
      }
    }
    for (int i = 0; i < kX; ++i)
      for (int k = 0; k < kVectors; ++k) hn::StoreU(sum[i][k], kTag, out[i] + c + k * kLanes);
  }
  for_units(1, columns - c, [&](Index, Index k, auto at) HWY_ATTR {
    for (int i = 0; i < kX; ++i) {
      Vector sum = at.load(out[i] + c + k);
      for (Index j = 0; j < terms; ++j)
        sum = hn::MulAdd(hn::Set(kTag, factors[i * ldf + j * step]), at.load(m[j] + c + k), sum);
      at.store(sum, out[i] + c + k);
    }
  });
}

}  // namespace

void dot_tile(Index n, Index terms, Index columns, const float* const* x, const float* const* m, float* out,
              Index ldo) {
  Index i = 0;
  for (; i + kSide <= n; i += kSide) dot_band<kSide>(terms, columns, x + i, m, out + i * ldo, ldo);
  for (; i < n; ++i) dot_band<1>(terms, columns, x + i, m, out + i * ldo, ldo);
}

void add_tile(Index n, Index terms, Index columns, const float* factors, Index ldf, Index step, const float* const* m,
              float* const* out) {
  Index i = 0;
  for (; i + kSide <= n; i += kSide) add_band<kSide>(terms, columns, factors + i * ldf, ldf, step, m, out + i);
  for (; i < n; ++i) add_band<1>(terms, columns, factors + i * ldf, ldf, step, m, out + i);
}

void dot_rows(Index n, Index columns, const float* x, const float* m, Index ldm, const std::int32_t* rows, float* out) {
  all_dots(n, columns, Product{x}, {m, ldm, rows}, out);
}

void add_rows(Index n, Index columns, const float* factors, const float* m, Index ldm, const std::int32_t* rows,
              float* out) {
  // Four vectors of out stay in registers while all rows pass.
  constexpr Index kBlock = 4 * kLanes;
  Index i = 0;
  for (; i + kBlock <= columns; i += kBlock) {
    Vector sum[4];
    for (int k = 0; k < 4; ++k) sum[k] = hn::LoadU(kTag, out + i + k * kLanes);
    for (Index j = 0; j < n; ++j) {
      const Vector factor = hn::Set(kTag, factors[j]);
      const float* row = m + rows[j] * ldm + i;
      for (int k = 0; k < 4; ++k) sum[k] = hn::MulAdd(factor, hn::LoadU(kTag, row + k * kLanes), sum[k]);
    }
    for (int k = 0; k < 4; ++k) hn::StoreU(sum[k], kTag, out + i + k * kLanes);
  }
  for_units(1, columns - i, [&](Index, Index k, auto at) HWY_ATTR {
    Vector sum = at.load(out + i + k);
    for (Index j = 0; j < n; ++j) sum = hn::MulAdd(hn::Set(kTag, factors[j]), at.load(m + rows[j] * ldm + i + k), sum);
    at.store(sum, out + i + k);
  });
}

void add_to_rows(Index n, Index columns, const float* factors, const float* x, float* m, Index ldm,
                 const std::int32_t* rows) {
  for_units(n, columns, [&](Index j, Index i, auto at) HWY_ATTR {
    float* to = m + rows[j] * ldm + i;
    at.store(hn::MulAdd(hn::Set(kTag, factors[j]), at.load(x + i), at.load(to)), to);
  });
}

void dot_tanh_rows(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                   const std::int32_t* rows, float* out) {
  all_dots(n, columns, TanhProduct{x, w}, {m, ldm, rows}, out);
}

void dot_tanh_rows_backward(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                            const std::int32_t* rows, const float* dout, float* dx, float* dw, float* dm) {
  for_units(n, columns, [&](Index j, Index i, auto at) HWY_ATTR {
    const Vector d = hn::Set(kTag, dout[j]);
    const Vector t = tanh_of(hn::Add(at.load(x + i), at.load(m + rows[j] * ldm + i)));
    const Vector s = hn::Mul(hn::Mul(d, at.load(w + i)), tanh_slope(t));
    at.store(hn::Add(at.load(dx + i), s), dx + i);
    at.store(hn::MulAdd(d, t, at.load(dw + i)), dw + i);
    if (dm) at.store(hn::Add(at.load(dm + rows[j] * ldm + i), s), dm + rows[j] * ldm + i);
  });
}

}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {

HWY_EXPORT(dot_tile);
HWY_EXPORT(add_tile);
HWY_EXPORT(dot_rows);
HWY_EXPORT(add_rows);
HWY_EXPORT(add_to_rows);
HWY_EXPORT(dot_tanh_rows);
HWY_EXPORT(dot_tanh_rows_backward);

void dot_tile(Index n, Index terms, Index columns, const float* const* x, const float* const* m, float* out,
              Index ldo) {
  HWY_DYNAMIC_DISPATCH(dot_tile)(n, terms, columns, x, m, out, ldo);
}

void add_tile(Index n, Index terms, Index columns, const float* factors, Index ldf, Index step, const float* const* m,
              float* const* out) {
  HWY_DYNAMIC_DISPATCH(add_tile)(n, terms, columns, factors, ldf, step, m, out);
}

void dot_rows(Index n, Index columns, const float* x, const float* m, Index ldm, const std::int32_t* rows, float* out) {
  HWY_DYNAMIC_DISPATCH(dot_rows)(n, columns, x, m, ldm, rows, out);
}

void add_rows(Index n, Index columns, const float* factors, const float* m, Index ldm, const std::int32_t* rows,
              float* out) {
  HWY_DYNAMIC_DISPATCH(add_rows)(n, columns, factors, m, ldm, rows, out);
}

void add_to_rows(Index n, Index columns, const float* factors, const float* x, float* m, Index ldm,
                 const std::int32_t* rows) {
  HWY_DYNAMIC_DISPATCH(add_to_rows)(n, columns, factors, x, m, ldm, rows);
}

void dot_tanh_rows(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                   const std::int32_t* rows, float* out) {
  HWY_DYNAMIC_DISPATCH(dot_tanh_rows)(n, columns, x, w, m, ldm, rows, out);
}

void dot_tanh_rows_backward(Index n, Index columns, const float* x, const float* w, const float* m, Index ldm,
                            const std::int32_t* rows, const float* dout, float* dx, float* dw, float* dm) {
  HWY_DYNAMIC_DISPATCH(dot_tanh_rows_backward)(n, columns, x, w, m, ldm, rows, dout, dx, dw, dm);
}

}  // namespace mnemo::kernels
#endif
