#include "config/nearest.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace mnemo {
namespace {

// With neighbouring letters that changed places as one change: the most frequent kind of typing error.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last = std::move(last);
    last = row;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row.back();
}

// A longer name is not a typing error, and the distance is quadratic.
std::string_view start_of(std::string_view name) { return name.substr(0, 100); }

bool ends_in(std::string_view candidate, std::string_view name) {
  return candidate.size() > name.size() && candidate.ends_with(name) &&
         candidate[candidate.size() - name.size() - 1] == '.';
}

}  // namespace

std::string nearest(const std::string& name, const std::vector<std::string>& candidates) {
  for (const std::string& candidate : candidates)
    if (ends_in(candidate, name)) return candidate;
  return *std::min_element(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
    return edit_distance(start_of(name), a) < edit_distance(start_of(name), b);
  });
}

std::string nearest_if_near(const std::string& name, const std::vector<std::string>& candidates) {
  const auto bare = [](std::string_view text) {
    return text.substr(std::min(text.find_first_not_of('-'), text.size()));
  };
  std::string found = nearest(name, candidates);
  if (ends_in(found, name)) return found;
  const std::string_view typed = start_of(bare(name)), meant = bare(found);
  const std::size_t longer = std::max(bare(name).size(), meant.size());
  if (2 * edit_distance(typed, meant) > longer || name.size() > start_of(name).size()) found.clear();
  return found;
}

}  // namespace mnemo
