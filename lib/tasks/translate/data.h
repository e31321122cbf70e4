// Parallel text as a configuration names it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text_translator.h"
#include "tasks/task.h"

namespace mnemo {

/// Lines with their translations, in the order of the files.
class PairSet : public RecordSet {
 public:
  struct Entry {
    std::string_view source, target;
    std::uint64_t line;
  };

  explicit PairSet(std::shared_ptr<Storage> storage = nullptr) : RecordSet(std::move(storage)) {}

  /// `file` is an index into files, of the source.
  void add(std::string_view source, std::string_view target, std::uint32_t file, std::uint64_t line);
  void finish() { store().finish(); }

  Entry entry(std::int64_t record) const {
    const std::int64_t i = number(record);
    const std::string_view both = store().bytes(i);
    return {both.substr(0, store().tag(i)), both.substr(store().tag(i)), store().line(i)};
  }
  EntriesOf<PairSet> entries() const { return EntriesOf(*this); }

 protected:
  std::string text_of(RecordStore::Copy record) const override;
  std::unique_ptr<RecordSet> copy() const override { return std::make_unique<PairSet>(*this); }
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

/// Units of the sides of a pair; those of the target with the end.
struct PairLengths {
  std::int32_t source = 0, target = 0;
};
PairLengths lengths_of(const EncodedPair& pair);
/// Those of all pairs.
StoredArray<PairLengths> pair_lengths(const TextTranslator& model, const PairSet& pairs);
/// Those of the pairs [first, end).
std::vector<PairLengths> pair_lengths(const TextTranslator& model, const PairSet& pairs, std::int64_t first,
                                      std::int64_t end);

/// Whether a side has nothing but blanks.
bool has_blank_side(const PairSet::Entry& pair);

/// Whether data.max_length and data.max_ratio allow a pair, counted in units without the end.
enum class Usable { kYes, kTooLong, kTooUneven };
Usable usable(PairLengths lengths, const PairSet& pairs, std::int64_t pair, const DataConfig& data);

/// How many pairs they leave out.
struct LeftOut {
  std::int64_t too_long = 0, too_uneven = 0;
};
LeftOut left_out(const StoredArray<PairLengths>& lengths, const PairSet& pairs, const DataConfig& data);

/// How many pairs have sides of extremely different length, both with units: by the ratio of units, as data.max_ratio.
std::int64_t extreme_pairs(const StoredArray<PairLengths>& lengths);

/// Follows the number of odd pairs that are in train.
inline constexpr const char* kLeavesOut = "; data.max_ratio leaves such pairs out";

/// The sources, in order.
std::vector<std::string> sources_of(const PairSet& pairs);

}  // namespace mnemo
