#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h of Highway.
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <limits>

#include "kernels/activations-inl.h"
#include "kernels/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {

// exp(x) with x clamped to [-87, 88]; a NaN stays NaN.
HWY_INLINE Vector exp_of(Vector x) {
  const Vector limited = hn::Min(hn::Set(kTag, 88.0f), hn::Max(hn::Set(kTag, -87.0f), x));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(kTag, limited));
}

}  // namespace

void largest_of_columns(Index classes, Index n, const float* bias, const float* x, Index ldx, float* largest) {
  for_units(classes, n, [&](Index k, Index j, auto at) {
    at.store(hn::Max(at.load(largest + j), hn::Add(at.load(x + k * ldx + j), hn::Set(kTag, bias[k]))), largest + j);
  });
}

void exp_columns(Index classes, Index n, const float* bias, const float* shifts, float* x, Index ldx, float* sums) {
  for_units(classes, n, [&](Index k, Index j, auto at) {
    const Vector score = hn::Add(at.load(x + k * ldx + j), hn::Set(kTag, bias[k]));
    const Vector y = exp_of(hn::Sub(score, at.load(shifts + j)));
    at.store(y, x + k * ldx + j);
    at.store(hn::Add(at.load(sums + j), y), sums + j);
  });
}

void row_dots(Index classes, Index n, const float* x, Index ldx, const float* factors, float* out) {
  const Index whole = n / kLanes * kLanes;
  const Partial rest(n - whole);
  for (Index k = 0; k < classes; ++k) {
    const float* row = x + k * ldx;
    Vector sum = hn::Zero(kTag);
    for (Index j = 0; j < whole; j += kLanes)
      sum = hn::MulAdd(hn::LoadU(kTag, row + j), hn::LoadU(kTag, factors + j), sum);
    if (whole < n) sum = hn::MulAdd(rest.load(row + whole), rest.load(factors + whole), sum);
    out[k] += hn::GetLane(hn::SumOfLanes(kTag, sum));
  }
}

float largest_of_row(Index n, const float* x) {
  float out = x[0];
  Index i = 0;
  if (n >= kLanes) {
    Vector largest = hn::LoadU(kTag, x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) largest = hn::Max(largest, hn::LoadU(kTag, x + i));
    out = hn::GetLane(hn::MaxOfLanes(kTag, largest));
  }
  for (; i < n; ++i) out = x[i] > out ? x[i] : out;
  return out;
}

void best_of_row(Index n, const float* x, Index most, std::int32_t* places) {
  Index found = 0;
  const auto offer = [&](Index i) {
    if (found == most && !(x[i] > x[places[most - 1]])) return;
    Index at = found < most ? found++ : most - 1;
    for (; at > 0 && x[places[at - 1]] < x[i]; --at) places[at] = places[at - 1];
    places[at] = static_cast<std::int32_t>(i);
  };
  Index i = 0;
  for (; i < std::min(n, most); ++i) offer(i);
  // Few values are larger than the least of those found: most blocks are skipped by one comparison.
  constexpr Index kBlock = 4 * kLanes;
  for (; most > 0 && i + kBlock <= n; i += kBlock) {
    Vector largest = hn::LoadU(kTag, x + i);
    for (Index k = kLanes; k < kBlock; k += kLanes) largest = hn::Max(largest, hn::LoadU(kTag, x + i + k));
    if (hn::AllFalse(kTag, hn::Gt(largest, hn::Set(kTag, x[places[most - 1]])))) continue;
    for (Index k = 0; k < kBlock; ++k) offer(i + k);
  }
  for (; most > 0 && i < n; ++i) offer(i);
}

float exp_row(Index n, const float* x, float largest, float scale, float* out) {
  Vector sum = hn::Zero(kTag);
  for_units(1, n, [&](Index, Index i, auto at) {
    const Vector y = exp_of(hn::Mul(hn::Sub(at.load(x + i), hn::Set(kTag, largest)), hn::Set(kTag, scale)));
    at.store(y, out + i);
  });
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = hn::Add(sum, hn::LoadU(kTag, out + i));
  float total = hn::GetLane(hn::SumOfLanes(kTag, sum));
  for (; i < n; ++i) total += out[i];
  return total;
}

float exp_sum_of_row(Index n, const float* x, float largest) {
  const Vector nan = hn::Set(kTag, std::numeric_limits<float>::quiet_NaN()), shift = hn::Set(kTag, largest);
  const auto term = [&](Vector v) { return hn::IfThenElse(hn::IsFinite(v), exp_of(hn::Sub(v, shift)), nan); };
  Vector sum = hn::Zero(kTag);
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = hn::Add(sum, term(hn::LoadU(kTag, x + i)));
  float total = hn::GetLane(hn::SumOfLanes(kTag, sum));
  if (i == n) return total;
  alignas(64) float last[kLanes];
  hn::Store(term(Partial(n - i).load(x + i)), kTag, last);
  for (Index k = 0; i + k < n; ++k) total += last[k];
  return total;
}

}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {

HWY_EXPORT(largest_of_columns);
HWY_EXPORT(exp_columns);
HWY_EXPORT(row_dots);
HWY_EXPORT(largest_of_row);
HWY_EXPORT(exp_row);
HWY_EXPORT(exp_sum_of_row);
HWY_EXPORT(best_of_row);

void largest_of_columns(Index classes, Index n, const float* bias, const float* x, Index ldx, float* largest) {
  HWY_DYNAMIC_DISPATCH(largest_of_columns)(classes, n, bias, x, ldx, largest);
}

void exp_columns(Index classes, Index n, const float* bias, const float* shifts, float* x, Index ldx, float* sums) {
  HWY_DYNAMIC_DISPATCH(exp_columns)(classes, n, bias, shifts, x, ldx, sums);
}

void row_dots(Index classes, Index n, const float* x, Index ldx, const float* factors, float* out) {
  HWY_DYNAMIC_DISPATCH(row_dots)(classes, n, x, ldx, factors, out);
}

float largest_of_row(Index n, const float* x) { return HWY_DYNAMIC_DISPATCH(largest_of_row)(n, x); }

void best_of_row(Index n, const float* x, Index most, std::int32_t* places) {
  HWY_DYNAMIC_DISPATCH(best_of_row)(n, x, most, places);
}

float exp_row(Index n, const float* x, float largest, float scale, float* out) {
  return HWY_DYNAMIC_DISPATCH(exp_row)(n, x, largest, scale, out);
}

float exp_sum_of_row(Index n, const float* x, float largest) {
  return HWY_DYNAMIC_DISPATCH(exp_sum_of_row)(n, x, largest);
}

}  // namespace mnemo::kernels
#endif
