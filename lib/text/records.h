// Labelled and unlabelled texts out of the usual file formats.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/line_reader.h"
#include "text/utf8.h"

namespace mnemo {

/// lines:    a text a line, no labels.
/// tsv:      columns between tabs, no quotes. Label in column 1, text in column 2, no header, unless told otherwise.
/// csv:      RFC 4180: quotes, doubled quotes, separators and newlines inside quotes. A header unless told otherwise;
///           columns `label` and `text`.
/// jsonl:    a JSON object a line, keys `label` and `text`. A label is a string, a number, true or false; with several
///           labels an array of these as well. null is no label.
/// fasttext: `__label__X` tokens at the start of the line, then the text.
/// spaced:   `LABEL TEXT`: the label ends at the first space; the text is trimmed of ASCII blanks.
/// trees:    a Penn tree with labels a line, `(3 (2 It) (4 (2 's) (2 great)))`: label of the root, tokens joined by
/// spaces.
enum class Format { kLines, kTsv, kCsv, kJsonl, kFasttext, kSpaced, kTrees };

std::string_view name_of(Format format);
std::optional<Format> format_from_name(std::string_view name);

struct RecordOptions {
  Format format = Format::kTsv;
  /// tsv and csv: a column, by its number from 1 or by its header's name (digits alone are a number); jsonl: a key.
  /// Empty: as the format has it.
  std::string label, text;
  /// tsv and csv: the first row names the columns. Default: csv yes; tsv only if a column is asked for by name.
  std::optional<bool> header;
  /// tsv and csv: one ASCII character instead of tab or comma; `\t` may be spelled so. Empty: as the format has it.
  std::string separator;
  /// Any number of labels a text. A cell (tsv, csv, spaced) is split at `label_separator`, pieces are trimmed of
  /// blanks, an empty cell is no label; a label that is repeated counts once.
  bool multi_label = false;
  std::string label_separator = ",";
  /// trees: instead of sentences every phrase (node) whose label is not 2, each text once over the whole file (its
  /// first label that is not 2 counts), labels 0 and 1 as "0", 3 and 4 as "1", lower-cased. Outer phrases come first.
  bool phrases = false;
  /// If false, a label may be missing where that is plain: no such column in the header, no such key, null, an empty
  /// cell, no `__label__`. Then a wholly empty line is a record with an empty text, so that there is one record for
  /// each line. If true, a wholly empty line is skipped and counted (not in `lines`, where it is always a record).
  bool require_label = true;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
};

struct Record {
  std::vector<std::string> labels;
  std::string text;
  std::size_t line = 0;  ///< where the record begins in the file, from 1
};

/// What was seen so far; for the log.
struct ReadCounts {
  std::size_t records = 0;
  std::size_t empty_lines = 0;  ///< skipped
  std::size_t crlf_lines = 0;
  std::size_t invalid_sequences = 0;  ///< replaced or skipped
  bool had_bom = false;
  std::size_t bom_lines = 0;  ///< behind the first one
};

/// Reads one record after the other, in the order of the file. Errors are of the form "FILE:LINE: ..." or
/// "FILE:LINE:COLUMN: ..." (columns in code points from 1).
class RecordReader {
 public:
  virtual ~RecordReader() = default;
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  /// The next record, or false at the end. Throws Error on a row that does not fit the format.
  bool next(Record& record);
  /// True if `next` most likely returns without waiting for input.
  virtual bool next_is_ready() { return lines_.next_is_ready(); }
  ReadCounts counts() const;
  const ByteDigest& digest() const { return lines_.digest(); }
  const std::string& name() const { return lines_.name(); }

 protected:
  RecordReader(LineReader lines, RecordOptions options) : lines_(std::move(lines)), options_(std::move(options)) {}

  virtual bool read(Record& record) = 0;

  /// The next line that is not to be skipped. False at the end.
  bool next_line(std::string& line);
  /// Throws "FILE:LINE: message" for the current line.
  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(lines_.line_number(), fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_at(std::size_t line, const std::string& message) const;
  /// Splits a label cell as the options say.
  void set_labels(std::string_view cell, Record& record) const;
  void add_label(std::string_view label, Record& record) const;

  LineReader lines_;
  RecordOptions options_;
  std::size_t empty_lines_ = 0;
  std::size_t records_ = 0;
};

/// Opens a file (`-`: standard input; `.gz` contents are unpacked). Throws UsageError for options that do not fit the
/// format, Error if the file cannot be opened.
std::unique_ptr<RecordReader> open_records(const std::string& path, const RecordOptions& options);
/// The same over lines that are open already; `options.invalid_utf8` is then without effect.
std::unique_ptr<RecordReader> open_records(LineReader lines, const RecordOptions& options);

}  // namespace mnemo
