// Chinese poems as collections keep them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/line_reader.h"

namespace mnemo {

struct Poem {
  std::string title, author;  ///< empty: not known
  /// 五绝, 七绝, 五律, 七律 by number and length of lines, 五言 and 七言 where all lines have that length, 杂言 others;
  /// of a ci its tune.
  std::string form;
  std::string body;  ///< paragraphs with "\n" between them
};

/// A poem's lines of verse: pieces between punctuation, blanks and line breaks; 、 is a pause within one.
std::vector<std::u32string> verse_lines(std::string_view text);

/// The form by lines alone, as Poem::form says.
std::string form_by_lines(std::string_view body);

struct PoemCounts {
  std::size_t poems = 0;  ///< given
  std::size_t marks = 0;  ///< editors' marks that were dropped: brackets and quotes
  std::size_t notes = 0;  ///< editors' notes in round brackets that were dropped
  std::size_t gaps = 0;   ///< poems that were left out: they have lost characters, or some that are only described
  std::size_t empty = 0;  ///< left out
};

/// Reads the form of the collection chinese-poetry: a JSON array of objects {"title", "author", "paragraphs": [...]},
/// for ci "rhythmic" in place of "title". Other keys are skipped.
class PoemReader {
 public:
  /// Throws Error if the file cannot be read or is no such array.
  PoemReader(const std::string& path, InvalidUtf8 invalid_utf8);

  /// False at the end. Throws Error "FILE: poem N: ..." for one that does not fit.
  bool next(Poem& poem);
  const PoemCounts& counts() const { return counts_; }
  const LineReader& lines() const { return lines_; }

 private:
  LineReader lines_;
  std::vector<std::string> objects_;  // as text, the last one first
  std::size_t number_ = 0;
  PoemCounts counts_;
};

}  // namespace mnemo
