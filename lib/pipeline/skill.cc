#include "pipeline/skill.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "text/utf8.h"

namespace mnemo {

std::optional<double> number_under(const SkillKey& key, const Json& record) {
  const auto found = record.find(key.name);
  if (found == record.end()) return std::nullopt;
  const bool whole = key.type == SkillKey::Type::kWhole;
  const double value = found->is_number() ? found->get<double>() : key.low - 1;
  if (!(value >= key.low && value <= key.high) || (whole && value != std::floor(value)))
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

std::optional<std::string> text_under(const SkillKey& key, const Json& record) {
  const auto found = record.find(key.name);
  if (found == record.end()) return std::nullopt;
  if (!found->is_string())
    throw UsageError(fmt::format("{}: expected a string, found {}", key.name, described_type(*found)));
  const auto& out = found->get_ref<const std::string&>();
  if (find_invalid_utf8(out)) throw UsageError(fmt::format("{}: is not valid UTF-8", key.name));
  if (!key.choices.empty() && std::ranges::find(key.choices, out) == key.choices.end())
    throw UsageError(
        fmt::format("{}: expected one of {}; found \"{}\"", key.name, fmt::join(key.choices, ", "), shown(out)));
  return out;
}

void check_value(const SkillKey& key, const Json& record) {
  switch (key.type) {
    case SkillKey::Type::kFlag:
      flag_under(key, record);
      break;
    case SkillKey::Type::kText:
      text_under(key, record);
      break;
    default:
      number_under(key, record);
  }
}

}  // namespace mnemo
