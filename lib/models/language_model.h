// A language model: embedding, recurrent layers, and a softmax over the vocabulary for the next unit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nn/embedding.h"
#include "nn/network.h"
#include "nn/output_layer.h"
#include "nn/packing.h"
#include "nn/recurrent.h"

namespace mnemo {

struct LanguageModelOptions {
  Index units = 0, embedding = 0;
  RecurrentOptions recurrent;  ///< of one direction; the input size is the embedding size
  /// Classes at which the clusters of an adaptive softmax begin; empty: a softmax over all. Not tied.
  std::vector<Index> cutoffs = {};
  bool tied = false;     ///< the output's weight is the embedding's table; embedding = recurrent.output() then
  float dropout = 0.0f;  ///< on the last layer's output
  float embedding_dropout = 0.0f;
  float unit_dropout = 0.0f;  ///< fraction of the vocabulary read as zero, one choice per batch (Merity et al. 2017)
  /// Weights of the penalties on the last layer's output (Merity, McCann & Socher 2017): of the mean square of the
  /// output after dropout, and of the mean square of its changes from step to step.
  float activation_penalty = 0.0f, slowness_penalty = 0.0f;
  float embedding_deviation = 0.1f;
};

class LanguageModel : public Network {
 public:
  explicit LanguageModel(const LanguageModelOptions& options);

  void initialise(std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override;
  void set_precision(kernels::Precision precision) override;
  /// Prepares for measuring text. Generation needs `OutputLayer::prepare_scores` too.
  void prepare(ThreadPool& pool) override;
  /// Packs for the tape's mode.
  void prepare(Tape& tape);

  /// A batch of sequences of units; the targets are the units that follow each.
  struct Batch {
    Packing packing;
    Bags units;                         ///< [N] in packed order
    std::vector<std::int32_t> targets;  ///< [N]
  };
  /// `ids` and `targets` [N] are in packed order. In training `seed` and `step` name the choice of dropped units.
  Batch batch(Packing packing, std::span<const std::int32_t> ids, std::vector<std::int32_t> targets, bool training,
              std::uint64_t seed, std::uint64_t step) const;

  /// The last layer's output [N, H] and the state after it. Call after `prepare`.
  Recurrent::Output forward(Tape& tape, const Batch& batch, const RecurrentState* initial) const;

  /// The mean of -log p(target) over units, in nats, for the output of `forward`. In training also adds the gradients,
  /// including those of the penalties, which the result does not include.
  double loss(Tape& tape, const Batch& batch, const Activation& y);

  const LanguageModelOptions& options() const { return options_; }
  Embedding& embedding() { return embedding_; }
  const Embedding& embedding() const { return embedding_; }
  const Recurrent& recurrent() const { return rnn_; }
  OutputLayer& output() { return *output_; }
  const OutputLayer& output() const { return *output_; }

 private:
  LanguageModelOptions options_;
  Embedding embedding_;
  Recurrent rnn_;
  std::unique_ptr<OutputLayer> output_;
};

}  // namespace mnemo
