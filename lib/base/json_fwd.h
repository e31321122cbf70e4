// The name of a JSON value, for headers that only pass one on: the whole library takes seconds to compile.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace mnemo {

/// Objects keep the order of their keys, so that equal values are equal text.
using Json = nlohmann::ordered_json;

}  // namespace mnemo
