// Drafts a configuration for labelled texts from a look at the files. Formats are tried from the most specific one to
// those that any text may fit, each on a sample of the whole file, as files are often sorted by label. A format that
// the sample fits is proposed if the reader that training uses reads all of train with it; settings follow from what it
// read.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/shown.h"
#include "tasks/classify/data.h"
#include "tasks/draft.h"
#include "text/records.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kSample = 2000;      // lines from which the format is found
constexpr std::size_t kLongestLabel = 60;  // bytes, on average
constexpr double kUneven = 10;             // ratio of the commonest to the rarest label

const std::vector<std::string> kLabelNames{"label",  "labels", "class", "category", "sentiment", "target", "polarity",
                                           "intent", "topic",  "tag",   "tags",     "emotion",   "rating", "stars",
                                           "score",  "y",      "标签",  "类别",     "分类",      "情感",   "类"};
const std::vector<std::string> kTextNames{"text",    "review", "sentence",  "content",  "comment",  "body",
                                          "message", "tweet",  "utterance", "question", "document", "abstract",
                                          "title",   "文本",   "评论",      "内容",     "句子",     "正文"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

std::vector<std::string> pieces_of(const std::string& cell, char separator) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= cell.size();) {
    const std::size_t end = std::min(cell.find(separator, at), cell.size());
    out.push_back(cell.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Whether cells hold several labels: split at `separator`, there are fewer distinct values.
bool several_at(const std::vector<std::string>& cells, char separator) {
  const std::set<std::string> whole(cells.begin(), cells.end());
  std::set<std::string> pieces;
  std::size_t split = 0;
  for (const std::string& cell : cells) {
    split += cell.find(separator) != std::string::npos ? 1 : 0;
    for (std::string& piece : pieces_of(cell, separator)) pieces.insert(std::move(piece));
  }
  return split >= 2 && split * 50 >= cells.size() && pieces.size() < whole.size();
}

// The character between several labels in cells.
std::optional<char> separator_of_labels(const std::vector<std::string>& cells) {
  for (const char separator : {',', ';', '|'})
    if (several_at(cells, separator)) return separator;
  return std::nullopt;
}

// The values of a column, or of a key.
struct Column {
  std::string name;
  std::vector<std::string> values;
  bool lists = false;     // jsonl: some values are lists
  bool may_text = true;   // jsonl: all values are strings
  bool may_label = true;  // jsonl: all values are of a type that labels may have

  std::size_t distinct() const { return std::set<std::string>(values.begin(), values.end()).size(); }
  double length() const {
    double sum = 0;
    for (const std::string& value : values) sum += static_cast<double>(value.size());
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
  }
  // Few short values that recur.
  bool likely_label() const {
    const std::size_t kinds = distinct();
    return may_label && kinds >= 2 && kinds <= std::max<std::size_t>(2, values.size() / 3) && length() <= kLongestLabel;
  }
  // Values that recur, as is enough for a column that is called a label.
  bool recurs() const { return 2 * distinct() <= values.size() || lists || separator_of_labels(values); }
};

// The index of the first of the columns with one of the names, by the order of the names, that `fits`.
template <class Fits>
std::optional<std::size_t> known_column(const std::vector<Column>& columns, const std::vector<std::string>& names,
                                        const Fits& fits) {
  for (const std::string& name : names)
    for (std::size_t i = 0; i < columns.size(); ++i)
      if (lower(std::string(trimmed(columns[i].name))) == name && fits(columns[i])) return i;
  return std::nullopt;
}

struct Roles {
  std::size_t label, text;
};

// Of the columns that may hold labels, the one with the fewest different values.
std::optional<std::size_t> likeliest_label(const std::vector<Column>& columns) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i].likely_label() && (!best || columns[i].distinct() < columns[*best].distinct())) best = i;
  return best;
}

// The column other than `label` with the longest texts.
std::optional<std::size_t> longest_but(std::size_t label, const std::vector<Column>& columns) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (i != label && columns[i].may_text && columns[i].length() > 0 &&
        (!best || columns[i].length() > columns[*best].length()))
      best = i;
  return best;
}

// A column whose name says that it is the label is it, even where its values do not recur if no other column's do: then
// the message that refuses it can name it.
std::optional<Roles> roles_of(const std::vector<Column>& columns) {
  const auto usable = [](const Column& column) { return column.may_label && !column.values.empty(); };
  auto label = known_column(columns, kLabelNames, [&](const Column& c) { return usable(c) && c.recurs(); });
  if (!label) label = likeliest_label(columns);
  if (!label) label = known_column(columns, kLabelNames, usable);
  if (!label) return std::nullopt;
  auto text = known_column(columns, kTextNames,
                           [&](const Column& c) { return &c != &columns[*label] && c.may_text && c.length() > 0; });
  if (!text) text = longest_but(*label, columns);
  if (!text) return std::nullopt;
  return Roles{*label, *text};
}

// What is proposed a format for.
struct Source {
  const std::string& path;
  InvalidUtf8 policy;
  const std::vector<std::string>& lines;  // a sample
};

using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

// Cuts lines into rows of cells, with quotes as in RFC 4180 if `quoted`: then a row may go on over several lines.
class RowCutter {
 public:
  RowCutter(char separator, bool quoted) : separator_(separator), quoted_(quoted) {}

  // Returns whether the line ends its row.
  bool add(const std::string& line) {
    if (inside_)
      row_.back() += '\n';
    else
      row_.assign(1, "");
    bytes_ = (inside_ ? bytes_ : 0) + line.size() + 1;
    for (std::size_t at = 0; at < line.size(); ++at) {
      std::string& cell = row_.back();
      const char c = line[at];
      if (inside_ && c == '"' && at + 1 < line.size() && line[at + 1] == '"') {
        cell += line[++at];
      } else if (quoted_ && c == '"' && (inside_ || cell.empty())) {
        quotes_ = true;
        inside_ = !inside_;
      } else if (!inside_ && c == separator_) {
        row_.emplace_back();
      } else {
        cell += c;
      }
    }
    return !inside_;
  }

  const Row& row() const { return row_; }
  std::size_t bytes() const { return bytes_; }
  bool inside() const { return inside_; }
  bool quotes() const { return quotes_; }

 private:
  char separator_;
  bool quoted_, inside_ = false, quotes_ = false;
  Row row_;
  std::size_t bytes_ = 0;
};

// A sample of a file's rows that are as wide as the first.
struct Table {
  Rows rows;
  std::size_t count = 0, odd = 0;  // all rows, and those of another width
  bool quotes = false;             // cells are in quotes

  // A few rows of another width are a mistake in the file, which the reader reports, rather than another format.
  bool fits() const { return !rows.empty() && 100 * odd <= count; }
};

Table read_table(const Source& source, char separator, bool quoted) {
  constexpr std::size_t kPatience = 100;  // rows of another width, at the beginning
  Table out;
  LineReader reader(source.path, source.policy);
  RowCutter cutter(separator, quoted);
  Sample<Row> sample(kSample);
  std::size_t width = 0;
  for (std::string line; reader.next(line);) {
    if (line.empty() && !cutter.inside()) continue;
    if (!cutter.add(line)) {
      if (cutter.bytes() > kMaxLineBytes) return {};
      continue;
    }
    ++out.count;
    if (width == 0) width = cutter.row().size();
    if (width < 2) return {};
    if (cutter.row().size() == width) {
      sample.add(cutter.row(), cutter.bytes());
      continue;
    }
    ++out.odd;
    if (out.odd > kPatience && 2 * out.odd > out.count) return {};
  }
  out.rows = sample.take();
  out.quotes = cutter.quotes();
  return out;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-+") == std::string::npos;
}

std::vector<Column> columns_of(const Rows& rows, bool header) {
  std::vector<Column> out(rows.front().size());
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (header && r == 0)
        out[i].name = rows[r][i];
      else
        out[i].values.push_back(rows[r][i]);
    }
  return out;
}

// Whether the first row's cell of a column is unlike a label: it is the only one of its kind, and all others recur.
bool is_alone(const std::string& cell, const Column& below) {
  if (is_number(cell)) return false;
  std::map<std::string, std::size_t> counts;
  for (const std::string& value : below.values) ++counts[value];
  return !counts.contains(cell) &&
         std::all_of(counts.begin(), counts.end(), [](const auto& count) { return count.second > 1; });
}

// Whether the first row names the columns: it has a usual name, it is not a number above a column of numbers, or its
// label is not one of the labels.
bool has_header(const Rows& rows) {
  if (rows.size() < 2) return false;
  const Row& first = rows.front();
  const std::vector<Column> columns = columns_of(rows, true);
  const auto fresh = [](const Column& c) {
    return std::find(c.values.begin(), c.values.end(), c.name) == c.values.end();
  };
  if (known_column(columns, kLabelNames, fresh) || known_column(columns, kTextNames, fresh)) return true;
  if (rows.size() < 3) return false;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (!is_number(first[i]) && std::all_of(columns[i].values.begin(), columns[i].values.end(), is_number)) return true;
  const auto roles = roles_of(columns);
  return roles && is_alone(first[roles->label], columns[roles->label]);
}

// A column as the configuration names it: by its number where its name is not one that the reader finds.
Json called(std::size_t column, const std::vector<Column>& columns) {
  const std::string& name = columns[column].name;
  const bool twice = std::count_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; }) > 1;
  const bool digits = name.find_first_not_of("0123456789") == std::string::npos;
  if (twice || digits || trimmed(name) != name || name != shown(name)) return column + 1;
  return name;
}

void draft_several_labels(const std::vector<std::string>& cells, Draft& draft) {
  const auto separator = separator_of_labels(cells);
  if (!separator) return;
  draft.set("data.multi_label", true, fmt::format("labels are side by side, separated by \"{}\"", *separator));
  if (*separator != ',') draft.set("data.label_separator", std::string(1, *separator));
}

bool draft_table(const Table& table, char separator, bool csv, Draft& draft) {
  if (!table.fits()) return false;
  const bool header = has_header(table.rows);
  const std::vector<Column> columns = columns_of(table.rows, header);
  const auto roles = roles_of(columns);
  if (!roles) return false;
  draft.set("data.format", csv ? "csv" : "tsv",
            fmt::format("{} columns, {} header{}", columns.size(), header ? "with a" : "without a",
                        table.quotes ? ", cells in quotes" : ""));
  if (separator != (csv ? ',' : '\t'))
    draft.set("data.separator", separator == '\t' ? "\\t" : std::string(1, separator));
  if (csv != header) draft.set("data.header", header);
  const Column &label = columns[roles->label], &text = columns[roles->text];
  draft.set("data.label", called(roles->label, columns),
            fmt::format("{}, such as \"{}\"", counted(static_cast<std::int64_t>(label.distinct()), "different value"),
                        shown(label.values.front())));
  draft.set("data.text", called(roles->text, columns), fmt::format("{:.0f} bytes on average", text.length()));
  draft_several_labels(label.values, draft);
  return true;
}

bool try_csv(const Source& source, char separator, Draft& draft) {
  const Table table = read_table(source, separator, true);
  if (separator == '\t') {
    if (!table.quotes) return false;
    // A quote that does not close makes one row of two lines. Where each line is a row without that, it is plain text.
    const Table plain = read_table(source, separator, false);
    if (plain.odd == 0 && plain.count != table.count) return false;
  }
  return draft_table(table, separator, true, draft);
}

// Whether most rows have a cell in quotes: then these are not characters of the texts.
bool are_quoted(const Rows& rows) {
  const auto in_quotes = [](const std::string& cell) {
    return cell.size() > 1 && cell.front() == '"' && cell.back() == '"';
  };
  const auto count = std::count_if(rows.begin(), rows.end(),
                                   [&](const Row& row) { return std::any_of(row.begin(), row.end(), in_quotes); });
  return 2 * count > std::ssize(rows);
}

bool try_plain(const Source& source, char separator, Draft& draft) {
  const auto has_quote = [](const std::string& line) { return line.find('"') != std::string::npos; };
  if (separator != '\t' && std::none_of(source.lines.begin(), source.lines.end(), has_quote)) return false;  // as csv
  const Table table = read_table(source, separator, false);
  return !are_quoted(table.rows) && draft_table(table, separator, false, draft);
}

// The values of each key of the objects: strings as they are, other values as JSON.
std::vector<Column> keys_of(const std::vector<Json>& objects) {
  std::vector<Column> out;
  for (const Json& object : objects)
    for (const auto& [key, value] : object.items()) {
      if (value.is_null()) continue;
      auto found = std::find_if(out.begin(), out.end(), [&k = key](const Column& c) { return c.name == k; });
      if (found == out.end()) found = out.insert(out.end(), Column{.name = key, .values = {}});
      const auto structured = [](const Json& item) { return item.is_structured(); };
      if (value.is_object() || (value.is_array() && std::any_of(value.begin(), value.end(), structured)))
        found->may_label = false;
      found->may_text = found->may_text && value.is_string();
      found->lists = found->lists || value.is_array();
      found->values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
  return out;
}

// Objects are no other format, so that whatever they lack is reported; the reader reports it if no line is read.
void draft_objects(const std::string& path, const std::vector<Json>& objects, Draft& draft) {
  draft.set("data.format", "jsonl", "one object per line");
  if (objects.empty()) return;
  const std::vector<Column> keys = keys_of(objects);
  const auto roles = roles_of(keys);
  if (!roles)
    fail(
        "{}: the objects have no text with a label: expected a string under one key and few, recurring values under "
        "another, found {}",
        path, described_keys(objects));
  const Column &label = keys[roles->label], &text = keys[roles->text];
  draft.set("data.label", label.name, counted(static_cast<std::int64_t>(label.distinct()), "different value"));
  draft.set("data.text", text.name, fmt::format("{:.0f} bytes on average", text.length()));
  if (label.lists) draft.set("data.multi_label", true, "labels are lists");
}

bool try_fasttext(const Source& source, Draft& draft) {
  constexpr std::string_view kMark = "__label__";
  std::size_t marked = 0;
  bool several = false;
  for (const std::string& line : source.lines) {
    const std::string_view text = trimmed(line);
    if (!text.starts_with(kMark)) continue;
    ++marked;
    const std::string_view rest = text.substr(std::min(text.find_first_of(" \t"), text.size()));
    several = several || trimmed(rest).starts_with(kMark);
  }
  if (2 * marked <= source.lines.size()) return false;
  draft.set("data.format", "fasttext", "lines begin with __label__");
  if (several) draft.set("data.multi_label", true, "lines begin with several labels");
  return true;
}

bool try_trees(const Source& source, Draft& draft) {
  for (const std::string& line : source.lines)
    if (line.size() < 4 || line.front() != '(' || line.back() != ')') return false;
  draft.set("data.format", "trees", "every line is a tree in brackets");
  return true;
}

// Whether the first words are those of sentences rather than labels: words that sentences often begin with, or words
// that the texts after them hold, too. Numbers may be both grades and words of the texts, and begin few sentences.
bool begin_sentences(const std::set<std::string>& first_words, const std::vector<std::string>& lines) {
  static const std::set<std::string> kOpeners{"And", "But",  "He",    "I",    "In",   "It", "My",   "She", "That",
                                              "The", "Then", "There", "They", "This", "We", "What", "You"};
  const auto openers = std::count_if(first_words.begin(), first_words.end(),
                                     [](const std::string& word) { return kOpeners.contains(word); });
  if (2 * openers >= std::ssize(first_words)) return true;
  if (std::all_of(first_words.begin(), first_words.end(), is_number)) return false;
  std::set<std::string> folded;
  for (const std::string& word : first_words) folded.insert(lower(word));
  std::size_t elsewhere = 0;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = pieces_of(lower(line), ' ');
    elsewhere +=
        std::any_of(words.begin() + 1, words.end(), [&](const std::string& word) { return folded.contains(word); }) ? 1
                                                                                                                    : 0;
  }
  return 4 * elsewhere > lines.size();
}

bool try_spaced(const Source& source, Draft& draft) {
  Column first;
  for (const std::string& line : source.lines) {
    const std::size_t blank = line.find_first_of(" \t");
    if (blank == std::string::npos || blank == 0 || line[blank] == '\t') return false;
    first.values.push_back(line.substr(0, blank));
  }
  // Texts often begin with the same words, too, but with far more different ones than there are labels.
  const std::set<std::string> words(first.values.begin(), first.values.end());
  const std::size_t few = std::max<std::size_t>(2, first.values.size() / 10);
  if (!first.likely_label() || words.size() > few || 2 * words.size() > first.values.size()) return false;
  if (begin_sentences(words, source.lines)) return false;
  draft.set("data.format", "spaced",
            fmt::format("lines begin with one of {} words, such as \"{}\"", words.size(), shown(first.values.front())));
  return true;
}

// The clearest signs first; the last ones may be found in any text. Columns are tried with quotes and, where these are
// not what RFC 4180 says, without.
using Attempt = bool (*)(const Source&, Draft&);
constexpr std::array<Attempt, 11> kFormats{try_fasttext,
                                           try_trees,
                                           [](const Source& s, Draft& d) { return try_csv(s, '\t', d); },
                                           [](const Source& s, Draft& d) { return try_plain(s, '\t', d); },
                                           [](const Source& s, Draft& d) { return try_csv(s, ',', d); },
                                           [](const Source& s, Draft& d) { return try_csv(s, ';', d); },
                                           [](const Source& s, Draft& d) { return try_csv(s, '|', d); },
                                           [](const Source& s, Draft& d) { return try_plain(s, ',', d); },
                                           [](const Source& s, Draft& d) { return try_plain(s, ';', d); },
                                           [](const Source& s, Draft& d) { return try_plain(s, '|', d); },
                                           try_spaced};

struct Seen {
  std::int64_t records = 0, points = 0, longest = 0;
  std::map<std::string, std::int64_t> labels;
  std::vector<std::set<std::string>> labels_of_files;
  ScriptCount script;
};

void look_at(const Config& config, const DataFile& file, InvalidUtf8 policy, Seen& out) {
  const auto reader = open_records(file.file, record_options(config.data, file, policy));
  std::set<std::string>& labels = out.labels_of_files.emplace_back();
  Record record;
  while (reader->next(record)) {
    ++out.records;
    const auto length = static_cast<std::int64_t>(count_code_points(record.text));
    out.points += length;
    out.longest = std::max(out.longest, length);
    for (const std::string& label : record.labels) {
      ++out.labels[label];
      labels.insert(label);
    }
    out.script.add(record.text);
  }
}

// Whether most labels are numbers with a fraction that is not zero, and so many that they are no grades.
bool are_measures(const Seen& seen) {
  constexpr std::size_t kMostGrades = 20;
  std::size_t fractions = 0;
  for (const auto& [label, count] : seen.labels) {
    if (!is_number(label)) return false;
    const std::size_t point = label.find('.');
    fractions += point != std::string::npos && label.find_first_of("123456789", point) != std::string::npos ? 1 : 0;
  }
  return seen.labels.size() > kMostGrades && 2 * fractions > seen.labels.size();
}

void check_labels(const std::string& path, const DataConfig& data, const Seen& seen) {
  const auto kinds = std::ssize(seen.labels);
  if (kinds < (data.multi_label ? 1 : 2)) fail("{}: found {}, expected two or more", path, counted(kinds, "label"));
  if (data.multi_label) return;
  const std::string where = data.label.empty() ? "" : fmt::format(" in \"{}\"", shown(data.label));
  if (are_measures(seen))
    fail(
        "{}: the labels{} are numbers with fractions, {} different ones for {}: expected classes, as mnemo "
        "classifies and does not predict numbers",
        path, where, kinds, counted(seen.records, "text"));
  if (kinds > 2 && 2 * kinds > seen.records)
    fail("{}: found {} different labels{} for {}: expected few that recur", path, kinds, where,
         counted(seen.records, "text"));
}

// Reads all of train by the reader that training uses, so that anything unreadable is reported at once.
Seen look(const PartFiles& parts, const Config& config) {
  Seen out;
  for (const DataFile& file : config.data.train) look_at(config, file, parts.invalid_utf8, out);
  check_labels(parts.train.front(), config.data, out);
  return out;
}

// Finds the format, and reads train with it.
Seen draft_format(const PartFiles& parts, Draft& draft) {
  const std::string& path = parts.train.front();
  const std::vector<std::string> lines = sample_lines(path, kSample, parts.invalid_utf8);
  if (lines.empty()) fail("{}: has no text", path);
  if (const ObjectLines found = parse_objects(lines); found.likely()) {
    draft_objects(path, found.objects, draft);
    return look(parts, draft.config());
  }
  const auto fits = [&](const auto& attempt, Draft& trial) {
    return attempt({path, parts.invalid_utf8, lines}, trial);
  };
  if (auto seen = first_readable(kFormats, draft, fits, [&](const Config& config) { return look(parts, config); }))
    return std::move(*seen);
  fail(
      "{}: found no labels: expected columns of which one has few, recurring values, objects with a label, __label__X "
      "first, trees, or LABEL TEXT; or write the data section by hand (mnemo config explain data)",
      path);
}

void draft_text(const Seen& seen, Draft& draft) {
  if (seen.script.unsegmented()) {
    draft.set("text.unit", "char",
              fmt::format("{}% of the letters are of a script without blanks between words", seen.script.share()));
  } else {
    draft.set("text.unit", "unicode-word", "words are separated by blanks and punctuation");
    draft.set("text.lowercase", true, "few texts give each word's vector more to learn from in one case");
  }
}

void draft_labels(const Seen& seen, bool several, Draft& draft) {
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [rarest, commonest] = std::minmax_element(seen.labels.begin(), seen.labels.end(), by_count);
  draft.note(fmt::format("labels: {}, from \"{}\" with {} to \"{}\" with {}", seen.labels.size(), shown(rarest->first),
                         counted(rarest->second, "text"), shown(commonest->first), commonest->second));
  if (!several && static_cast<double>(commonest->second) > kUneven * static_cast<double>(rarest->second))
    draft.set("training.early_stopping.metric", "macro_f1", "labels are unbalanced, and each should count the same");
}

}  // namespace

void draft_classify(const PartFiles& parts, Draft& draft) {
  const Seen seen = draft_format(parts, draft);
  check_one_set(parts, seen.labels_of_files, draft);
  const Config config = draft.config();
  Seen measured;  // dev and test have to be of the same format
  for (const auto* files : {&config.data.dev, &config.data.test})
    for (const DataFile& file : *files) look_at(config, file, parts.invalid_utf8, measured);
  draft_labels(seen, config.data.multi_label, draft);
  draft_dev(parts, seen.records, draft);
  draft_text(seen, draft);
  draft.note(fmt::format("{} of {} characters on average, the longest of {}", counted(seen.records, "text"),
                         seen.points / seen.records, seen.longest));
  note_sizes(seen.records, draft);
}

}  // namespace mnemo
