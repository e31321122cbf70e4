// A configuration for files of one's own, found by looking at them.
#pragma once

#include <string>
#include <vector>

namespace mnemo {

struct Proposal {
  std::string config;                ///< JSON; paths as they were given
  std::vector<std::string> reasons;  ///< a line for each choice, "KEY: why"
};

/// Looks at the files of a task: format, columns, labels, script, lengths and number of records. A file whose name
/// tells that it is for development or test becomes that, all others are train; a folder stands for the files in it
/// that are named train, dev (or valid) and test. Throws UsageError for a task that is none, Error for files that
/// cannot be read, or in which nothing is found that the task could learn.
Proposal propose(const std::string& task, const std::vector<std::string>& paths);

}  // namespace mnemo
