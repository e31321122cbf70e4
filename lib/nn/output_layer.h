// The last layer of a language model: the interface of any distribution over the units of a vocabulary.
//
// Letters: N rows, H inputs, V classes.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/product.h"
#include "nn/arena.h"
#include "nn/initialise.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

class OutputLayer {
 public:
  virtual ~OutputLayer() = default;

  virtual void initialise(Initialiser initialiser, std::uint64_t seed) = 0;
  /// Skips tied weights, which belong to another layer.
  virtual void visit(const ParameterVisitor& visitor) = 0;
  /// The matrices of `visit` that lower precision rounds.
  virtual void visit_matrices(const ParameterVisitor& visitor) = 0;
  virtual void weights_changed() = 0;
  /// Precision of the products in training (kFloat32 or kBfloat16) and in inference.
  virtual void set_training_precision(kernels::Precision precision) = 0;
  virtual void set_precision(kernels::Precision precision) = 0;
  /// In training, `loss` is to sum over a sample of so many classes on average in place of all; 0: over all. A layer
  /// that has fewer, or that never sums over all, ignores it.
  virtual void sample_classes(Index) {}

  /// The mean of -log p(target | x) over rows, in nats. In training also adds `share` times its gradients to those of
  /// x and the parameters: at once, or in the tape's backward.
  virtual double loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share = 1.0) = 0;

  /// Packs what `log_probabilities` needs, if the weights changed.
  virtual void prepare(ThreadPool& pool) = 0;
  /// log p(target | x) of each row of x [N, H], after `prepare`. Several threads may call it at once, each with its own
  /// arena.
  virtual void log_probabilities(ThreadPool& pool, Arena& arena, const float* x, std::span<const std::int32_t> targets,
                                 double* out) const = 0;

  /// Packs what `scores` needs, if the weights changed.
  virtual void prepare_scores(ThreadPool& pool) = 0;
  /// Scores [rows, V] for x [rows, H], on the calling thread, after `prepare_scores`: their softmax is p.
  virtual void scores(Index rows, const float* x, float* out) const = 0;

 protected:
  OutputLayer() = default;
  OutputLayer(const OutputLayer&) = default;
  OutputLayer& operator=(const OutputLayer&) = default;
};

}  // namespace mnemo
