// A configuration is read in three steps: first the task, as keys and defaults depend on it; then the file's keys in
// order; then each --set. All errors are collected, so that one run reports all of them.
#include "config/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "config/checks.h"
#include "config/nearest.h"
#include "config/option_values.h"

namespace mnemo {
namespace {

// The tasks that have at least one key of this section; nothing if there is no such section.
std::optional<TaskSet> section_tasks(const std::string& key) {
  std::optional<TaskSet> out;
  for (const Option& o : options())
    if (o.key.starts_with(key + ".")) out = out.value_or(TaskSet()) | o.tasks;
  return out;
}

// A configuration while it is being read.
class Reader {
 public:
  Reader(const Json& file, std::string name, const std::vector<std::string>& sets, const GivenDefaults& given)
      : name_(std::move(name)), given_(given) {
    choose_task(file, sets);
    for (const char* key : {"text.unit", "data.unlabelled", "training.language_model"}) choose(key, file, sets);
    for (const Option& o : options()) apply_defaults(o);
    read_object(file, "", name_ + ": ");
    for (const std::string& set : sets) apply_set(set);
  }

  // Adds contradictions between options, unless they are to be looked for later, and throws if there is any error.
  Config finish(const ConfigCheck& check, Conflicts conflicts) {
    std::vector<std::string> wrong = errors_;  // a check may look at what could not be read
    const std::size_t read = wrong.size();
    if (conflicts == Conflicts::kNow) {
      check_contradictions(config_, wrong);
      if (check) check(config_, wrong);
    }
    for (std::size_t i = read; i < wrong.size(); ++i) errors_.push_back(name_ + ": " + wrong[i]);
    if (!errors_.empty()) throw UsageError(abridged(errors_, 50, "\n"));
    return std::move(config_);
  }

 private:
  // The task and what `choose` reads come first, since defaults depend on them. What is wrong with them is said when
  // all keys are read.
  void choose_task(const Json& file, const std::vector<std::string>& sets) {
    if (file.contains("task")) read_object(Json{{"task", file["task"]}}, "", "");
    for (const std::string& set : sets)
      if (set.starts_with("task=")) apply_set(set);
    // An unknown task is one error, not one more for each key that it might have had.
    task_known_ = errors_.empty();
    task_chosen_ = true;
    errors_.clear();
  }

  void choose(const std::string& key, const Json& file, const std::vector<std::string>& sets) {
    apply_defaults(*find_option(key));
    if (const auto at = config_pointer(key); file.contains(at)) {
      Json alone;
      alone[at] = file[at];
      read_object(alone, "", "");
    }
    for (const std::string& set : sets)
      if (set.starts_with(key + "=")) apply_set(set);
    errors_.clear();
  }

  void apply_defaults(const Option& o) {
    for (const TaskDefault& d : o.defaults) {
      if (!d.applies_to(config_, trains_language_model_first(config_))) continue;
      if (d.by_size) {
        config_.by_size.insert(o.key);
      } else {
        o.read(config_, d.value);
        config_.by_size.erase(o.key);
      }
    }
    const auto given = given_.find(o.key);
    if (given == given_.end() || !o.tasks.has(config_.task)) return;
    o.read(config_, given->second);
    config_.by_size.erase(o.key);
  }

  void read_object(const Json& object, const std::string& prefix, const std::string& where) {
    for (const auto& [name, value] : object.items()) {
      const std::string key = prefix + name;
      if (name.find('.') != std::string::npos) {
        errors_.push_back(fmt::format("{}{}: expected nested sections: {{\"{}\": {{\"{}\": ...}}}}", where, shown(key),
                                      shown(key.substr(0, key.find('.'))), shown(key.substr(key.find('.') + 1))));
      } else if (const Option* o = find_option(key)) {
        set_option(*o, value, where);
      } else if (const auto tasks = section_tasks(key); !tasks) {
        errors_.push_back(where + unknown_key(key));
      } else if (task_known_ && !tasks->has(config_.task)) {
        errors_.push_back(fmt::format("{}{}: {}", where, key, not_of_task(*tasks, config_.task)));
      } else if (!value.is_object()) {
        errors_.push_back(fmt::format("{}{}: expected an object, found {}", where, key, found(value)));
      } else {
        read_object(value, key + ".", where);
      }
    }
  }

  void apply_set(const std::string& set) {
    const std::size_t equals = set.find('=');
    const std::string key = set.substr(0, equals);
    if (equals == std::string::npos || equals == 0) {
      errors_.push_back(fmt::format("--set {}: expected key=value", shown(set)));
      return;
    }
    const Option* o = find_option(key);
    if (!o) {
      errors_.push_back("--set " + unknown_key(key));
      return;
    }
    const std::string text = set.substr(equals + 1);
    try {
      static_cast<void>(Json(text).dump());
    } catch (const nlohmann::json::exception&) {
      errors_.push_back(fmt::format("--set {}: the value is not valid UTF-8", key));
      return;
    }
    set_option(*o, value_of_set(*o, text), "--set ");
  }

  static Json value_of_set(const Option& o, const std::string& text) {
    const bool json_form = text.starts_with("[") || text.starts_with("{") || text.starts_with("\"");
    const auto parsed = [&] {
      try {
        return parse_json(text);
      } catch (const JsonError&) {
        return Json(text);
      }
    };
    // "2" for an interval is a number of epochs, but "true" for a column is a name.
    if (o.raw_text && o.schema.contains("type") && o.schema["type"].is_array() && o.schema["type"][0] == "number")
      if (Json number = parsed(); number.is_number()) return number;
    return o.raw_text && !json_form ? Json(text) : parsed();
  }

  void set_option(const Option& o, const Json& value, const std::string& where) {
    try {
      if (task_known_ && !o.tasks.has(config_.task)) throw UsageError(not_of_task(o.tasks, config_.task));
      if (task_chosen_ && o.key == "task") {
        // The file's keys belong to the task of --set if it names another one.
        Config unused;
        return o.read(unused, value);
      }
      o.read(config_, value);
      config_.by_size.erase(o.key);
      check_value(o);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const PartError& error) {
      errors_.push_back(fmt::format("{}{}{}: {}", where, o.key, error.place(), error.what()));
    } catch (const std::exception& error) {
      errors_.push_back(fmt::format("{}{}: {}", where, o.key, error.what()));
    }
  }

  // Refuses a value that only other tasks allow.
  void check_value(const Option& o) const {
    if (!task_known_ || o.values.empty()) return;
    const Json value = o.write(config_);
    const auto match = std::ranges::find_if(o.values, [&](const TaskValue& v) { return v.value == value; });
    if (match != o.values.end() && !match->tasks.has(config_.task))
      throw UsageError(fmt::format("{} is not a value for the task {}; expected {}",
                                   value.is_string() ? value.get<std::string>() : value.dump(), config_.task,
                                   fmt::join(values_of(o.values, config_.task), ", ")));
  }

  std::string name_;
  const GivenDefaults& given_;
  Config config_;
  bool task_chosen_ = false;
  bool task_known_ = true;  ///< whether the task that the configuration names exists
  std::vector<std::string> errors_;
};

JsonDocument parse_strict(std::string_view text, const std::string& name) {
  try {
    JsonDocument out(parse_json(text));
    if (!out->is_object()) throw UsageError(fmt::format("{}: expected a JSON object, found {}", name, found(*out)));
    return out;
  } catch (const JsonError& error) {
    if (!error.offset()) throw UsageError(fmt::format("{}: {}", name, error.what()));
    const std::size_t end = std::min(*error.offset(), text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw UsageError(fmt::format("{}:{}: not valid JSON: {}", name, line, error.what()));
  }
}

}  // namespace

bool TaskDefault::applies_to(const Config& config, bool from_language_model) const {
  return tasks.has(config.task) && (units.empty() || std::ranges::find(units, config.text.unit) != units.end()) &&
         (!after_language_model || from_language_model);
}

GivenDefaults language_model_defaults(const Config& config) {
  GivenDefaults out;
  for (const Option& o : options())
    for (const TaskDefault& d : o.defaults)
      if (d.after_language_model && d.applies_to(config, true)) out[o.key] = d.value;
  return out;
}

Option&& Option::by_size(TaskSet some, const std::vector<SizeStep>& steps) && {
  std::vector<std::string> words;
  words.reserve(steps.size());
  for (const SizeStep& s : steps)
    words.push_back(s.below > 0 ? fmt::format("{} below {}", s.value.dump(), s.below) : "else " + s.value.dump());
  return std::move(*this).by_size(some, fmt::format("{}", fmt::join(words, ", ")),
                                  [steps](const Config&, std::int64_t size) {
                                    std::size_t i = 0;
                                    while (i + 1 < steps.size() && size >= steps[i].below) ++i;
                                    return steps[i].value;
                                  });
}

const Option* find_option(std::string_view key) {
  const auto match = std::ranges::find(options(), key, &Option::key);
  return match == options().end() ? nullptr : &*match;
}

std::string unknown_key(const std::string& key) {
  std::vector<std::string> keys;
  for (const Option& o : options()) {
    keys.push_back(o.key);
    for (std::size_t dot = o.key.find('.'); dot != std::string::npos; dot = o.key.find('.', dot + 1))
      keys.push_back(o.key.substr(0, dot));
  }
  const auto inside = std::ranges::find_if(options(), [&](const Option& o) { return o.key.starts_with(key + "."); });
  if (inside != options().end())
    return fmt::format("{}: expected a key, found a section; set a key in it, such as {} (mnemo config explain {})",
                       key, inside->key, key);
  const std::string near = nearest_if_near(key, keys);
  return fmt::format("{}: unknown key{} (mnemo config explain lists all)", shown(key),
                     near.empty() ? "" : "; the nearest is " + near);
}

Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                    const ConfigCheck& check, const GivenDefaults& given, Conflicts conflicts) {
  const JsonDocument document = parse_strict(text, name);
  return Reader(*document, name, sets, given).finish(check, conflicts);
}

std::vector<std::string> settle_by_size(Config& config, std::int64_t size) {
  std::vector<std::string> out, errors;
  for (const Option& o : options()) {
    if (config.by_size.erase(o.key) == 0) continue;
    for (const TaskDefault& d : o.defaults)
      if (d.by_size && d.applies_to(config, trains_language_model_first(config)))
        o.read(config, d.by_size(config, size));
    out.push_back(fmt::format("{} {}", o.key, o.write(config).dump()));
  }
  check_contradictions(config, errors);
  if (!errors.empty()) throw UsageError(abridged(errors, 50, "\n"));
  return out;
}

Json::json_pointer config_pointer(std::string key) {
  std::ranges::replace(key, '.', '/');
  return Json::json_pointer("/" + key);
}

Json config_to_json(const Config& config, Which which) {
  Json out = Json::object();
  for (const Option& o : options()) {
    if ((o.local && which != Which::kAll) || !o.tasks.has(config.task)) continue;
    if (config.by_size.contains(o.key)) continue;
    Json value = o.write(config);
    if (which == Which::kStored && o.unless_default && value == o.schema.at("default")) continue;
    out[config_pointer(o.key)] = std::move(value);
  }
  return out;
}

}  // namespace mnemo
