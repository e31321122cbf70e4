#include "pipeline/temperature.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace mnemo {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

}  // namespace

std::vector<float> apply_temperature(const std::vector<float>& logits, int classes, double temperature,
                                     bool multi_label) {
  std::vector<float> result(logits.size());
  const auto width = static_cast<std::size_t>(classes);
  for (std::size_t begin = 0; begin + width <= logits.size(); begin += width) {
    const auto z = std::span(logits).subspan(begin, width);
    const double top = multi_label ? 0 : *std::ranges::max_element(z);
    double sum = 0;
    for (const float value : z) sum += std::exp((value - top) / temperature);
    for (std::size_t c = 0; c < width; ++c) {
      const double scaled = (z[c] - top) / temperature;
      result[begin + c] = static_cast<float>(multi_label ? sigmoid(scaled) : std::exp(scaled) / sum);
    }
  }
  return result;
}

}  // namespace mnemo
