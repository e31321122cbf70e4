// The description of the server's routes for programs: OpenAPI 3.1.
#pragma once

#include <string>

#include "serve/api.h"
#include "serve/served_models.h"

namespace mnemo {

/// Of the routes that these models answer, with the keys that their skills declare. `token`: whether one is needed.
std::string openapi_body(const ServedModels::List& models, const ApiLimits& limits, bool token);

}  // namespace mnemo
