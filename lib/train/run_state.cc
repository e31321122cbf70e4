#include "train/run_state.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/format.h"
#include "config/options.h"

namespace mnemo {
namespace {

Visit visit_of(TrainingTask& task) {
  return [&task](const ParameterVisitor& v) { task.visit(v); };
}

// Doubles as exact decimal text is what nlohmann::json writes; only numbers that are not finite need care.
Json to_json(const RunState& s) {
  Json best = Json::object();
  for (const auto& [name, value] : s.best) best[name] = value;
  return {{"step", s.step},
          {"best_step", s.best_step},
          {"waited", s.waited},
          {"evaluated_step", s.evaluated_step},
          {"best", best},
          {"seconds", s.seconds},
          {"finished", s.finished},
          {"end", s.end},
          {"averaged", s.averaged},
          {"average_begun", s.average_begun},
          {"dev_values", s.dev_values},
          {"since_log", {s.since_log.loss, s.since_log.norm, s.since_log.clipped, s.since_log.steps}},
          {"schedule_scale", s.schedule.scale},
          {"schedule_waited", s.schedule.waited},
          {"init_from", s.init_from}};
}

RunState from_json(const Json& json) {
  RunState s;
  json.at("step").get_to(s.step);
  json.at("best_step").get_to(s.best_step);
  json.at("waited").get_to(s.waited);
  json.at("evaluated_step").get_to(s.evaluated_step);
  json.at("seconds").get_to(s.seconds);
  json.at("finished").get_to(s.finished);
  json.at("end").get_to(s.end);
  json.at("averaged").get_to(s.averaged);
  json.at("average_begun").get_to(s.average_begun);
  json.at("dev_values").get_to(s.dev_values);
  const Json& since = json.at("since_log");
  s.since_log = {since.at(0).get<double>(), since.at(1).get<double>(), since.at(2).get<std::int64_t>(),
                 since.at(3).get<std::int64_t>()};
  json.at("schedule_scale").get_to(s.schedule.scale);
  json.at("schedule_waited").get_to(s.schedule.waited);
  s.init_from = json.value("init_from", std::string());
  for (const auto& [name, value] : json.at("best").items())
    s.best[name] = value.is_number() ? value.get<double>() : NAN;
  if (s.step < 0 || s.best_step > s.step || (s.best_step >= 0 && s.best.empty()) || s.averaged < 0)
    throw Error("its counters contradict each other");
  return s;
}

void flatten(const Json& json, const std::string& prefix, std::map<std::string, std::string>& out) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      flatten(value, prefix + key + ".", out);
    } else {
      out[prefix + key] = value.dump();
    }
  }
}

constexpr std::array kMayChange{"training.epochs", "training.max_minutes", "training.save_every",
                                "training.early_stopping.patience"};

// Returns the keys that may differ and do.
std::vector<ChangedKey> check_same_config(const std::string& path, const std::string& saved_text,
                                          const Config& config) {
  Json saved;
  try {
    saved = parse_json(saved_text);
  } catch (const std::exception&) {
  }
  if (!saved.is_object()) fail("{}: damaged: the configuration in it is no JSON object", path);
  std::map<std::string, std::string> before, now;
  flatten(saved, "", before);
  flatten(config_to_json(config, Which::kWithoutLocal), "", now);
  std::vector<std::string> changes;
  std::vector<ChangedKey> out;
  // A model tells the dimension of its vectors, whatever the key said.
  const bool from_vectors = !config.text.pretrained.empty();
  for (const auto& [key, value] : now) {
    if (before[key] == value || (from_vectors && key == "model.embedding")) continue;
    if (std::ranges::find(kMayChange, key) != kMayChange.end())
      out.push_back({key, before[key], value});
    else
      changes.push_back(fmt::format("{} was {} and is {}", key, before[key], value));
  }
  if (!changes.empty())
    throw UsageError(
        fmt::format("{}: the run began with another configuration: {}; --overwrite starts anew, "
                    "--init-from begins a new run with these weights",
                    path, fmt::join(changes, "; ")));
  return out;
}

}  // namespace

void check_same_model(const std::string& path, const Config& config, const TrainingTask& task) {
  const ModelContents model = read_model(path, config.task);
  check_same_config(path, model.metadata.config.dump(), config);
  if (task.data_identity(model.metadata) != task.data_identity())
    throw UsageError(
        fmt::format("{}: was made from other training data, dev data or labels; --overwrite replaces it, --init-from "
                    "begins a new run with its weights",
                    path));
}

void WeightCopy::take(TrainingTask& task) {
  std::size_t i = 0;
  task.visit([&](Parameter& p) {
    if (i == values_.size()) values_.emplace_back();
    values_[i++].assign(p.value.data(), p.value.data() + p.size());
  });
}

void WeightCopy::average_in(TrainingTask& task, std::int64_t count) {
  if (count == 0) return take(task);
  const float share = 1.0f / static_cast<float>(count + 1);
  std::size_t i = 0;
  task.visit([&](Parameter& p) {
    std::vector<float>& mean = values_[i++];
    for (Index j = 0; j < p.size(); ++j) mean[j] += share * (p.value[j] - mean[j]);
  });
}

void WeightCopy::put(TrainingTask& task) const {
  std::size_t i = 0;
  task.visit([&](Parameter& p) {
    std::copy(values_[i].begin(), values_[i].end(), p.value.data());
    ++i;
  });
  task.weights_changed();
}

void WeightCopy::append(TrainingTask& task, const std::string& prefix, std::vector<TensorView>& tensors) const {
  std::size_t i = 0;
  task.visit([&](Parameter& p) { tensors.push_back(float_tensor(prefix + p.name, p.shape, values_[i++].data())); });
}

void WeightCopy::load(TrainingTask& task, const SafetensorsFile& file, const std::string& prefix) {
  values_.clear();
  task.visit([&](Parameter& p) {
    values_.emplace_back(p.size());
    copy_tensor(file, prefix + p.name, DType::kF32, values_.back().data(), p.size());
  });
}

std::string saved_init_from(const std::string& path) {
  if (!file_exists(path)) return "";
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto state = file.metadata().find(format::kState);
  if (state == file.metadata().end()) return "";
  try {
    return from_json(parse_json(state->second)).init_from;
  } catch (const std::exception&) {
    return "";  // what is wrong `load_run` says
  }
}

void save_run(const std::string& path, const RunState& state, const Config& config, TrainingTask& task,
              const KeptWeights& kept, Optimizer& optimizer) {
  std::vector<TensorView> tensors;
  append_parameters(visit_of(task), "", tensors);
  if (!kept.best.empty()) kept.best.append(task, format::kBest, tensors);
  if (!kept.average.empty()) kept.average.append(task, format::kAverage, tensors);
  optimizer.visit_floats(
      [&](const std::string& name, float* data, Index count) { tensors.push_back(float_tensor(name, {count}, data)); });
  optimizer.visit_counters([&](const std::string& name, std::vector<std::int64_t>& data) {
    tensors.push_back({name, DType::kI64, {std::ssize(data)}, data.data(), data.size() * sizeof(data[0])});
  });
  optimizer.visit_doubles([&](const std::string& name, std::vector<double>& data) {
    tensors.push_back({name, DType::kF64, {std::ssize(data)}, data.data(), data.size() * sizeof(data[0])});
  });
  task.visit_carried([&](const std::string& name, std::vector<float>& values) {
    tensors.push_back(float_tensor(name, {std::ssize(values)}, values.data()));
  });
  write_safetensors(path,
                    {{format::kFormat, format::kResumeFormatName},
                     {format::kFormatVersion, format::kVersion},
                     {format::kConfig, config_to_json(config, Which::kWithoutLocal).dump()},
                     {format::kData, task.data_identity()},
                     {format::kState, to_json(state).dump()}},
                    std::move(tensors));
}

RunState load_run(const std::string& path, const Config& config, TrainingTask& task, KeptWeights& kept,
                  Optimizer& optimizer, std::vector<ChangedKey>& changed) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto text = [&](const char* key) {
    const auto match = file.metadata().find(key);
    if (match == file.metadata().end()) fail("{}: no saved run: __metadata__ has no \"{}\"", path, key);
    return match->second;
  };
  if (text(format::kFormat) != format::kResumeFormatName) fail("{}: no saved run", path);
  if (text(format::kFormatVersion) != format::kVersion)
    fail("{}: format {} of a saved run is not known to this program", path, text(format::kFormatVersion));
  changed = check_same_config(path, text(format::kConfig), config);
  if (text(format::kData) != task.data_identity())
    throw UsageError(
        fmt::format("{}: the run began with other training data, dev data or labels; --overwrite starts "
                    "anew, --init-from begins a new run with these weights",
                    path));
  RunState state;
  try {
    state = from_json(parse_json(text(format::kState)));
  } catch (const nlohmann::json::exception& error) {
    fail("{}: damaged: state: {}", path, error.what());
  } catch (const Error& error) {
    fail("{}: damaged: state: {}", path, error.what());
  }
  load_parameters(file, visit_of(task));
  if (state.best_step >= 0) kept.best.load(task, file, format::kBest);
  if (state.averaged > 0) kept.average.load(task, file, format::kAverage);
  optimizer.visit_floats(
      [&](const std::string& name, float* data, Index count) { copy_tensor(file, name, DType::kF32, data, count); });
  optimizer.visit_counters([&](const std::string& name, std::vector<std::int64_t>& data) {
    copy_tensor(file, name, DType::kI64, data.data(), std::ssize(data));
    if (std::any_of(data.begin(), data.end(), [&](auto step) { return step < 0 || step > state.step; }))
      fail("{}: damaged: tensor {} has a step that was not done", path, name);
  });
  optimizer.visit_doubles([&](const std::string& name, std::vector<double>& data) {
    const TensorView* tensor = file.find(name);
    if (!tensor || tensor->elements() != state.step + 1)
      fail("{}: damaged: tensor {} does not have a number for each of {} steps", path, name, state.step);
    data.resize(static_cast<std::size_t>(state.step) + 1);
    copy_tensor(file, name, DType::kF64, data.data(), std::ssize(data));
  });
  task.visit_carried([&](const std::string& name, std::vector<float>& values) {
    kept.carried[name].resize(values.size());
    copy_tensor(file, name, DType::kF32, kept.carried[name].data(), std::ssize(values));
  });
  optimizer.restore(state.step);
  task.weights_changed();
  return state;
}

}  // namespace mnemo
