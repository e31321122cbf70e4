// Building and training a model, and trial runs: --dry-run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tasks/counted_units.h"
#include "tasks/task.h"

namespace mnemo {

/// Adds the lengths of the records [first, end). Threads share it.
using CountLengths = std::function<void(std::int64_t first, std::int64_t end, LengthCounts& out)>;
/// Prints how many texts and units a part of the data has, and how long its texts are; nothing for an empty one.
void report_lengths(const char* name, const RecordSet& records, const Log& print, const CountLengths& count);

/// Gives the keys that were left to the size of train their values; a line that lists them, empty if there are none.
std::string settle_by_size(Config& config, const TaskData& data);

/// `Task::build`; if there is not enough memory, the Error names the sizes that could be smaller.
std::unique_ptr<TextModel> build_model(const Task& task, const Config& config, const ReadRequest& request,
                                       const TaskData& data, const TextModel* start);

/// Prints the data that would be trained on and the estimated cost, without training: labels, repeated records,
/// lengths, parameters, memory and time, measured on a few batches with a learning rate of 0. Of `options` it needs
/// what belongs to the other processes that would train with this one; all of them make the trial.
void dry_run(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
             const TrainerOptions& options, ThreadPool& pool, const Log& print);

/// The last part of `dry_run`, of a model: parameters, memory and time.
void report_cost(const Task& task, const Config& config, const TaskData& data, TextModel& model,
                 const TrainerOptions& options, ThreadPool& pool, const Log& print);

/// Trains into options.folder. At the end the weights of `model` are the best ones, unless a signal stopped the run.
TrainingOutcome train_model(const Task& task, const Config& config, const TaskData& data, TextModel& model,
                            const TrainerOptions& options, ThreadPool& pool);

}  // namespace mnemo
