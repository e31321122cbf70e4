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

RecordId json_id(const Json& object, const std::string& name, std::size_t line_number) {
  const auto found = object.find("id");
  if (found == object.end()) fail("{}:{}: no id: with --id an object has the key \"id\"", name, line_number);
  // Other numbers would not come out as they were written.
  if (found->is_number_integer()) return {found->dump(), true};
  if (!found->is_string())
    fail("{}:{}: \"id\" is {}, expected a string or a whole number of at most 64 bits", name, line_number,
         described_type(*found));
  return checked_id(found->get<std::string>(), name, line_number);
}

Json json_of(const RecordId& id) { return id.number ? parse_json(id.text) : Json(id.text); }

}  // namespace mnemo
