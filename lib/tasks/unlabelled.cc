// The texts go to a file of lines in the language model's folder, so that its run is like any other: it can be resumed,
// and its log and data can be looked at.
#include "tasks/unlabelled.h"

#include <array>
#include <filesystem>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "config/options.h"
#include "pipeline/network_options.h"
#include "tasks/classify/data.h"
#include "tasks/start_from.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

void append_line(std::string& out, std::string_view text) {
  const std::size_t begin = out.size();
  out += text;
  for (std::size_t i = begin; i < out.size(); ++i)
    if (out[i] == '\n' || out[i] == '\r') out[i] = ' ';
  out += '\n';
}

// Texts of dev or test that are also among those without labels.
struct Held {
  const char* part;
  const RecordSet& records;
  std::unordered_set<std::string> lines = {};
  std::int64_t found = 0;
};

// Returns the text of train and of data.unlabelled; reports how much it is, and what of dev and test is in it.
std::string lines_of_texts(const Config& config, const ReadRequest& request, const TaskData& data) {
  const auto& train = static_cast<const RecordSet&>(*data.train);
  std::array held{Held{"dev", static_cast<const RecordSet&>(*data.dev)},
                  Held{"test", static_cast<const RecordSet&>(*data.test)}};
  for (Held& part : held)
    for (std::int64_t i = 0; i < part.records.size() && !config.data.unlabelled.empty(); ++i) {
      std::string line;
      append_line(line, part.records.text(i));
      part.lines.insert(std::move(line));
    }
  std::string out;
  for (std::int64_t i = 0; i < train.size(); ++i) append_line(out, train.text(i));
  // Lines have none of the columns that data names for train.
  DataConfig lines;
  lines.format = "lines";
  std::int64_t texts = 0;
  for (const DataFile& file : config.data.unlabelled) {
    const std::string path = data_path(file.file, config.data.dir, request.config_path);
    RecordOptions options = record_options(file.format ? config.data : lines, file, request.invalid_utf8);
    options.require_label = false;
    const auto reader = open_records(path, options);
    Record record;
    std::int64_t filled = 0;
    while (reader->next(record)) {
      filled += record.text.find_first_not_of(" \t\r\n") != std::string::npos ? 1 : 0;
      const std::size_t begin = out.size();
      append_line(out, record.text);
      for (Held& part : held) part.found += part.lines.contains(out.substr(begin)) ? 1 : 0;
    }
    texts += filled;
    report_counts(path, reader->counts(), request.log);
    if (filled == 0) request.log(fmt::format("warning: data.unlabelled: {} has no text", path));
  }
  request.log(fmt::format("language model: of {} texts of train and {} without labels", train.size(), texts));
  for (const Held& part : held)
    if (part.found > 0)
      request.log(
          fmt::format("warning: data.unlabelled: {} of {}: the language model reads what the classifier is "
                      "measured on",
                      counted(part.found, "text"), part.part));
  return out;
}

// A hundredth of a large text tells one epoch from another, and what is kept out teaches nothing.
constexpr std::size_t kLargeText = 10'000'000;

Config language_config(const Config& config, const std::string& folder, const std::string& text_path,
                       std::size_t bytes) {
  const Json own{
      {"task", generate_task().traits().name},
      {"data",
       {{"train", std::filesystem::absolute(text_path).string()}, {"dev_fraction", bytes > kLargeText ? 0.01 : 0.1}}},
      {"training",
       {{"seed", config.training.seed},
        {"threads", config.training.threads},
        {"precision", config.training.precision},
        {"shards", config.training.shards},
        {"sampled_softmax", config.training.sampled_softmax},
        {"epochs", config.training.language_epochs},
        {"max_minutes", config.training.max_minutes}}},
      {"output", {{"dir", folder}}}};
  GivenDefaults given = lent_values(config);
  // Its output has the size of its last layer.
  const std::int64_t width = config.model.projection > 0 ? config.model.projection : config.model.hidden;
  given["text.min_count"] = config.text.min_count;
  given["text.max_vocab"] = config.text.max_vocab;
  given["text.merges"] = config.text.merges;
  given["model.tied"] = config.model.embedding == width;
  return parse_model_config(own.dump(), language_model_key(config), {}, given);
}

std::string text_path(const std::string& folder) { return folder + "/text.txt"; }

}  // namespace

std::string language_folder(const std::string& run_folder) { return run_folder + "/language-model"; }

void remove_language_folder(const std::string& run_folder) {
  const std::string folder = language_folder(run_folder);
  std::error_code none;
  std::filesystem::remove(text_path(folder), none);
  std::filesystem::remove(folder, none);
}

void check_same_texts(const Config& config, const ReadRequest& request, const TaskData& data,
                      const std::string& folder) {
  const std::string path = text_path(folder);
  if (!file_exists(path)) return;
  const ReadRequest quiet{request.config_path, request.invalid_utf8, [](const std::string&) {}};
  if (read_file(path) != lines_of_texts(config, quiet, data))
    throw UsageError(
        fmt::format("{}: the language model that the run began with was trained on other texts; --overwrite starts "
                    "over, --init-from starts a new run from a model",
                    path));
}

FirstModel prepare_language_model(const Config& config, const ReadRequest& request, const TaskData& data,
                                  const std::string& folder) {
  const std::string path = text_path(folder);
  const std::string text = lines_of_texts(config, request, data);
  FirstModel out{.config = language_config(config, folder, path, text.size()), .data = nullptr, .model = nullptr};
  std::filesystem::create_directories(folder);
  write_file(path, text);
  const ReadRequest own_request{path, request.invalid_utf8, request.log};
  out.data = generate_task().read(out.config, own_request, nullptr);
  settle_by_size(out.config, *out.data);
  out.model = build_model(generate_task(), out.config, own_request, *out.data, nullptr);
  return out;
}

std::string describe(const FirstModel& first) {
  return fmt::format("language model: {}, {}, {}", counted(first.data->train->files.front().records, "text"),
                     counted(first.data->train->size() + first.data->dev->size(), "unit"),
                     counted(first.config.training.epochs, "epoch"));
}

void try_start(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
               const TextModel& language_model) {
  ReadRequest quiet = request;
  quiet.log = [](const std::string&) {};
  const auto model = build_model(task, config, quiet, data, lender_of(&language_model));
  try {
    start_from(*model, language_model, language_model_key(config), quiet.log);
  } catch (const Error& error) {
    throw UsageError(error.what());  // both models are as the configuration has them
  }
  task.training(config, data, *model);
}

TrainingOutcome train_language_model(const FirstModel& first, TrainerOptions options, ThreadPool& pool) {
  options.folder = language_folder(options.folder);
  options.init_from.clear();
  return train_model(generate_task(), first.config, *first.data, *first.model, options, pool);
}

}  // namespace mnemo
