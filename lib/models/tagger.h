// A tagger: word vectors and what a character encoder makes of each word's letters, recurrent layers, and for every
// column that is predicted scores and a CRF or a softmax.
//
// Letters: N tokens, B sentences, U distinct words of a batch, M characters in them, K tags of a column.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/crf.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/network.h"
#include "nn/packing.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"
#include "nn/tape.h"

namespace mnemo {

/// none; cnn: a convolution of three characters and the largest over time (Ma & Hovy 2016); bilstm: the last states of
/// both directions (Lample et al. 2016).
enum class CharEncoderKind { kNone, kCnn, kBilstm };

struct CharEncoderOptions {
  CharEncoderKind kind = CharEncoderKind::kNone;
  Index rows = 0;          ///< of the characters' table
  Index embedding = 30;    ///< of a character
  Index hidden = 50;       ///< filters, or units of one direction
  float dropout = 0.5f;    ///< of the characters' vectors
  float deviation = 1.0f;  ///< of their first values

  Index output() const {
    return kind == CharEncoderKind::kNone ? 0 : kind == CharEncoderKind::kCnn ? hidden : 2 * hidden;
  }
};

/// A vector for each word, of its characters.
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
  /// tape's backward. After `prepare`.
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
  Index shapes = 0, shape_embedding = 0;    ///< kinds of capitalisation, and the size of their vectors; 0: none
  RecurrentOptions recurrent;               ///< without its input
  std::vector<AllowedTransitions> columns;  ///< that are predicted
  bool crf = true;
  float dropout = 0.0f;            ///< before the dense layers
  float embedding_dropout = 0.0f;  ///< of the recurrent layers' input; variational if recurrent.variational
  float embedding_deviation = 1.0f;

  Index input() const { return embedding + chars.output() + shape_embedding; }
};

/// What a batch gives the network. Tokens are in the packing's order.
struct TaggerBatch {
  Packing packing{std::span<const std::int32_t>()};
  Bags words;
  Packing letters_packing{std::span<const std::int32_t>()};  ///< of the U distinct words
  Bags letters;
  std::vector<std::int32_t> word;  ///< [N] which of the distinct words
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

  /// Scores [N, K] of each column. `batch` must outlive the tape's backward. After `prepare`.
  std::vector<Activation> forward(Tape& tape, const TaggerBatch& batch) const;

  /// The sum over columns of -log P(gold): with a CRF the mean over sentences, else over tokens. `gold` [columns][N]
  /// in the packing's order.
  double loss(Tape& tape, const Packing& packing, const std::vector<Activation>& scores,
              std::span<const std::vector<std::int32_t>> gold, float label_smoothing) const;

  /// What decodes a column's scores with the weights as they are. Without a CRF moves weigh nothing, but what the
  /// scheme forbids stays forbidden.
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
  Recurrent rnn_;
  std::vector<Column> columns_;
};

}  // namespace mnemo
