#include "text/json_line.h"

#include <algorithm>

#include "base/error.h"
#include "text/record_readers.h"

namespace mnemo {

JsonDocument parse_json_line(const std::string& line, const std::string& name, std::size_t line_number) {
  try {
    JsonDocument out(parse_json(line, {.depth = kMaxLineDepth}));
    if (!out->is_object()) fail("{}:{}: expected a JSON object, found {}", name, line_number, described_type(*out));
    return out;
  } catch (const JsonError& error) {
    if (!error.offset()) fail("{}:{}: {}", name, line_number, error.what());
    const std::size_t offset = std::min(*error.offset(), line.size());
    fail("{}:{}:{}: not JSON: {}", name, line_number, column_of(line, offset), error.what());
  }
}

}  // namespace mnemo
