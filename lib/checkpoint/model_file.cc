#include "checkpoint/model_file.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/json.h"

namespace mnemo {
namespace {

const std::string& required(const SafetensorsFile& file, const char* key) {
  const auto match = file.metadata().find(key);
  if (match == file.metadata().end())
    fail("{}: no mnemo model: __metadata__ has no \"{}\" (a file that `mnemo train` wrote has)", file.name(), key);
  return match->second;
}

Json parse_metadata(const SafetensorsFile& file, const char* key, Json::value_t type) {
  Json value;
  try {
    value = parse_json(required(file, key));
  } catch (const nlohmann::json::exception&) {
    value = nullptr;
  } catch (const Error& error) {
    fail("{}: damaged model: \"{}\" of __metadata__: {}", file.name(), key, error.what());
  }
  if (value.type() != type)
    fail("{}: damaged model: \"{}\" of __metadata__ holds no JSON {}", file.name(), key,
         type == Json::value_t::array ? "array" : "object");
  return value;
}

}  // namespace

void write_model(const std::string& path, const ModelMetadata& m, std::vector<TensorView> tensors) {
  write_safetensors(path,
                    {{format::kFormat, format::kFormatName},
                     {format::kFormatVersion, format::kVersion},
                     {format::kProducer, "mnemo"},
                     {format::kTask, m.task},
                     {format::kConfig, m.config.dump()},
                     {format::kLabels, Json(m.labels).dump()},
                     {format::kMetrics, m.metrics.dump()},
                     {format::kCalibration, m.calibration.dump()},
                     {format::kProvenance, m.provenance.dump()},
                     {format::kSelfTest, m.self_test.dump()}},
                    std::move(tensors));
}

ModelContents read_model(const std::string& path, const std::string& task) {
  return parse_model(SafetensorsFile::read(path), task);
}

ModelContents parse_model(SafetensorsFile file, const std::string& task) {
  const std::string path = file.name();
  if (const auto& name = required(file, format::kFormat); name != format::kFormatName)
    fail("{}: no mnemo model: \"format\" is \"{}\"{}", path, name,
         name == format::kResumeFormatName ? " (the state of a run; the model lies beside it as model.safetensors)"
                                           : "");
  if (const auto& version = required(file, format::kFormatVersion); version != format::kVersion)
    fail("{}: model format {} is not known to this program, which reads {}: a newer mnemo is needed", path, version,
         format::kVersion);
  ModelMetadata m;
  m.task = required(file, format::kTask);
  if (!task.empty() && m.task != task)
    fail("{}: a model for the task \"{}\", this command needs one for \"{}\"", path, m.task, task);
  m.config = parse_metadata(file, format::kConfig, Json::value_t::object);
  m.metrics = parse_metadata(file, format::kMetrics, Json::value_t::object);
  m.calibration = parse_metadata(file, format::kCalibration, Json::value_t::object);
  m.provenance = parse_metadata(file, format::kProvenance, Json::value_t::object);
  m.self_test = parse_metadata(file, format::kSelfTest, Json::value_t::array);
  for (const Json& label : parse_metadata(file, format::kLabels, Json::value_t::array)) {
    if (!label.is_string()) fail("{}: damaged model: a label is no text", path);
    m.labels.push_back(label.get<std::string>());
  }
  return {std::move(m), std::move(file)};
}

void append_parameters(const Visit& visit, const std::string& prefix, std::vector<TensorView>& tensors) {
  visit([&](Parameter& p) { tensors.push_back(float_tensor(prefix + p.name, p.shape, p.value.data())); });
}

void load_parameters(const SafetensorsFile& file, const Visit& visit, const std::string& prefix) {
  std::vector<std::string> errors;
  visit([&](Parameter& p) {
    const std::string name = prefix + p.name;
    const TensorView* tensor = file.find(name);
    if (!tensor)
      errors.push_back(fmt::format("{} is missing", name));
    else if (tensor->dtype != DType::kF32 || tensor->shape != p.shape)
      errors.push_back(fmt::format("{} is {} {}, expected F32 {}", name, dtype_name(tensor->dtype),
                                   shape_text(tensor->shape), shape_text(p.shape)));
    else
      std::memcpy(p.value.data(), tensor->data, tensor->bytes);
  });
  if (!errors.empty()) fail("{}: tensors do not fit the configuration: {}", file.name(), fmt::join(errors, "; "));
}

template <class T>
void copy_tensor(const SafetensorsFile& file, const std::string& name, DType type, T* to, std::int64_t count) {
  const TensorView* tensor = file.find(name);
  if (!tensor || tensor->dtype != type || tensor->elements() != count)
    fail("{}: tensor {}: expected {} numbers of type {}, found {}", file.name(), name, count, dtype_name(type),
         tensor ? fmt::format("{} of type {}", tensor->elements(), dtype_name(tensor->dtype)) : "none");
  if (count > 0) std::memcpy(to, tensor->data, tensor->bytes);
}

template void copy_tensor(const SafetensorsFile&, const std::string&, DType, float*, std::int64_t);
template void copy_tensor(const SafetensorsFile&, const std::string&, DType, double*, std::int64_t);
template void copy_tensor(const SafetensorsFile&, const std::string&, DType, std::int64_t*, std::int64_t);

}  // namespace mnemo
