// The JSON Schema of a configuration file and the reference of its keys, both derived from the list of options.
#include <fmt/ranges.h>

#include "base/error.h"
#include "config/option_values.h"
#include "config/options.h"

namespace mnemo {
namespace {

// The node of a key below an object of the schema. Nodes that are missing on the way are created.
Json& node_of(Json& root, const std::string& key) {
  Json* node = &root;
  std::size_t begin = 0;
  for (std::size_t dot; (dot = key.find('.', begin)) != std::string::npos; begin = dot + 1)
    node = &(*node)["properties"][key.substr(begin, dot - begin)];
  return (*node)["properties"][key.substr(begin)];
}

// The tasks and formats that have the option; empty if all have it.
std::string scope(const Option& o) {
  std::string out = o.tasks == TaskSet::all() ? "" : o.tasks.names();
  if (!o.formats.empty()) out += fmt::format(" ({})", fmt::join(o.formats, ", "));
  return out;
}

// The differences of a task from the common schema: keys and values that it lacks, defaults of its own.
Json schema_of_task(const std::string& task) {
  Json out;
  for (const Option& o : options()) {
    if (!o.tasks.has(task)) {
      node_of(out, o.key) = false;
      continue;
    }
    Json allowed = Json::array();
    for (const TaskValue& v : o.values)
      if (v.tasks.has(task)) allowed.push_back(v.value);
    if (allowed.size() < o.values.size()) node_of(out, o.key)["enum"] = allowed;
    for (const TaskDefault& d : o.defaults)
      if (d.tasks.has(task) && d.unconditional() && !d.by_size) node_of(out, o.key)["default"] = d.value;
  }
  return out;
}

// The values of each task, with tasks that share them grouped: "classify, tag: true | false; generate: false".
std::string values_text(const TaskValues& values) {
  std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> groups;  // values, their tasks
  for (const char* name : kTaskNames) {
    const std::vector<std::string> its = values_of(values, name);
    auto group = std::ranges::find(groups, its, [](const auto& g) { return g.first; });
    if (group == groups.end()) group = groups.insert(groups.end(), {its, {}});
    group->second.emplace_back(name);
  }
  std::vector<std::string> out;
  out.reserve(groups.size());
  for (const auto& [its, tasks] : groups)
    out.push_back(fmt::format("{}: {}", fmt::join(tasks, ", "), fmt::join(its, " | ")));
  return fmt::format("{}", fmt::join(out, "; "));
}

std::string type_text(const Json& schema) {
  if (schema.contains("anyOf")) {
    std::vector<std::string> kinds;
    for (const Json& kind : schema["anyOf"]) kinds.push_back(type_text(kind));
    return fmt::format("{}", fmt::join(kinds, " or "));
  }
  if (schema.contains("enum"))
    return fmt::format("{}", fmt::join(schema["enum"].get<std::vector<std::string>>(), " | "));
  if (schema["type"].is_array())
    return fmt::format("{}", fmt::join(schema["type"].get<std::vector<std::string>>(), " or "));
  std::string text = schema["type"].get<std::string>();
  if (schema.contains("minimum"))
    text += fmt::format(" from {} to {}", schema["minimum"].get<double>(), schema["maximum"].get<double>());
  return text;
}

std::string type_text(const Option& o) { return o.values.empty() ? type_text(o.schema) : values_text(o.values); }

// Whether some task's default is the one that the schema has.
bool has_common_default(const Option& o) {
  TaskSet own;
  for (const TaskDefault& d : o.defaults)
    if (d.unconditional()) own = own | d.tasks;
  return !((own | o.tasks) == own);
}

// `quote` is put around each value.
std::string default_text(const Option& o, const char* quote) {
  std::vector<std::string> out;
  if (has_common_default(o)) out.push_back(fmt::format("{0}{1}{0}", quote, o.schema["default"].dump()));
  for (const TaskDefault& d : o.defaults) {
    const std::string of =
        fmt::format("{}{}{}{}", d.tasks.names(), d.units.empty() ? "" : " of ", fmt::join(d.units, ", "),
                    d.after_language_model ? " that starts from a language model:" : "");
    out.push_back(d.by_size ? fmt::format("{} by the size of train: {}", of, d.by_size_text)
                            : fmt::format("{1} {0}{2}{0}", quote, of, d.value.dump()));
  }
  return fmt::format("{}", fmt::join(out, "; "));
}

std::string table_row(const Option& o) {
  std::string type = type_text(o), tasks = scope(o);
  for (std::size_t at = 0; (at = type.find('|', at)) != std::string::npos; at += 2) type.insert(at, "\\");
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", o.key, type, default_text(o, "`"), tasks.empty() ? "all" : tasks,
                     o.help);
}

std::string paragraph(const Option& o) {
  const std::string tasks = scope(o);
  return fmt::format("{} ({}; default {}{}{})\n    {}\n", o.key, type_text(o), default_text(o, ""),
                     tasks.empty() ? "" : "; only for ", tasks, o.help);
}

}  // namespace

Json config_schema() {
  Json root{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "mnemo configuration"}};
  root["type"] = "object";
  root["additionalProperties"] = false;
  for (const Option& o : options()) {
    for (std::size_t dot = o.key.find('.'); dot != std::string::npos; dot = o.key.find('.', dot + 1)) {
      Json& section = node_of(root, o.key.substr(0, dot));
      section["type"] = "object";
      section["additionalProperties"] = false;
    }
    Json& node = node_of(root, o.key) = o.schema;
    if (!has_common_default(o)) node.erase("default");
    const std::string tasks = scope(o);
    node["description"] = tasks.empty() ? o.help : fmt::format("[{}] {}", tasks, o.help);
  }
  // A file that names no task has the default one.
  const Json& unnamed = find_option("task")->schema["default"];
  for (const char* name : kTaskNames) {
    Json condition{{"properties", {{"task", {{"const", name}}}}}};
    if (name != unnamed) condition["required"] = Json::array({"task"});
    root["allOf"].push_back({{"if", condition}, {"then", schema_of_task(name)}});
  }
  return root;
}

std::string explain(const std::string& key, bool markdown) {
  std::string out = markdown ? "| key | value | default | tasks (formats) | meaning |\n|---|---|---|---|---|\n" : "";
  bool any = false;
  for (const Option& o : options()) {
    if (!key.empty() && o.key != key && !o.key.starts_with(key + ".")) continue;
    any = true;
    out += markdown ? table_row(o) : paragraph(o);
  }
  if (!any) throw UsageError(unknown_key(key));
  return out;
}

}  // namespace mnemo
