// What is wrong with a configuration though each of its options is right: options that contradict each other, and those
// without a meaning for the data that are named. Each adds lines to `errors`.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/tasks.h"

namespace mnemo {

/// What messages say of a key that these tasks have, and this one has not.
std::string not_of_task(TaskSet tasks, const std::string& task);

void check_contradictions(const Config& config, std::vector<std::string>& errors);

/// Formats of files and options that belong to formats. Only of a configuration that names the files of its data.
void check_data_files(const Config& config, std::vector<std::string>& errors);

}  // namespace mnemo
