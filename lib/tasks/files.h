// The files that a configuration or a command line names.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "base/storage.h"
#include "config/config.h"
#include "text/records.h"
#include "text/utf8.h"

namespace mnemo {

/// Settings of reading that are not in the configuration.
struct ReadRequest {
  std::string config_path;  ///< of the configuration file, to whose folder paths of data are relative
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  Log log = [](const std::string&) {};         ///< gets what was unusual
  std::shared_ptr<Storage> storage = nullptr;  ///< where the records lie; null: in memory
};

/// A file of the command line, to be read as the training data of a model were.
struct OpenRequest {
  std::string path;    ///< or "-" for standard input
  std::string format;  ///< overrides the format of the model's configuration unless it is empty
  std::string what;    ///< how messages name it: "data", "train", "dev"
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  Log log = [](const std::string&) {};
  bool again = false;  ///< it will be reopened, so that input which can be read only once must be kept
  /// Units of a text without records whose spelling is kept for `for_readings`; that of records is kept unless it is 0.
  std::int64_t spelled = 0;
};

/// How messages name a path: "standard input" for "-".
std::string shown_path(const std::string& path);

/// The path of a data file: as it is if absolute, else relative to data.dir if that is set, else to the folder of the
/// configuration file. A configuration under /dev/ or /proc/ is a pipe or a stream rather than a file with a folder:
/// the paths are then relative to the working folder.
std::string data_path(const std::string& file, const std::string& data_dir, const std::string& config_path);

/// The file of `request`; adapts `data` to its format, where the keys for the places of label and text in a record of
/// another format do not apply.
DataFile requested_file(const OpenRequest& request, DataConfig& data);
/// Clears the keys for the places of label and text in a record of data.format that do not apply to `format`.
void forget_columns(DataConfig& data, const std::string& format);

/// Reports that byte order marks were dropped, at the start of the file and of `lines` lines after the first.
void report_byte_order_marks(const std::string& name, bool at_start, std::size_t lines, const Log& log);
/// Reports what a reader of records found that is not an error.
void report_counts(const std::string& path, const ReadCounts& counts, const Log& log);

/// The storage of a run's records: training.memory, beyond it the folder of the run.
std::shared_ptr<Storage> record_storage(const Config& config, const std::string& folder, ThreadPool& pool);

/// Throws UsageError where a configuration names no training data.
void check_train_named(const DataConfig& data);

}  // namespace mnemo
