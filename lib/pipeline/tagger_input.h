// How sentences are read for a tagger.
#pragma once

#include "config/config.h"
#include "text/sentences.h"
#include "text/utf8.h"

namespace mnemo {

/// How a file of sentences is to be read, from the configuration's keys and those of the file itself. `tags` says
/// whether tags are needed.
SentenceOptions sentence_options(const Config& config, const DataFile& file, InvalidUtf8 invalid_utf8, bool tags);

/// Whether the configuration's column is one of these two; then the words of a sentence become tagged characters.
bool predicts_words(const Config& config);
void cut_words(const Config& config, Sentence& sentence);

}  // namespace mnemo
