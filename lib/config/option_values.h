// Values of options: for each type of member and each constraint on it, how a value is read from JSON and written, and
// its JSON Schema. Readers throw Error saying what was expected and found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "config/config.h"
#include "config/options.h"

namespace mnemo {

/// A number, or each number of an array.
struct Range {
  double low, high;
};
using Choices = std::vector<std::string>;

/// A column: its number from 1, or its name in the header.
struct Column {};
struct Anything {};

/// What is wrong with a part of a value, and where in it that is: "[1].source".
class PartError : public UsageError {
 public:
  PartError(std::string place, const std::string& message) : UsageError(message), place_(std::move(place)) {}
  const std::string& place() const { return place_; }

 private:
  std::string place_;
};

/// The values of data.format.
const TaskValues& data_formats();

/// The values that this task allows, as messages list them.
std::vector<std::string> values_of(const TaskValues& values, std::string_view task);

/// A value as messages show it: JSON, shortened.
std::string found(const Json& value);

std::int64_t read_value(const Json& value, std::int64_t, const Range& range);
std::vector<std::int64_t> read_value(const Json& value, const std::vector<std::int64_t>&, const Range& range);
double read_value(const Json& value, double, const Range& range);
bool read_value(const Json& value, bool, Anything);
bool read_value(const Json& value, bool, const TaskValues&);
std::string read_value(const Json& value, const std::string&, Anything);
std::string read_value(const Json& value, const std::string&, const Choices& choices);
std::string read_value(const Json& value, const std::string&, const TaskValues& choices);
std::string read_value(const Json& value, const std::string&, Column);
std::vector<std::string> read_value(const Json& value, const std::vector<std::string>&, Column column);
Names read_value(const Json& value, const Names&, const Choices& choices);
std::optional<bool> read_value(const Json& value, const std::optional<bool>&, Anything);
Every read_value(const Json& value, const Every&, Anything);
ClassWeight read_value(const Json& value, const ClassWeight&, Anything);
ForgetBias read_value(const Json& value, const ForgetBias&, const Range& range);
std::vector<DataFile> read_value(const Json& value, const std::vector<DataFile>&, Anything);

Json write_value(const Names& v);
Json write_value(const Every& v);
Json write_value(const ClassWeight& v);
Json write_value(const ForgetBias& v);
Json write_value(const std::vector<DataFile>& files);
Json write_value(const std::optional<bool>& v);
template <class T>
Json write_value(const T& v) {
  return v;
}

Json schema_of(std::int64_t, const Range& r);
Json schema_of(const std::vector<std::int64_t>&, const Range& r);
Json schema_of(double, const Range& r);
Json schema_of(bool, Anything);
Json schema_of(bool, const TaskValues&);
Json schema_of(const std::string&, Anything);
Json schema_of(const std::string&, const Choices& choices);
Json schema_of(const std::string&, const TaskValues& choices);
Json schema_of(const std::string&, Column);
Json schema_of(const std::vector<std::string>&, Column);
Json schema_of(const Names&, const Choices& choices);
Json schema_of(const std::optional<bool>&, Anything);
Json schema_of(const Every&, Anything);
Json schema_of(const ClassWeight&, Anything);
Json schema_of(const ForgetBias&, const Range& r);
Json schema_of(const std::vector<DataFile>&, Anything);

/// A key of a data file's object. Each is a key of `data` too, which it overrides for that file.
struct FileKey {
  const char* name;
  void (*read)(DataFile&, const Json&);
  Json (*write)(const DataFile&);  ///< null if the file does not set it
};
const std::vector<FileKey>& file_keys();

}  // namespace mnemo
