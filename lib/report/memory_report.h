// The results of runs on the memory problems: as a table, as JSON, and as a page of curves.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "train/memory_problems.h"

namespace mnemo {

struct MemoryResult {
  MemoryProblem problem;
  std::string cell;
  Index length;
  std::uint64_t seed;
  MemoryRun run;
};

struct MemoryReport {
  std::string command;  ///< that repeats it
  /// Settings that all runs share: name, value, in the page's order.
  std::vector<std::pair<std::string, Json>> settings;
  /// Runs that differ only in the seed follow each other.
  std::vector<MemoryResult> results;
};

/// One row for each problem, cell and length: how many seeds solved it, after which steps, and the median over the
/// seeds of loss and fraction right.
std::string memory_table(const MemoryReport& report);

/// {"settings": {...}, "runs": [{"problem", "cell", "length", "seed", "baseline", "solved", "steps", "diverged",
/// "loss", "loss_over_baseline", "right", "curve": [[step, loss over baseline], ...]}, ...]}. What is not known is
/// null: `solved` where it was not, the losses of a run that diverged.
Json memory_json(const MemoryReport& report);

/// An HTML5 page that needs no network and no script: the table, and for each problem, cell and length a chart of the
/// loss over the baseline, with a curve per seed.
std::string memory_page(const MemoryReport& report);

}  // namespace mnemo
