#include "tasks/task.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "config/option_values.h"

namespace mnemo {

const Task& task_named(std::string_view name) {
  for (const auto& task : kTasks)
    if (task().traits().name == name) return task();
  const std::vector<std::string> names(kTaskNames.begin(), kTaskNames.end());
  throw UsageError(fmt::format("task: unknown task \"{}\"; expected {}", shown(name), listed(names, "or")));
}

const Task& task_of(const TextModel& model) { return task_named(model.config().task); }

void check_format(const std::string& format, const TaskTraits& traits) {
  const std::vector<std::string> known = values_of(data_formats(), traits.name);
  if (format.empty() || std::ranges::find(known, format) != known.end()) return;
  throw UsageError(fmt::format("--format-in {}: is not a format of the task {}; expected {}", shown(format),
                               traits.name, listed(known, "or")));
}

void ModelTraining::save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) {
  Json provenance{{"seed", config_.training.seed}};
  provenance.update(data_provenance(*data_.train, *data_.dev));
  provenance["train_units"] = units();
  provenance.update(progress);
  model_.save(path, metrics, provenance, pool);
}

std::vector<double> Task::losses_with_context(const TextModel&, const Dataset&, const ContextRequest&,
                                              ThreadPool&) const {
  throw UsageError(fmt::format("--context: not for {}", traits().model));
}

std::vector<std::int64_t> evenly_spread(std::int64_t most, std::int64_t size) {
  std::vector<std::int64_t> out;
  const std::int64_t count = std::min(most, size);
  for (std::int64_t i = 0; i < count; ++i) out.push_back(i * size / count);
  return out;
}

}  // namespace mnemo
