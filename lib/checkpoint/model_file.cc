// Models are written with their metadata as JSON strings and read with every value checked against its type. Matrices
// in lower precision are rounded row by row: bfloat16 keeps the upper half of a float's bits, int8 stores integers and
// one float32 scale per row, chosen so that reading, rounding and writing again gives the same bytes.
#include "checkpoint/model_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "checkpoint/format.h"
#include "config/tasks.h"
#include "kernels/elementwise.h"

namespace mnemo {

using kernels::Precision;

namespace {

Precision parse_precision(const SafetensorsFile& file) {
  const auto match = file.metadata().find(format::kPrecision);
  if (match == file.metadata().end()) return Precision::kFloat32;
  if (const auto precision = kernels::inference_precision(match->second)) return *precision;
  fail("{}: the model has the precision {}; this program knows float32, bfloat16 and int8: a newer mnemo is needed",
       file.name(), shown(match->second));
}

// The largest scale of a row of int8 for which 127 times the scale is still finite.
constexpr float kLargestScale = std::numeric_limits<float>::max() / 127.0f;

float row_scale(std::int64_t columns, const float* row) {
  return kernels::int8_scale(kernels::largest_magnitude(row, columns));
}

const std::string& required(const SafetensorsFile& file, const char* key) {
  const auto match = file.metadata().find(key);
  if (match == file.metadata().end())
    fail("{}: not a mnemo model: __metadata__ has no \"{}\", which `mnemo train` writes", file.name(), key);
  return match->second;
}

Json parse_metadata(const SafetensorsFile& file, const char* key, Json::value_t type) {
  Json value;
  try {
    value = parse_json(required(file, key));
  } catch (const JsonError& error) {
    if (!error.offset()) fail("{}: damaged model: \"{}\" of __metadata__: {}", file.name(), key, error.what());
  }
  if (value.type() != type)
    fail("{}: damaged model: \"{}\" of __metadata__ is not a JSON {}", file.name(), key,
         type == Json::value_t::array ? "array" : "object");
  return value;
}

// Fills `to` with a matrix of integers times the scales of its rows. Returns an error message, or an empty string.
std::string load_integers(const SafetensorsFile& file, const TensorView& tensor, float* to) {
  const std::int64_t rows = tensor.shape[0], columns = tensor.shape[1];
  const std::string name = tensor.name + format::kScaleSuffix;
  const TensorView* scales = file.find(name);
  if (!scales || scales->dtype != DType::kF32 || scales->shape != std::vector<std::int64_t>{rows})
    return fmt::format("{} is missing, or not F32 [{}]", name, rows);
  const auto* integers = static_cast<const std::int8_t*>(tensor.data);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float scale = scales->floats()[r];
    if (!(scale >= 0.0f && scale <= kLargestScale))
      return fmt::format("{} is {} in row {}, expected a number from 0 to {}", name, scale, r, kLargestScale);
    if (!kernels::widen_int8(integers + r * columns, columns, scale, to + r * columns))
      return fmt::format("{} holds -128, expected -127 to 127", tensor.name);
  }
  return "";
}

}  // namespace

std::string producer() { return "mnemo " MNEMO_VERSION; }

void write_model(const std::string& path, const ModelMetadata& m, std::vector<TensorView> tensors, Existing existing) {
  std::map<std::string, std::string> metadata{{format::kFormat, format::kFormatName},
                                              {format::kFormatVersion, format::kVersion},
                                              {format::kProducer, producer()},
                                              {format::kTask, m.task},
                                              {format::kConfig, m.config.dump()},
                                              {format::kLabels, Json(m.labels).dump()},
                                              {format::kMetrics, m.metrics.dump()},
                                              {format::kCalibration, m.calibration.dump()},
                                              {format::kProvenance, m.provenance.dump()},
                                              {format::kSelfTest, m.self_test.dump()}};
  if (!m.columns.empty()) metadata[format::kColumns] = m.columns.dump();
  if (m.precision != Precision::kFloat32) metadata[format::kPrecision] = kernels::precision_name(m.precision);
  write_safetensors(path, metadata, std::move(tensors), existing);
}

ModelContents read_model(const std::string& path, const std::string& task) {
  return parse_model(SafetensorsFile::read(path), task);
}

ModelContents map_model(const std::string& path, const std::string& task) {
  return parse_model(SafetensorsFile::map(path), task);
}

ModelContents parse_model(SafetensorsFile file, const std::string& task) {
  const std::string path = file.name();
  if (const auto& name = required(file, format::kFormat); name != format::kFormatName)
    fail("{}: not a mnemo model: \"format\" is \"{}\"{}", path, shown(name),
         name == format::kResumeFormatName ? " (the state of a run; the model is model.safetensors in the same folder)"
                                           : "");
  if (const auto& version = required(file, format::kFormatVersion); version != format::kVersion)
    fail("{}: model format {} is not known to this program, which reads {}: a newer mnemo is needed", path,
         shown(version), format::kVersion);
  ModelMetadata m;
  m.task = required(file, format::kTask);
  if (!TaskSet::all().has(m.task))
    fail("{}: a model of the task \"{}\", made by {}; this program knows {}: a newer mnemo is needed", path,
         shown(m.task), shown(required(file, format::kProducer)), TaskSet::all().names());
  m.precision = parse_precision(file);
  if (!task.empty() && m.task != task)
    fail("{}: a model for the task \"{}\"; this command needs one for \"{}\"", path, shown(m.task), task);
  m.config = parse_metadata(file, format::kConfig, Json::value_t::object);
  if (file.metadata().count(format::kColumns) > 0)
    m.columns = parse_metadata(file, format::kColumns, Json::value_t::array);
  m.metrics = parse_metadata(file, format::kMetrics, Json::value_t::object);
  m.calibration = parse_metadata(file, format::kCalibration, Json::value_t::object);
  m.provenance = parse_metadata(file, format::kProvenance, Json::value_t::object);
  m.self_test = parse_metadata(file, format::kSelfTest, Json::value_t::array);
  for (const Json& label : parse_metadata(file, format::kLabels, Json::value_t::array)) {
    if (!label.is_string()) fail("{}: damaged model: a label is not a string", path);
    m.labels.push_back(label.get<std::string>());
  }
  return {std::move(m), std::move(file)};
}

void append_parameters(const Visit& visit, const std::string& prefix, std::vector<TensorView>& tensors) {
  visit([&](Parameter& p) { tensors.push_back(float_tensor(prefix + p.name, p.shape, p.value.data())); });
}

void NarrowTensors::append(const std::string& name, std::int64_t rows, std::int64_t columns, const float* values,
                           std::vector<TensorView>& tensors) {
  const std::int64_t count = rows * columns;
  TensorView view{name, DType::kI8, {rows, columns}, nullptr, static_cast<std::size_t>(count)};
  if (precision_ == Precision::kFloat32) {
    view = float_tensor(name, {rows, columns}, values);
  } else if (precision_ == Precision::kInt8) {
    auto& integers = integers_.emplace_back(count);
    auto& scales = scales_.emplace_back(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      scales[r] = row_scale(columns, values + r * columns);
      for (std::int64_t j = r * columns; j < (r + 1) * columns; ++j)
        integers[j] = kernels::int8_value(values[j], scales[r]);
    }
    view.data = integers.data();
    tensors.push_back(float_tensor(name + format::kScaleSuffix, {rows}, scales.data()));
  } else {
    auto& halves = halves_.emplace_back(count);
    for (std::int64_t j = 0; j < count; ++j)
      halves[j] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(kernels::round_to_bfloat16(values[j])) >> 16);
    view.dtype = DType::kBf16;
    view.data = halves.data();
    view.bytes = count * sizeof(std::uint16_t);
  }
  tensors.push_back(std::move(view));
}

void round_matrix(Precision precision, std::int64_t rows, std::int64_t columns, float* values) {
  for (std::int64_t r = 0; r < rows && precision != Precision::kFloat32; ++r) {
    float* row = values + r * columns;
    const float scale = precision == Precision::kInt8 ? row_scale(columns, row) : 0.0f;
    for (std::int64_t j = 0; j < columns; ++j)
      row[j] = precision == Precision::kInt8 ? static_cast<float>(kernels::int8_value(row[j], scale)) * scale
                                             : kernels::round_to_bfloat16(row[j]);
  }
}

std::string load_matrix(const SafetensorsFile& file, const std::string& name, const std::vector<std::int64_t>& shape,
                        Precision precision, float* to) {
  const TensorView* tensor = file.find(name);
  if (!tensor) return name + " is missing";
  const DType type = precision == Precision::kFloat32 ? DType::kF32
                     : precision == Precision::kInt8  ? DType::kI8
                                                      : DType::kBf16;
  if (tensor->shape != shape || tensor->dtype != type)
    return fmt::format("{} is {} {}, expected {} {}", name, dtype_name(tensor->dtype), shape_text(tensor->shape),
                       dtype_name(type), shape_text(shape));
  if (type == DType::kI8) return load_integers(file, *tensor, to);
  const std::int64_t count = tensor->elements();
  if (type == DType::kF32) {
    if (count > 0) std::memcpy(to, tensor->data, tensor->bytes);
  } else {
    const auto* halves = static_cast<const std::uint16_t*>(tensor->data);
    for (std::int64_t j = 0; j < count; ++j) to[j] = std::bit_cast<float>(std::uint32_t{halves[j]} << 16);
  }
  if (kernels::has_non_finite(to, count)) return name + " holds a value that is not finite";
  return "";
}

std::span<float> mapped_matrix(const SafetensorsFile& file, const std::string& name,
                               const std::vector<std::int64_t>& shape) {
  const TensorView* tensor = file.find(name);
  if (!tensor || tensor->dtype != DType::kF32 || tensor->shape != shape || tensor->elements() == 0) return {};
  const auto mapped = file.mapped(*tensor);
  if (!mapped) return {};
  // The mapping is one that may be written to.
  auto* floats = reinterpret_cast<float*>(mapped->data() + (static_cast<const char*>(tensor->data) - mapped->data()));
  if (kernels::has_non_finite(floats, tensor->elements())) return {};
  return {floats, static_cast<std::size_t>(tensor->elements())};
}

void load_parameters(const SafetensorsFile& file, const Visit& visit, Precision precision, const Visit& narrow) {
  std::set<const Parameter*> matrices;
  if (narrow && precision != Precision::kFloat32) narrow([&](Parameter& p) { matrices.insert(&p); });
  std::vector<std::string> errors;
  visit([&](Parameter& p) {
    const Precision its = matrices.count(&p) > 0 ? precision : Precision::kFloat32;
    if (its == Precision::kFloat32)
      if (const auto floats = mapped_matrix(file, p.name, p.shape); !floats.empty())
        return p.value.borrow(floats.data(), floats.size(), file.mapped(*file.find(p.name)));
    back_pages(p.value.data(), p.value.size() * sizeof(float));
    if (std::string error = load_matrix(file, p.name, p.shape, its, p.value.data()); !error.empty())
      errors.push_back(std::move(error));
  });
  if (!errors.empty()) fail("{}: tensors do not fit the configuration: {}", file.name(), abridged(errors));
}

template <class T>
void copy_tensor(const SafetensorsFile& file, const std::string& name, DType type, T* to, std::int64_t count) {
  const TensorView* tensor = file.find(name);
  if (!tensor || tensor->dtype != type || tensor->elements() != count)
    fail("{}: tensor {}: expected {} elements of type {}, found {}", file.name(), name, count, dtype_name(type),
         tensor ? fmt::format("{} of type {}", tensor->elements(), dtype_name(tensor->dtype)) : "none");
  if (count > 0) std::memcpy(to, tensor->data, tensor->bytes);
}

template void copy_tensor(const SafetensorsFile&, const std::string&, DType, float*, std::int64_t);
template void copy_tensor(const SafetensorsFile&, const std::string&, DType, double*, std::int64_t);
template void copy_tensor(const SafetensorsFile&, const std::string&, DType, std::int64_t*, std::int64_t);

}  // namespace mnemo
