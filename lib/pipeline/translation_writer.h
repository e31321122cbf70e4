// Translations in the forms that `mnemo translate` writes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipeline/translation.h"
#include "text/records.h"

namespace mnemo {

enum class TranslationFormat { kText, kJsonl, kHtml };

struct TranslationWriterOptions {
  TranslationFormat format = TranslationFormat::kText;
  std::int64_t nbest = 1;
  /// Puts, for each unknown word of a translation, the entry of the source word that it attended to most or, without
  /// one, that word.
  bool replace_unknown = false;
  std::unordered_map<std::string, std::string> entries = {};
};

class TranslationWriter {
 public:
  /// `model` must outlive it.
  TranslationWriter(const TextTranslator& model, TranslationWriterOptions options);

  std::string head() const;
  std::string tail() const;
  /// If the options want it, replaces the unknown words of the translations of `line`.
  void replace_unknown(std::string_view line, std::vector<Translation>& translations) const;
  /// Writes the output for line `number`, from 0: the text; with nbest above 1 lines "NUMBER ||| TEXT ||| SCORE"; an
  /// object; a section with the matrix of attention. `line` is the source; `id`, which a page does not have, is a first
  /// column of the text, or the first key of the object.
  void write(std::string_view line, const std::vector<Translation>& translations, std::int64_t number,
             const std::optional<RecordId>& id, const TextSink& out) const;

  /// "0-0 1-2 ..." in Pharaoh's form: source word, translation word.
  std::string alignment(std::string_view line, const Translation& one) const;

 private:
  void replace_unknown(std::string_view line, Translation& one) const;

  const TextTranslator& model_;
  TranslationWriterOptions options_;
};

/// Reads SOURCE, tab, TARGET on each line: a dictionary or a glossary. Throws Error "FILE:LINE: ..." for another line,
/// for a source with two targets, and for a target for which `check` throws one, with its message.
std::vector<std::pair<std::string, std::string>> read_term_pairs(
    const std::string& path, InvalidUtf8 policy, const std::function<void(const std::string& target)>& check = {});

}  // namespace mnemo
