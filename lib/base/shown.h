// Text from outside inside a message or a table.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// Characters of a text that a message shows, at most.
inline constexpr std::size_t kShownCharacters = 80;

/// The text on one line, with nothing in it that a terminal obeys: control characters (C0, DEL, C1), line and paragraph
/// separators and what turns the direction of writing are escaped (\n, \x1b, \u202e), bytes that are not UTF-8 as well
/// (\xff).
std::string escaped(std::string_view text);

/// The beginning of that, of `most` characters of the text, with "..." behind it where the text goes on. For whatever a
/// message quotes from a text, a model or another file: labels, cells, tokens, names, values.
std::string shown(std::string_view text, std::size_t most = kShownCharacters);

/// The first `most` of them in one text, and how many more there are.
std::string abridged(const std::vector<std::string>& texts, std::size_t most = 10, std::string_view separator = "; ");

}  // namespace mnemo
