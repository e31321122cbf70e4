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

/// One key of the configuration.
struct Option {
  std::string key;  ///< with dots: "training.epochs"
  std::string help;
  Json schema;                            ///< JSON Schema of the value, the default included that most tasks have
  TaskSet tasks = TaskSet::all();         ///< that have it; to set it for another one is an error
  TaskValues defaults;                    ///< of tasks that have one of their own
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
  Option&& otherwise(TaskSet some, Json value) && {
    defaults.push_back({std::move(value), some});
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

enum class Which { kAll, kWithoutLocal };

/// The values of all options that the task has, as nested JSON objects.
Json config_to_json(const Config& config, Which which = Which::kAll);

/// JSON Schema (draft 2020-12) of a configuration file.
Json config_schema();

/// What messages say of a key that there is not.
std::string unknown_key(const std::string& key);

/// Reference of one key, or of a section, or for an empty key of all, as text for a terminal or Markdown.
/// Throws UsageError with the nearest key if there is none of that name.
std::string explain(const std::string& key, bool markdown);

}  // namespace mnemo
