// Drafts a configuration for labelled texts from a look at the files. The format is the first one that all of the first
// lines fit, tried from the most specific one to those that any text may fit; then all of train is read by the reader
// that training uses, and sizes and epochs follow from the number of texts.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
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
                                          "message", "tweet",  "utterance", "question", "document", "title",
                                          "文本",    "评论",   "内容",      "句子",     "正文"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The index in `names`, those of a header or an object, of the first of `wanted` that is among them.
std::optional<std::size_t> known_name(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
  for (const std::string& name : wanted)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (lower(names[i]) == name) return i;
  return std::nullopt;
}

// The values of a column, or of a key.
struct Column {
  std::string name;
  std::vector<std::string> values;

  std::size_t distinct() const { return std::set<std::string>(values.begin(), values.end()).size(); }
  double length() const {
    double sum = 0;
    for (const std::string& value : values) sum += static_cast<double>(value.size());
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
  }
  // Few short values that recur.
  bool may_be_label() const {
    const std::size_t kinds = distinct();
    return kinds >= 2 && kinds <= std::max<std::size_t>(2, values.size() / 3) && length() <= kLongestLabel;
  }
};

struct Roles {
  std::size_t label, text;
};

// Of the columns that may hold labels, the one with the fewest different values; columns.size() if there is none.
std::size_t likeliest_label(const std::vector<Column>& columns) {
  std::size_t best = columns.size();
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i].may_be_label() && (best == columns.size() || columns[i].distinct() < columns[best].distinct()))
      best = i;
  return best;
}

// The column other than `label` with the longest values; columns.size() if there is no other.
std::size_t longest_but(std::size_t label, const std::vector<Column>& columns) {
  std::size_t best = columns.size();
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (i != label && (best == columns.size() || columns[i].length() > columns[best].length())) best = i;
  return best;
}

std::optional<Roles> roles_of(const std::vector<Column>& columns) {
  std::vector<std::string> names;
  names.reserve(columns.size());
  for (const Column& column : columns) names.push_back(column.name);
  const std::size_t label = known_name(names, kLabelNames).value_or(likeliest_label(columns));
  if (label == columns.size()) return std::nullopt;
  std::size_t text = known_name(names, kTextNames).value_or(label);
  if (text == label) text = longest_but(label, columns);
  if (text == columns.size() || columns[text].length() == 0) return std::nullopt;
  return Roles{label, text};
}

using Rows = std::vector<std::vector<std::string>>;

// Rows of cells, with quotes as in RFC 4180 if `quoted`. A last row with an open quote is left out.
Rows split_rows(const std::vector<std::string>& lines, char separator, bool quoted) {
  Rows rows;
  bool inside = false;
  for (const std::string& line : lines) {
    if (inside)
      rows.back().back() += '\n';
    else
      rows.push_back({""});
    for (std::size_t at = 0; at < line.size(); ++at) {
      std::string& cell = rows.back().back();
      const char c = line[at];
      if (inside && c == '"' && at + 1 < line.size() && line[at + 1] == '"')
        cell += line[++at];
      else if (quoted && c == '"' && (inside || cell.empty()))
        inside = !inside;
      else if (!inside && c == separator)
        rows.back().emplace_back();
      else
        cell += c;
    }
  }
  if (inside) rows.pop_back();
  return rows;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-+") == std::string::npos;
}

// Whether the first row names the columns: it has a usual name, or it is not a number above a column of numbers.
bool has_header(const Rows& rows) {
  const auto& first = rows.front();
  if (known_name(first, kLabelNames) || known_name(first, kTextNames)) return true;
  if (rows.size() < 3) return false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool numbers = std::all_of(rows.begin() + 1, rows.end(), [&](const auto& row) { return is_number(row[i]); });
    if (numbers && !is_number(first[i])) return true;
  }
  return false;
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

// Whether cells hold several labels: split at `separator`, there are fewer distinct values.
bool several_at(const std::vector<std::string>& cells, char separator) {
  std::set<std::string> whole(cells.begin(), cells.end()), pieces;
  std::size_t split = 0;
  for (const std::string& cell : cells) {
    split += cell.find(separator) != std::string::npos ? 1 : 0;
    for (std::size_t at = 0; at <= cell.size();) {
      const std::size_t end = std::min(cell.find(separator, at), cell.size());
      pieces.insert(cell.substr(at, end - at));
      at = end + 1;
    }
  }
  return split >= 2 && split * 50 >= cells.size() && pieces.size() < whole.size();
}

void draft_several_labels(const std::vector<std::string>& cells, Draft& draft) {
  for (const char separator : {',', ';', '|'})
    if (several_at(cells, separator)) {
      draft.set("data.multi_label", true, fmt::format("labels are side by side, separated by \"{}\"", separator));
      if (separator != ',') draft.set("data.label_separator", std::string(1, separator));
      return;
    }
}

bool try_delimited(const std::vector<std::string>& lines, char separator, Draft& draft) {
  const bool quotes = std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.front() == '"' || line.find(std::string{separator, '"'}) != std::string::npos;
  });
  const bool csv = separator != '\t' || quotes;
  const Rows rows = split_rows(lines, separator, csv);
  if (rows.empty() || rows.front().size() < 2) return false;
  for (const auto& row : rows)
    if (row.size() != rows.front().size()) return false;
  const bool header = has_header(rows);
  const std::vector<Column> columns = columns_of(rows, header);
  const auto roles = roles_of(columns);
  if (!roles) return false;
  const auto called = [&](std::size_t i) { return header ? Json(columns[i].name) : Json(i + 1); };
  draft.set("data.format", csv ? "csv" : "tsv",
            fmt::format("{} columns, {} header{}", rows.front().size(), header ? "with a" : "without a",
                        quotes ? ", cells in quotes" : ""));
  if (csv && separator != ',') draft.set("data.separator", separator == '\t' ? "\\t" : std::string(1, separator));
  if (csv != header) draft.set("data.header", header);
  draft.set("data.label", called(roles->label),
            fmt::format("{} different values, such as \"{}\"", columns[roles->label].distinct(),
                        columns[roles->label].values.front()));
  draft.set("data.text", called(roles->text), fmt::format("{:.0f} bytes on average", columns[roles->text].length()));
  draft_several_labels(columns[roles->label].values, draft);
  return true;
}

// The values of each key of the objects: strings as they are, other values as JSON.
std::optional<std::vector<Column>> keys_of(const std::vector<std::string>& lines, std::set<std::string>& lists) {
  std::vector<Column> out;
  for (const std::string& line : lines) {
    if (line.front() != '{') return std::nullopt;
    const Json object = parse_json(line);
    for (const auto& item : object.items()) {
      const std::string& key = item.key();
      const Json& value = item.value();
      if (value.is_object() || value.is_null()) continue;
      auto found = std::find_if(out.begin(), out.end(), [&](const Column& c) { return c.name == key; });
      if (found == out.end()) found = out.insert(out.end(), Column{key, {}});
      if (value.is_array()) lists.insert(key);
      found->values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return out;
}

bool try_jsonl(const std::vector<std::string>& lines, Draft& draft) {
  std::set<std::string> lists;
  std::optional<std::vector<Column>> keys;
  try {
    keys = keys_of(lines, lists);
  } catch (const Json::exception&) {
    return false;
  }
  if (!keys) return false;
  const auto roles = roles_of(*keys);
  if (!roles) return false;
  const Column &label = (*keys)[roles->label], &text = (*keys)[roles->text];
  draft.set("data.format", "jsonl", "one object per line");
  draft.set("data.label", label.name, fmt::format("{} different values", label.distinct()));
  draft.set("data.text", text.name, fmt::format("{:.0f} bytes on average", text.length()));
  if (lists.contains(label.name)) draft.set("data.multi_label", true, "labels are lists");
  return true;
}

bool try_fasttext(const std::vector<std::string>& lines, Draft& draft) {
  constexpr std::string_view kMark = "__label__";
  bool several = false;
  for (const std::string& line : lines) {
    if (!line.starts_with(kMark)) return false;
    several = several || line.find(" __label__") != std::string::npos;
  }
  draft.set("data.format", "fasttext", "every line begins with __label__");
  if (several) draft.set("data.multi_label", true, "lines begin with several labels");
  return true;
}

bool try_trees(const std::vector<std::string>& lines, Draft& draft) {
  for (const std::string& line : lines)
    if (line.size() < 4 || line.front() != '(' || line.back() != ')') return false;
  draft.set("data.format", "trees", "every line is a tree in brackets");
  return true;
}

bool try_spaced(const std::vector<std::string>& lines, Draft& draft) {
  Column first;
  for (const std::string& line : lines) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string::npos || blank == 0) return false;
    first.values.push_back(line.substr(0, blank));
  }
  // Texts often begin with the same words, too, but with far more different ones than there are labels.
  if (!first.may_be_label() || first.distinct() > std::max<std::size_t>(2, first.values.size() / 10)) return false;
  draft.set("data.format", "spaced",
            fmt::format("lines begin with one of {} words, such as \"{}\"", first.distinct(), first.values.front()));
  return true;
}

bool try_tabs(const std::vector<std::string>& lines, Draft& draft) { return try_delimited(lines, '\t', draft); }
bool try_commas(const std::vector<std::string>& lines, Draft& draft) { return try_delimited(lines, ',', draft); }
bool try_semicolons(const std::vector<std::string>& lines, Draft& draft) { return try_delimited(lines, ';', draft); }
bool try_bars(const std::vector<std::string>& lines, Draft& draft) { return try_delimited(lines, '|', draft); }

// The clearest signs first; the last ones may be found in any text.
constexpr std::array kFormats{try_fasttext, try_jsonl,      try_trees, try_tabs,
                              try_commas,   try_semicolons, try_bars,  try_spaced};

void draft_format(const std::string& path, Draft& draft) {
  const std::vector<std::string> lines = first_lines(path, kSample);
  if (lines.empty()) fail("{}: has no lines", path);
  for (const auto& attempt : kFormats)
    if (attempt(lines, draft)) return;
  fail(
      "{}: found no labels: expected columns of which one has few, recurring values, objects with a label, __label__X "
      "first, trees, or LABEL TEXT; or write the data section by hand (mnemo config explain data)",
      path);
}

struct Seen {
  std::int64_t records = 0, points = 0, longest = 0;
  std::map<std::string, std::int64_t> labels;
  ScriptCount script;
};

// Reads all of train by the reader that training uses, so that anything unreadable is reported at once.
Seen look(const Config& config) {
  Seen out;
  for (const DataFile& file : config.data.train) {
    const auto reader = open_records(file.file, record_options(config.data, file, InvalidUtf8::kError));
    Record record;
    while (reader->next(record)) {
      ++out.records;
      const auto length = static_cast<std::int64_t>(count_code_points(record.text));
      out.points += length;
      out.longest = std::max(out.longest, length);
      for (const std::string& label : record.labels) ++out.labels[label];
      out.script.add(record.text);
    }
  }
  return out;
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
  draft.note(fmt::format("labels: {}, from \"{}\" with {} texts to \"{}\" with {}", seen.labels.size(), rarest->first,
                         rarest->second, commonest->first, commonest->second));
  if (!several && static_cast<double>(commonest->second) > kUneven * static_cast<double>(rarest->second))
    draft.set("training.early_stopping.metric", "macro_f1", "labels are unbalanced, and each should count the same");
}

}  // namespace

void draft_classify(const PartFiles& parts, Draft& draft) {
  draft_format(parts.train.front(), draft);
  const Config config = draft.config();
  const Seen seen = look(config);
  if (seen.labels.size() < (config.data.multi_label ? 1u : 2u))
    fail("{}: found {} label{}, expected two or more", parts.train.front(), seen.labels.size(),
         seen.labels.size() == 1 ? "" : "s");
  draft_labels(seen, config.data.multi_label, draft);
  draft_dev(parts, seen.records, draft);
  draft_text(seen, draft);
  draft.note(fmt::format("{} texts of {} characters on average, the longest of {}", seen.records,
                         seen.points / seen.records, seen.longest));
  note_sizes(seen.records, draft);
}

}  // namespace mnemo
