// A configuration's keys translated into options of layers and tokenizers.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "nn/recurrent.h"
#include "text/encoder.h"
#include "text/tokenizer.h"

namespace mnemo {

/// `load_config` that also reports conflicts between the keys of the model section.
Config load_model_config(const std::string& path, const std::vector<std::string>& sets);

/// Without the input size, which the model sets.
RecurrentOptions recurrent_options(const Config& config);

TokenizerOptions tokenizer_options(const TextConfig& text);
NgramOptions ngram_options(const TextConfig& text);

}  // namespace mnemo
