// What the commands that train have in common: the configuration, and the signals that stop them.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "apps/mnemo/data_options.h"
#include "config/options.h"

namespace mnemo {

/// What the file and the command line configure, with defaults that come before the options' own. Throws UsageError,
/// also for products that this processor does not have.
Config configured(const std::string& text, const std::string& path, const std::vector<std::string>& sets,
                  const DataOptions& data, const GivenDefaults& given = {}, Conflicts conflicts = Conflicts::kNow);

/// Becomes the number of the first SIGINT or SIGTERM after `save_on_signals`, which asks the work to save and stop; the
/// second one ends the program at once.
extern std::atomic<int> stop_signal;
void save_on_signals();

}  // namespace mnemo
