// A softmax over all units of the vocabulary, with its loss and gradients.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/product.h"
#include "nn/output_layer.h"

namespace mnemo {

/// p(v | x) = softmax(W x + b)_v. W [V, H] is the layer's own, or with `tied` another dense parameter of that shape,
/// such as the embedding's table (Press & Wolf 2017; Inan et al. 2017).
///
/// The rows of a batch are processed in chunks, and only one chunk's scores [V, rows] exist at a time: they become
/// exponentials in place, and both gradients are products of these. Training uses the weights as they are in memory,
/// without packing them.
class SoftmaxOutput : public OutputLayer {
 public:
  SoftmaxOutput(const std::string& name, Index in, Index classes, Parameter* tied = nullptr);

  void initialise(Initialiser initialiser, std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override { packed_ = false; }
  void set_training_precision(kernels::Precision precision) override { training_precision_ = precision; }
  void set_precision(kernels::Precision precision) override;
  /// s: in training the loss is (1 - s) times that of the target plus s times the mean over all classes (Szegedy et al.
  /// 2016).
  void set_smoothing(double smoothing) { smoothing_ = smoothing; }
  /// Adds its gradients at once.
  double loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share = 1.0) override;
  void log_probabilities(ThreadPool& pool, Arena& arena, const float* x, std::span<const std::int32_t> targets,
                         double* out) const override;
  void prepare(ThreadPool&) override {}
  void prepare_scores(ThreadPool& pool) override;
  /// W x + b.
  void scores(Index rows, const float* x, float* out) const override;

  Index classes() const { return bias.rows(); }
  Index inputs() const { return weight().row_size(); }
  Parameter& weight() { return tied_ ? *tied_ : own_.front(); }
  const Parameter& weight() const { return tied_ ? *tied_ : own_.front(); }

  Parameter bias;  // [V]

 private:
  struct Chunk;

  Index chunk_rows() const;
  void sum_rows();
  double smoothed_loss(const Activation& x, Index first, const Chunk& chunk, std::span<const double> log_p) const;
  void exponentials(ThreadPool& pool, const float* x, std::span<const std::int32_t> targets,
                    kernels::Precision precision, Chunk& chunk, double* log_p) const;
  void add_gradients(ThreadPool& pool, AlignedVector& scratch, const Activation& x, Index first,
                     std::span<const std::int32_t> targets, double share, Chunk& chunk);

  std::vector<Parameter> own_;  // the weight, unless it is tied
  Parameter* tied_;
  kernels::PackedMatrix panels_;
  kernels::Precision precision_ = kernels::Precision::kFloat32, training_precision_ = kernels::Precision::kFloat32;
  bool packed_ = false;
  double smoothing_ = 0;
  double bias_sum_ = 0;
  // In training, kept from batch to batch.
  AlignedVector scores_, block_rows_, scaled_, products_, weight_sum_;
  kernels::PackedMatrix inputs_, scaled_panels_;
};

}  // namespace mnemo
