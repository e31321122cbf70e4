// A language model with everything it needs to read and write text, as stored in a model file.
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

/// Parts of a record: its conditions, and its text.
enum class Section { kForm, kAuthor, kTitle, kBody };

/// The lines of a text, without their ends; the last one first if `reverse`.
std::vector<std::string_view> lines_in_order(std::string_view text, bool reverse);

/// A unit beside its source.
struct SourceUnit {
  std::string_view text;          ///< as the vocabulary has it
  std::string_view before = {};   ///< what stands between the previous unit and it in the source
  std::string_view spelled = {};  ///< what it was made of, valid UTF-8; of control units a line end or nothing
};

/// Calls `use` with each unit of a tokenized line, first unit first; returns what is after the last one.
std::string_view for_source_units(std::string_view line, const Tokens& tokens,
                                  const std::function<void(const SourceUnit& unit)>& use);

/// A text as it was written, of which the places of units are known.
class SpelledUnits {
 public:
  void add(const SourceUnit& unit);

  const std::string& text() const { return text_; }
  /// Bytes [begin, end) of the text for each unit.
  const std::vector<std::pair<std::size_t, std::size_t>>& places() const { return places_; }
  std::int64_t size() const { return std::ssize(places_); }
  /// Units [first, last) alone, with what stands before them and, if `rest`, all that stands after them.
  SpelledUnits part(std::int64_t first, std::int64_t last, bool rest) const;

 private:
  std::string text_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;
};

/// Calls `use` with each unit of a record in turn. A conditioned record has a control unit before its author and its
/// title and one for its form, where these are known, and one before its body. Each record ends with
/// TextLanguageModel::kRecordEnd. Control units begin with a newline, as no other unit does except kLineEnd itself.
/// With a tokenizer that reverses lines, each section is read from its end, and only SourceUnit::text is given.
void for_record_units(const Poem& record, bool conditioned, const Tokenizer& tokenizer, Tokens& tokens,
                      const std::function<void(Section, const SourceUnit& unit)>& use);

class TextLanguageModel : public TextModel {
 public:
  static constexpr const char* kTask = "generate";  ///< its name in configurations and model files
  /// The unit that ends every line.
  static constexpr std::string_view kLineEnd = "\n";
  /// Units of records that are not text.
  static constexpr std::string_view kRecordEnd = "\nend", kForm = "\nform ", kAuthor = "\nauthor", kTitle = "\ntitle",
                                    kBody = "\nbody";

  /// With weights initialised from the configuration's seed. The vocabulary must have kLineEnd.
  TextLanguageModel(const Config& config, Vocabulary vocabulary);

  /// Throws Error if the file is not a valid language model.
  static std::unique_ptr<TextLanguageModel> load(const std::string& path);
  /// Reads a model from a file except for its weights.
  static std::unique_ptr<TextModel> read(const ModelContents& contents);

  /// Packs the weights that `generate` and `beam_search` need in addition to those that `prepare` packs.
  void prepare_to_generate(ThreadPool& pool) { network_->output().prepare_scores(pool); }

  /// Whether it reads texts from their end to their beginning.
  bool reads_backwards() const { return config_.text.reverse; }
  /// Whether it was trained on records, and whether it is conditioned on their form, author and title.
  bool has_records() const { return vocabulary_.contains(kRecordEnd); }
  bool has_conditions() const { return vocabulary_.contains(kBody); }
  /// The unit that precedes a text's first one and ends the text: the end of record, or without records the end of
  /// line.
  std::int32_t text_end() const { return has_records() ? vocabulary_.find(kRecordEnd) : line_end_; }

  /// Appends the ids of a line of valid UTF-8, as a text that is conditioned on nothing, and of the text's end, in the
  /// order of reading. Returns how many of them are unknown. In a model with conditions the first id is that of kBody.
  std::int64_t encode_line(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids) const;

  /// log p of each unit of a text given the units before it; the first is given the end of a text. The initial state is
  /// zero and is carried through the whole text.
  std::vector<double> log_probabilities(std::span<const std::int32_t> ids, ThreadPool& pool) const;

  /// The output of `score --format jsonl` for each record's "text", a line.
  std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const override;
  std::span<const Skill> skills() const override;
  void prepare_skills(ThreadPool& pool) override { prepare_to_generate(pool); }
  Observed observe(const std::string& text, Workspace& workspace) const override;
  std::unique_ptr<Attributed> attributed(const std::string& text, const AttributionTarget& target,
                                         Workspace& workspace) override;

  LanguageModel& network() override { return *network_; }
  const LanguageModel& network() const { return *network_; }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::vector<std::string> output_rows() const override;
  const char* task() const override { return kTask; }
  bool lends_layers() const override { return true; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::int32_t line_end() const { return line_end_; }

 private:
  // A text as the network reads it: `units` and `read` with the end of a text before it, `predicted` with one after it.
  struct ReadText {
    std::vector<std::string> units;
    std::vector<std::int32_t> read, predicted;
  };
  ReadText read_text(const std::string& text) const;

  /// Leaves the weights uninitialised, for a file to fill them.
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

/// Joins units to text.
class UnitJoiner {
 public:
  explicit UnitJoiner(const TextLanguageModel& model) : model_(model) {}

  /// The text that a unit adds: itself, preceded by a blank if units are words, except at the beginning of a line.
  std::string add(std::int32_t id);
  /// What is left at the end: of subwords, a character of which some bytes are missing.
  std::string end() { return pieces_.end(); }

 private:
  const TextLanguageModel& model_;
  PieceJoiner pieces_;
  bool line_begins_ = true;
};

}  // namespace mnemo
