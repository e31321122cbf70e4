// Taggers that answer together.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pipeline/text_tagger.h"

namespace mnemo {

/// Taggers of columns of the same tags and schemes, whose scores of tags and of transitions are averaged: the sequence
/// that is found is the best of the product of their distributions (a product of experts, Hinton 2002), each to the
/// power of one over their number. One alone gives its own answers.
class AveragedTaggers {
 public:
  /// The models must outlive this.
  explicit AveragedTaggers(const TextTagger& first) : models_{&first} {}

  /// Another one; `name` is its file's, `first_name` that of the first, for messages. Throws Error unless it has as
  /// many columns, of the same tags in the same schemes; their names and the schemes of the data may differ.
  void add(const TextTagger& model, const std::string& name, const std::string& first_name);

  const std::vector<const TextTagger*>& models() const { return models_; }

  /// As TextTagger::predict: [sentences][columns]. `corpora` holds the same sentences, encoded by each model; breaks
  /// and gold tags are those of the first.
  std::vector<std::vector<PredictedTags>> predict(std::span<const TaggerCorpus> corpora, const TagRequest& request,
                                                  Workspace& workspace) const;

 private:
  std::vector<const TextTagger*> models_;
};

}  // namespace mnemo
