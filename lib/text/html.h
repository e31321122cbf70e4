// Text of any origin inside HTML and SVG.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mnemo {

/// `text` for the inside of an element or of a quoted attribute: & < > " ' as entities; invalid UTF-8 and characters
/// that HTML forbids (controls but tab and newline, noncharacters) as U+FFFD; characters that turn the direction of
/// text (U+202A..202E, U+2066..2069) as U+FFFD too, as they would reorder what stands around them.
std::string escape_html(std::string_view text);

/// Columns that a text takes in a terminal or table: 2 a wide character; of what is not UTF-8 one a byte.
std::size_t columns_of(std::string_view text);

/// The same of at most `columns` columns of text (2 a wide character), an ellipsis at its end if it was longer.
std::string shortened_html(std::string_view text, std::size_t columns);

}  // namespace mnemo
