// A poem checked against the rules of its form and scored by a language model: the answers of `mnemo score --form`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/thread_pool.h"
#include "decode/poem_form.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

struct PoemScore {
  std::vector<std::u32string> lines;  ///< of verse
  PoemCheck check;
  double log_probability = 0;  ///< of the body, conditioned on the form alone
  std::int64_t units = 0, unknown = 0;

  bool ok() const { return check.faults.empty(); }
  double perplexity() const;
  /// Messages of the faults of a line, from 0, or of the whole poem, -1.
  std::vector<std::string> faults_of(int line) const;

  /// {"poem": number, "ok", "rhyme", "faults", "units", "unknown", "log_prob", "perplexity", "lines"}.
  Json json(std::int64_t number) const;
  /// POEM, 0, LOG_PROB, PERPLEXITY, RHYME, FAULTS between tabs, then POEM, LINE, TEXT, TONES, FAULTS for each line.
  std::string tsv(std::int64_t number) const;
};

/// `poem` is valid UTF-8, with or without marks.
PoemScore score_poem(const TextLanguageModel& model, const PoemForm& form, RhymeBook book, const std::string& poem,
                     ThreadPool& pool);

}  // namespace mnemo
