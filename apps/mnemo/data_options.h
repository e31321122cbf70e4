// The options of every command that reads data.
#pragma once

#include <string>
#include <vector>

#include "apps/mnemo/command_line.h"
#include "tasks/files.h"
#include "text/utf8.h"

namespace mnemo {

struct DataOptions {
  std::string invalid_utf8 = "error";
  std::string format_in;

  InvalidUtf8 policy() const { return *invalid_utf8_from_name(invalid_utf8); }
};

/// Adds `--format-in` with the formats it may name, and `--invalid-utf8`. `by_default`: the format without
/// `--format-in`, in words.
void add_data_options(Command& command, DataOptions& options, const std::vector<std::string>& formats,
                      const std::string& by_default);
/// Adds only `--invalid-utf8`; `help` says which bytes it is about.
void add_invalid_utf8(Command& command, std::string& policy, const std::string& help);
/// The formats of labelled texts, of all tasks, and of sentences of tokens.
inline const std::vector<std::string> kTextFormats{"lines", "tsv", "csv", "jsonl", "fasttext", "spaced", "trees"};
inline const std::vector<std::string> kDataFormats{"lines", "tsv",   "csv",    "jsonl",   "fasttext",   "spaced",
                                                   "trees", "conll", "conllu", "slashed", "poems-json", "parallel"};
inline const std::vector<std::string> kSentenceFormats{"lines", "conll", "conllu", "slashed", "jsonl"};

/// A file of the command line and how the options say it is to be read; `what` names it in messages.
OpenRequest open_request(const std::string& path, const DataOptions& options, const std::string& what);

}  // namespace mnemo
