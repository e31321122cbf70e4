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
};

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
  ClassifierOptions options_;
  Embedding embedding_;
  Convolution convolution_;
  Recurrent rnn_;
  Pooling pooling_, local_pooling_;
  Linear output_;
};

}  // namespace mnemo
