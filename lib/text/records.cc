// The readers of the simple formats, and the parts that all readers share: skipping of empty lines, splitting and
// checking of labels, messages with file and line. Readers of more complex formats have files of their own.
#include "text/records.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "text/record_readers.h"

namespace mnemo {
namespace {

bool has_columns(Format format) { return format == Format::kTsv || format == Format::kCsv; }

constexpr std::string_view kFasttextPrefix = "__label__";

class PlainReader : public RecordReader {
 public:
  PlainReader(LineReader lines, const RecordOptions& options) : RecordReader(std::move(lines), options) {}

 protected:
  bool read(Record& record) override { return next_line(record.text); }
};

class FasttextReader : public RecordReader {
 public:
  FasttextReader(LineReader lines, const RecordOptions& options) : RecordReader(std::move(lines), options) {}

 protected:
  bool read(Record& record) override {
    if (!next_line(line_)) return false;
    std::string_view rest = trim_left(line_);
    while (rest.starts_with(kFasttextPrefix)) {
      rest.remove_prefix(kFasttextPrefix.size());
      const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
      add_label(rest.substr(0, end), record);
      rest = trim_left(rest.substr(end));
    }
    record.text = rest;
    if (record.labels.empty() && options_.require_label && !options_.multi_label)
      fail_here("no label: expected {}LABEL at the start of the line", kFasttextPrefix);
    return true;
  }

 private:
  static std::string_view trim_left(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
  }

  std::string line_;
};

class SpacedReader : public RecordReader {
 public:
  SpacedReader(LineReader lines, const RecordOptions& options) : RecordReader(std::move(lines), options) {}

 protected:
  bool read(Record& record) override {
    if (!next_line(line_)) return false;
    if (line_.empty()) return true;
    const std::string_view line = line_;
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    set_labels(line.substr(0, end), record);
    record.text = trim(line.substr(end));
    return true;
  }

 private:
  std::string line_;
};

[[noreturn]] void refuse(std::string_view option, Format format) {
  throw UsageError(fmt::format("{} does not apply to the format {}", option, name_of(format)));
}

// An option without effect is a mistake that is reported.
void check(const RecordOptions& options) {
  const Format format = options.format;
  const bool fields = has_columns(format) || format == Format::kJsonl;
  if (!fields && !options.label.empty()) refuse("label", format);
  if (!fields && !options.text.empty()) refuse("text", format);
  if (!has_columns(format) && options.header.value_or(false)) refuse("header", format);
  if (!has_columns(format) && !options.separator.empty()) refuse("separator", format);
  if (format != Format::kTrees && options.phrases) refuse("phrases", format);
  if ((format == Format::kTrees || format == Format::kLines) && options.multi_label) refuse("multi_label", format);
  // A byte that is dropped may make the next one a quote.
  if (options.part && format == Format::kCsv && options.invalid_utf8 == InvalidUtf8::kSkip)
    throw UsageError("--part: csv is not read in parts with --invalid-utf8 skip; expected error or replace");
  if (options.part && options.phrases) refuse("--part with phrases", format);
  if (options.multi_label && options.label_separator.empty())
    throw UsageError("label_separator is empty, expected the text between two labels");
}

}  // namespace

std::string_view name_of(Format format) {
  switch (format) {
    case Format::kTsv:
      return "tsv";
    case Format::kCsv:
      return "csv";
    case Format::kJsonl:
      return "jsonl";
    case Format::kFasttext:
      return "fasttext";
    case Format::kSpaced:
      return "spaced";
    case Format::kTrees:
      return "trees";
    default:
      return "lines";
  }
}

std::optional<Format> format_from_name(std::string_view name) {
  for (const auto format :
       {Format::kLines, Format::kTsv, Format::kCsv, Format::kJsonl, Format::kFasttext, Format::kSpaced, Format::kTrees})
    if (name_of(format) == name) return format;
  return std::nullopt;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::size_t column_of(std::string_view line, std::size_t offset) {
  return count_code_points(line.substr(0, offset)) + 1;
}

bool RecordReader::next(Record& record) {
  record.labels.clear();
  record.text.clear();
  record.line = 0;
  if (lines_.awaited_part()) enter_part();
  id_.reset();
  if (!read(record)) return false;
  record.id = std::move(id_);
  if (record.line == 0) record.line = lines_.line_number();
  ++records_;
  return true;
}

ReadCounts RecordReader::counts() const {
  return {records_,         empty_lines_,       lines_.crlf_lines(),   lines_.invalid_sequences(),
          lines_.had_bom(), lines_.bom_lines(), lines_.invalid_bytes()};
}

bool RecordReader::next_line(std::string& line) {
  const bool skip_empty = options_.require_label && options_.format != Format::kLines;
  while (lines_.next(line)) {
    if (line.empty() && skip_empty) {
      ++empty_lines_;
      continue;
    }
    if (options_.ids && !has_columns(options_.format) && options_.format != Format::kJsonl) id_ = take_id(line, lines_);
    return true;
  }
  return false;
}

RecordId checked_id(std::string text, const std::string& name, std::size_t line) {
  if (text.empty()) fail("{}:{}: the id is empty", name, line);
  if (escaped(text) != text) fail("{}:{}: the id \"{}\" has control characters", name, line, shown(text));
  return {std::move(text)};
}

RecordId take_id(std::string& line, const LineReader& lines) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string::npos)
    fail("{}:{}: no id: with --id a line is an id, a tab and the rest, found no tab", lines.name(),
         lines.line_number());
  RecordId id = checked_id(line.substr(0, tab), lines.name(), lines.line_number());
  line.erase(0, tab + 1);
  return id;
}

void RecordReader::fail_at(std::size_t line, const std::string& message) const {
  fail("{}:{}: {}", name(), line, message);
}

void RecordReader::set_labels(std::string_view cell, Record& record) const {
  if (!options_.multi_label) {
    if (!cell.empty() || options_.require_label) add_label(cell, record);
    return;
  }
  if (trim(cell).empty()) return;
  for (;;) {
    const std::size_t end = cell.find(options_.label_separator);
    add_label(trim(cell.substr(0, end)), record);
    if (end == std::string_view::npos) return;
    cell.remove_prefix(end + options_.label_separator.size());
  }
}

void RecordReader::add_label(std::string_view label, Record& record) const {
  const std::size_t line = record.line > 0 ? record.line : lines_.line_number();
  if (label.empty()) fail_at(line, "an empty label");
  if (std::find(record.labels.begin(), record.labels.end(), label) != record.labels.end()) return;
  if (!record.labels.empty() && !options_.multi_label)
    fail_at(line, fmt::format("several labels (\"{}\", \"{}\"), expected one; set multi_label to allow several",
                              shown(record.labels[0]), shown(label)));
  record.labels.emplace_back(label);
}

std::unique_ptr<RecordReader> open_records(const std::string& path, const RecordOptions& options) {
  check(options);
  return open_records(LineReader(path, options.invalid_utf8, options.part), options);
}

std::unique_ptr<RecordReader> open_records(LineReader lines, const RecordOptions& options) {
  check(options);
  switch (options.format) {
    case Format::kTsv:
    case Format::kCsv:
      return delimited_reader(std::move(lines), options);
    case Format::kJsonl:
      return jsonl_reader(std::move(lines), options);
    case Format::kTrees:
      return tree_reader(std::move(lines), options);
    case Format::kFasttext:
      return std::make_unique<FasttextReader>(std::move(lines), options);
    case Format::kSpaced:
      return std::make_unique<SpacedReader>(std::move(lines), options);
    default:
      return std::make_unique<PlainReader>(std::move(lines), options);
  }
}

}  // namespace mnemo
