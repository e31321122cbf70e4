// The pretrained vectors that a configuration names.
#pragma once

#include <string>

#include "config/config.h"
#include "tasks/data.h"
#include "text/vectors.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Reads text.pretrained: the vectors of the vocabulary's words, or all. What of the vocabulary they cover goes to
/// `log`. Throws as PretrainedVectors::read does.
PretrainedVectors read_vectors(const Config& config, const std::string& config_path, const Vocabulary& vocabulary,
                               const Log& log);

}  // namespace mnemo
