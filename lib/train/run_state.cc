// resume.safetensors holds everything that the next step depends on (weights, moments, carried states, schedule), and
// its numbers are written exactly, so that a resumed run ends at the same bytes as an uninterrupted one. Every value is
// checked when it is read, since a damaged file must be refused rather than trained on.
#include "train/run_state.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shown.h"
#include "checkpoint/format.h"
#include "config/options.h"

namespace mnemo {
namespace {

Visit visit_of(TrainingTask& task) {
  return [&task](const ParameterVisitor& v) { task.visit(v); };
}

// nlohmann::json writes doubles as exact decimal text; only values that are not finite need care.
Json to_json(const RunState& s) {
  Json best = Json::object();
  for (const auto& [name, value] : s.best) best[name] = value;
  Json since_log{s.since_log.loss, s.since_log.norm, s.since_log.clipped, s.since_log.steps};
  if (s.since_log.term != 0) since_log.push_back(s.since_log.term);
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
          {"since_log", since_log},
          {"schedule_scale", s.schedule.scale},
          {"schedule_waited", s.schedule.waited},
          {"init_from", s.init_from}};
}

// The largest integer up to which a double represents every one.
constexpr std::int64_t kMostCounted = std::int64_t{1} << 53;

std::int64_t count_of(const Json& json, const char* key, std::int64_t least = 0, std::int64_t most = kMostCounted) {
  const Json& value = json.at(key);
  const bool whole = value.is_number_integer();
  // An unsigned number may exceed every signed one.
  const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (!whole || huge || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most)
    fail("{} is {}, expected a whole number from {} to {}", key, shown(value.dump()), least, most);
  return value.get<std::int64_t>();
}

double amount_of(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (!value.is_number() || !(value.get<double>() >= 0))
    fail("{} is {}, expected a number of at least 0", key, shown(value.dump()));
  return value.get<double>();
}

bool flag_of(const Json& json, const char* key) {
  if (!json.at(key).is_boolean()) fail("{} is {}, expected true or false", key, shown(json.at(key).dump()));
  return json.at(key).get<bool>();
}

// A metric; a value that is not finite is written as null.
double metric_of(const Json& value) {
  if (!value.is_number() && !value.is_null()) fail("a metric is {}, expected a number", shown(value.dump()));
  return value.is_number() ? value.get<double>() : NAN;
}

SinceLog since_log_of(const Json& json, std::int64_t step) {
  const Json& list = json.at("since_log");
  // Runs whose loss has a term of its own in the log have a fifth number.
  if (!list.is_array() || list.size() < 4 || list.size() > 5)
    fail("since_log is {}, expected an array of 4 or 5 numbers", shown(list.dump()));
  const Json named{{"loss", list[0]},
                   {"norm", list[1]},
                   {"clipped", list[2]},
                   {"steps", list[3]},
                   {"term", list.size() == 5 ? list[4] : Json(0.0)}};
  if (!list[0].is_number()) fail("loss is {}, expected a number", shown(list[0].dump()));
  return {list[0].get<double>(), amount_of(named, "norm"), amount_of(named, "term"),
          count_of(named, "clipped", 0, step), count_of(named, "steps", 0, step)};
}

// Throws Error or nlohmann::json::exception if something is missing or is not as to_json writes it.
RunState from_json(const Json& json) {
  RunState s;
  s.step = count_of(json, "step");
  s.best_step = count_of(json, "best_step", -1, s.step);
  s.waited = count_of(json, "waited");
  s.evaluated_step = count_of(json, "evaluated_step", -1, s.step);
  s.seconds = amount_of(json, "seconds");
  s.finished = flag_of(json, "finished");
  s.end = static_cast<int>(count_of(json, "end", 0, static_cast<int>(TrainingOutcome::End::kFinishedBefore)));
  s.averaged = count_of(json, "averaged");
  s.average_begun = flag_of(json, "average_begun");
  for (const Json& value : json.at("dev_values")) s.dev_values.push_back(metric_of(value));
  s.since_log = since_log_of(json, s.step);
  s.schedule.scale = amount_of(json, "schedule_scale");
  s.schedule.waited = count_of(json, "schedule_waited");
  s.init_from = json.value("init_from", std::string());
  for (const auto& [name, value] : json.at("best").items()) s.best[name] = metric_of(value);
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

// Throws UsageError if the configurations differ in a key that may not change; returns the others that differ.
std::vector<ChangedKey> check_same_config(const std::string& path, const std::string& saved_text,
                                          const Config& config) {
  Json saved;
  try {
    saved = parse_json(saved_text);
  } catch (const JsonError&) {
  }
  if (!saved.is_object()) fail("{}: damaged: its configuration is not a JSON object", path);
  std::map<std::string, std::string> before, now;
  flatten(saved, "", before);
  for (const Option& o : options())
    if (o.unless_default) before.emplace(o.key, o.schema.at("default").dump());
  flatten(config_to_json(config, Which::kWithoutLocal), "", now);
  std::vector<std::string> changes;
  std::vector<ChangedKey> out;
  // A model states the size of the vectors it was given, whatever the key said.
  const bool from_vectors = !config.text.pretrained.empty();
  for (const auto& [key, value] : now) {
    if (before[key] == value || (from_vectors && key == "model.embedding")) continue;
    if (std::ranges::find(kMayChange, key) != kMayChange.end())
      out.push_back({key, before[key], value});
    else
      changes.push_back(fmt::format("{} was {} and is {}", key, shown(before[key]), shown(value)));
  }
  if (!changes.empty())
    throw UsageError(
        fmt::format("{}: the run began with another configuration: {}; --overwrite starts over, "
                    "--init-from starts a new run from these weights",
                    path, abridged(changes)));
  return out;
}

}  // namespace

void check_same_model(const std::string& path, const Config& config, const TrainingTask& task) {
  const ModelContents model = read_model(path, config.task);
  check_same_config(path, model.metadata.config.dump(), config);
  if (task.data_identity(model.metadata) != task.data_identity())
    throw UsageError(
        fmt::format("{}: was made from other training data, dev data or labels; --overwrite replaces it, --init-from "
                    "starts a new run from its weights",
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
  const float weight = 1.0f / static_cast<float>(count + 1);
  std::size_t i = 0;
  task.visit([&](Parameter& p) {
    std::vector<float>& mean = values_[i++];
    for (Index j = 0; j < p.size(); ++j) mean[j] += weight * (p.value[j] - mean[j]);
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
  } catch (const nlohmann::json::exception&) {
    return "";  // load_run reports what is wrong
  } catch (const Error&) {
    return "";
  }
}

GivenDefaults saved_values(const std::string& folder, const std::set<std::string, std::less<>>& keys) {
  GivenDefaults out;
  for (const std::string& path : {resume_path(folder), model_path(folder)}) {
    if (keys.empty() || !file_exists(path)) continue;
    const SafetensorsFile file = SafetensorsFile::read(path);
    const auto text = file.metadata().find(format::kConfig);
    if (text == file.metadata().end()) return out;
    try {
      const Json saved = parse_json(text->second);
      for (const std::string& key : keys)
        if (const auto at = config_pointer(key); saved.contains(at)) out[key] = saved.at(at);
    } catch (const JsonError&) {
      out.clear();  // load_run reports what is wrong
    }
    return out;
  }
  return out;
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
  task.visit_carried([&](const std::string& name, std::int64_t, std::vector<float>& values) {
    tensors.push_back(float_tensor(name, {std::ssize(values)}, values.data()));
  });
  write_safetensors(path,
                    {{format::kFormat, format::kResumeFormatName},
                     {format::kFormatVersion, format::kVersion},
                     {format::kConfig, config_to_json(config, Which::kStored).dump()},
                     {format::kData, task.data_identity()},
                     {format::kState, to_json(state).dump()}},
                    std::move(tensors));
}

RunState load_run(const std::string& path, const Config& config, TrainingTask& task, KeptWeights& kept,
                  Optimizer& optimizer, std::vector<ChangedKey>& changed) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  const auto text = [&](const char* key) {
    const auto match = file.metadata().find(key);
    if (match == file.metadata().end()) fail("{}: is not a saved run: __metadata__ has no \"{}\"", path, key);
    return match->second;
  };
  if (text(format::kFormat) != format::kResumeFormatName) fail("{}: is not a saved run", path);
  if (text(format::kFormatVersion) != format::kVersion)
    fail("{}: this program does not know format {} of a saved run", path, shown(text(format::kFormatVersion)));
  changed = check_same_config(path, text(format::kConfig), config);
  if (text(format::kData) != task.data_identity())
    throw UsageError(
        fmt::format("{}: the run began with other training data, dev data or labels; --overwrite starts "
                    "over, --init-from starts a new run from these weights",
                    path));
  RunState state;
  try {
    state = from_json(parse_json(text(format::kState)));
  } catch (const nlohmann::json::exception&) {
    fail("{}: damaged: its state is not a JSON object with the values of a run's state; --overwrite starts over", path);
  } catch (const Error& error) {
    fail("{}: damaged: state: {}; --overwrite starts over", path, error.what());
  }
  if (state.best_step >= 0 && !state.best.contains(task.metric()))
    fail("{}: damaged: state: best lacks {}; --overwrite starts over", path, task.metric());
  load_parameters(file, visit_of(task));
  if (state.best_step >= 0) kept.best.load(task, file, format::kBest);
  if (state.averaged > 0) kept.average.load(task, file, format::kAverage);
  optimizer.visit_floats(
      [&](const std::string& name, float* data, Index count) { copy_tensor(file, name, DType::kF32, data, count); });
  optimizer.visit_counters([&](const std::string& name, std::vector<std::int64_t>& data) {
    copy_tensor(file, name, DType::kI64, data.data(), std::ssize(data));
    if (std::any_of(data.begin(), data.end(), [&](auto step) { return step < 0 || step > state.step; }))
      fail("{}: damaged: tensor {} has a step that the run has not reached", path, name);
  });
  optimizer.visit_doubles([&](const std::string& name, std::vector<double>& data) {
    const TensorView* tensor = file.find(name);
    if (!tensor || tensor->elements() != state.step + 1)
      fail("{}: damaged: tensor {} does not have a value for each of {} steps", path, name, state.step);
    data.resize(static_cast<std::size_t>(state.step) + 1);
    copy_tensor(file, name, DType::kF64, data.data(), std::ssize(data));
  });
  task.visit_carried([&](const std::string& name, std::int64_t, std::vector<float>& values) {
    kept.carried[name].resize(values.size());
    copy_tensor(file, name, DType::kF32, kept.carried[name].data(), std::ssize(values));
  });
  optimizer.restore(state.step);
  task.weights_changed();
  return state;
}

}  // namespace mnemo
