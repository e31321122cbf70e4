// The texts on which a language model is trained and measured.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "pipeline/stream_loss.h"
#include "pipeline/text_language_model.h"
#include "tasks/generate/unit_stream.h"
#include "tasks/task.h"

namespace mnemo {

class SharedText;

/// A text as its units in the order of reading: one line, or one record, after the other.
class UnitText : public Dataset {
 public:
  /// The place of a record in `units`: the sections it is conditioned on, then its body with the end of the record.
  struct Record {
    std::int64_t begin = 0;
    std::array<std::int32_t, 4> lengths{};  ///< by Section

    std::int64_t body() const { return begin + lengths[0] + lengths[1] + lengths[2]; }
    std::int64_t end() const { return body() + lengths[3]; }
  };

  std::int64_t size() const override { return units.size(); }

  UnitStream units;
  std::vector<Record> records;         ///< empty for a text that is one stream
  std::int64_t measured = 0;           ///< units of bodies, or all units of a stream
  std::int64_t unknown = 0;            ///< the number of these that the vocabulary lacks
  std::shared_ptr<SharedText> source;  ///< the source, if another model is to read it, too
  /// What the units were made of, where that was asked for: the beginning of a stream that is read forwards, all
  /// records.
  SpelledUnits beginning;
  std::vector<Poem> spelled_records;

  ReadUnits reader() const {
    return [this](std::int64_t first, std::span<std::int32_t> out) { units.read(first, out); };
  }
};

class LanguageData : public TaskData {
 public:
  std::unique_ptr<TaskData> with(std::unique_ptr<Dataset>, std::unique_ptr<Dataset>,
                                 std::unique_ptr<Dataset>) const override;

  const UnitText& train_text() const { return static_cast<const UnitText&>(*train); }
  const UnitText& dev_text() const { return static_cast<const UnitText&>(*dev); }
  const UnitText& test_text() const { return static_cast<const UnitText&>(*test); }

  Vocabulary vocabulary;  ///< of train
};

/// Reads the data that the configuration names. In a stream, data.dev_fraction holds out exactly the last units of
/// train; of records it chooses some at random, equal texts on one side, and records of dev and test whose body is in
/// train are left out. Throws as the readers do, and if train, the held-out part or a named dev or test has no unit.
/// The vocabulary also has the units of the model `from`, if one is given.
std::unique_ptr<LanguageData> read_language_data(const Config& config, const ReadRequest& request,
                                                 const TextModel* from = nullptr);

/// How a text that is not named by a configuration is read.
struct TextSource {
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  std::string format;        ///< "lines" or "poems-json"; empty: that of the model's training data
  std::int64_t spelled = 0;  ///< as OpenRequest has it
};

/// Calls `use` with each unit of a file, or of standard input for "-", read as the model's training data were but from
/// the beginning to the end of each text; memory does not grow with the length of a stream. Throws UsageError for
/// records if the model reads a stream.
void for_corpus_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log,
                      const std::function<void(std::int32_t unit)>& use);

/// Reads a file, or standard input for "-", as the model's training data were. `log` gets what was unusual.
UnitText read_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log);

/// A text that several models read. Input that can be read only once, such as a pipe, is kept in memory.
class SharedText {
 public:
  /// Throws Error if input that is to be kept cannot be read.
  explicit SharedText(std::string path);

  /// As `read_units`. Throws Error, too, if the file has changed since the previous model read it.
  UnitText units(const TextLanguageModel& model, const TextSource& from, const Log& log);

 private:
  std::string path_;
  std::optional<std::string> bytes_;  // of input that is kept
  std::optional<ByteDigest> digest_;
};

}  // namespace mnemo
