// A language model with everything it needs to read and write text, as it lies in a model file.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/language_model.h"
#include "pipeline/text_model.h"
#include "text/poems.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// Parts of a record: what it is told of, and its text.
enum class Section { kForm, kAuthor, kTitle, kBody };

/// Calls `use` with each unit of a record in turn. A record that is told has a control unit before its form's name, its
/// author, its title, where these are known, and its body. Each record ends with TextLanguageModel::kRecordEnd.
/// Controls begin with a line's end, which no other unit has but that itself.
void for_record_units(const Poem& record, bool told, const Tokenizer& tokenizer, Tokens& tokens,
                      const std::function<void(Section, std::string_view unit)>& use);

class TextLanguageModel : public TextModel {
 public:
  static constexpr const char* kTask = "generate";  ///< its name in configurations and model files
  /// The unit that ends every line.
  static constexpr std::string_view kLineEnd = "\n";
  /// Units of records that are no text.
  static constexpr std::string_view kRecordEnd = "\nend", kForm = "\nform ", kAuthor = "\nauthor", kTitle = "\ntitle",
                                    kBody = "\nbody";

  /// With initial weights by the configuration's seed. The vocabulary must have kLineEnd.
  TextLanguageModel(const Config& config, Vocabulary vocabulary);

  /// Throws Error if the file is no sound language model.
  static std::unique_ptr<TextLanguageModel> load(const std::string& path);
  /// As TextModel::Reader.
  static std::unique_ptr<TextModel> read(const ModelContents& contents);

  /// Packs what `generate` and `beam_search` need beside what `prepare` packs.
  void prepare_to_generate(ThreadPool& pool) { network_->output().prepare_scores(pool); }

  /// Whether it was trained on records, and whether it is conditioned on their form, author and title.
  bool has_records() const { return vocabulary_.contains(kRecordEnd); }
  bool tells() const { return vocabulary_.contains(kBody); }
  /// The unit that stands before a text's first one, and ends it: of a record its end, else a line's.
  std::int32_t text_end() const { return has_records() ? vocabulary_.find(kRecordEnd) : line_end_; }

  /// Appends the ids of a line of valid UTF-8, as a text that is conditioned on nothing, and of the text's end. Returns
  /// how many of them are unknown. Of a model with conditions the first id is kBody.
  std::int64_t encode_line(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids) const;

  /// log p of each unit of a text after the units before it and, before the first, the text's end. The state begins as
  /// zero and is carried over all.
  std::vector<double> log_probabilities(std::span<const std::int32_t> ids, ThreadPool& pool) const;

  /// What `score --format jsonl` prints of each record's "text", a line.
  std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const override;

  LanguageModel& network() override { return *network_; }
  const LanguageModel& network() const { return *network_; }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::vector<std::string> output_rows() const override;
  const char* task() const override { return kTask; }
  const TokenizerOptions& tokenizer_options() const { return tokenizer_.options(); }
  std::int32_t line_end() const { return line_end_; }

 private:
  /// Without initial weights, which a file is to give.
  struct Unfilled {};
  TextLanguageModel(const Config& config, Vocabulary vocabulary, Unfilled);

  void describe(ModelMetadata&) const override {}
  void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                     std::deque<std::string>& held) const override;
  std::vector<std::string> sample_texts() const override;
  std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                          std::vector<std::size_t>& lengths) const override;

  Vocabulary vocabulary_;
  Tokenizer tokenizer_;
  std::int32_t line_end_;
  std::unique_ptr<LanguageModel> network_;
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

}  // namespace mnemo
