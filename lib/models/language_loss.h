// The auxiliary loss by which the recurrent layer of a tagger also learns from the words of its sentences.
//
// Letters: N tokens, B sentences, D directions, P outputs of one direction, M hidden units, V words.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>

#include "kernels/product.h"
#include "nn/linear.h"
#include "nn/packing.h"
#include "nn/softmax_output.h"
#include "nn/tape.h"

namespace mnemo {

/// Each direction of a recurrent layer predicts the word that it has not read yet: from h_t the forward direction the
/// next one, the backward direction the previous one (Rei 2017, "Semi-supervised Multitask Learning for Sequence
/// Labeling", equations 7 to 10; Liu et al. 2018, "Empower Sequence Labeling with Task-Aware Neural Language Model", do
/// so between the characters of words):
///   m_t = tanh(W h_t + b),  p(w_{t+1} | m_t) = softmax(U m_t + c)
/// with weights of its own for each direction, W [M, P] and U [V, M]. The first word of a sentence and, backward, the
/// last are not predicted. The layer's input must not depend on the neighbours of a token.
///
/// It is needed in training alone, and so is no part of the network that tags.
class LanguageLoss {
 public:
  static constexpr Index kHidden = 50;  ///< M, as in the paper

  LanguageLoss(const std::string& name, Index outputs, Index directions, Index words);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void weights_changed();
  void set_training_precision(kernels::Precision precision);

  /// The sum over both directions and all predicted words of -log p, divided by `divisor`. In training also adds
  /// `share` times its gradients. `states` [N, D P] are the layer's outputs, `words` [N] numbers below V, both in the
  /// packing's order; `packing` must outlive the tape's backward.
  double loss(Tape& tape, const Packing& packing, const Activation& states, std::span<const std::int32_t> words,
              double divisor, double share);

 private:
  struct Direction {
    Direction(const std::string& name, Index outputs, Index words)
        : hidden(name + ".hidden", outputs, kHidden), output(name + ".output", kHidden, words) {}

    Linear hidden;
    SoftmaxOutput output;
  };

  std::deque<Direction> directions_;
};

}  // namespace mnemo
