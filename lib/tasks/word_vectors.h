// The pretrained vectors that a configuration names.
#pragma once

#include <memory>

#include "config/config.h"
#include "tasks/files.h"
#include "text/vectors.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Reads text.pretrained: the vectors of the vocabulary's words, or all; null if the configuration names no file. Their
/// coverage of the vocabulary is reported to the request's log. Throws as PretrainedVectors::read does.
std::unique_ptr<PretrainedVectors> read_vectors(const Config& config, const ReadRequest& request,
                                                const Vocabulary& vocabulary);

}  // namespace mnemo
