// tsv and csv. Rows are split into reused cells; only csv has quotes (RFC 4180), inside which a row continues over
// several lines. Columns given by name are resolved by the header, and every row must be as wide as the first one, so
// that a stray separator is an error and not a shifted label.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/shown.h"
#include "text/cut.h"
#include "text/record_readers.h"

namespace mnemo {
namespace {

// A column as the user names it: by its number from 1, or by its name in the header.
struct Column {
  std::string name;
  std::size_t number = 0;  // 0: by name

  static Column parse(const std::string& wish) {
    const bool digits =
        !wish.empty() && std::all_of(wish.begin(), wish.end(), [](char c) { return c >= '0' && c <= '9'; });
    Column column{wish, 0};
    if (!digits) return column;
    const auto result = std::from_chars(wish.data(), wish.data() + wish.size(), column.number);
    if (result.ec != std::errc{} || column.number == 0)
      throw UsageError(fmt::format("column {}: columns are counted from 1", wish));
    return column;
  }
};

char parse_separator(const RecordOptions& options) {
  const bool csv = options.format == Format::kCsv;
  if (options.separator.empty()) return csv ? ',' : '\t';
  if (options.separator == "\\t") return '\t';
  const char c = options.separator[0];
  const bool usable = options.separator.size() == 1 && c > 0 && c != '\n' && c != '\r' && !(csv && c == '"');
  if (!usable)
    throw UsageError(
        fmt::format("separator \"{}\": expected one ASCII character, no quote or line end", shown(options.separator)));
  return c;
}

class DelimitedReader : public RecordReader {
 public:
  DelimitedReader(LineReader lines, const RecordOptions& options)
      : RecordReader(std::move(lines), options),
        quoted_(options.format == Format::kCsv),
        separator_(parse_separator(options)) {
    const bool named = quoted_ && options.header.value_or(true);
    label_ = Column::parse(!options.label.empty() ? options.label : named ? "label" : "1");
    text_ = Column::parse(!options.text.empty() ? options.text : named ? "text" : "2");
    const bool by_name = label_.number == 0 || text_.number == 0;
    header_ = options.header.value_or(quoted_ || by_name);
    if (by_name && !header_)
      throw UsageError(fmt::format("column \"{}\" is given by name, but header is false",
                                   shown(label_.number == 0 ? label_.name : text_.name)));
  }

 protected:
  bool read(Record& record) override {
    if (header_ && width_ == 0 && !read_header()) return false;
    if (!read_row()) return false;
    record.line = row_line_;
    if (options_.ids) take_id_cell();
    if (row_is_empty_ && !options_.require_label) return true;
    check_width();
    if (label_.number > 0) set_labels(cells_[label_.number - 1], record);
    record.text = cells_[text_.number - 1];
    return true;
  }

 private:
  // Every part has the columns of the file's first row.
  void enter_part() override {
    std::uint64_t head = 0;
    if (header_) {
      read_header();
      head = lines_.offset();
    } else if (!lines_.awaited_part()->is_first()) {
      learn_width();
    }
    lines_.enter_part(head, [&](const FileRange& file, std::uint64_t at) {
      return quoted_ ? row_after(file, head, at, separator_) : line_after(file, at);
    });
  }

  // A row that is refused is left to the part that it belongs to.
  void learn_width() {
    try {
      while (width_ == 0 && read_row()) {
        if (options_.ids) drop_id_cell();
        if (!row_is_empty_ || options_.require_label) check_width();
      }
    } catch (const Error&) {
      width_ = 0;
    }
    empty_lines_ = 0;
  }

  bool read_header() {
    if (!read_row()) return false;
    if (options_.ids) drop_id_cell();
    header_lines_ = lines_.line_number() - row_line_ + 1;
    use_header();
    return true;
  }

  void take_id_cell() {
    if (width_read_ < 2) fail_at(row_line_, "no id: with --id the first column is one, found a single column");
    id_ = checked_id(cells_.front(), name(), row_line_);
    drop_id_cell();
  }

  void drop_id_cell() {
    if (width_read_ == 0) return;
    std::rotate(cells_.begin(), cells_.begin() + 1, cells_.begin() + static_cast<std::ptrdiff_t>(width_read_));
    --width_read_;
  }

  bool read_row() {
    if (!next_line(line_)) return false;
    row_line_ = lines_.line_number();
    row_is_empty_ = line_.empty();
    row_bytes_ = 0;
    width_read_ = 0;
    std::size_t at = 0;
    do {
      at = quoted_ && at < line_.size() && line_[at] == '"' ? read_quoted(at) : read_plain(at);
    } while (at++ < line_.size());
    return true;
  }

  std::string& add_cell() {
    if (width_read_ == cells_.size()) cells_.emplace_back();
    cells_[width_read_].clear();
    return cells_[width_read_++];
  }

  // Both return the position of the separator or of the end of the line.
  std::size_t read_plain(std::size_t at) {
    const std::size_t end = std::min(line_.find(separator_, at), line_.size());
    add_cell().assign(line_, at, end - at);
    return end;
  }

  std::size_t read_quoted(std::size_t at) {
    std::string& cell = add_cell();
    const std::size_t opened = lines_.line_number();
    for (++at;;) {
      const std::size_t quote = std::min(line_.find('"', at), line_.size());
      cell.append(line_, at, quote - at);
      at = quote + 1;
      if (quote == line_.size()) {
        row_bytes_ += line_.size() + 1;
        if (!lines_.next(line_)) fail_at(opened, "a quote is opened here and never closed");
        if (row_bytes_ + line_.size() > kMaxLineBytes)
          fail_at(row_line_, fmt::format("a row of more than {} MiB, the maximum; the last quote is opened in line {}",
                                         kMaxLineBytes >> 20, opened));
        cell += '\n';
        at = 0;
      } else if (at < line_.size() && line_[at] == '"') {
        cell += line_[at++];
      } else {
        break;
      }
    }
    if (at < line_.size() && line_[at] != separator_)
      fail("{}:{}:{}: text after a closing quote, expected the separator or the end of the row", name(),
           lines_.line_number(), column_of(line_, at));
    return at;
  }

  void use_header() {
    width_ = width_read_;
    width_line_ = row_line_;
    find_column(text_, true);
    find_column(label_, options_.require_label);
  }

  void find_column(Column& column, bool required) {
    if (column.number > 0) {
      check_number(column, required);
      return;
    }
    for (std::size_t i = 0; i < width_; ++i) {
      if (cells_[i] != column.name) continue;
      if (column.number > 0)
        fail_at(row_line_, fmt::format("the header has the column \"{}\" twice", shown(column.name)));
      column.number = i + 1;
    }
    if (column.number == 0 && required)
      fail_at(row_line_,
              fmt::format("no column \"{}\" in the header, which has {}", shown(column.name), shown_cells()));
  }

  void check_number(Column& column, bool required) {
    if (column.number <= width_) return;
    if (required)
      fail_at(row_line_,
              fmt::format("expected at least {} columns ({}: label in column {}, text in column {}), found {}",
                          column.number, format(), label_.number, text_.number, width_));
    column.number = 0;
  }

  void check_width() {
    if (width_ == 0) {
      width_ = width_read_;
      width_line_ = row_line_;
      check_number(text_, true);
      check_number(label_, options_.require_label);
    }
    if (width_read_ != width_)
      fail_at(row_line_, fmt::format("expected {} columns as in line {}, found {} ({})", width_, width_line_,
                                     width_read_, format()));
  }

  std::string format() const {
    const std::string separator = separator_ == '\t' ? "tab" : fmt::format("\"{}\"", separator_);
    return fmt::format("{}, separated by {}", name_of(options_.format), separator);
  }

  std::string shown_cells() const {
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(width_, 10); ++i)
      out += fmt::format("{}\"{}\"", i ? ", " : "", shown(cells_[i]));
    return out + (width_ > 10 ? ", ..." : "");
  }

  bool quoted_;
  char separator_;
  bool header_ = false;
  Column label_, text_;
  std::string line_;
  std::vector<std::string> cells_;  // the first width_read_ are the row
  std::size_t width_read_ = 0;
  std::size_t row_line_ = 0;
  std::size_t row_bytes_ = 0;  // of its lines before the current one
  bool row_is_empty_ = false;
  std::size_t width_ = 0;  // of the first row; 0: none has been read
  std::size_t width_line_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader> delimited_reader(LineReader lines, const RecordOptions& options) {
  return std::make_unique<DelimitedReader>(std::move(lines), options);
}

}  // namespace mnemo
