// A configuration for the user's files, proposed from a look at them.
#pragma once

#include <string>
#include <vector>

namespace mnemo {

struct Proposal {
  std::string config;                ///< JSON; paths as they were given
  std::vector<std::string> reasons;  ///< one line per choice, "KEY: reason"
};

/// Looks at the files of a task: format, columns, labels, script, lengths and number of records. A file whose name says
/// that it is for development or test becomes that, all others are train; a folder stands for the files in it that are
/// named train, dev (or valid) and test. Throws UsageError for an unknown task, Error for files that cannot be read or
/// in which the task finds nothing to learn.
Proposal propose(const std::string& task, const std::vector<std::string>& paths);

}  // namespace mnemo
