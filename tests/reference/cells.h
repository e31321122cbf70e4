// One step of every cell for one row, after the matrix products, in plain double precision: the slow twin of the cells'
// kernels. Gradients of the twin are its central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/min_cell.h"
#include "kernels/norm_lstm_cell.h"
#include "nn/cell.h"

namespace mnemo::reference {

using Doubles = std::vector<double>;

struct CellInput {
  Doubles gates;           // [blocks H] sums of the products, in the order of the cell's header
  Doubles h_prev, c_prev;  // [H]
  Doubles own;             // the cell's own vectors
  Doubles x;               // [H] the layer's input
};

struct CellOutput {
  Doubles h, c;   // [H]
  Doubles reset;  // [H] r h_prev, for the GRU whose reset gate comes before the product
};

inline double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

inline Doubles normalized(const double* v, std::size_t count) {
  double mean = 0, variance = 0;
  for (std::size_t i = 0; i < count; ++i) mean += v[i] / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) variance += (v[i] - mean) * (v[i] - mean) / static_cast<double>(count);
  Doubles out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = (v[i] - mean) / std::sqrt(variance + static_cast<double>(kernels::kNormEpsilon));
  return out;
}

inline CellOutput norm_lstm_step(const CellInput& in, std::size_t H) {
  const Doubles x = normalized(in.gates.data(), 4 * H), h = normalized(in.gates.data() + 4 * H, 4 * H);
  CellOutput out{Doubles(H), Doubles(H), {}};
  const auto sum = [&](std::size_t at) { return in.own[at] * x[at] + in.own[4 * H + at] * h[at] + in.own[8 * H + at]; };
  for (std::size_t j = 0; j < H; ++j)
    out.c[j] = logistic(sum(H + j)) * in.c_prev[j] + logistic(sum(j)) * std::tanh(sum(2 * H + j));
  const Doubles c = normalized(out.c.data(), H);
  for (std::size_t j = 0; j < H; ++j)
    out.h[j] = logistic(sum(3 * H + j)) * std::tanh(in.own[12 * H + j] * c[j] + in.own[13 * H + j]);
  return out;
}

inline CellOutput cell_step(CellKind kind, const CellInput& in) {
  const std::size_t H = in.h_prev.size();
  if (kind == CellKind::kNormLstm) return norm_lstm_step(in, H);
  CellOutput out{Doubles(H), Doubles(H), Doubles(H)};
  for (std::size_t j = 0; j < H; ++j) {
    const auto a = [&](std::size_t block) { return in.gates[block * H + j]; };
    const auto p = [&](std::size_t block) { return in.own[block * H + j]; };
    const double h = in.h_prev[j], c = in.c_prev[j];
    switch (kind) {
      case CellKind::kLstm:
        out.c[j] = logistic(a(1)) * c + logistic(a(0)) * std::tanh(a(2));
        out.h[j] = logistic(a(3)) * std::tanh(out.c[j]);
        break;
      case CellKind::kPeepholeLstm:
        out.c[j] = logistic(a(1) + p(1) * c) * c + logistic(a(0) + p(0) * c) * std::tanh(a(2));
        out.h[j] = logistic(a(3) + p(2) * out.c[j]) * std::tanh(out.c[j]);
        break;
      case CellKind::kCappedLstm:
        out.c[j] = logistic(a(1)) * c + std::min(1 - logistic(a(1)), logistic(a(0))) * std::tanh(a(2));
        out.h[j] = logistic(a(3)) * std::tanh(out.c[j]);
        break;
      case CellKind::kCifgLstm:
        out.c[j] = (1 - logistic(a(0))) * c + logistic(a(0)) * std::tanh(a(1));
        out.h[j] = logistic(a(2)) * std::tanh(out.c[j]);
        break;
      case CellKind::kGru: {
        const double n = std::tanh(a(0) + logistic(a(1)) * a(3)), z = logistic(a(2));
        out.h[j] = (1 - z) * n + z * h;
        break;
      }
      case CellKind::kGruBefore: {
        const double n = std::tanh(a(2)), z = logistic(a(1));
        out.h[j] = (1 - z) * n + z * h;
        out.reset[j] = logistic(a(0)) * h;
        break;
      }
      case CellKind::kRnnTanh:
        out.h[j] = std::tanh(a(0));
        break;
      case CellKind::kRnnRelu:
        out.h[j] = std::max(0.0, a(0));
        break;
      case CellKind::kMinLstm: {
        const double limit = static_cast<double>(kernels::kGateLimit);
        const double f = logistic(std::clamp(a(0), -limit, limit)), i = logistic(std::clamp(a(1), -limit, limit));
        out.h[j] = f / (f + i) * h + i / (f + i) * a(2);
        break;
      }
      case CellKind::kMinGru:
        out.h[j] = (1 - logistic(a(0))) * h + logistic(a(0)) * a(1);
        break;
      case CellKind::kSru:
      case CellKind::kSruProjected: {
        const double f = logistic(a(0) + p(0) * c), r = logistic(a(1) + p(1) * c);
        out.c[j] = f * c + (1 - f) * a(2);
        const double x = kind == CellKind::kSru ? std::sqrt(3.0) * in.x[j] : a(3);
        out.h[j] = r * out.c[j] + (1 - r) * x;
        break;
      }
      case CellKind::kNormLstm:
        break;
    }
  }
  return out;
}

/// The loss's gradients for h, c and reset.
struct CellOutputGradients {
  Doubles dh, dc, dreset;
};

/// d(dh h + dc c + dreset reset) / d values[i], for `values` inside `in`.
inline Doubles cell_gradient(CellKind kind, CellInput& in, Doubles& values, const CellOutputGradients& d) {
  const auto loss = [&] {
    const CellOutput out = cell_step(kind, in);
    double sum = 0;
    for (std::size_t j = 0; j < out.h.size(); ++j) sum += d.dh[j] * out.h[j] + d.dc[j] * out.c[j];
    for (std::size_t j = 0; j < out.reset.size(); ++j) sum += d.dreset[j] * out.reset[j];
    return sum;
  };
  Doubles out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i], step = 1e-5;
    values[i] = kept + step;
    const double above = loss();
    values[i] = kept - step;
    out[i] = (above - loss()) / (2 * step);
    values[i] = kept;
  }
  return out;
}

}  // namespace mnemo::reference
