// Parallel text as a configuration names it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/text_translator.h"
#include "tasks/task.h"

namespace mnemo {

/// Lines with their translations, in the order of the files.
class PairSet : public RecordSet {
 public:
  struct Entry {
    std::string source, target;
    std::uint32_t file;  ///< index into files, of the source
    std::uint64_t line;
  };

  std::int64_t size() const override { return std::ssize(entries); }
  std::string text(std::int64_t record) const override {
    return entries[record].source + "\t" + entries[record].target;
  }
  std::string place(std::int64_t record) const override;
  std::unique_ptr<RecordSet> select(std::span<const std::int64_t> records) const override;
  void append(const RecordSet& other) override;

  std::vector<Entry> entries;
};

class TranslationData : public TaskData {
 public:
  explicit TranslationData(bool leaves_out) : leaves_out_(leaves_out) {}

  void describe_labels(const Log& log) const override;
  std::unique_ptr<TaskData> with(std::unique_ptr<Dataset> train, std::unique_ptr<Dataset> dev,
                                 std::unique_ptr<Dataset> test) const override;

  const PairSet& train_pairs() const { return static_cast<const PairSet&>(*train); }
  const PairSet& dev_pairs() const { return static_cast<const PairSet&>(*dev); }

 private:
  bool leaves_out_;  ///< data.max_ratio is set
};

/// Reads all files. Throws Error for a file that cannot be read, and if there is no pair in any of them; `what` names
/// them in that message. What was unusual is reported to the request's log.
PairSet read_pairs(const std::vector<DataFile>& files, const DataConfig& data, const ReadRequest& request,
                   const std::string& what);

/// Reads the data that the configuration names, and holds out dev_fraction of train where there is no dev.
std::unique_ptr<TranslationData> read_translation_data(const Config& config, const ReadRequest& request);

/// All pairs as ids.
std::vector<EncodedPair> encode_pairs(const TextTranslator& model, const PairSet& pairs);

/// Whether a side has nothing but blanks.
bool has_blank_side(const PairSet::Entry& pair);

/// The places of the pairs that data.max_length and data.max_ratio allow, counted in units without the end.
struct UsablePairs {
  std::vector<std::int64_t> places;
  std::int64_t too_long = 0, too_uneven = 0;
};
/// `encoded` is encode_pairs of `pairs`.
UsablePairs usable_pairs(const std::vector<EncodedPair>& encoded, const PairSet& pairs, const DataConfig& data);

/// How many pairs have sides of extremely different length, both with units: by the ratio of units, as data.max_ratio.
std::int64_t extreme_pairs(const std::vector<EncodedPair>& pairs);

/// Follows the number of odd pairs that are in train.
inline constexpr const char* kLeavesOut = "; data.max_ratio leaves such pairs out";

/// The sources, in order.
std::vector<std::string> sources_of(const PairSet& pairs);

}  // namespace mnemo
