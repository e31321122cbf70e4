// Labels and what is odd about them, in messages of a length that does not depend on their number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"

namespace mnemo {

/// A label beside others on a line, as `shown`; in quotes if the line would be ambiguous without them, as the label is
/// empty or has blanks, commas or quotes.
std::string shown_label(std::string_view label);

/// "neg 20, pos 18": names with their numbers, the most frequent first and of equal ones in the order given; of many
/// the first, "and N more". Names are shown as they are given.
std::string listed_by_count(std::vector<std::pair<std::string, std::int64_t>> names);

/// Warnings of one kind: the first few, and how many more there are.
void report_warnings(const std::vector<std::string>& warnings, const Log& log);

}  // namespace mnemo
