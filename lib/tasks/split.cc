#include "tasks/split.h"

#include "base/error.h"

namespace mnemo {
namespace {

std::uint64_t dev_seed(const Config& config) { return static_cast<std::uint64_t>(config.data.dev_seed); }

std::unique_ptr<RecordSet> copy_of(const RecordSet& records) {
  return records.select([](std::int64_t) { return true; });
}

const RecordSet& records_of(const Dataset& data, const Task& task) {
  const auto* out = dynamic_cast<const RecordSet*>(&data);
  if (!out) throw UsageError(fmt::format("--folds: not for the task {}", task.traits().name));
  return *out;
}

// Splits `records` into train and dev.
std::pair<std::unique_ptr<RecordSet>, std::unique_ptr<RecordSet>> split_off_dev(const Config& config,
                                                                                const RecordSet& records) {
  const double fraction = config.data.dev_fraction;
  const auto parts = split_by_text(records, {1.0 - fraction, fraction}, dev_seed(config));
  return {part_of(records, parts, 0, true), part_of(records, parts, 1, true)};
}

}  // namespace

void keep_dev_out(const Config& config, const char* record, TaskData& data, const Log& log) {
  if (config.data.dev_fraction <= 0) return;
  auto [train, dev] = split_off_dev(config, static_cast<const RecordSet&>(*data.train));
  if (train->size() == 0)
    fail("{}: data.dev_fraction {} leaves no {} to train on", data.train->files.front().path, config.data.dev_fraction,
         record);
  if (dev->size() == 0)
    log(fmt::format("no dev data: too few different {}s to hold any out; the last weights will be the model", record));
  data.train = std::move(train);
  data.dev = std::move(dev);
}

Folds::Folds(const Config& config, const TaskData& data, const Task& task, std::int64_t folds)
    : config_(config), data_(data), task_(task), folds_(folds), all_(copy_of(records_of(*data.train, task))) {
  if (config.data.dev.empty()) all_->append(records_of(*data.dev, task));
  parts_ = split_by_text(*all_, std::vector<double>(folds, 1.0 / static_cast<double>(folds)), dev_seed(config));
}

std::unique_ptr<TaskData> Folds::fold(std::int64_t number) const {
  std::unique_ptr<RecordSet> test = part_of(*all_, parts_, static_cast<int>(number), true),
                             train = part_of(*all_, parts_, static_cast<int>(number), false),
                             dev = copy_of(records_of(*data_.dev, task_));
  if (config_.data.dev.empty()) {
    dev = dev->none();
    if (config_.data.dev_fraction > 0) std::tie(train, dev) = split_off_dev(config_, *train);
  }
  if (train->size() == 0 || test->size() == 0) fail("--folds {}: too few records", folds_);
  return data_.with(std::move(train), std::move(dev), std::move(test));
}

}  // namespace mnemo
