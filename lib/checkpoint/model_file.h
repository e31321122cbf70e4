// The model format on top of the safetensors container; lib/checkpoint/FORMAT.md describes it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "kernels/product.h"
#include "nn/parameter.h"

namespace mnemo {

/// This program as model files name the one that made them: "mnemo VERSION".
std::string producer();

/// The contents of a model file other than its tensors.
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

/// A model file that was read, with its metadata parsed.
struct ModelContents {
  ModelMetadata metadata;
  SafetensorsFile file;
};

/// Throws Error if the file is not a valid model file of a version that this program reads. `task` empty: any.
ModelContents parse_model(SafetensorsFile file, const std::string& task);
ModelContents read_model(const std::string& path, const std::string& task);
/// The same from memory that all processes which map the file share.
ModelContents map_model(const std::string& path, const std::string& task);

/// Views of all parameters, for writing. `prefix` is put before each name.
using Visit = std::function<void(const ParameterVisitor&)>;
void append_parameters(const Visit& visit, const std::string& prefix, std::vector<TensorView>& tensors);

/// Matrices in lower precision, for writing: BF16, or I8 with the scales of its rows. Owns the bytes that the views
/// point to.
class NarrowTensors {
 public:
  explicit NarrowTensors(kernels::Precision precision) : precision_(precision) {}
  /// values [rows, columns]; with kFloat32 a view of them.
  void append(const std::string& name, std::int64_t rows, std::int64_t columns, const float* values,
              std::vector<TensorView>& tensors);

 private:
  kernels::Precision precision_;
  std::deque<std::vector<std::int8_t>> integers_;
  std::deque<std::vector<std::uint16_t>> halves_;
  std::deque<std::vector<float>> scales_;
};

/// Rounds values [rows, columns] to those that load_parameters reads back after NarrowTensors has written them.
void round_matrix(kernels::Precision precision, std::int64_t rows, std::int64_t columns, float* values);

/// Fills `to` [shape] from the tensor of this name: F32 or, if `precision` is lower, BF16 or I8 with its scales.
/// Returns an error message, or an empty string.
std::string load_matrix(const SafetensorsFile& file, const std::string& name, const std::vector<std::int64_t>& shape,
                        kernels::Precision precision, float* to);

/// The floats of the tensor of this name, which the mapped file keeps; empty, so that they are to be copied by
/// `load_matrix`, if the file is not mapped, or the tensor is not F32 of this shape with finite values.
std::span<float> mapped_matrix(const SafetensorsFile& file, const std::string& name,
                               const std::vector<std::int64_t>& shape);

/// Fills the parameters, or makes them stand for the bytes of a mapped file, from the tensors of their names; those
/// that `narrow` visits (null: none) are stored in `precision`. Throws Error with every tensor that is missing, has
/// another type or shape, or holds a value that is not finite.
void load_parameters(const SafetensorsFile& file, const Visit& visit,
                     kernels::Precision precision = kernels::Precision::kFloat32, const Visit& narrow = nullptr);

/// Copies the elements of one tensor of any fixed-width type, checked for type and count. Throws Error.
template <class T>
void copy_tensor(const SafetensorsFile& file, const std::string& name, DType type, T* to, std::int64_t count);

}  // namespace mnemo
