// The places at which a file can be cut into parts. Internal to the readers. A cut depends on the file and on `at`
// alone, so that two processes which read neighbouring parts agree on it without a word.
#pragma once

#include <cstdint>

#include "text/byte_source.h"

namespace mnemo {

/// The first beginning of a line at or after `at`, or the file's end.
std::uint64_t line_after(const FileRange& file, std::uint64_t at);

/// The place after the first sentence of rows, conll or conllu, whose last line begins at or after `at`, and after the
/// empty line that ends it; or the file's end. Only sentences that end beyond doubt are counted: in a line of valid
/// text and an empty line.
std::uint64_t sentence_after(const FileRange& file, std::uint64_t at);

/// The first beginning of a csv row at or after `at`, or the file's end, of rows that begin at `head`. Everything
/// between is read, since a quote may hold any number of lines.
std::uint64_t row_after(const FileRange& file, std::uint64_t head, std::uint64_t at, char separator);

/// The number of line ends before `end`.
std::uint64_t line_ends_before(const FileRange& file, std::uint64_t end);

}  // namespace mnemo
