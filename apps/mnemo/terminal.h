// What commands print: answers, messages, and progress, which is a bar that redraws itself on a terminal and elsewhere
// a plain line at every evaluation and, for logs that someone watches, every ten seconds.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include "base/highlight.h"
#include "base/json_fwd.h"
#include "train/trainer.h"

namespace mnemo {

/// How the program was called, so that a command that it prints can be run.
inline std::string program_name = "mnemo";

/// Whether only errors are printed.
inline bool quiet = false;

/// Whether NO_COLOR is set to something.
bool no_colour();

/// Whether answers are shown in colour: by a terminal, unless NO_COLOR is set.
bool answers_in_colour();

/// The columns of the terminal that answers go to, or of COLUMNS where that is set; `otherwise` for a file or pipe.
std::size_t answer_columns(std::size_t otherwise);

/// One line to stderr; none if `quiet`.
void say(const std::string& line);

/// Text to stdout, at once: whatever a command answers goes through here. A terminal gets it with control characters
/// other than newlines and tabs escaped, and with the highlights, ascending, in colour; a file or pipe gets its bytes.
/// Throws Error if it cannot be written.
void put(const std::string& text, std::span<const Highlight> highlights = {});

/// JSON as one line; what is not UTF-8 is replaced.
std::string json_line(const Json& json);

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();

  void show(const Progress& progress);
  /// A line that stays, above the bar.
  void line(const std::string& text);
  void clear();

 private:
  bool terminal_, colour_, drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

/// A word as a shell reads it back, in quotes where it needs them.
std::string shell_quoted(const std::string& word);

/// "3:05", "1:02:03".
std::string duration_text(double seconds);

}  // namespace mnemo
