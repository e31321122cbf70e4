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

/// One key of the configuration.
struct Option {
  std::string key;  ///< with dots: "training.epochs"
  std::string help;
  Json schema;                                     ///< JSON Schema of the value, default included
  bool local;                                      ///< says where or how, not what: left out of the model file
  bool raw_text;                                   ///< `--set` takes the value as it is written, without JSON's quotes
  std::function<void(Config&, const Json&)> read;  ///< throws Error saying what was expected and found
  std::function<Json(const Config&)> write;
  TaskSet tasks = TaskSet::all();  ///< that have it

  Option&& only(TaskSet some) && {
    tasks = some;
    return std::move(*this);
  }
};

/// Every option, in the order of documentation.
const std::vector<Option>& options();

/// Adds to the errors what a caller knows to be wrong with a configuration.
using ConfigCheck = std::function<void(const Config&, std::vector<std::string>&)>;

/// Reads a configuration file and then each `key=value` of `sets`. Throws Error if the file cannot be read, UsageError
/// with one line for each thing that is wrong: unknown keys with the nearest valid one, wrong types, values out of
/// range, options that contradict each other.
Config load_config(const std::string& path, const std::vector<std::string>& sets, const ConfigCheck& check = {});

/// The same from JSON text; `name` stands in messages.
Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets = {},
                    const ConfigCheck& check = {});

enum class Which { kAll, kWithoutLocal };

/// All values as nested JSON objects: those of the keys that the configuration's task has.
Json config_to_json(const Config& config, Which which = Which::kAll);

/// JSON Schema (draft 2020-12) of a configuration file.
Json config_schema();

/// Reference of one key, or of a section, or for an empty key of all, as text for a terminal or Markdown.
/// Throws UsageError with the nearest key if there is none of that name.
std::string explain(const std::string& key, bool markdown);

}  // namespace mnemo
