// A classifier with everything it needs to classify a line of text, as stored in a model file.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/classifier.h"
#include "nn/attribution.h"
#include "pipeline/corpus.h"
#include "pipeline/text_model.h"
#include "pipeline/word_table.h"

namespace mnemo {

/// Which labels of a text are shown.
struct LabelChoice {
  std::optional<int> top;           ///< at most this many; if not set, 1 or, if a text may have several labels, all
  std::optional<double> threshold;  ///< the lowest probability; if not set, 0 or, if `top` means all, 0.5
};

class TextClassifier : public TextModel {
 public:
  static constexpr const char* kTask = "classify";  ///< its name in configurations and model files
  static constexpr std::size_t kMostOccluded = 1000;

  /// With weights initialised from the configuration's seed. `vectors` may be null: no pretrained ones. Throws
  /// UsageError if configuration and vectors contradict each other.
  TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                 const PretrainedVectors* vectors);

  /// Throws Error if the file is not a valid classifier.
  static std::unique_ptr<TextClassifier> load(const std::string& path);
  static std::unique_ptr<TextClassifier> map(const std::string& path);  ///< as TextModel::map
  /// Reads a model from a file except for its weights.
  static std::unique_ptr<TextModel> read(const ModelContents& contents);

  /// Rows of the embedding table for one line of valid UTF-8. `dropout` cuts subwords at random.
  void encode(std::string_view line, EncodedText& out, const MergeDropout& dropout = {}) const {
    words_.encode(line, out, dropout);
  }

  /// The units that `encode` finds, in the order of reading.
  void tokenize(std::string_view line, Tokens& tokens) const { words_.tokenize(line, tokens); }
  /// The bytes [begin, end) of each, in the order of the text.
  std::vector<std::pair<std::size_t, std::size_t>> unit_places(std::string_view line) const;
  /// How many these are, and how many are unknown. `tokens` is working memory.
  UnitCount count(std::string_view line, Tokens& tokens) const { return words_.count(line, tokens); }

  /// Logits [texts, K] of the corpus, in its order; 0 in batches that are not the workspace's part. A text's logits do
  /// not depend on the others'.
  std::vector<float> logits(const Corpus& corpus, Workspace& workspace) const;

  /// Probabilities [texts, K] from the logits `values`, calibrated by `temperature` or uncalibrated.
  std::vector<float> probabilities(const std::vector<float>& values, bool calibrated) const;

  /// The labels to show for a text with probabilities p [K], most probable first.
  std::vector<std::int32_t> chosen_labels(const float* p, const LabelChoice& choice) const;
  /// {"labels": [{"label", "probability"}, ...]} for these.
  Json labels_json(const float* p, const std::vector<std::int32_t>& chosen) const;

  /// The most probable label of each record's "text", or with multi_label those of at least one half.
  std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const override;
  std::span<const Skill> skills() const override;
  Observed observe(const std::string& text, Workspace& workspace) const override;
  std::unique_ptr<Attributed> attributed(const std::string& text, const AttributionTarget& target,
                                         Workspace& workspace) override;
  /// How much each unit weighs in the logit of a label, by default the most probable one, by occlusion
  /// (pipeline/attribution.h), in the order of the text; no units for a text without any. In a text of over
  /// kMostOccluded units only the weightiest are searched for, the others' weight is 0.
  Attribution explained(const std::string& text, const std::optional<std::string>& label, Workspace& workspace) const;

  /// The few units that weigh most for the most probable label, the weightiest first, and their weights in its logit.
  using Reasons = std::vector<std::pair<std::string, double>>;
  Reasons reasons(const std::string& text, Workspace& workspace) const;
  /// [[unit, weight], ...].
  static Json reasons_json(const Reasons& reasons);
  /// [{"text", "start", "end", "weight"}, ...] of all units, start and end in code points of the text.
  Json weights_json(const std::string& text, Workspace& workspace) const;

  Classifier& network() override { return *network_; }
  const Classifier& network() const { return *network_; }
  const std::vector<std::string>& labels() const { return labels_; }
  const Vocabulary& vocabulary() const override { return words_.vocabulary(); }
  std::vector<std::string> output_rows() const override { return labels_; }
  const char* task() const override { return kTask; }
  bool multi_label() const { return config_.data.multi_label; }
  std::int64_t extra_words() const { return words_.extra_words(); }

  double temperature = 1.0;

 private:
  TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary, std::int64_t dimension);

  void describe(ModelMetadata& metadata) const override;
  void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                     std::deque<std::string>& held) const override {
    words_.append(tensors, narrow, held);
  }
  void load_tables(const ModelContents& contents) override { words_.load(contents, network_->embedding()); }
  void round_tables(kernels::Precision precision) override { words_.round(precision); }
  std::vector<std::string> sample_texts() const override { return words_.sample_texts(); }
  std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                          std::vector<std::size_t>& lengths) const override;

  std::vector<std::string> labels_;
  WordTable words_;
  std::unique_ptr<Classifier> network_;
};

}  // namespace mnemo
