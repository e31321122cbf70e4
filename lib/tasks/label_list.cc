#include "tasks/label_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/shown.h"

namespace mnemo {

std::string shown_label(std::string_view label) {
  bool ambiguous = label.empty();
  // Blanks beside the ASCII one: no-break, those of typesetting (U+2000 to U+200A), narrow no-break, ideographic.
  for (std::size_t at = 0; at < label.size(); ++at) {
    const std::string_view rest = label.substr(at);
    ambiguous = ambiguous || rest[0] == ' ' || rest[0] == ',' || rest[0] == '"' || rest.starts_with("\xC2\xA0") ||
                (rest.starts_with("\xE2\x80") && rest.size() > 2 && (rest[2] & 0xFF) <= 0x8A) ||
                rest.starts_with("\xE2\x80\xAF") || rest.starts_with("\xE3\x80\x80");
  }
  if (!ambiguous) return shown(label);
  std::string out = "\"";
  for (const char c : shown(label)) out += c == '"' ? std::string("\\\"") : std::string(1, c);
  return out + "\"";
}

std::string listed_by_count(std::vector<std::pair<std::string, std::int64_t>> names) {
  constexpr std::size_t kListed = 50;
  std::ranges::stable_sort(names, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> texts;
  texts.reserve(names.size());
  for (const auto& [name, count] : names) texts.push_back(fmt::format("{} {}", name, count));
  return abridged(texts, kListed, ", ");
}

void report_warnings(const std::vector<std::string>& warnings, const Log& log) {
  constexpr std::size_t kReported = 5;
  for (std::size_t i = 0; i < std::min(kReported, warnings.size()); ++i) log("warning: " + warnings[i]);
  if (warnings.size() > kReported) log(fmt::format("warning: and {} more like it", warnings.size() - kReported));
}

}  // namespace mnemo
