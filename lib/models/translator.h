// A translator: an encoder, attention, and a decoder with a softmax over the target's vocabulary.
//
// Letters: B pairs; N source units, Q target units in all; E embedding size, C columns of the encoder's output, P of
// the decoder's, V target units.
//
//   m = encoder(x)                                   memory [N, C] and final state
//   s_0 = bridge(final state)                        initial state of all decoder layers
//   h1 = first layer(y_in)                           [Q, P]
//   c = attention(h1, m)                             [Q, C]
//   h = further layers([h1; c]), or h1               [Q, P]
//   v = tanh(W [c; h])                               [Q, E], the attentional vector of Luong et al. 2015, equation 5
//   p(y) = softmax(U v + b)                          U the target's embedding unless options.tied is false
//
// The attention asks from between the decoder's layers (as in Wu et al. 2016, "Google's Neural Machine Translation
// System"), so no step needs the attention of the step before: in training each line above is one call for all steps.
// With input feeding (Luong et al. 2015, section 3.3) the first layer reads [y_in; v of the step before], and
// everything but the softmax goes step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nn/attention.h"
#include "nn/bridge.h"
#include "nn/embedding.h"
#include "nn/network.h"
#include "nn/packing.h"
#include "nn/recurrent.h"
#include "nn/softmax_output.h"

namespace mnemo {

struct TranslatorOptions {
  Index source_units = 0, target_units = 0, embedding = 0;
  RecurrentOptions encoder, decoder;  ///< input sizes are set by the translator; the decoder has one direction
  AttentionKind attention = AttentionKind::kGeneral;
  Index heads = 1;
  BridgeKind bridge = BridgeKind::kLast;
  bool input_feeding = false;
  bool joint = false;  ///< both sides have the same units, and one table of vectors
  bool tied = true;    ///< the output's weight is the target's table
  float embedding_dropout = 0.0f, context_dropout = 0.0f;
  float dropout = 0.0f;  ///< on v
  float source_unit_dropout = 0.0f,
        target_unit_dropout = 0.0f;  ///< fraction of units read as zero (Sennrich et al. 2016, "Edinburgh Neural ...")
  float label_smoothing = 0.0f;
  float embedding_deviation = 0.1f;

  AttentionOptions attention_options() const;
};

class Translator : public Network {
 public:
  explicit Translator(const TranslatorOptions& options);

  void initialise(std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override;
  void set_precision(kernels::Precision precision) override;
  void prepare(ThreadPool& pool) override;
  void prepare(Tape& tape);

  /// Pairs of sequences of ids, packed: each side by its own lengths.
  struct Batch {
    Packing source, target;
    Bags source_units, target_units;       ///< [N], [Q] in packed order
    std::vector<std::int32_t> targets;     ///< [Q] the unit that follows each
    std::vector<std::int32_t> sources;     ///< [B] of each sequence of the target, its place in the source's order
    std::vector<std::int32_t> sources_of;  ///< [Q] the same for each row
  };
  /// Pair b has sources[b], and targets[b] before each of which the target's units before it are read; the first one is
  /// preceded by `begin`. In training `seed` and `step` name the choice of dropped units.
  Batch batch(std::span<const std::span<const std::int32_t>> sources,
              std::span<const std::span<const std::int32_t>> targets, std::int32_t begin, bool training,
              std::uint64_t seed, std::uint64_t step) const;

  /// The source, ready to be asked.
  struct Encoded {
    Attention::SharedMemory memory;
    RecurrentState initial;  ///< of the decoder's layers, for the sequences of `order`
  };
  /// `units` [N] in packed order; decoder sequence b goes on from source sequence order[b]. Call after `prepare`.
  Encoded encode(Tape& tape, const Packing& packing, const Bags& units, std::span<const std::int32_t> order) const;

  /// v [Q, E] after dropout, for the whole batch. Call after `prepare`; in inference several threads may call it at
  /// once.
  Activation forward(Tape& tape, const Batch& batch) const;

  /// The mean of -log p(target) over units, in nats, smoothed in training, for the output of `forward`. In training
  /// also adds the gradients.
  double loss(Tape& tape, const Batch& batch, const Activation& v);

  const TranslatorOptions& options() const { return options_; }
  Embedding& source_embedding() { return source_ ? *source_ : target_; }
  const Embedding& source_embedding() const { return source_ ? *source_ : target_; }
  Embedding& target_embedding() { return target_; }
  const Embedding& target_embedding() const { return target_; }
  const Attention& attention() const { return attention_; }
  const Recurrent& first() const { return first_; }
  const Recurrent* further() const { return further_ ? &*further_ : nullptr; }
  const Linear& combine() const { return combine_; }
  SoftmaxOutput& output() { return output_; }
  const SoftmaxOutput& output() const { return output_; }

 private:
  Activation all_steps(Tape& tape, const Batch& batch, const Activation& y, const Encoded& encoded) const;
  Activation step_by_step(Tape& tape, const Batch& batch, const Activation& y, const Encoded& encoded) const;
  Activation combined(Tape& tape, const Activation& context, const Activation& h) const;
  RecurrentState part_of(const RecurrentState& state, Index first_layer, Index layers) const;

  TranslatorOptions options_;
  std::optional<Embedding> source_;  // none if joint
  Embedding target_;
  Recurrent encoder_;
  Bridge bridge_;
  Recurrent first_;
  std::optional<Recurrent> further_;
  Attention attention_;
  Linear combine_;
  SoftmaxOutput output_;
};

}  // namespace mnemo
