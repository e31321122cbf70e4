#include "nn/loss.h"

#include <algorithm>
#include <cmath>

namespace mnemo {
namespace {

// Returns log(sum_k exp(x_k / temperature)); log_p gets the logarithms of the probabilities.
double log_softmax(const float* x, Index columns, double temperature, std::vector<double>& log_p) {
  log_p.resize(columns);
  double largest = -INFINITY, sum = 0;
  for (Index k = 0; k < columns; ++k) largest = std::max(largest, static_cast<double>(x[k]) / temperature);
  for (Index k = 0; k < columns; ++k) sum += std::exp(static_cast<double>(x[k]) / temperature - largest);
  const double log_sum = largest + std::log(sum);
  for (Index k = 0; k < columns; ++k) log_p[k] = static_cast<double>(x[k]) / temperature - log_sum;
  return log_sum;
}

double logistic(double x) { return x >= 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x)); }

// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

double softmax_cross_entropy(const Activation& logits, std::span<const std::int32_t> labels,
                             std::span<const float> class_weights, float smoothing) {
  const Index K = logits.columns;
  const auto weight = [&](Index b) {
    if (labels[b] < 0) return 0.0;
    return class_weights.empty() ? 1.0 : static_cast<double>(class_weights[labels[b]]);
  };
  double total_weight = 0, loss = 0;
  for (Index b = 0; b < logits.rows; ++b) total_weight += weight(b);
  if (total_weight <= 0) return 0;
  const double s = static_cast<double>(smoothing);
  std::vector<double> log_p;
  for (Index b = 0; b < logits.rows; ++b) {
    if (labels[b] < 0) continue;
    log_softmax(logits.value + b * K, K, 1.0, log_p);
    const double w = weight(b) / total_weight;
    for (Index k = 0; k < K; ++k) {
      const double q = (k == labels[b] ? 1.0 - s : 0.0) + s / static_cast<double>(K);
      if (q > 0) loss -= w * q * log_p[k];
      if (logits.gradient) logits.gradient[b * K + k] += static_cast<float>(w * (std::exp(log_p[k]) - q));
    }
  }
  return loss;
}

double sigmoid_cross_entropy(const Activation& logits, std::span<const float> targets,
                             std::span<const float> class_weights, float smoothing) {
  const Index K = logits.columns;
  const double share = 1.0 / static_cast<double>(std::max<Index>(1, logits.rows)), s = static_cast<double>(smoothing);
  double loss = 0;
  for (Index i = 0; i < logits.size(); ++i) {
    const double x = static_cast<double>(logits.value[i]);
    const double q = static_cast<double>(targets[i]) * (1.0 - s) + 0.5 * s;
    const double positive = class_weights.empty() ? 1.0 : static_cast<double>(class_weights[i % K]);
    loss += share * (positive * q * softplus(-x) + (1.0 - q) * softplus(x));
    const double p = logistic(x);
    if (logits.gradient) logits.gradient[i] += static_cast<float>(share * ((1.0 - q) * p - positive * q * (1.0 - p)));
  }
  return loss;
}

}  // namespace mnemo
