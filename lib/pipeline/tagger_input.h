// How a tagger's sentences are read.
#pragma once

#include "config/config.h"
#include "text/sentences.h"
#include "text/utf8.h"

namespace mnemo {

/// How to read a file of sentences, from the configuration's keys and those of the file itself. `tags`: whether tags
/// are needed.
SentenceOptions sentence_options(const Config& config, const DataFile& file, InvalidUtf8 invalid_utf8, bool tags);

/// Whether the configuration's column is words or tagged-words; then cut_words turns the words of a sentence into
/// tagged characters.
bool predicts_words(const Config& config);
void cut_words(const Config& config, Sentence& sentence);

}  // namespace mnemo
