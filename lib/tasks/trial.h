// What a run would be, and runs on parts of train: what the tasks share of --dry-run and --folds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "config/config.h"
#include "pipeline/corpus.h"
#include "tasks/data.h"
#include "train/trainer.h"

namespace mnemo {

/// A part of the data as report_repeats reads it; views live as long as the data.
struct RepeatedTexts {
  const char* name;
  std::vector<std::string_view> texts;
  std::function<std::string(std::size_t text)> place;  ///< "FILE:LINE"
};

/// Prints how many texts of the first part, which is train, occur more than once, and how many of each other part
/// occur in train; with the first of them.
void report_repeats(const std::vector<RepeatedTexts>& parts, const Log& print);

/// Prints how many texts and units a corpus has, and how long its texts are. Nothing of an empty one.
void report_corpus(const char* name, const Corpus& corpus, const Log& print);

/// Prints the task's parameters, memory and time, after trying a few batches with a learning rate of 0. `units` of
/// train.
void report_cost(const Config& config, TrainingTask& task, std::int64_t units, ThreadPool& pool, const Log& print);

/// Where the run of a fold (from 0) lies.
std::string fold_folder(const std::string& folder, std::int64_t fold);

/// Calls `run`, which gives a fold's metric, for each fold until one gives nothing. Prints each metric, their mean and
/// their standard deviation.
std::vector<double> run_folds(std::int64_t folds, const std::string& metric, const Log& print,
                              const std::function<std::optional<double>(std::int64_t fold)>& run);

}  // namespace mnemo
