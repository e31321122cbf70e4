// What the commands that answer record by record have in common: the part of the input, ids, the file of the answers,
// and the summary at the end.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/mnemo/command_line.h"
#include "base/file.h"
#include "base/highlight.h"
#include "base/json_fwd.h"
#include "text/records.h"

namespace mnemo {

struct AnsweringOptions {
  std::string part_text, output;
  bool ids = false, summary = false, output_given = false, part_given = false;

  /// What `--part` names; nothing: the whole input. Throws UsageError.
  std::optional<Part> part() const;
  /// Throws UsageError, saying `why` they make no sense together, if `--part` or `--id` is given beside `option`.
  void refuse_with(const std::string& option, const std::string& why) const;
};

/// Add `--part` and `--id` to the group of the input, and `-o` and `--summary` to that of the output. `id_help` says
/// where answers have the id.
void add_part(Command& command, AnsweringOptions& options, const std::string& id_help);
void add_output(Command& command, AnsweringOptions& options);

/// Throws UsageError if `path`, which `option` says to write, is one of the files that a command reads.
void check_is_no_input(const std::string& option, const std::string& path, const std::vector<std::string>& inputs);

/// Where the answers of a command go: standard output, or a file that gets its name when `finish` is called. A signal
/// or an error leaves nothing of it.
class Answers {
 public:
  /// `files` are the input, `others` what is read beside it, as models: none may be replaced by the answers. Throws
  /// UsageError for options that do not fit them, Error if the file cannot be made.
  Answers(const AnsweringOptions& options, const std::vector<std::string>& others,
          const std::vector<std::string>& files);

  void put(const std::string& text, std::span<const Highlight> highlights = {});
  /// Whether `put` shows highlights.
  bool in_colour() const;
  /// For the summary: what has been answered, and the bytes that were replaced or skipped on reading it.
  void count(std::int64_t records, std::int64_t tokens);
  void count_replaced(std::size_t bytes) { replaced_ += bytes; }
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  const AnsweringOptions& options_;
  Clock::time_point began_ = Clock::now();
  std::unique_ptr<AtomicFile> file_;  // null: standard output
  std::int64_t records_ = 0, tokens_ = 0;
  std::size_t replaced_ = 0;
};

/// The input of a command that is given no files: standard input.
std::vector<std::string> or_standard_input(const std::vector<std::string>& files);

/// The id and a tab, before an answer in columns; nothing without an id.
std::string id_column(const std::optional<RecordId>& id);
/// An answer with its id, if there is one, as first key.
Json with_id(const std::optional<RecordId>& id, Json answer);

}  // namespace mnemo
