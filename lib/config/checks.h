// Errors of a configuration whose options are valid one by one: options that contradict each other, and options that do
// not apply to the data files. Each check adds lines to `errors`.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/tasks.h"

namespace mnemo {

/// The message for a key that these tasks have, but not this one.
std::string not_of_task(TaskSet tasks, const std::string& task);

void check_contradictions(const Config& config, std::vector<std::string>& errors);

/// Checks the formats of files, options that belong to formats, and those that would do nothing. Only for a
/// configuration that names its data files: a model's copy has the values of all options, whatever they were set for.
void check_data_files(const Config& config, std::vector<std::string>& errors);

}  // namespace mnemo
