// A configuration's keys as options of layers and tokenizers.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "nn/recurrent.h"
#include "text/encoder.h"
#include "text/tokenizer.h"

namespace mnemo {

/// `load_config`, which lists what is wrong between the keys of the model section too.
Config load_model_config(const std::string& path, const std::vector<std::string>& sets);

/// Without the size of the input, which is the model's.
RecurrentOptions recurrent_options(const Config& config);

TokenizerOptions tokenizer_options(const TextConfig& text);
NgramOptions ngram_options(const TextConfig& text);

}  // namespace mnemo
