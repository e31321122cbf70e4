// Help pages: examples first, options in titled groups, every default shown.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mnemo {

struct Command;

/// The page of a command, its lines at most `width` columns wide where words allow it.
std::string help_page(const Command& command, std::size_t width);

/// Width of a page: that of COLUMNS or of the terminal, 80 if there is neither, at least 40 and at most 100.
std::size_t page_width();

/// "a", "a or b", "a, b or c".

}  // namespace mnemo
