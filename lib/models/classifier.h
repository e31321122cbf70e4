// A text classifier: embedding, recurrent layers and convolutions, pooling, one dense layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/convolution.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/network.h"
#include "nn/packing.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"
#include "nn/tape.h"

namespace mnemo {

struct ClassifierOptions {
  Index table_rows = 0;                                 ///< rows of the embedding table
  Index embedding = 0;                                  ///< E
  Index classes = 0;                                    ///< K
  RecurrentOptions recurrent;                           ///< its input is E
  std::vector<PoolingKind> pooling{PoolingKind::kMax};  ///< side by side
  ConvolutionOptions convolution;  ///< over the embeddings; beside the recurrent layers it is pooled by its maxima
  float dropout = 0.0f;            ///< before the dense layer
  float embedding_dropout = 0.0f;  ///< variational if recurrent.variational
  float embedding_deviation = 1.0f;
  /// Texts of more units are read in pieces of so many, between which the state is carried, so that memory does not
  /// grow with their length by more than the units themselves. In inference (0: never, as where `reads_in_pieces` says
  /// no) answers have the same bits. In training (0: never) gradients are cut between pieces, dropout is drawn anew for
  /// each, and each is read a second time for its gradient.
  Index inference_piece = 1024, training_piece = 0;
};

/// Whether such a network can read texts in pieces: its layers read in one direction, alone, and its pooling needs no
/// more than a row at a time.
bool reads_in_pieces(const ClassifierOptions& options);

class Classifier : public Network {
 public:
  explicit Classifier(const ClassifierOptions& options);

  void initialise(std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override;
  void set_precision(kernels::Precision precision) override {
    convolution_.set_precision(precision);
    rnn_.set_precision(precision);
  }
  void prepare(ThreadPool& pool) override;
  /// Packs for the tape's mode.
  void prepare(Tape& tape);

  /// Logits [B, K] in the sequences' original order. `packing` and `bags` (with tokens in packed order) must outlive
  /// the tape's backward. Call after `prepare`.
  Activation forward(Tape& tape, const Packing& packing, const Bags& bags) const;

  Embedding& embedding() { return embedding_; }
  const ClassifierOptions& options() const { return options_; }

 private:
  // The embedded units as the layers above read them.
  Activation embedded(Tape& tape, const Packing& packing, const Bags& bags) const;
  Activation pooled(Tape& tape, const Packing& packing, const Bags& bags) const;
  // The same for texts that are read in pieces of so many steps.
  Activation pooled_in_pieces(Tape& tape, const Packing& packing, const Bags& bags, Index steps) const;
  // The steps of a piece, 0 if texts are read as a whole.
  Index piece_steps(const Tape& tape, const Packing& packing) const;
  // Reads piece `number`, and calls use(its tape, what the recurrent layers give).
  template <class Use>
  void read_piece(Tape& tape, Arena& arena, const Packing& packing, const Bags& bags, StepRange steps, Index number,
                  const RecurrentState* initial, const Use& use) const;

  ClassifierOptions options_;
  Embedding embedding_;
  Convolution convolution_;
  Recurrent rnn_;
  Pooling pooling_, local_pooling_;
  Linear output_;
};

}  // namespace mnemo
