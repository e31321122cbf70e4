// A dictionary found in parallel text, as a baseline: IBM's model 1 (Brown et al. 1993, "The Mathematics of Statistical
// Machine Translation: Parameter Estimation").
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "tasks/translate/data.h"

namespace mnemo {

class Dictionary {
 public:
  /// Fits t(target word | source word) to the pairs by expectation maximisation, with an empty source word, in a few
  /// passes. Words are those of `words_of`; of the source's, those of the model's units.
  Dictionary(const TextTranslator& model, const PairSet& train);

  /// Each word's most probable translation, in the source's order; words that train lacks stay as they are.
  std::string translate(std::string_view line) const;

 private:
  const TextTranslator& model_;
  std::unordered_map<std::string, std::string> best_;  // of each source word
};

}  // namespace mnemo
