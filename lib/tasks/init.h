// A configuration for the user's files, proposed from a look at them.
#pragma once

#include <string>
#include <vector>

#include "text/utf8.h"

namespace mnemo {

struct Proposal {
  std::string config;                ///< JSON; paths as they were given
  std::vector<std::string> reasons;  ///< one line per choice, "KEY: reason"
};

/// Looks at the files of a task: format, columns, labels, script, lengths and number of records. A file with the word
/// dev, test or the like in its name becomes that, all others are train; a folder stands for the files in it that are
/// named so or train, or for the one file in it. Each file is read several times, at the end by the reader of training.
/// Throws UsageError for an unknown task, Error for files that cannot be read or in which the task finds nothing to
/// learn.
Proposal propose(const std::string& task, const std::vector<std::string>& paths,
                 InvalidUtf8 invalid_utf8 = InvalidUtf8::kError);

}  // namespace mnemo
