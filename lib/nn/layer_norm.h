// Layer normalisation of rows, with gates.
#pragma once

#include <string>
#include <vector>

#include "base/aligned.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// y [N, C] = s(g_1) o ... o s(g_n) o (weight N(x) + bias) for x [N, C], with N of kernels/layer_norm.h, s the logistic
/// function and o the product of elements. weight, bias and the gates g are vectors [C]; without gates it is PyTorch's
/// layer norm.
class LayerNorm {
 public:
  LayerNorm(const std::string& name, Index columns, const std::vector<std::string>& gate_names = {});

  void initialise();
  void visit(const ParameterVisitor& visitor);
  /// Multiplies the gates into weight and bias. To be called after the weights changed and before the other functions.
  void prepare();

  Activation forward(Tape& tape, const Activation& x) const;
  /// The same bits for x [rows, C] on the calling thread; y may be x.
  void apply(Index rows, const float* x, float* y) const;

  Parameter weight, bias;        // [C]
  std::vector<Parameter> gates;  // [C] each

 private:
  void backward(Tape& tape, const Activation& y, const Activation& x, const float* norm, const float* inverse) const;

  AlignedVector gain_, shift_, gate_;  // [C] weight and bias times the gates; the gates' product
};

}  // namespace mnemo
