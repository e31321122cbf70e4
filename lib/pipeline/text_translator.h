// A translator with everything it needs to read a line and write its translation, as stored in a model file.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/translator.h"
#include "pipeline/text_model.h"
#include "text/subwords.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// A line and its translation as ids; that of the target ends with TextTranslator::end().
struct EncodedPair {
  std::vector<std::int32_t> source, target;
};

/// The keys of text for one side: text.unit is text.target_unit for the target, if that is set.
TextConfig source_text(const Config& config);
TextConfig target_text(const Config& config);

/// The network of a configuration with vocabularies of these sizes.
TranslatorOptions translator_options(const Config& config, std::int32_t source_units, std::int32_t target_units);

class TextTranslator : public TextModel {
 public:
  static constexpr const char* kTask = "translate";  ///< its name in configurations and model files
  /// The unit that precedes and ends every target. No other unit begins with a newline.
  static constexpr std::string_view kEnd = "\n";

  /// One language of the translator.
  struct Side {
    Side(const TextConfig& its_text, Vocabulary its_vocabulary);

    /// Ids of a line of valid UTF-8, appended to `ids`; `tokens` gets the units. `dropout` cuts subwords at random.
    void encode(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids,
                const MergeDropout& dropout) const;

    TextConfig text;
    Vocabulary vocabulary;
    Tokenizer tokenizer;
  };

  /// With weights initialised from the configuration's seed. The target's vocabulary must have kEnd; with text.joint it
  /// is the same as the source's.
  TextTranslator(const Config& config, Vocabulary source, Vocabulary target);

  /// Throws Error if the file is not a valid translator.
  static std::unique_ptr<TextTranslator> load(const std::string& path);
  static std::unique_ptr<TextTranslator> map(const std::string& path);  ///< as TextModel::map
  /// Reads a model from a file except for its weights.
  static std::unique_ptr<TextModel> read(const ModelContents& contents);

  const Side& source() const { return source_; }
  const Side& target() const { return target_; }
  std::int32_t end() const { return end_; }

  /// Appends the ids of a source.
  void encode_source(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids,
                     const MergeDropout& dropout = {}) const {
    source_.encode(line, tokens, ids, dropout);
  }
  /// Appends those of a target, and the end.
  void encode_target(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids,
                     const MergeDropout& dropout = {}) const;
  EncodedPair encode(std::string_view source, std::string_view target) const;

  /// The text that target units, without an end, spell.
  std::string join(std::span<const std::int32_t> units) const { return join_with_places(units).first; }
  /// The same with the bytes [begin, end) of the text that each unit added.
  using Places = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  std::pair<std::string, Places> join_with_places(std::span<const std::int32_t> units) const;

  /// Puts together, unit by unit, the text that target units spell.
  class Joiner {
   public:
    explicit Joiner(const Side& target) : target_(target) {}
    /// What the unit adds to the text.
    std::string add(std::int32_t unit);
    /// What is left at the end.
    std::string end() { return pieces_.end(); }

   private:
    const Side& target_;
    PieceJoiner pieces_;
    bool begins_ = true;
  };

  /// log p of each unit of each target, given its source and the units before it; a pair's do not depend on the others.
  std::vector<std::vector<double>> log_probabilities(std::span<const EncodedPair> pairs, Workspace& workspace) const;

  /// The output of `translate --format jsonl` for each record's "text", a line.
  std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const override;
  std::span<const Skill> skills() const override;
  Observed observe(const std::string& text, Workspace& workspace) const override;

  Translator& network() override { return *network_; }
  const Translator& network() const { return *network_; }
  const Vocabulary& vocabulary() const override { return source_.vocabulary; }
  const char* task() const override { return kTask; }
  bool lends_units() const override { return true; }

  /// Units of the target for each of the source, over train: a search takes its limits of length from it.
  double length_ratio = 1.0;

 private:
  /// Leaves the weights uninitialised, for a file to fill them.
  struct Unfilled {};
  TextTranslator(const Config& config, Vocabulary source, Vocabulary target, Unfilled);

  void describe(ModelMetadata& metadata) const override;
  void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                     std::deque<std::string>& held) const override;
  std::vector<std::string> sample_texts() const override;
  std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                          std::vector<std::size_t>& lengths) const override;

  Side source_, target_;
  std::int32_t end_;
  std::unique_ptr<Translator> network_;
};

}  // namespace mnemo
