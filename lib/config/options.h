// The list of all options, and what is derived from it: parsing, `--set`, printing, the schema, the reference.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "config/config.h"
#include "config/tasks.h"

namespace mnemo {

/// A value of an option, and the tasks that allow it.
struct TaskValue {
  Json value;
  TaskSet tasks = TaskSet::all();
};
using TaskValues = std::vector<TaskValue>;

/// A default that some tasks have in place of the member's initial value.
struct TaskDefault {
  TaskSet tasks;
  Json value;
  std::vector<std::string> units = {};  ///< values of text.unit that it is for; empty: all
  bool after_language_model = false;    ///< only for runs that start from a language model
  /// Of defaults that depend on the size of train, in records or, for generate, units: the value, and its description.
  std::function<Json(const Config&, std::int64_t size)> by_size = {};
  std::string by_size_text = {};

  /// `from_language_model`: the run starts from a language model, its own or another.
  bool applies_to(const Config& config, bool from_language_model) const;
  /// Whether it is for every configuration of its tasks.
  bool unconditional() const { return units.empty() && !after_language_model; }
};

/// `value` where train has fewer than `below` records or units; 0: whatever it has.
struct SizeStep {
  std::int64_t below;
  Json value;
};

/// One key of the configuration.
struct Option {
  std::string key;  ///< with dots: "training.epochs"
  std::string help;
  Json schema;                                     ///< JSON Schema of the value, with the default that most tasks have
  TaskSet tasks = TaskSet::all();                  ///< that have it; setting it for another task is an error
  std::vector<TaskDefault> defaults;               ///< of tasks that have their own; the last that applies counts
  TaskValues values;                               ///< all values, if some are only for some tasks; else empty
  std::vector<std::string> formats = {};           ///< data formats that it applies to; empty: all
  bool local = false;                              ///< paths and threads, which do not belong in a model file
  bool unless_default = false;                     ///< in files only where it does not have its default
  bool raw_text = false;                           ///< `--set` takes the value as written, without JSON's quotes
  std::function<void(Config&, const Json&)> read;  ///< throws Error saying what was expected and found
  std::function<Json(const Config&)> write;

  // For the list of options: restrictions and defaults of single tasks.
  Option&& only(TaskSet some) && {
    tasks = some;
    return std::move(*this);
  }
  Option&& otherwise(TaskSet some, Json value, std::vector<std::string> units = {}) && {
    defaults.push_back({.tasks = some, .value = std::move(value), .units = std::move(units)});
    return std::move(*this);
  }
  Option&& after_language_model(TaskSet some, Json value, std::vector<std::string> units = {}) && {
    defaults.push_back(
        {.tasks = some, .value = std::move(value), .units = std::move(units), .after_language_model = true});
    return std::move(*this);
  }
  Option&& by_size(TaskSet some, const std::vector<SizeStep>& steps) &&;
  Option&& by_size(TaskSet some, std::string text, std::function<Json(const Config&, std::int64_t)> value) && {
    defaults.push_back({.tasks = some, .value = {}, .by_size = std::move(value), .by_size_text = std::move(text)});
    return std::move(*this);
  }
  /// For a newer key, so that models that do without it keep the bytes they had before.
  Option&& left_out_by_default() && {
    unless_default = true;
    return std::move(*this);
  }
  Option&& of_formats(std::vector<std::string> some) && {
    formats = std::move(some);
    return std::move(*this);
  }
};

/// Every option, in the order of the documentation.
const std::vector<Option>& options();
/// Null if no option has this key.
const Option* find_option(std::string_view key);

/// A caller's own check of a configuration, which adds to the errors.
using ConfigCheck = std::function<void(const Config&, std::vector<std::string>&)>;

/// Reads a configuration file and then each `key=value` of `sets`. Throws Error if the file cannot be read, UsageError
/// with one line per mistake: unknown keys with the nearest valid one, keys and values of other tasks, keys that do not
/// apply to the formats of the data, wrong types, values out of range, options that contradict each other.
Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check = {});

/// Values by key that come before the options' own defaults: those of a run that is resumed, or of the model that a run
/// starts from.
using GivenDefaults = std::map<std::string, Json>;
/// The defaults of options, for the task and units of `config`, for runs that start from a language model.
GivenDefaults language_model_defaults(const Config& config);

/// Whether options that contradict each other are errors. kLater: values are still to come from a model that the run
/// starts from, or from a saved run; what is wrong with single keys and values is an error all the same.
enum class Conflicts { kNow, kLater };

/// The same from JSON text; `name` is used in messages. Nothing that depends on the data files is checked, as a model's
/// copy of its configuration names none.
Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets = {},
                    const ConfigCheck& check = {}, const GivenDefaults& given = {},
                    Conflicts conflicts = Conflicts::kNow);

/// The text of a configuration file. Throws Error if it cannot be read or is a device.
std::string read_config(const std::string& path);
/// `load_config` of the text of a file, which may have been a pipe.
Config parse_run_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets,
                        const ConfigCheck& check, const GivenDefaults& given, Conflicts conflicts = Conflicts::kNow);

/// Gives the keys in `config.by_size` the values for a train set of this size: records or, for generate, units. Returns
/// "KEY VALUE" of each. Throws UsageError if options contradict each other with these values.
std::vector<std::string> settle_by_size(Config& config, std::int64_t size);

/// kStored: as it lies in files, without local keys and those that are left out by default.
enum class Which { kAll, kWithoutLocal, kStored };

/// The values of all options that the task has, as nested JSON objects, without those in `config.by_size`.
Json config_to_json(const Config& config, Which which = Which::kAll);
/// Where a key is in it.
Json::json_pointer config_pointer(std::string key);

/// JSON Schema (draft 2020-12) of a configuration file.
Json config_schema();

/// The message for an unknown key.
std::string unknown_key(const std::string& key);

/// Reference of one key, of a section, or for an empty key of all keys, as text for a terminal or Markdown. Throws
/// UsageError with the nearest key if there is no such key.
std::string explain(const std::string& key, bool markdown);

}  // namespace mnemo
