// A small model to serve.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/format.h"
#include "pipeline/text_model.h"
#include "tests/places.h"

/// The model file of the current format that the tests keep: a classifier of four topics.
inline std::string topics_file() {
  return source_folder() + "/tests/golden/models/version-" + mnemo::format::kVersion + ".safetensors";
}

inline std::shared_ptr<const mnemo::TextModel> topics() {
  static const std::shared_ptr<const mnemo::TextModel> model = mnemo::TextModel::load(topics_file());
  return model;
}
