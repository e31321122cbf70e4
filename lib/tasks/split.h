// What is done with a run's records whatever they are: dev kept out of train, and folds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace mnemo {

/// Moves data.dev_fraction of train to dev, by data.dev_seed. `record` names one in messages: "text", "sentence".
/// Throws Error where nothing is left to train on; says so where nothing could be kept out.
void keep_dev_out(const Config& config, const char* record, TaskData& data, const Log& log);

/// The data of each of `folds` runs: a part of all records of train (and of what was kept out of it as dev) is a fold's
/// test, the others its train and, where the configuration names no dev, its dev. Throws UsageError for data that are
/// no records.
class Folds {
 public:
  Folds(const Config& config, const TaskData& data, const Task& task, std::int64_t folds);

  std::unique_ptr<TaskData> fold(std::int64_t number) const;

 private:
  const Config& config_;
  const TaskData& data_;
  const Task& task_;
  std::int64_t folds_;
  std::unique_ptr<RecordSet> all_;
  std::vector<int> parts_;
};

}  // namespace mnemo
