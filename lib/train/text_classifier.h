// A classifier with everything it needs to answer for a line of text, as it lies in a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/classifier.h"
#include "text/encoder.h"
#include "text/vectors.h"
#include "train/corpus.h"

namespace mnemo {

/// `load_config`, which lists what is wrong between the keys of the model section too.
Config load_model_config(const std::string& path, const std::vector<std::string>& sets);

class TextClassifier {
 public:
  static constexpr const char* kTask = "classify";  ///< its name in configurations and model files

  /// With first weights by the configuration's seed. `vectors` may be null: without pretrained ones. Throws UsageError
  /// if configuration and vectors contradict each other.
  TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                 const PretrainedVectors* vectors);

  /// Throws Error if the file is no sound classifier.
  static std::unique_ptr<TextClassifier> load(const std::string& path);
  static std::unique_ptr<TextClassifier> from_contents(ModelContents contents);

  /// Writes the model with its current weights.
  void save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool);

  /// Rounds the matrices to kBfloat16Weights or kInt8, in which they are stored from now on; the recurrent layers'
  /// products take them so. Throws Error if they are narrow already.
  void quantize(kernels::Numbers numbers);

  /// Rows of the embedding table for one line of valid UTF-8. Threads may share it.
  void encode(std::string_view line, EncodedText& out) const;

  /// Logits [texts, K] of the corpus, in its order. A text's logits do not depend on the others'.
  std::vector<float> logits(const Corpus& corpus, ThreadPool& pool, Arena& arena);

  /// Probabilities [texts, K] from the logits `values`, calibrated by `temperature` or raw.
  std::vector<float> probabilities(const std::vector<float>& values, bool calibrated) const;

  /// Compares the stored samples with what the model says now. Returns the largest difference of a probability; throws
  /// Error if the file has no samples.
  double verify(ThreadPool& pool);

  Classifier& network() { return *network_; }
  const Config& config() const { return config_; }
  const std::vector<std::string>& labels() const { return labels_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const ModelMetadata& metadata() const { return metadata_; }
  bool multi_label() const { return config_.data.multi_label; }
  std::int64_t extra_words() const { return static_cast<std::int64_t>(extra_words_.size()); }

  double temperature = 1.0;

 private:
  TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary, std::int64_t dimension);

  void use_vectors(const PretrainedVectors& vectors);
  std::int32_t extra_row(std::string_view word) const;
  std::vector<std::string> sample_texts() const;

  Config config_;
  std::vector<std::string> labels_;
  Vocabulary vocabulary_;
  std::unique_ptr<TextEncoder> encoder_;
  std::unique_ptr<Classifier> network_;
  StringTable extra_words_;          // words that train lacks, with fixed vectors
  std::vector<float> extra_values_;  // [extra words, E]
  ModelMetadata metadata_;
};

/// What the tokenizer, the n-grams and the network are by a configuration.
TokenizerOptions tokenizer_options(const TextConfig& text);
NgramOptions ngram_options(const TextConfig& text);

}  // namespace mnemo
