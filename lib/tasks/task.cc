#include "tasks/task.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "config/option_values.h"

namespace mnemo {

const Task& task_named(std::string_view name) {
  for (const auto& task : kTasks)
    if (task().traits().name == name) return task();
  throw UsageError(fmt::format("task: unknown task \"{}\"", name));
}

const Task& task_of(const TextModel& model) { return task_named(model.config().task); }

void check_format(const std::string& format, const TaskTraits& traits) {
  const std::vector<std::string> known = values_of(data_formats(), traits.name);
  if (format.empty() || std::ranges::find(known, format) != known.end()) return;
  throw UsageError(fmt::format("--format-in {}: is not a format of the task {}; expected {}", format, traits.name,
                               fmt::join(known, ", ")));
}

void ModelTraining::save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) {
  Json provenance{{"seed", config_.training.seed}};
  provenance.update(data_provenance(*data_.train, *data_.dev));
  provenance["train_units"] = units();
  provenance.update(progress);
  model_.save(path, metrics, provenance, pool);
}

}  // namespace mnemo
