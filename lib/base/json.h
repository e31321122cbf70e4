// JSON values, and reading them from outside.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json_fwd.h"

namespace mnemo {

/// Objects and lists inside each other, at the most: printing and freeing a value take stack for each level.
inline constexpr int kMaxJsonDepth = 64;

/// Throws nlohmann::json::exception if the text is no JSON or has a key twice in one object, and Error if it is nested
/// deeper than kMaxJsonDepth.
Json parse_json(std::string_view text);

}  // namespace mnemo
