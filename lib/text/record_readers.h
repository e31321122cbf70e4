// One reader for each family of formats. Internal: open_records chooses among them.
#pragma once

#include <memory>

#include "text/records.h"

namespace mnemo {

std::unique_ptr<RecordReader> delimited_reader(LineReader lines, const RecordOptions& options);  ///< tsv, csv
std::unique_ptr<RecordReader> jsonl_reader(LineReader lines, const RecordOptions& options);
std::unique_ptr<RecordReader> tree_reader(LineReader lines, const RecordOptions& options);

/// True for space and tab.
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
std::string_view trim(std::string_view text);

/// The column of a byte in a line, in code points from 1.
std::size_t column_of(std::string_view line, std::size_t offset);

}  // namespace mnemo
