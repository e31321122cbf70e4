#include "base/json.h"

#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace mnemo {

Json parse_json(std::string_view text) {
  using Event = Json::parse_event_t;
  // nlohmann's parser keeps the last of two equal keys; two are more likely a mistake.
  std::vector<std::set<std::string>> open;
  const auto callback = [&](int depth, Event event, Json& parsed) {
    if (depth > kMaxJsonDepth) fail("JSON nested deeper than {} levels", kMaxJsonDepth);
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(parsed.get<std::string>()).second)
      fail("key \"{}\" is given twice in one object", parsed.get<std::string>());
    return true;
  };
  return Json::parse(text, callback);
}

}  // namespace mnemo
