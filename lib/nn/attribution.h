// How much each unit of a text weighs in a number that a network computes from it (pipeline/attribution.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace mnemo {

inline constexpr int kRandomOrders = 10;

struct Attribution {
  std::string name;
  std::vector<std::string> units;
  std::vector<double> weights;     ///< [T]
  double value = 0, baseline = 0;  ///< F(x), F(0)
  /// F as units are left out, the weightiest first and, as the mean of kRandomOrders, in random order: at the shares of
  /// `deleted`.
  std::vector<double> deleted, by_weight, at_random;

  /// How far the sum of the weights is from F(x) - F(0), as a share of that; of integrated gradients the error of the
  /// quadrature.
  double gap() const {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    return std::abs(sum - (value - baseline)) / std::max(1e-12, std::abs(value - baseline));
  }
};
}  // namespace mnemo
