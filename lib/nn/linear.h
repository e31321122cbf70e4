// A dense layer.
#pragma once

#include <string>
#include <utility>

#include "kernels/product.h"
#include "nn/initialise.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// y [N, out] = x [N, in] W^T + b, with W [out, in] and b [out] as in PyTorch; without `bias` b is empty.
class Linear {
 public:
  Linear(const std::string& name, Index in, Index out, bool with_bias = true);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void weights_changed() { packed_ = false; }
  /// Precision of the products in inference, and in training (kFloat32 or kBfloat16).
  void set_precision(kernels::Precision precision) {
    precision_ = precision;
    weights_changed();
  }
  void set_training_precision(kernels::Precision precision) {
    training_precision_ = precision;
    weights_changed();
  }
  /// Packs the weights for the tape's mode, or for inference, if they changed.
  void prepare(Tape& tape) { pack(tape.pool, tape.training()); }
  void prepare(ThreadPool& pool) { pack(pool, false); }
  /// Call after `prepare`; in inference several threads may call it at once.
  Activation forward(Tape& tape, const Activation& x) const;
  Activation forward(Tape& tape, const Activation& x) {
    prepare(tape);
    return std::as_const(*this).forward(tape, x);
  }

  /// y [rows, out] of x [rows, in] on the calling thread, after `prepare`; the same bits as `forward`.
  void apply(Index rows, const float* x, float* y) const;

  Parameter weight;  // [out, in]
  Parameter bias;    // [out] or empty

 private:
  void pack(ThreadPool& pool, bool training);
  kernels::Start start() const { return bias.size() > 0 ? kernels::Start::kBias : kernels::Start::kZero; }

  kernels::PackedMatrix panels_, back_panels_;
  kernels::Precision precision_ = kernels::Precision::kFloat32, training_precision_ = kernels::Precision::kFloat32;
  bool packed_ = false, packed_for_training_ = false;
};

}  // namespace mnemo
