// A line of JSON lines. Internal to the readers.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"

namespace mnemo {

/// Objects and lists inside each other in a line, at the most: more than elsewhere, as a line may hold anything beside
/// what is read of it.
inline constexpr int kMaxLineDepth = 1000;

/// The object that a line holds. Throws Error "NAME:LINE:COLUMN: ..." for what is no JSON, and "NAME:LINE: ..." for
/// what is refused otherwise, or no object.
JsonDocument parse_json_line(const std::string& line, const std::string& name, std::size_t line_number);

}  // namespace mnemo
