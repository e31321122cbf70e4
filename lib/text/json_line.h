// One line of a JSON Lines file.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"
#include "text/records.h"

namespace mnemo {

/// The maximum nesting depth of a line: larger than elsewhere, as a line may hold anything besides the keys that are
/// read.
inline constexpr int kMaxLineDepth = 1000;

/// The object that a line holds. Throws Error "NAME:LINE:COLUMN: ..." for text that is not JSON, and "NAME:LINE: ..."
/// for JSON that is refused for another reason or is not an object.
JsonDocument parse_json_line(const std::string& line, const std::string& name, std::size_t line_number);

/// The value of its key `id`, a string or a number. Throws Error "NAME:LINE: ..." for anything else.
RecordId json_id(const Json& object, const std::string& name, std::size_t line_number);

/// The id as jsonl has it.
Json json_of(const RecordId& id);

}  // namespace mnemo
