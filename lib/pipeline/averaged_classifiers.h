// Classifiers that answer together.
#pragma once

#include <string>
#include <vector>

#include "pipeline/text_classifier.h"

namespace mnemo {

/// Classifiers of the same labels, whose probabilities are averaged: models of several seeds, or of text in both
/// directions (Howard & Ruder 2018, section 4.1). Each calibrates its own probabilities first. One alone gives its own
/// probabilities.
class AveragedClassifiers {
 public:
  /// The models must outlive this.
  explicit AveragedClassifiers(const TextClassifier& first) : models_{&first} {}

  /// Another one; `name` is its file's, `first_name` that of the first, for messages. Throws Error unless it has the
  /// same labels, which models keep sorted, and like the first one or several of them a text.
  void add(const TextClassifier& model, const std::string& name, const std::string& first_name);

  const std::vector<const TextClassifier*>& models() const { return models_; }
  /// The mean of the probabilities of texts [texts, K] from each model's logits for them.
  std::vector<float> probabilities(const std::vector<std::vector<float>>& logits, bool calibrated) const;

 private:
  std::vector<const TextClassifier*> models_;
};

}  // namespace mnemo
