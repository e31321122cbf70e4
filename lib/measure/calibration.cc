#include "measure/calibration.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"

namespace mnemo {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// The loss as a function of the inverse temperature b = 1/T, in which it is convex: first and second derivative.
struct Slope {
  double first = 0;
  double second = 0;
};

// Logits and their gold labels.
struct Data {
  std::span<const float> logits;  // [N, C]
  std::size_t classes;
  const std::vector<std::vector<std::int32_t>>& gold;
  bool multi_label;

  std::span<const float> row(std::size_t record) const { return logits.subspan(record * classes, classes); }
};

// d/db -log softmax(b z)_gold = E[z] - z_gold, and its derivative is Var[z], both under softmax(b z).
void add_softmax(std::span<const float> z, std::int32_t gold, double b, Slope& slope) {
  const double top = *std::ranges::max_element(z);
  double sum = 0, mean = 0, square = 0;
  for (const float value : z) {
    const double offset = value - top, weight = std::exp(b * offset);
    sum += weight, mean += weight * offset, square += weight * offset * offset;
  }
  mean /= sum;
  slope.first += mean - (z[static_cast<std::size_t>(gold)] - top);
  slope.second += square / sum - mean * mean;
}

// d/db of the binary loss with p = sigmoid(b z) is (p - y) z, and its derivative p (1 - p) z^2.
void add_sigmoids(std::span<const float> z, const std::vector<std::int32_t>& gold, double b, Slope& slope) {
  for (std::size_t c = 0; c < z.size(); ++c) {
    const double value = z[c], p = sigmoid(b * value);
    slope.first += p * value;
    slope.second += p * (1 - p) * value * value;
  }
  for (const std::int32_t label : gold) slope.first -= z[static_cast<std::size_t>(label)];
}

Slope slope_at(const Data& data, double b) {
  Slope slope;
  for (std::size_t i = 0; i < data.gold.size(); ++i) {
    if (data.multi_label)
      add_sigmoids(data.row(i), data.gold[i], b, slope);
    else
      add_softmax(data.row(i), data.gold[i][0], b, slope);
  }
  return slope;
}

bool always_the_same_labels(const Data& data) {
  std::vector<std::size_t> counts(data.classes);
  for (const auto& labels : data.gold)
    for (const std::int32_t label : labels) ++counts[static_cast<std::size_t>(label)];
  return std::ranges::all_of(counts, [&](std::size_t count) { return count == 0 || count == data.gold.size(); });
}

bool right_answer(const Data& data, std::size_t record) {
  const auto z = data.row(record);
  const auto& gold = data.gold[record];
  if (!data.multi_label) return z[static_cast<std::size_t>(gold[0])] == *std::ranges::max_element(z);
  for (std::size_t c = 0; c < z.size(); ++c) {
    const bool positive = std::ranges::find(gold, static_cast<std::int32_t>(c)) != gold.end();
    if (positive ? z[c] < 0 : z[c] > 0) return false;
  }
  return true;
}

bool all_right(const Data& data) {
  for (std::size_t i = 0; i < data.gold.size(); ++i)
    if (!right_answer(data, i)) return false;
  return true;
}

// Newton's method between two bounds that always enclose the zero of the first derivative, with bisection where a step
// would leave them.
double minimise(const Data& data, double low, double high) {
  if (slope_at(data, low).first >= 0) return low;
  if (slope_at(data, high).first <= 0) return high;
  double b = 1;
  for (int i = 0; i < 200 && high - low > 1e-10 * low; ++i) {
    const Slope slope = slope_at(data, b);
    if (slope.first == 0) break;
    (slope.first < 0 ? low : high) = b;
    const double next = b - slope.first / slope.second;
    const bool inside = next > low && next < high;  // false for a NaN too
    const double step = inside ? std::abs(next - b) : high - low;
    b = inside ? next : low + (high - low) / 2;
    if (step < 1e-12 * b) break;
  }
  return b;
}

void check_logits(const Data& data) {
  if (data.classes == 0 || data.logits.size() != data.gold.size() * data.classes)
    fail("expected {} logits for {} records of {} classes, found {}", data.gold.size() * data.classes, data.gold.size(),
         data.classes, data.logits.size());
  for (std::size_t i = 0; i < data.logits.size(); ++i)
    if (!std::isfinite(data.logits[i])) fail("record {}: a logit is {}", i / data.classes + 1, data.logits[i]);
  for (std::size_t i = 0; i < data.gold.size(); ++i) {
    if (!data.multi_label && data.gold[i].size() != 1)
      fail("record {}: expected one gold label, found {}", i + 1, data.gold[i].size());
    for (const std::int32_t label : data.gold[i])
      if (label < 0 || static_cast<std::size_t>(label) >= data.classes)
        fail("record {}: expected a label id from 0 to {}, found {}", i + 1, data.classes - 1, label);
  }
}

}  // namespace

double fit_temperature(const std::vector<float>& logits, int classes,
                       const std::vector<std::vector<std::int32_t>>& gold, bool multi_label) {
  const Data data{logits, static_cast<std::size_t>(std::max(classes, 0)), gold, multi_label};
  check_logits(data);
  if (gold.empty() || always_the_same_labels(data) || all_right(data)) return 1;
  return 1 / minimise(data, 1 / kMaxTemperature, 1 / kMinTemperature);
}

}  // namespace mnemo
