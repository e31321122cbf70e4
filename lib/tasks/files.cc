#include "tasks/files.h"

#include <filesystem>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/text_tagger.h"

namespace mnemo {

std::string shown_path(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string data_path(const std::string& file, const std::string& data_dir, const std::string& config_path) {
  const std::filesystem::path path(file);
  if (path.is_absolute() || file == "-") return file;
  if (!data_dir.empty()) return (std::filesystem::path(data_dir) / path).lexically_normal().string();
  // What a shell passes as /dev/fd/63 or /dev/stdin lies in no folder that holds data.
  const bool stream = config_path.starts_with("/dev/") || config_path.starts_with("/proc/");
  const std::filesystem::path folder = stream ? "" : std::filesystem::path(config_path).parent_path();
  return (folder / path).lexically_normal().string();
}

DataFile requested_file(const OpenRequest& request, DataConfig& data) {
  if (!request.format.empty() && request.format != data.format) {
    forget_columns(data, request.format);
    data.format = request.format;
  }
  data.dir.clear();
  DataFile out;
  out.file = request.path;
  return out;
}

void forget_columns(DataConfig& data, const std::string& format) {
  // Columns have names in conllu and numbers elsewhere; only the name for words is the same everywhere.
  const bool words = data.columns.size() == 1 && finds_words(data.columns.front());
  if (!words && (data.format == "conllu") != (format == "conllu") && data.columns.size() < 2) data.columns.clear();
  data.label = data.text = data.separator = "";
  data.header.reset();
  data.phrases = data.multi_label = data.strip_position = false;
}

void report_byte_order_marks(const std::string& name, bool at_start, std::size_t lines, const Log& log) {
  if (at_start) log(fmt::format("{}: begins with a byte order mark, which was dropped", name));
  if (lines > 0)
    log(fmt::format("{}: lines after the first that begin with a byte order mark, which was dropped: {}", name, lines));
}

void report_counts(const std::string& path, const ReadCounts& counts, const Log& log) {
  report_byte_order_marks(path, counts.had_bom, counts.bom_lines, log);
  if (counts.crlf_lines > 0) log(fmt::format("{}: lines that end in CRLF: {}", path, counts.crlf_lines));
  if (counts.empty_lines > 0) log(fmt::format("{}: {} skipped", path, counted(counts.empty_lines, "empty line")));
  if (counts.invalid_sequences > 0)
    log(fmt::format("{}: {} replaced or skipped", path, counted(counts.invalid_sequences, "invalid UTF-8 sequence")));
}

std::shared_ptr<Storage> record_storage(const Config& config, const std::string& folder, ThreadPool& pool) {
  auto out = std::make_shared<Storage>(folder, static_cast<std::int64_t>(config.training.memory * 1e6));
  out->pool = &pool;
  return out;
}

void check_train_named(const DataConfig& data) {
  if (data.train.empty())
    throw UsageError("data.train: no training data; set it in the configuration or with --set data.train=FILE");
}

}  // namespace mnemo
