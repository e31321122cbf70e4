// Labelled texts as a configuration names them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "checkpoint/model_file.h"
#include "config/config.h"
#include "text/records.h"

namespace mnemo {

/// A file that was read, for the provenance and for messages.
struct SourceFile {
  std::string path;
  std::int64_t bytes = 0, records = 0;
  std::uint64_t hash = 0;  ///< FNV-1a, 64 bits, of the file's bytes
};

/// Texts with the names of their labels, in the order of the files.
struct LabelledTexts {
  struct Entry {
    std::string text;
    std::vector<std::string> labels;
    std::uint32_t file;  ///< index into files
    std::uint64_t line;
  };
  std::vector<Entry> entries;
  std::vector<SourceFile> files;

  /// "FILE:LINE" of an entry.
  std::string place(std::size_t entry) const;
};

/// What tells files apart by content: their names and folders do not change a model's bytes.
Json files_json(const std::vector<SourceFile>& files);

/// One part of a run's data, for its identity.
struct DataPart {
  const std::vector<SourceFile>& files;
  std::int64_t records;
};

/// The provenance that a model tells of its data: "train", "dev", and the number of records of each.
Json data_provenance(const DataPart& train, const DataPart& dev);
/// A text that differs when labels or data differ, from the data or from a model that tells of them.
std::string data_identity(const std::vector<std::string>& labels, const DataPart& train, const DataPart& dev);
std::string data_identity(const ModelMetadata& model);

/// How a file is to be read, from the configuration's keys and those of the file itself.
RecordOptions record_options(const DataConfig& data, const DataFile& file, InvalidUtf8 invalid_utf8);

/// The path of a data file: as it is if absolute, else from data.dir if that is set, else from the folder of the
/// configuration file.
std::string data_path(const std::string& file, const std::string& data_dir, const std::string& config_path);

/// Reads all files. Throws Error for a file that cannot be read, and if there is no record in all of them; `what`
/// ("train") stands in that message. Byte order marks, CRLF, skipped lines and repaired bytes go to `log`.
LabelledTexts read_texts(const std::vector<DataFile>& files, const DataConfig& data, const std::string& config_path,
                         InvalidUtf8 invalid_utf8, const std::string& what, const Log& log);

/// Sorted names of all labels. Throws Error if there are fewer than two (one, with several labels a text).
std::vector<std::string> collect_labels(const LabelledTexts& texts, bool multi_label);

/// Label ids of each entry. Throws Error that names file, line and label if one is not in `labels`.
std::vector<std::vector<std::int32_t>> label_ids(const LabelledTexts& texts, const std::vector<std::string>& labels);

/// Splits texts, equal ones staying together, into parts of about the given shares (sum 1), at random by `seed`.
/// Returns the part of each text.
std::vector<int> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                               std::uint64_t seed);
std::vector<int> split_by_text(const LabelledTexts& texts, const std::vector<double>& shares, std::uint64_t seed);

/// The description of a file that is about to be read, without its records.
SourceFile describe_file(const std::string& path);

/// The entries whose part is, or is not, the given one.
LabelledTexts select(const LabelledTexts& texts, const std::vector<int>& parts, int part, bool equal);

}  // namespace mnemo
