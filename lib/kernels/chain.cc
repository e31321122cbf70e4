#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/chain.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h of Highway.
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

#include "kernels/chain.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

const hn::ScalableTag<double> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr Index kLanes = HWY_LANES(double);
static_assert(kChainAlign % kLanes == 0);

// A smaller sum may have lost relevant terms to underflow; for a larger one the loss is below the rounding error.
constexpr double kSmallestSum = 1e-280;

double exact_sum(const ChainTransitions& m, const double* from, Index j) {
  double largest = -INFINITY, sum = 0;
  for (Index i = 0; i < m.tags; ++i) largest = std::max(largest, from[i] + m.logs[i * m.stride + j]);
  if (std::isinf(largest)) return largest;
  for (Index i = 0; i < m.tags; ++i) sum += std::exp(from[i] + m.logs[i * m.stride + j] - largest);
  return largest + std::log(sum);
}

double largest_of(const double* values, Index stride) {
  Vector largest = hn::LoadU(kTag, values);
  for (Index i = kLanes; i < stride; i += kLanes) largest = hn::Max(largest, hn::LoadU(kTag, values + i));
  return hn::GetLane(hn::MaxOfLanes(kTag, largest));
}

void chain_exp(Index stride, const double* from, double added, double* to) {
  const Vector shift = hn::Set(kTag, added);
  for (Index i = 0; i < stride; i += kLanes)
    hn::StoreU(hn::Exp(kTag, hn::Add(hn::LoadU(kTag, from + i), shift)), kTag, to + i);
}

// V vectors of sums, from column j on.
template <int V>
HWY_INLINE void sum_columns(const ChainTransitions& m, const double* weights, const double* added, double shift,
                            Index j, double* to, Vector& smallest) {
  Vector sums[V];
  for (int v = 0; v < V; ++v) sums[v] = hn::Zero(kTag);
  for (Index i = 0; i < m.tags; ++i) {
    const Vector weight = hn::Set(kTag, weights[i]);
    const double* row = m.factors + i * m.stride + j;
    for (int v = 0; v < V; ++v) sums[v] = hn::MulAdd(weight, hn::LoadU(kTag, row + v * kLanes), sums[v]);
  }
  for (int v = 0; v < V; ++v) {
    const Index at = j + v * kLanes;
    const Vector around = hn::Add(hn::LoadU(kTag, added + at), hn::LoadU(kTag, m.largest + at));
    // Padding has sums of zero, which need no exact sum.
    const auto padding = hn::Eq(hn::LoadU(kTag, added + at), hn::Set(kTag, -INFINITY));
    smallest = hn::Min(smallest, hn::IfThenElse(padding, hn::Set(kTag, 1.0), sums[v]));
    const Vector log_sum = hn::Log(kTag, hn::Max(sums[v], hn::Set(kTag, kSmallestSum)));
    hn::StoreU(hn::Add(hn::Add(around, hn::Set(kTag, shift)), log_sum), kTag, to + at);
  }
}

void chain_sum(const ChainTransitions& m, const double* from, const double* added, double* to, double* room) {
  const double largest = largest_of(from, m.stride);
  if (largest == -INFINITY) {
    std::fill_n(to, m.stride, -INFINITY);
    return;
  }
  chain_exp(m.stride, from, -largest, room);
  Vector smallest = hn::Set(kTag, 1.0);
  Index j = 0;
  for (; j + 4 * kLanes <= m.stride; j += 4 * kLanes) sum_columns<4>(m, room, added, largest, j, to, smallest);
  for (; j < m.stride; j += kLanes) sum_columns<1>(m, room, added, largest, j, to, smallest);
  if (hn::GetLane(hn::MinOfLanes(kTag, smallest)) > kSmallestSum) return;
  for (j = 0; j < m.tags; ++j) {
    double sum = 0;
    for (Index i = 0; i < m.tags; ++i) sum += room[i] * m.factors[i * m.stride + j];
    if (sum <= 2 * kSmallestSum) to[j] = added[j] + exact_sum(m, from, j);
  }
}

void chain_max(const ChainTransitions& m, const double* from, const double* added, double* to, std::int32_t* best) {
  alignas(64) double at[kLanes];
  for (Index j = 0; j < m.stride; j += kLanes) {
    Vector largest = hn::Set(kTag, -INFINITY), where = hn::Zero(kTag);
    for (Index i = 0; i < m.tags; ++i) {
      const Vector value = hn::Add(hn::Set(kTag, from[i]), hn::LoadU(kTag, m.logs + i * m.stride + j));
      const auto better = hn::Gt(value, largest);
      largest = hn::IfThenElse(better, value, largest);
      where = hn::IfThenElse(better, hn::Set(kTag, static_cast<double>(i)), where);
    }
    hn::StoreU(hn::Add(largest, hn::LoadU(kTag, added + j)), kTag, to + j);
    hn::Store(where, kTag, at);
    for (Index lane = 0; lane < kLanes; ++lane) best[j + lane] = static_cast<std::int32_t>(at[lane]);
  }
}

void chain_outer(Index tags, Index stride, const double* a, const double* b, double* sums) {
  for (Index i = 0; i < tags; ++i) {
    const Vector factor = hn::Set(kTag, a[i]);
    double* row = sums + i * stride;
    for (Index j = 0; j < stride; j += kLanes)
      hn::StoreU(hn::MulAdd(factor, hn::LoadU(kTag, b + j), hn::LoadU(kTag, row + j)), kTag, row + j);
  }
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(chain_sum);
HWY_EXPORT(chain_max);
HWY_EXPORT(chain_exp);
HWY_EXPORT(chain_outer);
}  // namespace

void chain_sum(const ChainTransitions& transitions, const double* from, const double* added, double* to, double* room) {
  HWY_DYNAMIC_DISPATCH(chain_sum)(transitions, from, added, to, room);
}
void chain_max(const ChainTransitions& transitions, const double* from, const double* added, double* to,
               std::int32_t* best) {
  HWY_DYNAMIC_DISPATCH(chain_max)(transitions, from, added, to, best);
}
void chain_exp(Index stride, const double* from, double added, double* to) {
  HWY_DYNAMIC_DISPATCH(chain_exp)(stride, from, added, to);
}
void chain_outer(Index tags, Index stride, const double* a, const double* b, double* sums) {
  HWY_DYNAMIC_DISPATCH(chain_outer)(tags, stride, a, b, sums);
}

}  // namespace mnemo::kernels
#endif
