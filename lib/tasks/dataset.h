// Data sets: the part that all tasks share.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/storage.h"
#include "checkpoint/model_file.h"
#include "tasks/record_store.h"
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

/// A data set of independent records, which can be split and folded: some or all records of a store, which the sets
/// that are selected from one another share.
class RecordSet : public Dataset {
 public:
  explicit RecordSet(std::shared_ptr<Storage> storage)
      : storage_(std::move(storage)), store_(std::make_shared<RecordStore>(storage_)) {}

  std::int64_t size() const final { return chosen_ ? chosen_->size() : store_->size(); }
  /// The text by which records are equal: equal ones go to one side of a split.
  std::string text(std::int64_t record) const { return text_of(store_->copy(number(record))); }
  /// "FILE:LINE".
  virtual std::string place(std::int64_t record) const;
  /// The wanted records, in order; they are asked for in order.
  std::unique_ptr<RecordSet> select(const std::function<bool(std::int64_t record)>& wanted) const;
  std::unique_ptr<RecordSet> none() const;
  /// Appends the records of another set that was selected from the same records, or that has none.
  void append(const RecordSet& other);

  /// Where the records lie, and what is derived from them should; may be null.
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  bool in_file() const { return store_->in_file(); }

 protected:
  /// A record's text, from what the store has of it.
  virtual std::string text_of(RecordStore::Copy record) const = 0;
  /// A set of all the store's records.
  virtual std::unique_ptr<RecordSet> copy() const = 0;
  std::int64_t number(std::int64_t record) const { return chosen_ ? (*chosen_)[record] : record; }
  const RecordStore& store() const { return *store_; }
  /// To add records to, before the set is selected from.
  RecordStore& store() { return *store_; }

 private:
  std::shared_ptr<Storage> storage_;
  std::shared_ptr<RecordStore> store_;
  std::shared_ptr<StoredArray<std::uint32_t>> chosen_;  // records of the store; null: all
};

/// The entries of a set, for loops: `set.entry(i)` of each record.
template <class Set>
class EntriesOf {
 public:
  explicit EntriesOf(const Set& set) : set_(set) {}

  class Iterator {
   public:
    Iterator(const Set& set, std::int64_t at) : set_(set), at_(at) {}
    auto operator*() const { return set_.entry(at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const Set& set_;
    std::int64_t at_;
  };
  Iterator begin() const { return {set_, 0}; }
  Iterator end() const { return {set_, set_.size()}; }

 private:
  const Set& set_;
};

/// The content of a run's data, for a model's provenance: "train", "dev", and the number of records of each. Names and
/// folders of files are left out, so that they do not change a model's bytes.
Json data_provenance(const Dataset& train, const Dataset& dev);
/// A string that differs when labels or data differ, made from the data or from the metadata of a model.
std::string data_identity(const std::vector<std::string>& labels, const Dataset& train, const Dataset& dev);
std::string data_identity(const ModelMetadata& model);

/// Splits a record set at random, by `seed`, into `shares.size()` parts of about the given shares (sum 1), equal texts
/// staying together; returns the part of each record.
std::vector<std::uint16_t> split_by_text(const RecordSet& records, const std::vector<double>& shares,
                                         std::uint64_t seed);
/// The same for texts.
std::vector<std::uint16_t> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                                         std::uint64_t seed);

/// The records whose part is, or is not, the given one.
std::unique_ptr<RecordSet> part_of(const RecordSet& records, const std::vector<std::uint16_t>& parts, int part,
                                   bool equal);

}  // namespace mnemo
