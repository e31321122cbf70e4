// How text from outside is shown in messages and tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// Characters of a text that a message shows, at most.
inline constexpr std::size_t kShownCharacters = 80;

/// The text on one line, without anything that a terminal would act on: control characters (C0, DEL, C1), line and
/// paragraph separators and changes of the writing direction are escaped (\n, \x1b, \u202e), and so are bytes that are
/// not UTF-8 (\xff).
std::string escaped(std::string_view text);

/// The same for the first `most` characters of the text, followed by "..." if the text is longer. For whatever a
/// message quotes from a text, a model or another file: labels, cells, tokens, names, values.
std::string shown(std::string_view text, std::size_t most = kShownCharacters);

/// The first `most` of the texts joined into one, and how many more there are.
std::string abridged(const std::vector<std::string>& texts, std::size_t most = 10, std::string_view separator = "; ");

/// A list as it is written in a sentence: "a", "a or b", "a, b or c" for `last` "or".
std::string listed(const std::vector<std::string>& words, std::string_view last);

/// "1 text", "2 texts".
std::string counted(std::int64_t count, std::string_view noun);

}  // namespace mnemo
