// A dense layer.
#pragma once

#include <string>

#include "kernels/product.h"
#include "nn/initialise.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// y [N, out] = x [N, in] W^T + b, with W [out, in] and b [out] as in PyTorch.
class Linear {
 public:
  Linear(const std::string& name, Index in, Index out);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void weights_changed() { packed_ = false; }
  /// Of the products in inference; training keeps float32.
  void set_precision(kernels::Precision precision) {
    numbers_ = precision;
    weights_changed();
  }
  Activation forward(Tape& tape, const Activation& x);

  /// Packs the weights for inference if they changed.
  void prepare(ThreadPool& pool);
  /// y [rows, out] of x [rows, in] on the calling thread, after `prepare`; the same bits as `forward`.
  void apply(Index rows, const float* x, float* y) const;

  Parameter weight;  // [out, in]
  Parameter bias;    // [out]

 private:
  void pack(ThreadPool& pool, bool training);

  kernels::PackedMatrix panels_, back_panels_;
  kernels::Precision numbers_ = kernels::Precision::kFloat32;
  AlignedVector scratch_;
  bool packed_ = false, packed_for_training_ = false;
};

}  // namespace mnemo
