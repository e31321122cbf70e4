// Text from a language model, with a prompt, conditions and a form: the answers of `mnemo generate`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "decode/generate.h"
#include "decode/overlap.h"
#include "decode/parallelism.h"
#include "decode/poem_constraint.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

/// A request for texts. All strings are valid UTF-8.
struct GenerationRequest {
  std::string prompt;                     ///< lines; the last one is continued or, by a backward model, the first one
  std::string title, author;              ///< that the text is conditioned on
  std::string form_name;                  ///< without `form`: the name of a form that the text is conditioned on too
  std::optional<PoemForm> form;           ///< that the text must keep
  RhymeBook book = RhymeBook::kPingshui;  ///< with `form`
  std::string tones = "strict";           ///< with `form`: the rule's name, for messages
  std::string acrostic;                   ///< with `form`: the first characters of its lines
  bool allow_repeats = false;             ///< with `form`: a character may occur twice
  GenerateOptions options;                ///< blocked, end and constraint are set by the generator
  std::int64_t beam = 0;                  ///< width of a beam search; 0: sampling
  std::int64_t candidates = 1;            ///< samples of which the best is returned
};

/// One request to one model. The model must be prepared to generate, and outlive the generator. A model that reads
/// texts from their end writes what precedes the prompt; its units are in the order in which they are written, texts in
/// that in which they are read by people.
class TextGenerator {
 public:
  /// Throws UsageError for a request that the model does not support, and Error that names the first unit of prompt,
  /// title or author that the model does not know or that does not keep the form. `model_name` is used in messages.
  TextGenerator(const TextLanguageModel& model, GenerationRequest request, const std::string& model_name);
  // Its constraint refers to its request.
  TextGenerator(const TextGenerator&) = delete;
  TextGenerator& operator=(const TextGenerator&) = delete;

  /// The texts, `options.samples` of them, or fewer with a beam search. `give` is called with each piece of a single
  /// sample's text as soon as it is chosen.
  std::vector<GeneratedText> run(ThreadPool& pool, const std::function<void(const std::string& piece)>& give = {});

  /// Whether a single sample is requested without a choice among candidates, so that its pieces may be shown as they
  /// come. Never of a backward model.
  bool streams() const {
    return request_.beam == 0 && request_.options.samples == 1 && request_.candidates == 1 && !model_.reads_backwards();
  }

  /// What the model reads: the text's beginning, conditions and prompt.
  std::span<const std::int32_t> units() const { return units_; }
  /// The search for the text, if neither several samples nor candidates are requested. The generator must outlive it.
  std::unique_ptr<Search> search();
  /// Joins units to the prompt.
  UnitJoiner joined_prompt() const;

  /// Prompt and units as text.
  std::string text(const GeneratedText& text) const;
  /// The units in the order of the text.
  std::vector<std::int32_t> in_order(const GeneratedText& text) const;
  /// {"text", "prompt", "units", "log_prob", ...}; with `overlap`, which may be null, its overlap with a corpus.
  Json json(const GeneratedText& text, const Overlap* overlap) const;

 private:
  void add_conditions(const std::string& model_name);
  void add_prompt();
  void add_unit(std::string_view unit, const std::string& where);
  void constrain(const std::string& model_name);
  void note_prompt(std::size_t place, std::vector<std::uint8_t>& blocked);
  void block_controls();
  BeamOptions beam_options() const;
  std::span<const std::int32_t> prompt() const { return std::span(units_).subspan(prompt_begins_); }
  double parallelism_of(const GeneratedText& text) const;
  std::string text_before_prompt(const GeneratedText& text) const;
  std::vector<GeneratedText> best(std::vector<GeneratedText> texts) const;

  const TextLanguageModel& model_;
  GenerationRequest request_;
  std::vector<std::int32_t> units_;  // the text's beginning, conditions, prompt
  std::size_t prompt_begins_ = 0;
  std::unique_ptr<PoemUnits> poem_units_;
  std::unique_ptr<PoemConstraint> constraint_;
  std::unique_ptr<CentredVectors> vectors_;
  BeamOptions beam_;              // of `search`
  SingleSearch::Options sample_;  // the same
};

}  // namespace mnemo
