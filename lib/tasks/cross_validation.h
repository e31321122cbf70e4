// Cross-validation: all folds in one run (--folds), or each in a run of its own (--fold) whose results are collected
// afterwards (--collect).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "tasks/task.h"
#include "text/part.h"

namespace mnemo {

/// The folder of the run of a fold (from 0), and the file of its result, in the folder of all.
std::string fold_folder(const std::string& folder, std::int64_t fold);
std::string fold_result_path(const std::string& folder, std::int64_t fold);

/// What a fold measured on its own part of train.
struct FoldResult {
  std::string metric;
  std::optional<double> value;  ///< empty: the metric is not defined on that part
};

/// A fold that was trained and measured, or the signal that stopped it.
struct FoldRun {
  std::optional<FoldResult> result;
  int signal = 0;
};

/// Trains one fold in its folder below options.folder and measures it. Prints its metric.
FoldRun run_fold(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
                 const Part& fold, const TrainerOptions& options, ThreadPool& pool, const Log& print);

/// Cross-validation over train: K runs in folder/fold-1 ... fold-K, each tested on a K-th of the records. Prints each
/// fold's metric, their mean and standard deviation. A fold on which the metric is not defined is left out of the mean,
/// and this is reported. Returns the signal that stopped it, or 0.
int cross_validate(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool, const Log& print);

/// Which cross-validation a result belongs to.
struct FoldSource {
  Json configuration;  ///< as config_to_json has it, with the keys that are stored
  std::string data;    ///< data_identity of all the data
};

/// Writes the result of a fold; the file appears when it is complete.
void write_fold_result(const std::string& folder, const Part& fold, const FoldSource& source, const FoldResult& result);

/// Prints what `cross_validate` does, from the results in the folder. Throws Error for folds without one, naming them,
/// and for results of other configurations, of other data than the first one's, or of another number of folds.
void collect_folds(const std::string& folder, const Json& configuration, const Log& print);

}  // namespace mnemo
