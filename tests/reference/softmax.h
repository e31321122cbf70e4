// Softmax cross-entropy over N rows and K classes in double precision, as torch.nn.CrossEntropyLoss(weight=w,
// label_smoothing=e, reduction="mean") defines it:
//
//   p[n,k] = exp(z[n,k]) / sum_j exp(z[n,j])
//   loss   = sum_n ( (1 - e) w[y_n] (-log p[n,y_n]) + (e / K) sum_k w[k] (-log p[n,k]) ) / sum_n w[y_n]
//
// The divisor is the sum of the weights of the rows' own labels, not N, also for the smoothed part. Without weights
// every w is 1 and the divisor is N. Label smoothing: Szegedy et al. 2016, section 7.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace mnemo::reference {

/// log softmax of each row of logits [N, K]; the row's maximum is subtracted first. Returns [N, K].
inline std::vector<double> log_softmax(const std::vector<double>& logits, std::size_t classes) {
  std::vector<double> out(logits.size());
  for (std::size_t start = 0; start < logits.size(); start += classes) {
    const double* row = &logits[start];
    const double top = *std::max_element(row, row + classes);
    double sum = 0.0;
    for (std::size_t k = 0; k < classes; ++k) sum += std::exp(row[k] - top);
    for (std::size_t k = 0; k < classes; ++k) out[start + k] = row[k] - top - std::log(sum);
  }
  return out;
}

struct SoftmaxLoss {
  double loss = 0.0;
  std::vector<double> dlogits;  // [N, K]
};

/// logits [N, K], labels [N] in [0, K), weights [K] or empty (all 1), smoothing in [0, 1). The sum of the labels'
/// weights must be above 0.
inline SoftmaxLoss softmax_cross_entropy(const std::vector<double>& logits, const std::vector<int>& labels,
                                         std::vector<double> weights, std::size_t classes, double smoothing) {
  if (weights.empty()) weights.assign(classes, 1.0);
  const std::vector<double> log_p = log_softmax(logits, classes);
  double divisor = 0.0;
  for (int label : labels) divisor += weights[static_cast<std::size_t>(label)];
  SoftmaxLoss out{0.0, std::vector<double>(logits.size(), 0.0)};
  for (std::size_t n = 0; n < labels.size(); ++n) {
    // The row's loss is -sum_k target[k] log p[k], so its gradient is p[k] sum_j target[j] - target[k].
    std::vector<double> target(classes);
    double mass = 0.0;
    for (std::size_t k = 0; k < classes; ++k) {
      const bool own = static_cast<int>(k) == labels[n];
      target[k] = weights[k] * (smoothing / static_cast<double>(classes) + (own ? 1.0 - smoothing : 0.0)) / divisor;
      mass += target[k];
    }
    for (std::size_t k = 0; k < classes; ++k) {
      out.loss -= target[k] * log_p[n * classes + k];
      out.dlogits[n * classes + k] = std::exp(log_p[n * classes + k]) * mass - target[k];
    }
  }
  return out;
}

}  // namespace mnemo::reference
