// The files that a configuration or a command line names.
#pragma once

#include <string>

#include "base/log.h"
#include "config/config.h"
#include "tasks/dataset.h"
#include "text/records.h"
#include "text/utf8.h"

namespace mnemo {

/// What reading needs beside the configuration.
struct ReadRequest {
  std::string config_path;  ///< of the configuration file, at whose folder paths of data start
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  Log log = [](const std::string&) {};  ///< what was unusual
};

/// A file of the command line, which a model is to read as it read its training data.
struct OpenRequest {
  std::string path;    ///< or "-" for standard input
  std::string format;  ///< overrides the one of the model's configuration; empty: does not
  std::string what;    ///< how messages name it: "data", "train", "dev"
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  Log log = [](const std::string&) {};
  bool again = false;  ///< it will be reopened, so that what can be read only once is to be kept
};

/// How messages name a path: "standard input" for "-".
std::string shown_path(const std::string& path);

/// The path of a data file: as it is if absolute, else from data.dir if that is set, else from the folder of the
/// configuration file.
std::string data_path(const std::string& file, const std::string& data_dir, const std::string& config_path);

/// The one file of `request`, and `data` as it is to be read: keys that say where in a record label and text are say
/// nothing of another format.
DataFile requested_file(const OpenRequest& request, DataConfig& data);
/// Clears the keys that say where in a record of data.format label and text are, as it is to be read as `format`.
void forget_columns(DataConfig& data, const std::string& format);

/// Whether the format is one of texts alone.
bool is_unlabelled(const std::string& format);

/// Says that byte order marks were dropped, at the start of the file and of so many lines behind the first one.
void report_byte_order_marks(const std::string& name, bool at_start, std::size_t lines, const Log& log);
/// Says what a reader of records found that is no error.
void report_counts(const std::string& path, const ReadCounts& counts, const Log& log);

/// Throws UsageError where a configuration names no training data.
void check_train_named(const DataConfig& data);

}  // namespace mnemo
