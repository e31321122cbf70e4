// The model format on top of the safetensors container; lib/checkpoint/FORMAT.md is its document.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "nn/parameter.h"

namespace mnemo {

using Json = nlohmann::ordered_json;

/// What a model file says of itself beside its tensors.
struct ModelMetadata {
  std::string task;
  Json config = Json::object();
  std::vector<std::string> labels;
  Json metrics = Json::object();      ///< on dev
  Json calibration = Json::object();  ///< {"temperature": t}
  Json provenance = Json::object();
  Json self_test = Json::array();  ///< of {"text", "probabilities"}
};

/// Writes a model; the file appears under its name only when it is complete.
void write_model(const std::string& path, const ModelMetadata& metadata, std::vector<TensorView> tensors);

/// A model file that was read, its metadata parsed.
struct ModelContents {
  ModelMetadata metadata;
  SafetensorsFile file;
};

/// Throws Error if the file is no sound model file of a version that this program reads. `task` empty: any.
ModelContents parse_model(SafetensorsFile file, const std::string& task);
ModelContents read_model(const std::string& path, const std::string& task);

/// Views of all parameters, for writing. `prefix` stands before each name.
using Visit = std::function<void(const ParameterVisitor&)>;
void append_parameters(const Visit& visit, const std::string& prefix, std::vector<TensorView>& tensors);

/// Fills the parameters from the tensors of their names. Throws Error with every tensor that is missing, of another
/// type or another shape.
void load_parameters(const SafetensorsFile& file, const Visit& visit, const std::string& prefix = "");

/// The numbers of one tensor of any fixed-width type, checked for type and count. Throws Error.
template <class T>
void copy_tensor(const SafetensorsFile& file, const std::string& name, DType type, T* to, std::int64_t count);

}  // namespace mnemo
