#include "text/json_line.h"

#include <algorithm>

#include "base/error.h"
#include "text/record_readers.h"

namespace mnemo {
namespace {

using nlohmann::json;

// What the library says, without its own name and without the position, which the message already has.
std::string reason_of(const json::parse_error& error) {
  const std::string_view what = error.what();
  const std::size_t begin = what.find(": ");
  return std::string(begin == std::string_view::npos ? what : what.substr(begin + 2));
}

}  // namespace

json parse_json_line(const std::string& line, const std::string& name, std::size_t line_number) {
  // What is written again goes into each level by a call.
  constexpr int kDeepest = 1000;
  json out;
  int deepest = 0;
  try {
    // Lines with fewer brackets, which are nearly all, need not be watched.
    const auto brackets = std::count_if(line.begin(), line.end(), [](char c) { return c == '[' || c == '{'; });
    if (brackets > kDeepest)
      out = json::parse(line, [&](int depth, json::parse_event_t, json&) {
        deepest = std::max(deepest, depth);
        return depth <= kDeepest;
      });
    else
      out = json::parse(line);
  } catch (const json::parse_error& error) {
    const std::size_t offset = std::min(error.byte > 0 ? error.byte - 1 : 0, line.size());
    fail("{}:{}:{}: not JSON: {}", name, line_number, column_of(line, offset), reason_of(error));
  } catch (const json::exception& error) {  // a number out of range
    fail("{}:{}: not JSON: {}", name, line_number, error.what());
  }
  if (deepest > kDeepest) fail("{}:{}: JSON of more than {} levels", name, line_number, kDeepest);
  if (!out.is_object()) fail("{}:{}: expected a JSON object, found {}", name, line_number, out.type_name());
  return out;
}

std::string described_type(const json& value) {
  const std::string type = value.type_name();
  return (type == "array" || type == "object" ? "an " : type == "null" ? "" : "a ") + type;
}

}  // namespace mnemo
