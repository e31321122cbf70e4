// Chinese poems as stored in collections.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/line_reader.h"

namespace mnemo {

struct Poem {
  std::string title, author;  ///< empty: not known
  /// 五绝, 七绝, 五律, 七律 by number and length of lines, 五言 and 七言 if all lines have that length, else 杂言; for
  /// a ci its tune.
  std::string form;
  std::string body;  ///< paragraphs with "\n" between them
};

/// A poem's lines of verse: pieces between punctuation, blanks and line breaks. Brackets, quotes, dashes and ellipses
/// do not count as characters of a line. 、 is a pause within a line or, with `at_pauses`, cuts like the others.
std::vector<std::u32string> verse_lines(std::string_view text, bool at_pauses = false);

/// The text without editors' marks and notes, as `read_poems` reads it.
std::string without_marks(std::string_view text);

/// The form as given by the lines alone, as in Poem::form.
std::string form_by_lines(std::string_view body);

struct PoemCounts {
  std::size_t poems = 0;  ///< returned
  std::size_t marks = 0;  ///< editors' marks that were dropped: brackets and quotes
  std::size_t notes = 0;  ///< editors' notes in round brackets that were dropped
  std::size_t gaps = 0;   ///< poems that were left out: characters are lost, or only described
  std::size_t empty = 0;  ///< left out
};

/// Reads the format of the collection chinese-poetry: a JSON array of objects {"title", "author", "paragraphs": [...]},
/// for ci "rhythmic" in place of "title". Other keys are skipped. Throws Error if the text is not such an array, and
/// "FILE: poem N: ..." for a poem that does not fit.
std::vector<Poem> read_poems(LineReader& lines, PoemCounts& counts);

}  // namespace mnemo
