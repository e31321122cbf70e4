// A tagger: word vectors, vectors from a character encoder, recurrent layers, and for every predicted column a layer of
// scores and a CRF or a softmax.
//
// Letters: N tokens, B sentences, U distinct words of a batch, M characters in them, K tags of a column.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/convolution.h"
#include "nn/crf.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/network.h"
#include "nn/packing.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"
#include "nn/tape.h"

namespace mnemo {

/// none; cnn: a convolution over three characters and the maximum over time (Ma & Hovy 2016); bilstm: the final states
/// of both directions (Lample et al. 2016).
enum class CharEncoderKind { kNone, kCnn, kBilstm };

struct CharEncoderOptions {
  CharEncoderKind kind = CharEncoderKind::kNone;
  Index rows = 0;          ///< of the characters' table
  Index embedding = 30;    ///< embedding size of a character
  Index hidden = 50;       ///< filters, or units of one direction
  float dropout = 0.5f;    ///< of the characters' vectors
  float deviation = 1.0f;  ///< of their initial values

  Index output() const {
    return kind == CharEncoderKind::kNone ? 0 : kind == CharEncoderKind::kCnn ? hidden : 2 * hidden;
  }
};

/// A vector for each word, from its characters.
class CharEncoder {
 public:
  CharEncoder(const std::string& name, const CharEncoderOptions& options);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_matrices(const ParameterVisitor& visitor);
  void weights_changed();
  void set_precision(kernels::Precision precision);
  void prepare(ThreadPool& pool);
  void prepare(Tape& tape);

  /// [U, output()], rows in the words' original order. `letters` are in the packing's order; both must outlive the
  /// tape's backward. Call after `prepare`.
  Activation forward(Tape& tape, const Packing& words, const Bags& letters) const;

  Embedding& embedding() { return embedding_; }

 private:
  Activation encode(Tape& tape, const Packing& words, const Bags& letters) const;

  CharEncoderOptions options_;
  Embedding embedding_;
  std::unique_ptr<Linear> convolution_;  // [F, 3 E]
  std::unique_ptr<Recurrent> rnn_;
  Pooling pooling_;
};

struct TaggerOptions {
  Index table_rows = 0;  ///< rows of the words' embedding
  Index embedding = 0;
  CharEncoderOptions chars;
  Index shapes = 0, shape_embedding = 0;    ///< kinds of capitalisation, and their embedding size; 0: none
  RecurrentOptions recurrent;               ///< without the input size
  ConvolutionOptions convolution = {};      ///< over the recurrent layers' input
  std::vector<AllowedTransitions> columns;  ///< the predicted ones
  bool crf = true;
  float dropout = 0.0f;            ///< before the dense layers
  float embedding_dropout = 0.0f;  ///< of the recurrent layers' input; variational if recurrent.variational
  float embedding_deviation = 1.0f;

  Index input() const { return embedding + chars.output() + shape_embedding; }
};

/// The network's input for a batch. Tokens are in the packing's order.
struct TaggerBatch {
  Packing packing{std::span<const std::int32_t>()};
  Bags words;
  Packing letters_packing{std::span<const std::int32_t>()};  ///< of the U distinct words
  Bags letters;
  std::vector<std::int32_t> word;  ///< [N] index of the distinct word
  Bags shapes;
};

class Tagger : public Network {
 public:
  explicit Tagger(const TaggerOptions& options);

  void initialise(std::uint64_t seed) override;
  void visit(const ParameterVisitor& visitor) override;
  void visit_matrices(const ParameterVisitor& visitor) override;
  void weights_changed() override;
  void set_precision(kernels::Precision precision) override;
  void prepare(ThreadPool& pool) override;
  /// Packs for the tape's mode.
  void prepare(Tape& tape);

  /// Scores [N, K] of each column. `batch` must outlive the tape's backward. Call after `prepare`. `first_layer`, if
  /// not null, gets Recurrent::Output::first.
  std::vector<Activation> forward(Tape& tape, const TaggerBatch& batch, Activation* first_layer = nullptr) const;

  /// The sum over columns of -log P(gold): with a CRF the mean over sentences, else over tokens. `gold` [columns][N]
  /// is in the packing's order.
  double loss(Tape& tape, const Packing& packing, const std::vector<Activation>& scores,
              std::span<const std::vector<std::int32_t>> gold, float label_smoothing) const;

  /// Decodes a column's scores with the current weights. Without a CRF transitions have weight zero, but those that the
  /// scheme forbids stay forbidden.
  Chain chain(std::size_t column) const;

  Embedding& embedding() { return embedding_; }
  CharEncoder* chars() { return chars_ ? &*chars_ : nullptr; }
  const CharEncoder* chars() const { return chars_ ? &*chars_ : nullptr; }
  Embedding* shapes() { return shapes_ ? &*shapes_ : nullptr; }
  const Embedding* shapes() const { return shapes_ ? &*shapes_ : nullptr; }
  const TaggerOptions& options() const { return options_; }

 private:
  struct Column {
    Linear scores;
    std::optional<Crf> crf;
  };

  TaggerOptions options_;
  Embedding embedding_;
  std::optional<CharEncoder> chars_;
  std::optional<Embedding> shapes_;
  Convolution convolution_;
  Recurrent rnn_;
  std::vector<Column> columns_;
};

}  // namespace mnemo
