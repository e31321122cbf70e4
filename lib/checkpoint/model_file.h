// The model format on top of the safetensors container; lib/checkpoint/FORMAT.md is its document.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "kernels/product.h"
#include "nn/parameter.h"

namespace mnemo {

/// What a model file says of itself beside its tensors.
struct ModelMetadata {
  std::string task;
  Json config = Json::object();
  std::vector<std::string> labels;
  Json columns = Json::array();       ///< of taggers: {"name", "data_scheme", "scheme", "tags"} of each column
  Json metrics = Json::object();      ///< on dev
  Json calibration = Json::object();  ///< {"temperature": t}
  Json provenance = Json::object();
  kernels::Precision precision = kernels::Precision::kFloat32;  ///< of inference: kFloat32, kBfloat16Weights or kInt8
  Json self_test = Json::array();                               ///< of {"text", "probabilities"}
};

/// Writes a model; the file appears under its name only when it is complete.
void write_model(const std::string& path, const ModelMetadata& metadata, std::vector<TensorView> tensors,
                 Existing existing = Existing::kReplace);

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

/// Matrices in narrower numbers, for writing: BF16, or I8 with the scales of its rows. Holds the bytes that the views
/// show.
class NarrowTensors {
 public:
  explicit NarrowTensors(kernels::Precision precision) : numbers_(precision) {}
  /// values [rows, columns]; of kFloat32 a view of them.
  void append(const std::string& name, std::int64_t rows, std::int64_t columns, const float* values,
              std::vector<TensorView>& tensors);

 private:
  kernels::Precision numbers_;
  std::deque<std::vector<std::int8_t>> integers_;
  std::deque<std::vector<std::uint16_t>> halves_;
  std::deque<std::vector<float>> scales_;
};

/// Rounds values [rows, columns] to what NarrowTensors writes of them and load_parameters reads again.
void round_matrix(kernels::Precision precision, std::int64_t rows, std::int64_t columns, float* values);

/// Fills `to` [shape] from the tensor of this name: F32, or where `numbers` are narrower BF16, or I8 with its scales.
/// Returns what is wrong, or an empty text.
std::string load_matrix(const SafetensorsFile& file, const std::string& name, const std::vector<std::int64_t>& shape,
                        kernels::Precision precision, float* to);

/// Fills the parameters from the tensors of their names; those that `narrow` visits (null: none) lie in the file in
/// `numbers`. Throws Error with every tensor that is missing, of another type or another shape, or holds what is no
/// finite number.
void load_parameters(const SafetensorsFile& file, const Visit& visit,
                     kernels::Precision precision = kernels::Precision::kFloat32, const Visit& narrow = nullptr);

/// The numbers of one tensor of any fixed-width type, checked for type and count. Throws Error.
template <class T>
void copy_tensor(const SafetensorsFile& file, const std::string& name, DType type, T* to, std::int64_t count);

}  // namespace mnemo
