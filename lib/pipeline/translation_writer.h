// Translations in the forms that `mnemo translate` writes.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipeline/translation.h"

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
  /// The output for line `number`, from 0: the text; with nbest above 1 lines "NUMBER ||| TEXT ||| SCORE"; an object; a
  /// section with the matrix of attention. `line` is the source.
  std::string write(std::string_view line, std::vector<Translation> translations, std::int64_t number) const;

  /// "0-0 1-2 ..." in Pharaoh's form: source word, translation word.
  std::string alignment(std::string_view line, const Translation& one) const;

 private:
  void replace_unknown(std::string_view line, Translation& one) const;

  const TextTranslator& model_;
  TranslationWriterOptions options_;
};

/// Reads SOURCE, tab, TARGET on each line: a dictionary or a glossary. Throws Error "FILE:LINE: ..." for another line,
/// and for a source with two targets.
std::vector<std::pair<std::string, std::string>> read_term_pairs(const std::string& path, InvalidUtf8 policy);

}  // namespace mnemo
