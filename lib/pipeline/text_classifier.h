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
#include "pipeline/corpus.h"
#include "pipeline/word_table.h"

namespace mnemo {

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
  void quantize(kernels::Precision precision);

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
  const Vocabulary& vocabulary() const { return words_.vocabulary(); }
  const ModelMetadata& metadata() const { return metadata_; }
  bool multi_label() const { return config_.data.multi_label; }
  std::int64_t extra_words() const { return words_.extra_words(); }

  double temperature = 1.0;

 private:
  TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary, std::int64_t dimension);

  Config config_;
  std::vector<std::string> labels_;
  WordTable words_;
  std::unique_ptr<Classifier> network_;
  ModelMetadata metadata_;
};

}  // namespace mnemo
