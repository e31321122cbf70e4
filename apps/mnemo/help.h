// Help as a page: examples first, options in titled groups, every default shown.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mnemo {

struct Command;

/// The page of a command, its lines at most `width` columns where words allow it.
std::string help_page(const Command& command, std::size_t width);

/// Columns for a page: those of COLUMNS or of the terminal, 80 where there is neither, from 40 to 100.
std::size_t page_width();

/// "a", "a or b", "a, b or c".
std::string listed(const std::vector<std::string>& words, const std::string& last);

}  // namespace mnemo
