// A block of self-attention for one sequence, in plain double precision, by the equations of nn/self_attention.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/layer_norm.h"
#include "nn/self_attention.h"

namespace mnemo::reference {

class SelfAttentionBlock {
 public:
  using Row = std::vector<double>;

  explicit SelfAttentionBlock(SelfAttention& block) : options_(block.options()), C_(block.columns()) {
    block.visit([&](Parameter& p) {
      std::vector<double>& values = weights_[p.name.substr(p.name.find('.') + 1)];
      for (Index i = 0; i < p.size(); ++i) values.push_back(static_cast<double>(p.value[i]));
    });
  }

  std::vector<Row> operator()(const std::vector<Row>& h) const {
    std::vector<Row> m, out;
    for (const Row& row : h) m.push_back(norm(row, "norm"));
    const auto T = static_cast<Index>(h.size());
    for (Index t = 0; t < T; ++t) {
      const Index first = options_.causal() ? std::max<Index>(0, t - options_.memory) : 0,
                  last = options_.causal() ? t + 1 : T;
      const Row q = norm(dense(m[at(t)], "query"), "query_norm");
      std::vector<double> scores;
      for (Index j = first; j < last; ++j) {
        double sum = 0;
        for (Index c = 0; c < C_; ++c) sum += gate("query_gate", c) * q[at(c)] * gate("key_gate", c) * m[at(j)][at(c)];
        scores.push_back(sum / std::sqrt(static_cast<double>(C_)));
      }
      const double largest = *std::max_element(scores.begin(), scores.end());
      double total = 0;
      for (double& score : scores) total += score = std::exp(score - largest);
      Row u = m[at(t)];
      for (Index j = first; j < last; ++j)
        for (Index c = 0; c < C_; ++c)
          u[at(c)] += scores[at(j - first)] / total * gate("value_open", c) *
                      std::tanh(weights_.at("value_shape")[at(c)]) * m[at(j)][at(c)];
      if (options_.feed_forward > 0) {
        Row wide = dense(norm(u, "feed_norm"), "up");
        for (double& x : wide) x /= 1 + std::exp(-1.702 * x);
        const Row added = dense(wide, "down");
        for (Index c = 0; c < C_; ++c) u[at(c)] += added[at(c)];
      }
      out.push_back(u);
    }
    return out;
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  double gate(const std::string& name, Index c) const { return 1 / (1 + std::exp(-weights_.at(name)[at(c)])); }

  Row norm(Row row, const std::string& name) const {
    double mean = 0, variance = 0;
    for (const double x : row) mean += x / static_cast<double>(C_);
    for (const double x : row) variance += (x - mean) * (x - mean) / static_cast<double>(C_);
    for (Index c = 0; c < C_; ++c)
      row[at(c)] = weights_.at(name + ".weight")[at(c)] * (row[at(c)] - mean) /
                       std::sqrt(variance + static_cast<double>(kernels::kNormEpsilon)) +
                   weights_.at(name + ".bias")[at(c)];
    return row;
  }

  Row dense(const Row& x, const std::string& name) const {
    Row out = weights_.at(name + ".bias");
    const std::vector<double>& w = weights_.at(name + ".weight");
    for (std::size_t i = 0; i < out.size(); ++i)
      for (std::size_t j = 0; j < x.size(); ++j) out[i] += w[i * x.size() + j] * x[j];
    return out;
  }

  SelfAttentionOptions options_;
  Index C_;
  std::map<std::string, std::vector<double>> weights_;
};

}  // namespace mnemo::reference
