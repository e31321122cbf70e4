// Gradients by central differences, for checking those of layers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace mnemo::reference {

/// The largest error of `gradient` [n] against (8 (f(x + h e_i) - f(x - h e_i)) - (f(x + 2h e_i) - f(x - 2h e_i))) /
/// 12h, whose own error falls with h^4, relative to the larger of 1 and the two magnitudes. `values` is changed and
/// restored. float32 layers compute f to about 1e-6, so a step of 2e-2 finds errors of 1e-3. With `shorter_steps` an
/// element's error is the least over that many more steps, each a third of the previous one: for functions with kinks,
/// near which only short steps are accurate.
inline double gradient_error(float* values, const float* gradient, std::int64_t n, const std::function<double()>& f,
                             double first_step = 2e-2, int shorter_steps = 0) {
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float kept = values[i];
    const auto difference = [&](double h) {
      values[i] = kept + static_cast<float>(h);
      const double above = f();
      values[i] = kept - static_cast<float>(h);
      return above - f();
    };
    const double found = static_cast<double>(gradient[i]);
    double best = std::numeric_limits<double>::infinity(), step = first_step;
    for (int k = 0; k <= shorter_steps; ++k, step /= 3.0) {
      const double expected = (8.0 * difference(step) - difference(2.0 * step)) / (12.0 * step);
      best = std::min(best, std::abs(expected - found) / std::max({1.0, std::abs(expected), std::abs(found)}));
    }
    values[i] = kept;
    worst = std::max(worst, best);
  }
  return worst;
}

}  // namespace mnemo::reference
