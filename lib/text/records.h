// Labelled and unlabelled texts from the usual file formats.
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

/// lines:    one text per line, no labels.
/// tsv:      columns between tabs, no quotes. By default, label in column 1, text in column 2, no header.
/// csv:      RFC 4180: quotes, doubled quotes, separators and newlines inside quotes. By default, a header and columns
///           `label` and `text`.
/// jsonl:    one JSON object per line, keys `label` and `text`. A label is a string, a number, true or false; with
///           several labels also an array of these. null means no label.
/// fasttext: `__label__X` tokens at the start of the line, then the text.
/// spaced:   `LABEL TEXT`: the label ends at the first space; the text is trimmed of ASCII blanks.
/// trees:    one labelled Penn tree per line, `(3 (2 It) (4 (2 's) (2 great)))`: label of the root, tokens joined by
///           spaces.
enum class Format { kLines, kTsv, kCsv, kJsonl, kFasttext, kSpaced, kTrees };

std::string_view name_of(Format format);
std::optional<Format> format_from_name(std::string_view name);

struct RecordOptions {
  Format format = Format::kTsv;
  /// tsv and csv: a column, by its number from 1 or by its name in the header (digits alone are a number); jsonl: a
  /// key. Empty: the format's default.
  std::string label, text;
  /// tsv and csv: the first row names the columns. Default: csv yes; tsv only if a column is given by name.
  std::optional<bool> header;
  /// tsv and csv: one ASCII character instead of tab or comma; tab may be spelled `\t`. Empty: the format's default.
  std::string separator;
  /// Any number of labels per text. A cell (tsv, csv, spaced) is split at `label_separator` and its pieces are trimmed
  /// of blanks; an empty cell means no label; a repeated label counts once.
  bool multi_label = false;
  std::string label_separator = ",";
  /// trees: instead of sentences, every phrase (node) whose label is not 2, lower-cased, with labels 0 and 1 as "0", 3
  /// and 4 as "1". Each text occurs once in the whole file, with its first label that is not 2. Outer phrases come
  /// first.
  bool phrases = false;
  /// If false, a label may be missing in an unambiguous way: no such column in the header, no such key, null, an empty
  /// cell, no `__label__`. An empty line is then a record with an empty text, so that there is one record for each
  /// line. If true, an empty line is skipped and counted (except in `lines`, where it is always a record).
  bool require_label = true;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  /// Every record begins with an id: in csv a first column, in jsonl the key `id`, in other formats what precedes the
  /// first tab of a line. Columns are counted without it.
  bool ids = false;
  std::optional<Part> part;  ///< the part of the file that is read; empty: all of it
};

/// The name of a record in its file.
struct RecordId {
  std::string text;     ///< valid UTF-8 without control characters, not empty
  bool number = false;  ///< jsonl: `text` is a number as JSON has it, rather than a string

  bool operator==(const RecordId&) const = default;
};

struct Record {
  std::vector<std::string> labels;
  std::string text;
  std::optional<RecordId> id;  ///< with RecordOptions::ids
  std::size_t line = 0;        ///< where the record begins in the file, from 1
};

/// Counts of the input read so far, for the log.
struct ReadCounts {
  std::size_t records = 0;
  std::size_t empty_lines = 0;  ///< skipped
  std::size_t crlf_lines = 0;
  std::size_t invalid_sequences = 0;  ///< replaced or skipped
  bool had_bom = false;
  std::size_t bom_lines = 0;      ///< after the first one
  std::size_t invalid_bytes = 0;  ///< replaced or skipped
};

/// Reads records one by one, in the order of the file. Errors have the form "FILE:LINE: ..." or "FILE:LINE:COLUMN: ..."
/// (columns in code points from 1).
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
  /// The lines of a header, which is not a record; once a record has been read.
  std::size_t header_lines() const { return header_lines_; }
  ByteDigest digest() const { return lines_.digest(); }
  const std::string& name() const { return lines_.name(); }

 protected:
  RecordReader(LineReader lines, RecordOptions options) : lines_(std::move(lines)), options_(std::move(options)) {}

  virtual bool read(Record& record) = 0;
  /// Learns what it must from the beginning of the file and enters the part of it.
  virtual void enter_part() { lines_.enter_lines(); }

  /// Reads the next line that is not skipped. Returns false at the end.
  bool next_line(std::string& line);
  /// Throws "FILE:LINE: message" for the current line.
  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(lines_.line_number(), fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_at(std::size_t line, const std::string& message) const;
  /// Sets the labels of a record from a cell, as the options require.
  void set_labels(std::string_view cell, Record& record) const;
  void add_label(std::string_view label, Record& record) const;

  LineReader lines_;
  RecordOptions options_;
  std::size_t empty_lines_ = 0;
  std::size_t records_ = 0;
  std::size_t header_lines_ = 0;
  std::optional<RecordId> id_;  // of the record that is being read
};

/// Opens a file (`-`: standard input; gzip data are decompressed). Throws UsageError for options that do not fit the
/// format, Error if the file cannot be opened.
std::unique_ptr<RecordReader> open_records(const std::string& path, const RecordOptions& options);
/// The same for lines that are already open; `options.invalid_utf8` then has no effect.
std::unique_ptr<RecordReader> open_records(LineReader lines, const RecordOptions& options);

/// Takes the id and the tab after it off the beginning of a line. Throws Error "FILE:LINE: ..." if there is none.
RecordId take_id(std::string& line, const LineReader& lines);
/// An id as one field of a line. Throws Error if it is empty or has control characters.
RecordId checked_id(std::string text, const std::string& name, std::size_t line);

}  // namespace mnemo
