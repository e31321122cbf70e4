// One line of a JSON Lines file. Internal to the readers.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"

namespace mnemo {

/// The maximum nesting depth of a line: larger than elsewhere, as a line may hold anything besides the keys that are
/// read.
inline constexpr int kMaxLineDepth = 1000;

/// The object that a line holds. Throws Error "NAME:LINE:COLUMN: ..." for text that is not JSON, and "NAME:LINE: ..."
/// for JSON that is refused for another reason or is not an object.
JsonDocument parse_json_line(const std::string& line, const std::string& name, std::size_t line_number);

}  // namespace mnemo
