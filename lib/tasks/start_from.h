// New models that start from the weights of an old one: any from a language model (Dai & Le 2015, "Semi-supervised
// Sequence Learning"), a classifier also from a classifier, a translator from a translator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "config/options.h"
#include "pipeline/text_model.h"
#include "tasks/task.h"
#include "text/vocabulary.h"

namespace mnemo {

/// The model of --init-from for a run of the task: one of those that its traits allow. Null for an empty path. Throws
/// UsageError for another model.
std::unique_ptr<TextModel> read_start(const std::string& path, const TaskTraits& task);
/// What messages call it.
const char* name_of_start(const TextModel& start);
/// What the provenance of a model says of the one that its run started from: "sha256" of the file at `path`, which it
/// was read from, and "train", the content that it was trained on. Throws Error if the file cannot be read.
Json provenance_of_start(const TextModel& start, const std::string& path);
/// The same model if it lends its units to a new vocabulary, else null.
const TextModel* lender_of(const TextModel* start);

/// The values of a configuration that a language model shares with a model which starts from it.
GivenDefaults lent_values(const Config& config);
/// What a configuration that starts from a model has where it sets nothing else: the model's cell, sizes and units; of
/// the same task its whole network; of a language model the defaults of options for runs that start from one.
GivenDefaults defaults_from(const TextModel& start, const Config& config);
/// Throws Error where a model of `config` cannot start from `start`, as far as their configurations tell; `path` names
/// the latter.
void check_start(const Config& config, const TextModel& start, const std::string& path);

/// The vocabulary of train, whose units `train` counted, and of the language model that the run starts from (null: of
/// none): its further units or, if its units are subwords, those alone, as merges of two corpora do not mix. Reports
/// the numbers of units to `log`, which calls it `name`.
Vocabulary vocabulary_from(const TextConfig& text, const VocabularyBuilder& train, const TextModel* from,
                           const Log& log, const char* name = "vocabulary");

struct CarriedOver {
  std::int64_t units = 0;   ///< of the new vocabulary whose vector is the old model's
  std::int64_t layers = 0;  ///< directions of recurrent layers that start from its weights
  std::int64_t labels = 0;  ///< of the new output whose weights are the old model's
  bool output = false;      ///< the output layer starts from its weights, at least in part
};

/// Copies the weights that the two models have in common. Rows of tables are matched by name: vectors by unit, n-grams
/// if both hash into the same number of buckets, outputs by label or unit; an adaptive softmax only if the units are
/// the same. A translator has the old one's units and all its weights. Other weights are copied as a whole. A language
/// model gives its recurrent layers, from the first on, as the forward direction (further inputs of a layer keep their
/// initial weights) and, to another language model, its initial state and output; a mogrifier, highway gates or a block
/// of self-attention of other sizes is left out, which `log` is told. From a model of the same task everything must
/// fit. Throws Error, with all that does not fit; `path` names the old model in messages. `log` gets a summary.
CarriedOver start_from(TextModel& model, const TextModel& old, const std::string& path, const Log& log);

}  // namespace mnemo
