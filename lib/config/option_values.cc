// Overloads of read_value, write_value and schema_of are chosen by the type of the option's member and its constraint,
// so that a row of declared_options.cc needs no code of its own.
#include "config/option_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {
namespace {

std::vector<std::string> all_names(const TaskValues& choices) {
  std::vector<std::string> out;
  for (const TaskValue& choice : choices) out.push_back(choice.value.get<std::string>());
  return out;
}

}  // namespace

std::vector<std::string> values_of(const TaskValues& values, std::string_view task) {
  std::vector<std::string> out;
  for (const TaskValue& v : values)
    if (v.tasks.has(task)) out.push_back(v.value.is_string() ? v.value.get<std::string>() : v.value.dump());
  return out;
}

std::string found(const Json& value) { return shown(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60); }

std::int64_t read_value(const Json& value, std::int64_t, const Range& range) {
  const bool whole =
      value.is_number_integer() ||
      (value.is_number_float() && value == std::floor(value.get<double>()) && std::abs(value.get<double>()) < 9e15);
  if (!whole) fail("expected a whole number, found {}", found(value));
  if (const double v = value.get<double>(); v < range.low || v > range.high)
    fail("expected a whole number from {} to {}, found {}", range.low, range.high, found(value));
  return value.is_number_float() ? static_cast<std::int64_t>(value.get<double>()) : value.get<std::int64_t>();
}

std::vector<std::int64_t> read_value(const Json& value, const std::vector<std::int64_t>&, const Range& range) {
  if (!value.is_array()) fail("expected an array of whole numbers, found {}", found(value));
  std::vector<std::int64_t> out;
  for (const Json& item : value) {
    out.push_back(read_value(item, std::int64_t{}, range));
    if (out.size() > 1 && out[out.size() - 2] >= out.back()) fail("expected ascending numbers, found {}", found(value));
  }
  return out;
}

double read_value(const Json& value, double, const Range& range) {
  if (!value.is_number()) fail("expected a number, found {}", found(value));
  const double v = value.get<double>();
  if (!(v >= range.low && v <= range.high)) fail("expected a number from {} to {}, found {}", range.low, range.high, v);
  return v;
}

bool read_value(const Json& value, bool, Anything) {
  if (!value.is_boolean()) fail("expected true or false, found {}", found(value));
  return value.get<bool>();
}

std::string read_value(const Json& value, const std::string&, Anything) {
  if (!value.is_string()) fail("expected a string, found {}", found(value));
  return value.get<std::string>();
}

bool read_value(const Json& value, bool, const TaskValues&) { return read_value(value, false, Anything{}); }

std::string read_value(const Json& value, const std::string&, const Choices& choices) {
  std::string text = value.is_string() ? value.get<std::string>() : std::string();
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    fail("expected one of {}, found {}", fmt::join(choices, ", "), found(value));
  return text;
}

std::string read_value(const Json& value, const std::string& old, const TaskValues& choices) {
  return read_value(value, old, all_names(choices));
}

Names read_value(const Json& value, const Names&, const Choices& choices) {
  if (!value.is_array()) return {{read_value(value, std::string(), choices)}};
  Names out;
  for (const Json& item : value) {
    out.names.push_back(read_value(item, std::string(), choices));
    if (std::ranges::count(out.names, out.names.back()) > 1) fail("{} twice", found(item));
  }
  if (out.names.empty()) fail("expected one or several of {}, found []", fmt::join(choices, ", "));
  return out;
}

std::optional<bool> read_value(const Json& value, const std::optional<bool>&, Anything) {
  if (value.is_null()) return std::nullopt;
  return read_value(value, false, Anything{});
}

std::string read_value(const Json& value, const std::string&, Column) {
  if (value.is_number_integer() && value.get<std::int64_t>() >= 1) return std::to_string(value.get<std::int64_t>());
  if (!value.is_string()) fail("expected a column's number from 1 or its name, found {}", found(value));
  return value.get<std::string>();
}

std::vector<std::string> read_value(const Json& value, const std::vector<std::string>&, Column column) {
  std::vector<std::string> out;
  if (!value.is_array()) return {read_value(value, std::string(), column)};
  for (const Json& item : value) out.push_back(read_value(item, std::string(), column));
  return out;
}

Every read_value(const Json& value, const Every&, Anything) {
  static const std::vector<std::pair<std::string, Every::Unit>> units{
      {"epoch", Every::Unit::kEpochs}, {"step", Every::Unit::kSteps}, {"minute", Every::Unit::kMinutes}};
  const auto wrong = [&] {
    fail("expected a number of epochs or a string such as \"500 steps\", \"2 epochs\" or \"10 minutes\", found {}",
         found(value));
  };
  Every out;
  if (value.is_number()) {
    out.count = value.get<double>();
  } else if (value.is_string()) {
    char unit[16] = {};
    int used = 0;
    const std::string text = value.get<std::string>();
    if (std::sscanf(text.c_str(), "%lf %15[a-z]%n", &out.count, unit, &used) != 2 ||
        used != static_cast<int>(text.size()))
      wrong();
    const auto match = std::find_if(units.begin(), units.end(),
                                    [&](const auto& u) { return u.first == unit || u.first + "s" == unit; });
    if (match == units.end()) wrong();
    out.unit = match->second;
  } else {
    wrong();
  }
  if (!(out.count >= 0 && out.count <= 1e12)) wrong();
  return out;
}

ClassWeight read_value(const Json& value, const ClassWeight&, Anything) {
  ClassWeight out;
  if (value == "none") return out;
  if (value == "balanced") {
    out.balanced = true;
    return out;
  }
  if (!value.is_object() || value.empty())
    fail("expected \"none\", \"balanced\" or an object of label: weight, found {}", found(value));
  for (const auto& [label, weight] : value.items()) out.table[label] = read_value(weight, 0.0, Range{0, 1e6});
  return out;
}

ForgetBias read_value(const Json& value, const ForgetBias&, const Range& range) {
  if (value == "chrono") return {.chrono = true};
  if (!value.is_number()) fail("expected a number or \"chrono\", found {}", found(value));
  return {.number = read_value(value, 0.0, range)};
}

namespace {

// Reads and writes one member of DataFile.
template <auto member, class Constraint>
FileKey file_key(const char* name) {
  using T = typename std::decay_t<decltype(std::declval<DataFile>().*member)>::value_type;
  return {name, [](DataFile& file, const Json& value) { file.*member = read_value(value, T{}, Constraint{}); },
          [](const DataFile& file) { return file.*member ? Json(*(file.*member)) : Json(); }};
}

// Throws PartError for the part of a value whose place in it is `place`.
template <typename F>
void read_part(const std::string& place, const F& read) {
  try {
    read();
  } catch (const PartError& error) {
    throw PartError(place + error.place(), error.what());
  } catch (const Error& error) {
    throw PartError(place, error.what());
  }
}

std::string read_path(const Json& value) {
  if (value.is_array())
    fail("expected one path, found {}; list several pairs as {}", found(value),
         R"([{"source": path, "target": path}, ...])");
  if (!value.is_string()) fail("expected a path, found {}", found(value));
  return value.get<std::string>();
}

void read_file_key(DataFile& out, const std::string& key, const Json& value) {
  if (key == "file" || key == "source") {
    out.file = read_path(value);
  } else if (key == "target") {
    out.target = read_path(value);
  } else {
    std::ranges::find_if(file_keys(), [&](const FileKey& k) { return k.name == key; })->read(out, value);
  }
}

DataFile read_file_entry(const Json& value) {
  DataFile out;
  if (value.is_string()) {
    out.file = value.get<std::string>();
    return out;
  }
  if (!value.is_object()) fail("expected a path or an object with \"file\", found {}", found(value));
  std::vector<std::string> names{"file", "source", "target"};
  for (const FileKey& k : file_keys()) names.emplace_back(k.name);
  for (const auto& entry : value.items()) {
    const std::string& key = entry.key();
    if (std::ranges::find(names, key) == names.end())
      fail("unknown key \"{}\" of a data file; valid keys are {}", shown(key), fmt::join(names, ", "));
    read_part("." + key, [&] { read_file_key(out, key, entry.value()); });
  }
  if (out.file.empty() || (out.target && out.target->empty()))
    fail("expected a path, or an object with a path as \"file\" or two as \"source\" and \"target\", found {}",
         found(value));
  return out;
}

}  // namespace

const std::vector<FileKey>& file_keys() {
  static const std::vector<FileKey> keys{
      {"format",
       [](DataFile& file, const Json& value) { file.format = read_value(value, std::string(), data_formats()); },
       [](const DataFile& file) { return file.format ? Json(*file.format) : Json(); }},
      file_key<&DataFile::label, Column>("label"),
      file_key<&DataFile::text, Column>("text"),
      file_key<&DataFile::separator, Anything>("separator"),
      file_key<&DataFile::label_separator, Anything>("label_separator"),
      file_key<&DataFile::header, Anything>("header"),
      file_key<&DataFile::phrases, Anything>("phrases")};
  return keys;
}

std::vector<DataFile> read_value(const Json& value, const std::vector<DataFile>&, Anything) {
  std::vector<DataFile> out;
  if (value.is_string() && value.get_ref<const std::string&>().empty()) return out;
  if (!value.is_array()) return {read_file_entry(value)};
  for (const Json& item : value)
    read_part(fmt::format("[{}]", out.size()), [&] { out.push_back(read_file_entry(item)); });
  return out;
}

Json write_value(const Every& v) {
  static const char* const names[] = {"epochs", "steps", "minutes"};
  if (v.unit == Every::Unit::kEpochs) return v.count;
  return fmt::format("{} {}", v.count, names[static_cast<int>(v.unit)]);
}

Json write_value(const ClassWeight& v) {
  if (v.balanced) return "balanced";
  if (v.table.empty()) return "none";
  Json out = Json::object();
  for (const auto& [label, weight] : v.table) out[label] = weight;
  return out;
}

Json write_value(const Names& v) { return v.names.size() == 1 ? Json(v.names.front()) : Json(v.names); }

Json write_value(const ForgetBias& v) { return v.chrono ? Json("chrono") : Json(v.number); }

Json write_value(const std::vector<DataFile>& files) {
  Json out = Json::array();
  for (const DataFile& f : files) {
    Json entry{{f.target ? "source" : "file", f.file}};
    if (f.target) entry["target"] = *f.target;
    for (const FileKey& key : file_keys())
      if (Json value = key.write(f); !value.is_null()) entry[key.name] = std::move(value);
    out.push_back(entry.size() == 1 ? Json(f.file) : entry);
  }
  return out;
}

Json write_value(const std::optional<bool>& v) { return v ? Json(*v) : Json(nullptr); }

Json schema_of(std::int64_t, const Range& r) { return {{"type", "integer"}, {"minimum", r.low}, {"maximum", r.high}}; }
Json schema_of(const std::vector<std::int64_t>&, const Range& r) {
  return {{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", r.low}, {"maximum", r.high}}}};
}
Json schema_of(double, const Range& r) { return {{"type", "number"}, {"minimum", r.low}, {"maximum", r.high}}; }
Json schema_of(bool, Anything) { return {{"type", "boolean"}}; }
Json schema_of(bool, const TaskValues&) { return {{"type", "boolean"}}; }
Json schema_of(const std::string&, Anything) { return {{"type", "string"}}; }
Json schema_of(const std::string&, const Choices& choices) { return {{"enum", choices}}; }
Json schema_of(const std::string&, const TaskValues& choices) { return {{"enum", all_names(choices)}}; }
Json schema_of(const std::string&, Column) { return {{"type", Json::array({"string", "integer"})}}; }
Json schema_of(const std::vector<std::string>&, Column) {
  return {{"type", Json::array({"array", "string", "integer"})}};
}
Json schema_of(const Names&, const Choices& choices) {
  const Json one = schema_of(std::string(), choices);
  const Json several = {{"type", "array"}, {"items", one}, {"minItems", 1}, {"uniqueItems", true}};
  return {{"anyOf", Json::array({one, several})}};
}
Json schema_of(const std::optional<bool>&, Anything) { return {{"type", Json::array({"boolean", "null"})}}; }
Json schema_of(const Every&, Anything) { return {{"type", Json::array({"number", "string"})}}; }
Json schema_of(const ClassWeight&, Anything) { return {{"type", Json::array({"string", "object"})}}; }
Json schema_of(const ForgetBias&, const Range& r) {
  return {{"anyOf", Json::array({schema_of(0.0, r), schema_of(std::string(), Choices{"chrono"})})}};
}
Json schema_of(const std::vector<DataFile>&, Anything) {
  return {{"type", Json::array({"string", "array", "object"})}};
}

}  // namespace mnemo
