// A softmax over all units of the vocabulary, with its loss and gradients.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/product.h"
#include "nn/class_sampler.h"
#include "nn/output_layer.h"

namespace mnemo {

/// p(v | x) = softmax(W x + b)_v. W [V, H] is the layer's own, or with `tied` another dense parameter of that shape,
/// such as the embedding's table (Press & Wolf 2017; Inan et al. 2017).
///
/// The rows of a batch are processed in chunks, and only one chunk's scores [V, rows] exist at a time: they become
/// exponentials in place, and both gradients are products of these. Training uses the weights as they are in memory,
/// without packing them.
///
/// With `sample_classes` the loss of a row with target t is, in training,
///   -log(exp(s_t) / (exp(s_t) + sum of exp(s_v) / P_v over the v != t of a sample)),  s = W x + b,
/// where the sample, the same for all rows of a call, contains v with probability P_v (nn/class_sampler.h): the sum's
/// mean over samples is that over all v != t (importance sampling: Bengio & Senecal 2008, "Adaptive Importance Sampling
/// to Accelerate Training of a Neural Probabilistic Language Model"; a sample shared by a batch, whose scores are
/// corrected by -log P_v: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation"). As
/// the logarithm is concave, the mean of this loss is below that of the softmax.
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
  void sample_classes(Index expected) override;
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
  struct Classes;
  struct Chunk;

  Classes all_classes();
  Classes sampled_classes(const Tape& tape);
  void add_sampled_gradients(ThreadPool& pool);
  Index chunk_rows(Index classes) const;
  void sum_rows();
  double smoothed_loss(const Activation& x, Index first, const Chunk& chunk, std::span<const double> log_p) const;
  void exponentials(ThreadPool& pool, const float* x, std::span<const std::int32_t> targets,
                    kernels::Precision precision, Chunk& chunk, double* log_p) const;
  void pack_scaled(ThreadPool& pool, const float* x, std::span<const float> scales);
  void add_gradients(ThreadPool& pool, AlignedVector& scratch, const Activation& x, Index first,
                     std::span<const std::int32_t> targets, std::span<const double> log_p, double share, Chunk& chunk);

  std::optional<ClassSampler> sampler_;
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
  // Of a sample of K classes: their numbers, rows of weights [K, H] and biases, and the gradients of these.
  std::vector<std::int32_t> sample_;
  AlignedVector sampled_weight_, sampled_bias_, sampled_weight_gradient_, sampled_bias_gradient_;
};

}  // namespace mnemo
