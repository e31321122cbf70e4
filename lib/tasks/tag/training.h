// Training a tagger.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "measure/tag_metrics.h"
#include "tasks/tag/data.h"

namespace mnemo {

std::unique_ptr<TextTagger> build_tagger(const Config& config, const ReadRequest& request, const TaggingData& data,
                                         const TextModel* start);

std::unique_ptr<ModelTraining> tagging_training(const Config& config, const TaggingData& data, TextTagger& model);

/// Sentences [first, end) with their gold tags as rows of the network's tables.
TaggerCorpus encode_sentences(const TextTagger& model, const TaggedSentences& sentences, std::int64_t first,
                              std::int64_t end);

/// The metrics of all columns in one map: the first column's by their names and, if there are several, each column's
/// with the name of the column and a dot before.
Metrics join_metrics(const std::vector<TagColumn>& columns, const std::vector<TagEvaluation>& evaluations);

}  // namespace mnemo
