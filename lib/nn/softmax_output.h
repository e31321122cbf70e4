// The last layer of a language model: a softmax over all units of the vocabulary, its loss and gradients in one.
//
// Letters: N rows, H inputs, V classes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/product.h"
#include "nn/initialise.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// p(v | x) = softmax(W x + b)_v. W [V, H] is the layer's own, or with `tied` another parameter of that shape that is
/// dense, such as the embedding's table (Press & Wolf 2017; Inan et al. 2017).
///
/// The rows of a batch are worked on in chunks, whose scores [V, rows] are the only ones that are ever kept: they
/// become exponentials in place, and both gradients are products of these. The weights are multiplied by as they lie in
/// memory, and need not be packed in training.
class SoftmaxOutput {
 public:
  SoftmaxOutput(const std::string& name, Index in, Index classes, Parameter* tied = nullptr);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  /// Does not visit tied weights, which belong to another layer.
  void visit(const ParameterVisitor& visitor);
  void weights_changed() { packed_ = false; }
  /// Of the products in training (kFloat32 or kBfloat16) and in inference.
  void set_training_numbers(kernels::Numbers numbers) { training_numbers_ = numbers; }
  void set_numbers(kernels::Numbers numbers);

  /// The mean of -log p(target | x) over rows, in nats. In training also adds `share` times its gradients to those of
  /// x, W and b: at once, not on the tape's way back.
  double loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share = 1.0);

  /// log p(target | x) of each row of x [N, H].
  void log_probabilities(ThreadPool& pool, const float* x, std::span<const std::int32_t> targets, double* out);

  /// Packs the weights for `apply` if they changed.
  void prepare(ThreadPool& pool);
  /// Scores W x + b [rows, V] of x [rows, H], panels [first, last) of 'panels()', on the calling thread.
  void apply(Index rows, const float* x, Index first, Index last, float* y) const;
  Index panels() const { return panels_.panels(); }

  Index classes() const { return bias.rows(); }
  Index inputs() const { return weight().row_size(); }
  Parameter& weight() { return tied_ ? *tied_ : own_.front(); }
  const Parameter& weight() const { return tied_ ? *tied_ : own_.front(); }

  Parameter bias;  // [V]

 private:
  struct Chunk;

  Index chunk_rows() const;
  void exponentials(ThreadPool& pool, const float* x, std::span<const std::int32_t> targets, kernels::Numbers numbers,
                    Chunk& chunk, double* log_p);
  void add_gradients(ThreadPool& pool, const Activation& x, Index first, std::span<const std::int32_t> targets,
                     double share, Chunk& chunk);

  std::vector<Parameter> own_;  // the weight, unless it is tied
  Parameter* tied_;
  kernels::PackedMatrix panels_;
  kernels::Numbers numbers_ = kernels::Numbers::kFloat32, training_numbers_ = kernels::Numbers::kFloat32;
  bool packed_ = false;
  AlignedVector scores_, block_rows_, scaled_, products_, scratch_;
  kernels::PackedMatrix inputs_, scaled_panels_;
};

}  // namespace mnemo
