#include "tasks/label_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/shown.h"

namespace mnemo {

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
