#include "pipeline/skill.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"

namespace mnemo {

std::optional<double> number_under(const SkillKey& key, const Json& record) {
  const auto found = record.find(key.name);
  if (found == record.end()) return std::nullopt;
  const bool whole = key.type == SkillKey::Type::kWhole;
  const double value = found->is_number() ? found->get<double>() : key.low - 1;
  if (!(value >= key.low && value <= key.high) || (whole && !found->is_number_integer()))
    throw UsageError(fmt::format("{}: expected {} from {} to {}, found {}", key.name,
                                 whole ? "a whole number" : "a number", key.low, key.high,
                                 shown(found->dump(-1, ' ', true, Json::error_handler_t::replace))));
  return value;
}

bool flag_under(const SkillKey& key, const Json& record) {
  const auto found = record.find(key.name);
  if (found == record.end()) return false;
  if (!found->is_boolean())
    throw UsageError(fmt::format("{}: expected true or false, found {}", key.name, described_type(*found)));
  return found->get<bool>();
}

}  // namespace mnemo
