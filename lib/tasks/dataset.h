// Data sets: the part that all tasks share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "checkpoint/model_file.h"
#include "text/line_reader.h"

namespace mnemo {

/// A file that was read, for the provenance and for messages.
struct SourceFile {
  std::string path;
  std::int64_t records = 0;
  ByteDigest read = {};  ///< of the very bytes that the records were read from
};

/// One part of a run's data, or the data that a model is measured on.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of records or, in a language model's text, units.
  virtual std::int64_t size() const = 0;

  std::vector<SourceFile> files;
};

/// A data set of independent records, which can be split and folded.
class RecordSet : public Dataset {
 public:
  /// The text by which records are equal: equal ones go to one side of a split.
  virtual std::string text(std::int64_t record) const = 0;
  /// "FILE:LINE".
  virtual std::string place(std::int64_t record) const = 0;
  /// These records, in this order.
  virtual std::unique_ptr<RecordSet> select(std::span<const std::int64_t> records) const = 0;
  /// Appends the records of another set of the same kind.
  virtual void append(const RecordSet& other) = 0;
};

/// The content of a run's data, for a model's provenance: "train", "dev", and the number of records of each. Names and
/// folders of files are left out, so that they do not change a model's bytes.
Json data_provenance(const Dataset& train, const Dataset& dev);
/// A string that differs when labels or data differ, made from the data or from the metadata of a model.
std::string data_identity(const std::vector<std::string>& labels, const Dataset& train, const Dataset& dev);
std::string data_identity(const ModelMetadata& model);

/// Splits a record set at random, by `seed`, into `shares.size()` parts of about the given shares (sum 1), equal texts
/// staying together; returns the part of each record.
std::vector<int> split_by_text(const RecordSet& records, const std::vector<double>& shares, std::uint64_t seed);
/// The same for texts.
std::vector<int> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                               std::uint64_t seed);

/// The records whose part is, or is not, the given one.
std::unique_ptr<RecordSet> part_of(const RecordSet& records, const std::vector<int>& parts, int part, bool equal);

}  // namespace mnemo
