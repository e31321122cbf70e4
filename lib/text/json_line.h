// A line of JSON lines. Internal to the readers.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace mnemo {

/// The object that a line holds. Throws Error "NAME:LINE:COLUMN: ..." for what is no JSON, or no object.
nlohmann::json parse_json_line(const std::string& line, const std::string& name, std::size_t line_number);

/// A value's type with its article: "a number", "an array", "null".
std::string described_type(const nlohmann::json& value);

}  // namespace mnemo
