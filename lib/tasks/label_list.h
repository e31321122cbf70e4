// Labels and what is odd about them, in messages of a length that does not depend on their number.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace mnemo {

/// "neg 20, pos 18": names with their numbers, the most frequent first and of equal ones in the order given; of many
/// the first, "and N more". Names are shown as they are given.
std::string listed_by_count(std::vector<std::pair<std::string, std::int64_t>> names);

/// Warnings of one kind: the first few, and how many more there are.
void report_warnings(const std::vector<std::string>& warnings, const Log& log);

}  // namespace mnemo
