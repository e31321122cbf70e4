// Enumeration of all sequences of a chain of tags.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "nn/chain.h"

namespace mnemo::reference {

struct ChainWeights {
  AllowedTransitions allowed;
  std::vector<float> begin, next, end;

  double score(const std::vector<std::vector<float>>& scores, const std::vector<std::int32_t>& y) const {
    double sum = 0;
    const auto add = [&](bool is_allowed, float weight) {
      sum += is_allowed ? static_cast<double>(weight) : -INFINITY;
    };
    for (std::size_t t = 0; t < y.size(); ++t) {
      add(true, scores[t][y[t]]);
      if (t > 0) {
        const auto move = y[t - 1] * allowed.tags + y[t];
        add(allowed.next[move] != 0, next[move]);
      }
    }
    add(allowed.begin[y.front()] != 0, begin[y.front()]);
    add(allowed.end[y.back()] != 0, end[y.back()]);
    return sum;
  }
};

/// Calls `body` with every sequence of `length` tags, the first token's tag changing slowest.
inline void for_all_sequences(std::int64_t tags, std::int64_t length,
                              const std::function<void(const std::vector<std::int32_t>&)>& body) {
  std::vector<std::int32_t> y(length, 0);
  while (true) {
    body(y);
    std::int64_t t = length - 1;
    while (t >= 0 && ++y[t] == tags) y[t--] = 0;
    if (t < 0) return;
  }
}

}  // namespace mnemo::reference
