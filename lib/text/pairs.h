// Pairs of a text and its translation, from files.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/line_reader.h"
#include "text/records.h"

namespace mnemo {

/// parallel: two files, line by line. Every line is a record, empty ones included.
/// tsv:      columns between tabs, no quotes, no header; by default the source in column 1, the target in column 2.
/// jsonl:    one JSON object per line, keys `source` and `target`.
/// Empty lines of tsv and jsonl are skipped and counted.
enum class PairFormat { kParallel, kTsv, kJsonl };

std::optional<PairFormat> pair_format_from_name(std::string_view name);

/// The two paths of "SOURCE,TARGET", as command lines name parallel text. Throws UsageError without a comma, or with an
/// empty path.
std::pair<std::string, std::string> two_paths(const std::string& argument);
/// Whether an argument names parallel text whatever format is expected: no file has this name, but at least one of its
/// two paths exists.
bool names_two_files(const std::string& argument);

struct PairOptions {
  PairFormat format = PairFormat::kParallel;
  std::string source, target;  ///< tsv: columns by number from 1; jsonl: keys; empty: the format's default
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  /// Not for parallel. Every pair has an id: in jsonl the key `id`, in tsv a first column, without which the others
  /// are counted.
  bool ids = false;
  std::optional<Part> part = {};  ///< the part of the file that is read; empty: all of it. Not for parallel
};

struct TextPair {
  std::string source, target;
  std::size_t line = 0;        ///< from 1
  std::optional<RecordId> id;  ///< with PairOptions::ids
};

/// Reads pairs one by one, in the order of the file. Errors have the form "FILE:LINE: ...".
class PairReader {
 public:
  virtual ~PairReader() = default;

  /// `target_path` is empty unless the format is parallel. Throws UsageError for options that do not fit the format,
  /// Error if a file cannot be opened.
  static std::unique_ptr<PairReader> open(const std::string& path, const std::string& target_path,
                                          const PairOptions& options);

  /// The next pair, or false at the end. Throws Error on a line that does not fit the format; for parallel, at the end,
  /// if the files do not have the same number of lines.
  virtual bool next(TextPair& pair) = 0;
  /// True if a further line can be read without waiting, as LineReader::next_is_ready.
  virtual bool next_is_ready() = 0;
  /// Of each file: its name as messages have it, counts, and the digest of the bytes read.
  struct File {
    std::string name;
    ReadCounts counts;
    ByteDigest digest;
  };
  virtual std::vector<File> files() const = 0;
};

}  // namespace mnemo
