// Steps of recursions over a chain of tags, in double precision and in logarithms: the parts of a linear-chain CRF.
//
// K tags. Every row of tags has `stride` values, a multiple of kChainAlign; those after the tags are -infinity where
// they are logarithms. A weight of -infinity forbids a transition.
#pragma once

#include <cstdint>

#include "base/index.h"

namespace mnemo::kernels {

constexpr Index kChainAlign = 8;
constexpr Index chain_stride(Index tags) { return (tags + kChainAlign - 1) / kChainAlign * kChainAlign; }

/// The weights of transitions from tag i to tag j, as logarithms and as factors scaled so that no sum overflows.
struct ChainTransitions {
  Index tags, stride;
  const double* logs;     ///< [K, stride]
  const double* factors;  ///< [K, stride] exp(logs[i, j] - largest[j])
  const double* largest;  ///< [stride] the largest of a column of logs; 0 where that is -infinity
};

/// The error of a logarithm from the next function is below this, relative to the larger of 1 and the largest
/// magnitude.
constexpr double kChainError = 1e-12;

/// to[j] = added[j] + log sum_i exp(from[i] + logs[i, j]), for all j < stride, within kChainError. `room` [stride] is
/// working memory.
void chain_sum(const ChainTransitions& transitions, const double* from, const double* added, double* to, double* room);

/// to[j] = added[j] + max_i (from[i] + logs[i, j]), and best[j] the first i that reaches it, for all j < stride.
void chain_max(const ChainTransitions& transitions, const double* from, const double* added, double* to,
               std::int32_t* best);

/// to[i] = exp(from[i] + added), for all i < stride.
void chain_exp(Index stride, const double* from, double added, double* to);

/// sums[i, j] += a[i] * b[j], [K, stride].
void chain_outer(Index tags, Index stride, const double* a, const double* b, double* sums);

}  // namespace mnemo::kernels
