// Parts that the readers of sentences share. Internal: SentenceReader::open chooses among them.
#pragma once

#include <memory>

#include "text/sentences.h"

namespace mnemo {

std::unique_ptr<SentenceReader> jsonl_sentences(LineReader lines, const SentenceOptions& options);

/// Cuts a sentence's text into tokens with their positions.
class TextCutter {
 public:
  explicit TextCutter(const TokenizerOptions& options);
  void cut(Sentence& sentence);

 private:
  Tokenizer tokenizer_;
  Tokens tokens_;
};

}  // namespace mnemo
