#include "tasks/task.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace mnemo {
namespace {

constexpr std::array kTasks{classify_task, tag_task, generate_task};

}  // namespace

const Task& task_named(std::string_view name) {
  for (const auto& task : kTasks)
    if (task().traits().name == name) return task();
  throw UsageError(fmt::format("task: unknown task \"{}\"", name));
}

const Task& task_of(const TextModel& model) { return task_named(model.config().task); }

void check_format(const std::string& format, const TaskTraits& traits) {
  if (format.empty() || is_unlabelled(format) != traits.labelled) return;
  throw UsageError(traits.labelled
                       ? fmt::format("--format-in {}: only for language models; {} needs labels", format, traits.name)
                       : fmt::format("--format-in {}: {} reads lines or poems-json", format, traits.model));
}

void ModelTraining::save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) {
  Json provenance{{"seed", config_.training.seed}};
  provenance.update(data_provenance(*data_.train, *data_.dev));
  provenance["train_units"] = units();
  provenance.update(progress);
  model_.save(path, metrics, provenance, pool);
}

}  // namespace mnemo
