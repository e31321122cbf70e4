// The LSTM cell without its matrix products: gates to states, and back.
//
// Letters: B rows (sequences at one time step), H hidden units. A row of gates is [4H] in the order i, f, g, o
// (PyTorch's; g is the candidate). Equations after Hochreiter & Schmidhuber 1997 with the forget gate of Gers,
// Schmidhuber & Cummins 2000:
//   i = s(a_i)  f = s(a_f)  g = tanh(a_g)  o = s(a_o)
//   c = f c_prev + i g        h = o tanh(c)
// where a are the sums of the products and biases and s is the logistic function.
#pragma once

#include <cstdint>

namespace mnemo::kernels {

using Index = std::int64_t;

/// Largest error of the kernels' tanh and logistic function: tanh relative, the logistic function absolute.
inline constexpr double kTanhRelativeError = 6e-7;
inline constexpr double kLogisticError = 3e-7;

/// Pointers to a row's first element, and elements from one row to the next.
struct LstmCellForward {
  Index rows, hidden;
  float* gates;  // [B, 4H] in: a; out: i, f, g, o
  Index gates_stride;
  const float* c_prev;  // [B, H]
  Index c_prev_stride;
  float* c;  // [B, H] out; may be c_prev
  Index c_stride;
  float* tanh_c;  // [B, H] out; null where no gradient will be asked for
  Index tanh_c_stride;
  float* h;  // [B, H] out
  Index h_stride;
};

void lstm_cell_forward(const LstmCellForward& args);

struct LstmCellBackward {
  Index rows, hidden;
  float* gates;  // [B, 4H] in: i, f, g, o; out: gradients of a
  Index gates_stride;
  const float* c_prev;  // [B, H]
  Index c_prev_stride;
  const float* tanh_c;  // [B, H]
  Index tanh_c_stride;
  const float* dh;  // [B, H] gradient of h from above
  Index dh_stride;
  const float* dh_next;  // [B, H] gradient of h from the next step, added to dh
  Index dh_next_stride;
  float* dc;  // [B, H] in: gradient of c from the next step; out: gradient of c_prev
  Index dc_stride;
};

void lstm_cell_backward(const LstmCellBackward& args);

/// out[i] = tanh(in[i]) and 1 / (1 + exp(-in[i])), with the errors above; in and out may be the same.
void tanh_values(const float* in, float* out, Index count);
void logistic_values(const float* in, float* out, Index count);

}  // namespace mnemo::kernels
