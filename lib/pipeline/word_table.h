// The words that a model knows, as rows of its embedding: those of train, hashed n-grams, and further words with frozen
// pretrained vectors.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "nn/embedding.h"
#include "text/encoder.h"
#include "text/vectors.h"

namespace mnemo {

class WordTable {
 public:
  WordTable(const TextConfig& text, Vocabulary vocabulary);
  WordTable(const WordTable&) = delete;
  WordTable& operator=(const WordTable&) = delete;

  /// The vocabulary of a model file. Throws Error if the embedding's size does not fit it and the configuration, or if
  /// it has subwords and text.unit is another.
  static Vocabulary read_vocabulary(const SafetensorsFile& file, const Config& config);

  std::int64_t rows() const { return encoder_.table_rows(); }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  std::int64_t extra_words() const { return static_cast<std::int64_t>(extra_words_.size()); }

  /// To be called after the embedding's own initialisation: n-grams start at zero, words at their pretrained vector if
  /// they have one (null: none have), and with pretrained_vocabulary "all" the other words' vectors are kept.
  void initialise(Embedding& embedding, const PretrainedVectors* vectors);

  /// Rows of the embedding for one line of valid UTF-8, or for given units, as TextEncoder gives them. Threads may
  /// share it.
  void encode(std::string_view line, EncodedText& out, const MergeDropout& dropout = {}) const;
  void encode_units(std::span<const std::string> units, EncodedText& out, const MergeDropout& dropout = {}) const;
  /// The units of a line, and as TextEncoder::count.
  void tokenize(std::string_view line, Tokens& tokens) const { encoder_.tokenizer().tokenize(line, tokens); }
  UnitCount count(std::string_view line, Tokens& tokens) const { return encoder_.count(line, tokens); }

  /// Adds the vocabulary, and the frozen words with their vectors. `held` keeps the bytes that the views point to.
  void append(std::vector<TensorView>& tensors, NarrowTensors& narrow, std::deque<std::string>& held) const;
  /// Reads the words with frozen vectors. Throws Error if the file's tensors do not fit.
  void load(const ModelContents& contents, Embedding& embedding);

  /// Rounds the frozen vectors.
  void round(kernels::Precision precision);

  /// Short texts made from the vocabulary, so that the file discloses no text of the training data.
  std::vector<std::string> sample_texts() const;

 private:
  void load_own_values(const ModelContents& contents, const std::vector<std::int64_t>& shape);
  void use_extra_rows(EncodedText& out) const;
  std::int32_t extra_row(std::string_view word) const;

  TextConfig text_;
  Vocabulary vocabulary_;
  TextEncoder encoder_;
  StringTable extra_words_;        // words that train lacks, with frozen vectors
  std::span<float> extra_values_;  // [extra words, E], of one of these two
  std::vector<float> own_values_;
  std::shared_ptr<MappedFile> mapped_;
};

}  // namespace mnemo
