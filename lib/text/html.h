// Untrusted text inside HTML and SVG.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

/// `text` for the inside of an element or of a quoted attribute: & < > " ' as entities; invalid UTF-8 and characters
/// that HTML forbids (controls except tab and newline, noncharacters) as U+FFFD; characters that change the direction
/// of text (U+202A..202E, U+2066..2069) as U+FFFD too, as they would reorder the text around them.
std::string escape_html(std::string_view text);

/// Columns that a text takes in a terminal or table: 2 for a wide character; 1 for each byte that is not UTF-8.
std::size_t columns_of(std::string_view text);

/// A text of at most `columns` columns, with an ellipsis at the end if it was longer.
std::string shortened(std::string_view text, std::size_t columns);

/// As escape_html, shortened to `columns` columns, with an ellipsis at the end if it was longer.
std::string shortened_html(std::string_view text, std::size_t columns);

/// The style that `weight_table` needs, within a page of text/html_page.h.
inline constexpr std::string_view kWeightTableStyle =
    ".weights { border-collapse: collapse; font-size: .8rem; } .weights th { font-weight: 400; padding: .1rem .3rem; "
    "text-align: right; white-space: pre; } .weights thead th { writing-mode: vertical-rl; text-align: left; } "
    ".weights td { width: 1.3em; height: 1.3em; padding: 0; border: 1px solid var(--line); }";

/// Rows and columns of a matrix of weights within a page, at most.
inline constexpr std::size_t kMostWeights = 100;

/// A matrix of weights from 0 to 1 as a table of coloured cells: a row for each of `rows`, a column for each of
/// `columns`, both escaped. Each cell's weight is its title. Of a large one only the first kMostWeights rows and
/// columns are shown, and a line says so.
std::string weight_table(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                         const std::vector<std::vector<float>>& weights);

/// Writes such a table row by row, however large; `weights` gives those of a row.
void write_weight_table(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                        const std::function<std::vector<float>(std::size_t row)>& weights,
                        const std::function<void(std::string_view)>& write);

}  // namespace mnemo
