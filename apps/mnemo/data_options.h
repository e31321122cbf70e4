// Options that every command that reads data has.
#pragma once

#include <string>
#include <vector>

#include "apps/mnemo/command_line.h"
#include "config/config.h"
#include "pipeline/text_classifier.h"
#include "tasks/data.h"
#include "tasks/generate/data.h"
#include "tasks/tag/training.h"
#include "text/utf8.h"

namespace mnemo {

struct DataOptions {
  std::string invalid_utf8 = "error";
  std::string format_in;

  InvalidUtf8 policy() const { return *invalid_utf8_from_name(invalid_utf8); }
};

/// Adds `--format-in` with the formats that it may name, and `--invalid-utf8`. `by_default`: the format without it.
void add_data_options(Command& command, DataOptions& options, const std::vector<std::string>& formats,
                      const std::string& by_default);
/// Adds `--invalid-utf8` alone; `help`: of which bytes.
void add_invalid_utf8(Command& command, std::string& policy, const std::string& help);
/// The formats of texts, of all tasks, and of sentences of tokens.
inline const std::vector<std::string> kTextFormats{"lines", "tsv", "csv", "jsonl", "fasttext", "spaced", "trees"};
inline const std::vector<std::string> kDataFormats{"lines", "tsv",   "csv",    "jsonl",   "fasttext",  "spaced",
                                                   "trees", "conll", "conllu", "slashed", "poems-json"};
inline const std::vector<std::string> kSentenceFormats{"lines", "conll", "conllu", "slashed", "jsonl"};

/// Labelled texts from a file of the command line, or from standard input for "-", read as the model's training data
/// were unless `--format-in` says otherwise. `what` names them in messages.
LabelledTexts read_labelled(const std::string& path, const TextClassifier& model, const DataOptions& options,
                            const std::string& what);

/// The same of sentences with tags, for a tagger.
TaggedSentences read_tagged(const std::string& path, const TextTagger& model, const DataOptions& options,
                            const std::string& what);

/// Whether the format is one of texts alone.
bool is_unlabelled(const std::string& format);

/// How a language model's texts are read. Throws UsageError for a format of labelled data.
TextSource language_source(const DataOptions& options);

/// Clears the keys that say where in a record of data.format label and text are, as it is to be read as `format`.
void forget_columns(DataConfig& data, const std::string& format);

}  // namespace mnemo
