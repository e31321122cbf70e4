// One direction of one LSTM layer over one sequence, in double precision and with nothing clever: the slow twin of the
// recurrent kernels. T steps, I inputs, H hidden units. Weights have PyTorch's layout: [4H, ...] with the gates' blocks
// of H rows in the order i, f, g, o. For the backward direction of a BiLSTM hand in the sequence's rows in reverse.
//
// Forward (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000; as torch.nn.LSTM documents it):
//   a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                                         [4H]
//   i_t = sigmoid(a_i)  f_t = sigmoid(a_f)  g_t = tanh(a_g)  o_t = sigmoid(a_o)         [H] each
//   c_t = f_t c_{t-1} + i_t g_t
//   h_t = o_t tanh(c_t)
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace mnemo::reference {

struct LstmWeights {
  std::size_t input = 0;          // I
  std::size_t hidden = 0;         // H
  std::vector<double> weight_ih;  // [4H, I]
  std::vector<double> weight_hh;  // [4H, H]
  std::vector<double> bias_ih;    // [4H]
  std::vector<double> bias_hh;    // [4H]
};

/// Everything that the forward pass computes. The last rows of h and c are the final state.
struct LstmTrace {
  std::size_t steps = 0;      // T
  std::vector<double> gates;  // [T, 4H] after sigmoid and tanh
  std::vector<double> c;      // [T + 1, H]; row 0 is c0, row t + 1 the cell after step t
  std::vector<double> h;      // [T + 1, H]; row 0 is h0, row t + 1 the output of step t
};

/// Gradients of the loss, named after what they belong to.
struct LstmGradients {
  std::vector<double> dx;          // [T, I]
  std::vector<double> dh0;         // [H]
  std::vector<double> dc0;         // [H]
  std::vector<double> dweight_ih;  // [4H, I]
  std::vector<double> dweight_hh;  // [4H, H]
  std::vector<double> dbias_ih;    // [4H]
  std::vector<double> dbias_hh;    // [4H]
};

inline double sigmoid(double a) { return 1.0 / (1.0 + std::exp(-a)); }

/// x [T, I], h0 [H], c0 [H].
inline LstmTrace lstm_forward(const LstmWeights& weights, const std::vector<double>& x, const std::vector<double>& h0,
                              const std::vector<double>& c0) {
  const std::size_t inputs = weights.input, hidden = weights.hidden, steps = x.size() / inputs;
  LstmTrace trace{steps, std::vector<double>(steps * 4 * hidden), c0, h0};
  trace.c.resize((steps + 1) * hidden);
  trace.h.resize((steps + 1) * hidden);
  for (std::size_t t = 0; t < steps; ++t) {
    double* gates = &trace.gates[t * 4 * hidden];
    for (std::size_t row = 0; row < 4 * hidden; ++row) {
      double a = weights.bias_ih[row] + weights.bias_hh[row];
      for (std::size_t k = 0; k < inputs; ++k) a += weights.weight_ih[row * inputs + k] * x[t * inputs + k];
      for (std::size_t k = 0; k < hidden; ++k) a += weights.weight_hh[row * hidden + k] * trace.h[t * hidden + k];
      gates[row] = row / hidden == 2 ? std::tanh(a) : sigmoid(a);
    }
    for (std::size_t u = 0; u < hidden; ++u) {
      const double i = gates[u], f = gates[hidden + u], g = gates[2 * hidden + u], o = gates[3 * hidden + u];
      const double c = f * trace.c[t * hidden + u] + i * g;
      trace.c[(t + 1) * hidden + u] = c;
      trace.h[(t + 1) * hidden + u] = o * std::tanh(c);
    }
  }
  return trace;
}

/// The gradients, given those of the outputs dy [T, H] and of the final state dhn [H], dcn [H]. The last output is also
/// the final h: dhn is added to the last row of dy. With T = 0 the state's gradients pass through.
inline LstmGradients lstm_backward(const LstmWeights& weights, const std::vector<double>& x, const LstmTrace& trace,
                                   const std::vector<double>& dy, const std::vector<double>& dhn,
                                   const std::vector<double>& dcn) {
  const std::size_t inputs = weights.input, hidden = weights.hidden;
  LstmGradients out{std::vector<double>(x.size()),
                    dhn,
                    dcn,
                    std::vector<double>(4 * hidden * inputs),
                    std::vector<double>(4 * hidden * hidden),
                    std::vector<double>(4 * hidden),
                    std::vector<double>(4 * hidden)};
  std::vector<double>& dh = out.dh0;  // gradient of the state before the step in hand, and so at the end of h0
  std::vector<double>& dc = out.dc0;
  std::vector<double> da(4 * hidden);
  for (std::size_t t = trace.steps; t-- > 0;) {
    const double* gates = &trace.gates[t * 4 * hidden];
    for (std::size_t u = 0; u < hidden; ++u) {
      const double i = gates[u], f = gates[hidden + u], g = gates[2 * hidden + u], o = gates[3 * hidden + u];
      const double squashed = std::tanh(trace.c[(t + 1) * hidden + u]);
      const double dh_t = dh[u] + dy[t * hidden + u];
      const double dc_t = dc[u] + dh_t * o * (1.0 - squashed * squashed);  // h_t = o_t tanh(c_t)
      da[u] = dc_t * g * i * (1.0 - i);                                    // c_t = ... + i_t g_t
      da[hidden + u] = dc_t * trace.c[t * hidden + u] * f * (1.0 - f);     // c_t = f_t c_{t-1} + ...
      da[2 * hidden + u] = dc_t * i * (1.0 - g * g);                       // c_t = ... + i_t g_t
      da[3 * hidden + u] = dh_t * squashed * o * (1.0 - o);                // h_t = o_t tanh(c_t)
      dc[u] = dc_t * f;                                                    // c_t = f_t c_{t-1} + ...
      dh[u] = 0.0;
    }
    // a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
    for (std::size_t row = 0; row < 4 * hidden; ++row) {
      out.dbias_ih[row] += da[row];
      out.dbias_hh[row] += da[row];
      for (std::size_t k = 0; k < inputs; ++k) {
        out.dweight_ih[row * inputs + k] += da[row] * x[t * inputs + k];
        out.dx[t * inputs + k] += da[row] * weights.weight_ih[row * inputs + k];
      }
      for (std::size_t k = 0; k < hidden; ++k) {
        out.dweight_hh[row * hidden + k] += da[row] * trace.h[t * hidden + k];
        dh[k] += da[row] * weights.weight_hh[row * hidden + k];
      }
    }
  }
  return out;
}

}  // namespace mnemo::reference
