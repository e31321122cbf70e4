// New models that begin with an old one's weights: any from a language model (Dai & Le 2015, "Semi-supervised Sequence
// Learning"), a classifier also from a classifier.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "pipeline/text_language_model.h"
#include "pipeline/text_model.h"
#include "text/vocabulary.h"

namespace mnemo {

/// The model of --init-from, for a run of the task: a language model, or one of the same task where `same_task` says
/// that such a start is known. Null for an empty path. Throws UsageError for another model.
std::unique_ptr<TextModel> read_start(const std::string& path, const char* task, bool same_task);
/// It as a language model, whose units a new vocabulary gets; null if it is none.
const TextLanguageModel* language_model_of(const TextModel* start);

/// Appends the units that only the language model knows, and tells `log` how many.
void add_units(const TextLanguageModel& from, Vocabulary& vocabulary, const Log& log);

struct CarriedOver {
  std::int64_t units = 0;   ///< of the new vocabulary whose vector is the old model's
  std::int64_t layers = 0;  ///< directions of recurrent layers that begin with its weights
  std::int64_t labels = 0;  ///< of the new output whose weights are the old model's
  bool output = false;      ///< the output layer begins with its weights, at least in part
};

/// Fills what the two models have in common. Rows of tables go by name: vectors by unit, n-grams if both hash into as
/// many, outputs by label or unit; an adaptive softmax only where the units are the same. Other weights go as a whole.
/// From a language model come its recurrent layers, from the first on, as the forward direction (a layer may have more
/// inputs than its: those keep their initial weights) and, for another language model, its initial state and output.
/// From a model of the same task everything must fit. Throws Error, with all that does not fit, where the two do not go
/// together; `path` names the old one in messages. `log` is told what was carried over.
CarriedOver start_from(TextModel& model, const TextModel& old, const std::string& path, const Log& log);

}  // namespace mnemo
