// The rounds of a mogrifier for one row, in plain double precision.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "nn/mogrifier.h"

namespace mnemo::reference {

/// 2 s(U D from + b) to.
inline std::vector<double> mogrifier_round(const Mogrifier::Round& w, const std::vector<double>& from,
                                           const std::vector<double>& to) {
  const Index K = w.down.rows(), F = w.down.row_size(), T = w.up.rows();
  std::vector<double> inner(static_cast<std::size_t>(K)), out(to);
  for (Index k = 0; k < K; ++k)
    for (Index j = 0; j < F; ++j)
      inner[static_cast<std::size_t>(k)] +=
          static_cast<double>(w.down.value[k * F + j]) * from[static_cast<std::size_t>(j)];
  for (Index j = 0; j < T; ++j) {
    auto sum = static_cast<double>(w.bias.value[j]);
    for (Index k = 0; k < K; ++k)
      sum += static_cast<double>(w.up.value[j * K + k]) * inner[static_cast<std::size_t>(k)];
    out[static_cast<std::size_t>(j)] *= 2.0 / (1.0 + std::exp(-sum));
  }
  return out;
}

/// x and h after all rounds: odd ones gate x, even ones h.
inline std::pair<std::vector<double>, std::vector<double>> mogrify(const Mogrifier& m, std::vector<double> x,
                                                                   std::vector<double> h) {
  for (Index i = 0; i < m.rounds(); ++i) {
    if (i % 2 == 0)
      x = mogrifier_round(m.round(i), h, x);
    else
      h = mogrifier_round(m.round(i), x, h);
  }
  return {x, h};
}

}  // namespace mnemo::reference
