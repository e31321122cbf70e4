// A configuration's keys translated into options of layers and tokenizers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/options.h"
#include "nn/convolution.h"
#include "nn/recurrent.h"
#include "text/encoder.h"
#include "text/tokenizer.h"

namespace mnemo {

/// Adds the conflicts between options of the network to the errors.
void check_network(const Config& config, std::vector<std::string>& errors);

/// `parse_run_config` that also reports conflicts between the keys of the model section.
Config parse_model_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                          const GivenDefaults& given = {}, Conflicts conflicts = Conflicts::kNow);
/// The same of a file.
Config load_model_config(const std::string& path, const std::vector<std::string>& sets);

/// Without the input size, which the model sets.
RecurrentOptions recurrent_options(const Config& config);
ConvolutionOptions convolution_options(const Config& config);

TokenizerOptions tokenizer_options(const TextConfig& text);
/// The tokenizer of a model with this vocabulary.
Tokenizer tokenizer_of(const TextConfig& text, const Vocabulary& vocabulary);
/// The vocabulary of what a tokenizer without subwords gave for train.
Vocabulary build_vocabulary(const TextConfig& text, const VocabularyBuilder& builder);
NgramOptions ngram_options(const TextConfig& text);

}  // namespace mnemo
