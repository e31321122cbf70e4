// Translating lines: searches of many lines at once over one model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_fwd.h"
#include "base/thread_pool.h"
#include "decode/attention_links.h"
#include "decode/required.h"
#include "decode/sampler.h"
#include "pipeline/text_streams.h"
#include "pipeline/text_translator.h"

namespace mnemo {

struct TranslationOptions {
  std::int64_t beam = 5;  ///< 1: greedy
  std::int64_t nbest = 1;
  double length_penalty = 1.2;    ///< BeamOptions::length_penalty
  double coverage_penalty = 0.0;  ///< factor of sum_i log(min(what unit i of the source got in all, 1))
  /// Units of a translation, as factors of what train had on average for as many of the source
  /// (TextTranslator::length_ratio); the longest beside kMoreUnits.
  double shortest = 0.0, longest = 2.0;
  std::int64_t no_repeat = 0;               ///< n: no n units occur twice, except as required text; 0: any may
  std::optional<SamplingOptions> sampling;  ///< instead of a beam: one sample of each line
  std::uint64_t seed = 1;                   ///< of samples
  std::vector<std::string> prefixes = {};   ///< empty, or what the translation of each line must begin with
  /// Terms: where a line has the first text, and not only within a longer one of another term, its translation must
  /// have the second one.
  std::vector<std::pair<std::string, std::string>> glossary = {};
  /// required_text of the model, for calls that share it; null: each call with prefixes or a glossary makes it.
  std::shared_ptr<const RequiredText> required = {};
  bool unknown = false;   ///< whether a translation may have the unknown unit
  bool attention = true;  ///< whether translations have their attention, which of a long line takes much memory

  /// Units beyond the longest, so that short lines have room.
  static constexpr std::int64_t kMoreUnits = 10;

  /// One hypothesis a line.
  bool single() const { return sampling || (beam == 1 && nbest == 1); }
};

/// A link between words: their numbers in the source and in the translation, from 0.
using WordLink = std::pair<std::int32_t, std::int32_t>;

struct Translation {
  std::string text;
  double log_probability = 0, score = 0;
  std::vector<std::int32_t> units;                                             ///< of the translation, without the end
  std::vector<std::string> source_units;                                       ///< as the model read them
  std::vector<std::pair<std::uint32_t, std::uint32_t>> source_places, places;  ///< of units: bytes [begin, end)
  /// [units] what each unit gave to each of the source; empty if TranslationOptions::attention is not set.
  std::vector<AttentionRow> attention;
};

/// The n best translations of each line with different texts, the best first, or fewer if the beam found no more; a
/// line of blanks has the empty one. Lines are valid UTF-8. A line's translations do not depend on the others, nor on
/// threads. `first_line` is the number of the first line, from 0, which names the random stream of a sample. Throws
/// Error for a prefix or a term that the vocabulary cannot spell.
std::vector<std::vector<Translation>> translate(const TextTranslator& model, std::span<const std::string> lines,
                                                const TranslationOptions& options, ThreadPool& pool,
                                                std::int64_t first_line = 0);

/// Translations of records, {"text"}, unit by unit; the units of a beam are told as soon as its hypotheses agree in
/// them.
std::unique_ptr<TextStreams> translation_streams(const TextModel& model);

/// What makes the constraints of prefixes and terms, and says which cannot be spelled. `model` must outlive it.
RequiredText required_text(const TextTranslator& model);

/// The words of a text: between blanks or, if its units are characters (code points or graphemes), each of those that
/// is no blank; their bytes [begin, end).
std::vector<std::pair<std::uint32_t, std::uint32_t>> words_of(std::string_view text, const TextConfig& config);

/// For each word of the translation of `line`, the word of the source that its units attended to most.
std::vector<WordLink> align(const TextTranslator& model, std::string_view line, const Translation& one);

/// [[word, log p], ...] of a target text, from those of its units and the end, which is "": each word's is the sum over
/// the units that begin in it.
Json words_json(const TextTranslator& model, const std::string& text, const std::vector<double>& log_probabilities);

/// LineScore::json of the target of a pair with "words", words_json.
Json pair_score_json(const TextTranslator& model, const std::string& text, const EncodedPair& pair,
                     const std::vector<double>& log_probabilities);

/// {"text", "log_prob", "score", "tokens", "alignment"} of the best one or, if more than one is wanted, {"hypotheses":
/// [...]} of those.
Json translations_json(const TextTranslator& model, std::string_view line, const std::vector<Translation>& translations,
                       std::int64_t nbest);

/// Takes a part of a text.
using TextSink = std::function<void(std::string_view)>;

/// Writes translations_json(...).dump() row by row of the attention, which of a long line would take several times the
/// memory of its text.
void write_translations(const TextTranslator& model, std::string_view line,
                        const std::vector<Translation>& translations, std::int64_t nbest, const TextSink& out);

}  // namespace mnemo
