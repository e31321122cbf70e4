// The list of all options, and what is made of it: parsing, `--set`, printing, the schema, the reference.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "config/config.h"
#include "config/tasks.h"

namespace mnemo {

/// A value of an option, and the tasks that have it.
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
  /// Of defaults that depend on the size of train, in records or, for generate, units: the value, and its description.
  std::function<Json(const Config&, std::int64_t size)> by_size = {};
  std::string by_size_text = {};

  bool applies_to(const Config& config) const;
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
  Json schema;                            ///< JSON Schema of the value, the default included that most tasks have
  TaskSet tasks = TaskSet::all();         ///< that have it; to set it for another one is an error
  std::vector<TaskDefault> defaults;      ///< of tasks that have one of their own; the last that applies counts
  TaskValues values;                      ///< all values, where not every task has each of them; else empty
  std::vector<std::string> formats = {};  ///< of data that it has a meaning for; empty: all
  bool local = false;                     ///< says where or how, not what: left out of the model file
  bool raw_text = false;                  ///< `--set` takes the value as it is written, without JSON's quotes
  std::function<void(Config&, const Json&)> read;  ///< throws Error saying what was expected and found
  std::function<Json(const Config&)> write;

  // For the list of options: what a key has beyond its value and help.
  Option&& only(TaskSet some) && {
    tasks = some;
    return std::move(*this);
  }
  Option&& otherwise(TaskSet some, Json value, std::vector<std::string> units = {}) && {
    defaults.push_back({.tasks = some, .value = std::move(value), .units = std::move(units)});
    return std::move(*this);
  }
  Option&& by_size(TaskSet some, const std::vector<SizeStep>& steps) &&;
  Option&& by_size(TaskSet some, std::string text, std::function<Json(const Config&, std::int64_t)> value) && {
    defaults.push_back({.tasks = some, .value = {}, .by_size = std::move(value), .by_size_text = std::move(text)});
    return std::move(*this);
  }
  Option&& of_formats(std::vector<std::string> some) && {
    formats = std::move(some);
    return std::move(*this);
  }
};

/// Every option, in the order of documentation.
const std::vector<Option>& options();
/// Null where no option has this key.
const Option* find_option(std::string_view key);

/// Adds to the errors what a caller knows to be wrong with a configuration.
using ConfigCheck = std::function<void(const Config&, std::vector<std::string>&)>;

/// Reads a configuration file and then each `key=value` of `sets`. Throws Error if the file cannot be read, UsageError
/// with one line for each thing that is wrong: unknown keys with the nearest valid one, keys and values of other tasks
/// or without a meaning for the formats of the data, wrong types, values out of range, options that contradict each
/// other.
Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check = {});

/// The same from JSON text; `name` stands in messages. What depends on the files of the data is not checked, as a
/// model's copy of its configuration names none.
Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets = {},
                    const ConfigCheck& check = {});

/// Gives the keys in `config.by_size` the values for a train set of this size: records or, for generate, units. Returns
/// "KEY VALUE" of each. Throws UsageError if options contradict each other with these values.
std::vector<std::string> settle_by_size(Config& config, std::int64_t size);

enum class Which { kAll, kWithoutLocal };

/// The values of all options that the task has, as nested JSON objects, without those in `config.by_size`.
Json config_to_json(const Config& config, Which which = Which::kAll);

/// JSON Schema (draft 2020-12) of a configuration file.
Json config_schema();

/// What messages say of a key that there is not.
std::string unknown_key(const std::string& key);

/// Reference of one key, or of a section, or for an empty key of all, as text for a terminal or Markdown.
/// Throws UsageError with the nearest key if there is none of that name.
std::string explain(const std::string& key, bool markdown);

}  // namespace mnemo
