// Classifiers, taggers and language models that begin with what a language model knows (Dai & Le 2015, "Semi-supervised
// Sequence Learning").
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "pipeline/text_language_model.h"
#include "tasks/data.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Appends the units that only the language model knows, and tells `log` how many.
void add_units(const TextLanguageModel& from, Vocabulary& vocabulary, const Log& log);

struct CarriedOver {
  std::int64_t units = 0;   ///< of the new vocabulary whose vector is the language model's
  bool output = false;      ///< a language model's output layer too
  std::int64_t layers = 0;  ///< recurrent layers of which the forward direction begins with its weights
};

/// Fills what a network and the language model have in common: vectors of units (`table` names the network's), the
/// forward direction of the recurrent layers from the first on, and where both are language models their first state
/// and the output's weights: of a softmax over all units by unit, of an adaptive one only where the units are the same.
/// A layer of the network may have more inputs than the language model's; those keep their first weights. Throws Error
/// if the sizes, the cell or the units differ; `path` names the language model in messages.
CarriedOver start_from(TextLanguageModel& from, const std::string& path, const Config& config,
                       const Vocabulary& vocabulary, const std::string& table, const Visit& visit);

}  // namespace mnemo
