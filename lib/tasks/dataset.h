// What all tasks' data have in common.
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
  ByteDigest read = {};  ///< of the very bytes that the records are of
};

/// One part of a run's data, or what a model is measured on.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Records, of a language model's text units.
  virtual std::int64_t size() const = 0;

  std::vector<SourceFile> files;
};

/// A data set of records that stand for themselves, which can be split and folded.
class RecordSet : public Dataset {
 public:
  /// By which equal records are known: they go to one side of a split.
  virtual std::string text(std::int64_t record) const = 0;
  /// "FILE:LINE".
  virtual std::string place(std::int64_t record) const = 0;
  /// These records, in this order.
  virtual std::unique_ptr<RecordSet> select(std::span<const std::int64_t> records) const = 0;
  /// The records of another set of the same kind after its own.
  virtual void append(const RecordSet& other) = 0;
};

/// What tells a run's data apart by content, for a model's provenance: "train", "dev", and the number of records of
/// each. Names and folders of files do not change a model's bytes.
Json data_provenance(const Dataset& train, const Dataset& dev);
/// A text that differs when labels or data differ, from the data or from a model that tells of them.
std::string data_identity(const std::vector<std::string>& labels, const Dataset& train, const Dataset& dev);
std::string data_identity(const ModelMetadata& model);

/// The parts of a record set that a split makes of it, each record to one of `shares.size()` parts of about the given
/// shares (sum 1), equal texts staying together, at random by `seed`: the part of each record.
std::vector<int> split_by_text(const RecordSet& records, const std::vector<double>& shares, std::uint64_t seed);
/// The same of texts.
std::vector<int> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                               std::uint64_t seed);

/// The records whose part is, or is not, the given one.
std::unique_ptr<RecordSet> part_of(const RecordSet& records, const std::vector<int>& parts, int part, bool equal);

}  // namespace mnemo
