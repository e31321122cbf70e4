// Splits of a run's records, whatever they are: dev held out of train, and folds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace mnemo {

/// Moves data.dev_fraction of train to dev, by data.dev_seed. `record` is the word for a record in messages: "text",
/// "sentence". Throws Error if nothing is left to train on; reports if nothing could be held out.
void keep_dev_out(const Config& config, const char* record, TaskData& data, const Log& log);

/// The data of each of `folds` runs: one part of all records of train (and of those held out of it as dev) is a fold's
/// test, the others are its train and, where the configuration names no dev, its dev. Throws UsageError for data that
/// are not records.
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
  std::vector<std::uint16_t> parts_;
};

}  // namespace mnemo
