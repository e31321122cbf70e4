// A language model with everything it needs to read and write text, as it lies in a model file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/language_model.h"
#include "text/poems.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// h and c of some sequences, as RecurrentState shows them, in memory of their own.
class CarriedState {
 public:
  CarriedState(const RecurrentOptions& options, Index sequences);

  RecurrentState view();
  void take(const RecurrentState& state);
  void clear();
  Index sequences() const { return sequences_; }
  std::vector<float>& h() { return h_; }
  std::vector<float>& c() { return c_; }

 private:
  Index sequences_, h_columns_, c_columns_;
  std::vector<float> h_, c_;
};

/// Parts of a record: what it is told of, and its text.
enum class Section { kForm, kAuthor, kTitle, kBody };

/// Calls `use` with each unit of a record in turn. A record that is told has a control unit before its form's name, its
/// author, its title, where these are known, and its body. Each record ends with TextLanguageModel::kRecordEnd.
/// Controls begin with a line's end, which no other unit has but that itself.
void for_record_units(const Poem& record, bool told, const Tokenizer& tokenizer, Tokens& tokens,
                      const std::function<void(Section, std::string_view unit)>& use);

class TextLanguageModel {
 public:
  static constexpr const char* kTask = "generate";  ///< its name in configurations and model files
  /// The unit that ends every line.
  static constexpr std::string_view kLineEnd = "\n";
  /// Units of records that are no text.
  static constexpr std::string_view kRecordEnd = "\nend", kForm = "\nform ", kAuthor = "\nauthor", kTitle = "\ntitle",
                                    kBody = "\nbody";

  /// With first weights by the configuration's seed. The vocabulary must have kLineEnd.
  TextLanguageModel(const Config& config, Vocabulary vocabulary);

  /// Throws Error if the file is no sound language model.
  static std::unique_ptr<TextLanguageModel> load(const std::string& path);
  static std::unique_ptr<TextLanguageModel> from_contents(ModelContents contents);

  void save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool);

  /// Rounds the weights to the numbers and computes with them from now on. Throws Error if they are narrow already, or
  /// one is not finite.
  void quantize(kernels::Precision precision);

  /// Whether it was trained on records, and whether these are told of.
  bool has_records() const { return vocabulary_.contains(kRecordEnd); }
  bool tells() const { return vocabulary_.contains(kBody); }
  /// The unit that stands before a text's first one, and ends it: of a record its end, else a line's.
  std::int32_t text_end() const { return has_records() ? vocabulary_.find(kRecordEnd) : line_end_; }

  /// Appends the ids of a line of valid UTF-8, as a text of which nothing is told, and of the text's end. Returns how
  /// many of them are unknown. Of a model that is told of its texts the first id is kBody.
  std::int64_t encode_line(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids) const;

  /// log p of each unit of a text after the units before it and, before the first, the text's end. The state begins as
  /// zero and is carried over all.
  std::vector<double> log_probabilities(std::span<const std::int32_t> ids, ThreadPool& pool);

  /// Compares the stored samples with what the model says now; the largest difference of a probability.
  double verify(ThreadPool& pool);

  LanguageModel& network() { return *network_; }
  const Config& config() const { return config_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TokenizerOptions& tokenizer_options() const { return tokenizer_.options(); }
  std::int32_t line_end() const { return line_end_; }
  const ModelMetadata& metadata() const { return metadata_; }

 private:
  /// Without first weights, which a file is to give.
  struct Unfilled {};
  TextLanguageModel(const Config& config, Vocabulary vocabulary, Unfilled);

  std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                          std::vector<std::size_t>& lengths);

  Config config_;
  Vocabulary vocabulary_;
  Tokenizer tokenizer_;
  std::int32_t line_end_;
  std::unique_ptr<LanguageModel> network_;
  ModelMetadata metadata_;
};

/// Units as the text they stand for.
class UnitJoiner {
 public:
  explicit UnitJoiner(const TextLanguageModel& model) : model_(model) {}

  /// What a unit adds to the text: itself, and where units are words a blank before it, but at a line's beginning.
  std::string add(std::int32_t id);

 private:
  const TextLanguageModel& model_;
  bool line_begins_ = true;
};

/// Gives units [first, first + out.size()) of a row of them.
using ReadUnits = std::function<void(std::int64_t first, std::span<std::int32_t> out)>;

/// Puts units [first, first + length) of a row into `targets` at the rows of sequence b, and the unit before each,
/// which for the first of all is `text_end`, into `ids`.
void place_units(const ReadUnits& read, std::int64_t first, std::int64_t length, std::int32_t text_end,
                 const Packing& packing, Index b, std::vector<std::int32_t>& ids, std::vector<std::int32_t>& targets);

/// What a row of units costs a model: all of them predicted, each after those before it.
class StreamLoss {
 public:
  /// Reads `lanes` equal parts of a stream of `units` side by side. Each but the first begins `warm_up` units earlier,
  /// uncounted, so that its state is near what it would be after all that stands before; with one lane the loss is
  /// exact.
  StreamLoss(std::int64_t units, std::int64_t lanes, std::int64_t warm_up);
  /// Units [begin, end) of a row are read, those from `counted` on are measured.
  struct Lane {
    std::int64_t begin, counted, end;
  };
  /// Reads pieces each as if nothing stood before it. The unit before each must be a text's end.
  explicit StreamLoss(std::vector<Lane> lanes);

  /// Called with a unit, its place and its log p; of one lane in order.
  using Use = std::function<void(std::int32_t unit, std::int64_t place, double log_p)>;
  /// The mean of -log p over all units, in nats; 0 without any.
  double measure(TextLanguageModel& model, const ReadUnits& read, ThreadPool& pool, const Use& use = nullptr) const;

 private:
  void sort();

  std::vector<Lane> lanes_;  // longest first
};

}  // namespace mnemo
