#include "tasks/cross_validation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shown.h"
#include "config/options.h"
#include "tasks/split.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

constexpr std::size_t kNamedFolds = 10;  // most that a message names

void report_fold(const FoldResult& result, const Part& fold, const Log& print) {
  if (result.value)
    print(fmt::format("fold {} of {}: {} {:.4f}", fold.index, fold.count, result.metric, *result.value));
  else
    print(fmt::format("fold {} of {}: {} is not defined on it", fold.index, fold.count, result.metric));
}

std::vector<double> values_of(const std::vector<FoldResult>& results) {
  std::vector<double> out;
  for (const FoldResult& result : results)
    if (result.value) out.push_back(*result.value);
  return out;
}

void report_folds(const std::vector<FoldResult>& results, const Log& print) {
  const std::vector<double> values = values_of(results);
  const std::string& metric = results.back().metric;
  const auto n = static_cast<double>(values.size());
  if (values.empty()) return print(fmt::format("{} folds: {} is not defined on any of them", results.size(), metric));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  print(fmt::format(
      "{} folds: {} mean {:.4f}, standard deviation {:.4f}{}", results.size(), metric, mean,
      std::sqrt(squares / std::max(1.0, n - 1)),
      values.size() < results.size() ? fmt::format(", of the {} on which it is defined", values.size()) : ""));
}

// A file that --fold wrote.
struct StoredFold {
  Part fold;
  FoldSource source;
  FoldResult result;
};

StoredFold read_fold_result(const std::string& path) {
  try {
    const Json json = parse_json(read_file(path));
    StoredFold out;
    out.fold = {json.at("fold").get<std::int64_t>(), json.at("folds").get<std::int64_t>()};
    out.source = {json.at("configuration"), json.at("data").get<std::string>()};
    out.result.metric = json.at("metric").get<std::string>();
    if (!json.at("value").is_null()) out.result.value = json.at("value").get<double>();
    if (out.fold.index < 1 || out.fold.count < out.fold.index || out.fold.count > Part::kMostParts)
      fail("{}: not the result of a fold: its number is {} of {}", path, out.fold.index, out.fold.count);
    return out;
  } catch (const JsonError& error) {
    fail("{}: not the result of a fold: {}", path, error.what());
  } catch (const Json::exception& error) {
    fail("{}: not the result of a fold: {}", path, json_reason(error));
  }
}

// The number of folds that the first result in the folder is one of.
std::int64_t folds_of(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("fold-") && name.ends_with(".json")) found.push_back(at->path().string());
  }
  if (found.empty()) fail("{}: holds no results of folds, fold-1.json and so on; train each with --fold I/K", folder);
  return read_fold_result(*std::min_element(found.begin(), found.end())).fold.count;
}

void check_all_there(const std::string& folder, std::int64_t folds) {
  std::vector<std::string> missing;
  for (std::int64_t fold = 0; fold < folds; ++fold)
    if (!file_exists(fold_result_path(folder, fold))) missing.push_back(fmt::format("--fold {}/{}", fold + 1, folds));
  if (missing.empty()) return;
  const std::size_t more = missing.size() - std::min(missing.size(), kNamedFolds);
  missing.resize(missing.size() - more);
  fail("{}: no results yet of {}{}", folder, fmt::join(missing, ", "), more ? fmt::format(" and {} more", more) : "");
}

// "KEY BEFORE rather than NOW" of each key that differs.
std::vector<std::string> differing_keys(const Json& stored, const Json& given) {
  std::vector<std::string> out;
  const auto text = [](const Json& json, const Json::json_pointer& at) {
    return json.contains(at) ? json.at(at).dump() : std::string("not set");
  };
  for (const Option& option : options()) {
    const auto at = config_pointer(option.key);
    if (text(stored, at) != text(given, at))
      out.push_back(fmt::format("{} {}, now {}", option.key, shown(text(stored, at)), shown(text(given, at))));
  }
  return out;
}

}  // namespace

std::string fold_folder(const std::string& folder, std::int64_t fold) {
  return fmt::format("{}/fold-{}", folder, fold + 1);
}

std::string fold_result_path(const std::string& folder, std::int64_t fold) {
  return fold_folder(folder, fold) + ".json";
}

namespace {

FoldRun run_fold_of(const Folds& parts, const Task& task, const Config& config, const ReadRequest& request,
                    const Part& fold, const TrainerOptions& options, ThreadPool& pool, const Log& print) {
  const auto part = parts.fold(fold.index - 1);
  TrainerOptions own = options;
  own.folder = fold_folder(options.folder, fold.index - 1);
  const auto model =
      build_model(task, config, {request.config_path, request.invalid_utf8, options.log}, *part, nullptr);
  const auto outcome = train_model(task, config, *part, *model, own, pool);
  if (outcome.end == TrainingOutcome::End::kSignal) return {std::nullopt, outcome.signal};
  const auto best = TextModel::load(model_path(own.folder));
  const auto report = task.measure(*best, *part->test, MeasureRequest(), pool);
  FoldResult result;
  // A loss of training that reports do not have is replaced by their own metric.
  result.metric = report->metric(outcome.metric) ? outcome.metric : report->main_metric();
  result.value = report->metric(result.metric);
  report_fold(result, fold, print);
  return {result, 0};
}

}  // namespace

FoldRun run_fold(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
                 const Part& fold, const TrainerOptions& options, ThreadPool& pool, const Log& print) {
  return run_fold_of(Folds(config, data, task, fold.count), task, config, request, fold, options, pool, print);
}

int cross_validate(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool, const Log& print) {
  const Folds parts(config, data, task, folds);
  std::vector<FoldResult> results;
  for (std::int64_t fold = 1; fold <= folds; ++fold) {
    const FoldRun run = run_fold_of(parts, task, config, request, {fold, folds}, options, pool, print);
    if (!run.result) return run.signal;
    results.push_back(*run.result);
  }
  report_folds(results, print);
  return 0;
}

void write_fold_result(const std::string& folder, const Part& fold, const FoldSource& source,
                       const FoldResult& result) {
  const Json json{{"fold", fold.index},      {"folds", fold.count},
                  {"metric", result.metric}, {"value", result.value ? Json(*result.value) : Json()},
                  {"data", source.data},     {"configuration", source.configuration}};
  write_file(fold_result_path(folder, fold.index - 1), json.dump(1) + "\n");
}

void collect_folds(const std::string& folder, const Json& configuration, const Log& print) {
  const std::int64_t folds = folds_of(folder);
  check_all_there(folder, folds);
  std::vector<FoldResult> results;
  std::string data;
  for (std::int64_t fold = 0; fold < folds; ++fold) {
    const std::string path = fold_result_path(folder, fold);
    const StoredFold stored = read_fold_result(path);
    if (stored.fold.index != fold + 1 || stored.fold.count != folds)
      fail("{}: the result of fold {} of {}, expected {} of {}", path, stored.fold.index, stored.fold.count, fold + 1,
           folds);
    if (const auto keys = differing_keys(stored.source.configuration, configuration); !keys.empty())
      fail("{}: of another configuration: {}", path, fmt::join(keys, "; "));
    if (fold > 0 && stored.source.data != data)
      fail("{}: trained on other data than {}", path, fold_result_path(folder, 0));
    data = stored.source.data;
    results.push_back(stored.result);
  }
  for (std::int64_t fold = 0; fold < folds; ++fold)
    report_fold(results[static_cast<std::size_t>(fold)], {fold + 1, folds}, print);
  report_folds(results, print);
}

}  // namespace mnemo
