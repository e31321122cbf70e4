// The texts that a language model is trained and measured on.
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

/// A text as its units: one line behind the other, or one record.
class UnitText : public Dataset {
 public:
  /// Where a record lies in `units`: what is told of it, section by section, and its body with the record's end.
  struct Record {
    std::int64_t begin = 0;
    std::array<std::int32_t, 4> lengths{};  ///< by Section

    std::int64_t body() const { return begin + lengths[0] + lengths[1] + lengths[2]; }
    std::int64_t end() const { return body() + lengths[3]; }
  };

  std::int64_t size() const override { return units.size(); }

  UnitStream units;
  std::vector<Record> records;         ///< none of a text that is one stream
  std::int64_t measured = 0;           ///< units of bodies, or of a stream all
  std::int64_t unknown = 0;            ///< of these, what the vocabulary lacks
  std::shared_ptr<SharedText> source;  ///< what it was read from, if another model is to read it, too

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

/// Reads what the configuration names. Of a stream, data.dev_fraction keeps out exactly the last units of train, of
/// records it chooses them at random, equal texts on one side; records of dev and test whose body stands in train are
/// left out. Throws as the readers do, and if train, what is kept out of it, or a dev or test that is named has no
/// unit. The vocabulary has the units of the model `from` too, if one is given.
std::unique_ptr<LanguageData> read_language_data(const Config& config, const ReadRequest& request,
                                                 const TextLanguageModel* from = nullptr);

/// How a text is read that is not a configuration's.
struct TextSource {
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  std::string format;  ///< "lines" or "poems-json"; empty: that of the model's training data
};

/// Calls `use` with each unit of a file, or of standard input for "-", that is read as the model's training data were;
/// memory does not grow with a stream's length. Throws UsageError for records where the model knows none.
void for_corpus_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log,
                      const std::function<void(std::int32_t unit)>& use);

/// Reads a file, or standard input for "-", as the model's training data were. `log` is told what was unusual.
UnitText read_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log);

/// A text that several models read. What can be read only once, as standard input or a pipe, is kept in memory.
class SharedText {
 public:
  /// Throws Error if what is to be kept cannot be read.
  explicit SharedText(std::string path);

  /// As `read_units`. Throws Error, too, if the file is not what it was for the model before.
  UnitText units(const TextLanguageModel& model, const TextSource& from, const Log& log);

 private:
  std::string path_;
  std::optional<std::string> bytes_;  // of what is kept
  std::optional<ByteDigest> digest_;
};

}  // namespace mnemo
