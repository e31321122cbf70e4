// The page on which the models can be tried.
#pragma once

#include <string>

namespace mnemo {

struct ServedPage {
  std::string text;    ///< HTML
  std::string policy;  ///< its Content-Security-Policy
};

/// One file that asks this server alone, and is the same whatever is served: it reads /openapi.json.
const ServedPage& served_page();

}  // namespace mnemo
