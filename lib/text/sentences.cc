// Readers of sentences as rows, as token/tag and as plain text. In conll a line of `#` may be a comment or a token: the
// number of columns decides, which is that of the first line that cannot be a comment. Sentences are held back until
// that line is found; the lines of each are kept, so that predictions can be written into the file as it was.
#include "text/sentences.h"

#include <algorithm>
#include <array>
#include <deque>

#include "base/error.h"
#include "base/shown.h"
#include "text/cut.h"
#include "text/sentence_readers.h"
#include "text/utf8.h"
#include "text/word_break.h"

namespace mnemo {
namespace {

constexpr std::pair<SentenceFormat, std::string_view> kFormatNames[] = {{SentenceFormat::kConll, "conll"},
                                                                        {SentenceFormat::kConllu, "conllu"},
                                                                        {SentenceFormat::kSlashed, "slashed"},
                                                                        {SentenceFormat::kLines, "lines"},
                                                                        {SentenceFormat::kJsonl, "jsonl"}};

constexpr std::array<std::string_view, 10> kConlluColumns{"id",    "form", "lemma",  "upos", "xpos",
                                                          "feats", "head", "deprel", "deps", "misc"};

constexpr std::string_view kBlanks = " \t", kMissing = "_";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A column's index from 0; nothing if the string is neither a number from 1 nor a name.
std::optional<std::size_t> place_of(const std::string& column, SentenceFormat format) {
  if (!column.empty() && column.size() < 7 && std::all_of(column.begin(), column.end(), is_digit) && column != "0")
    return std::stoul(column) - 1;
  const auto name = std::find(kConlluColumns.begin(), kConlluColumns.end(), column);
  if (format == SentenceFormat::kConllu && name != kConlluColumns.end()) return name - kConlluColumns.begin();
  return std::nullopt;
}

std::size_t column(const std::string& name, SentenceFormat format, const char* key) {
  const auto place = place_of(name, format);
  if (!place || (format == SentenceFormat::kConllu && *place >= kConlluColumns.size()))
    throw UsageError(format == SentenceFormat::kConllu
                         ? fmt::format("{}: expected one of {}, or a number from 1 to 10, found {}", key,
                                       fmt::join(kConlluColumns, ", "), shown(name))
                         : fmt::format("{}: expected a column number from 1, found {}", key, shown(name)));
  return *place;
}

void split_blanks(std::string_view line, std::vector<std::string_view>& out) {
  out.clear();
  for (std::size_t at = 0; (at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end;
  }
}

void split_at(std::string_view line, char separator, std::vector<std::string_view>& out) {
  out.clear();
  for (std::size_t at = 0;;) {
    const std::size_t end = line.find(separator, at);
    out.push_back(line.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return;
    at = end + 1;
  }
}

bool is_blank(std::string_view line) { return line.find_first_not_of(kBlanks) == std::string_view::npos; }
bool is_docstart(std::string_view line) { return line.starts_with("-DOCSTART-"); }

// "# key = value", metadata of a sentence.
bool is_note(std::string_view line) { return line.starts_with("# ") && line.find(" = ", 2) != std::string_view::npos; }

// conll and conllu: sentences of rows.
class RowReader : public SentenceReader {
 public:
  RowReader(LineReader lines, const SentenceOptions& options) : SentenceReader(std::move(lines), options) {
    const bool conllu = options_.format == SentenceFormat::kConllu;
    token_ = column(options_.token.empty() ? conllu ? "form" : "1" : options_.token, options_.format, "data.text");
    std::vector<std::string> names = options_.tags;
    if (names.empty() && conllu) names = {"upos"};
    for (const std::string& name : names) tags_.push_back(column(name, options_.format, "data.columns"));
    if (conllu) columns_ = kConlluColumns.size();
    settled_ = conllu;
  }

  bool next_is_ready() override { return !waiting_.empty() || SentenceReader::next_is_ready(); }

 protected:
  bool read(Sentence& s) override {
    if (!settled_) settle_columns();
    if (!waiting_.empty()) {
      s = std::move(waiting_.front());
      waiting_.pop_front();
    } else if (!read_block(s)) {
      return false;
    }
    finish(s);
    if (options_.ids) s.id = sentence_id(s);
    return true;
  }

  // Every part has the number of columns that the file's beginning has; the sentences that decide it belong to the
  // first part.
  void enter_part() override {
    std::uint64_t head = 0;
    if (!settled_) {
      settle_columns();
      head = lines_.offset();
    }
    if (!lines_.awaited_part()->is_first()) waiting_.clear();
    lines_.enter_part(head, sentence_after);
  }

 private:
  RecordId sentence_id(const Sentence& s) const {
    constexpr std::string_view kNote = "# sent_id = ";
    for (std::size_t i = 0; i < s.lines.size(); ++i)
      if (s.lines[i].starts_with(kNote)) return checked_id(s.lines[i].substr(kNote.size()), name(), s.line + i);
    fail_at(s.line, "no id: with --id a sentence has a comment \"# sent_id = ID\"");
  }

  // Reads the lines up to the next empty one after a row or a comment, with the empty and -DOCSTART- lines before them.
  // Returns false at the end.
  bool read_block(Sentence& s) {
    s = {};
    std::string line;
    std::size_t bytes = 0;
    bool any = false;
    while (lines_.next(line)) {
      const bool blank = is_blank(line);
      if (blank && any) return true;
      any = any || (!blank && !is_docstart(line));
      bytes += line.size() + 1;
      if (s.lines.empty()) s.line = lines_.line_number();
      if (bytes > kMaxLineBytes)
        fail_at(s.line, fmt::format("a sentence of more than {} MiB, the maximum; expected empty lines between "
                                    "sentences",
                                    kMaxLineBytes >> 20));
      if (options_.format == SentenceFormat::kConllu && !any) continue;
      s.lines.push_back(std::move(line));
      line.clear();
    }
    return any;
  }

  // Reads up to the line that decides the number of columns: the first that cannot be a comment. A block of `#` lines
  // before it is a sentence if one of its lines has that number of columns, else it belongs to the block after it.
  void settle_columns() {
    settled_ = true;
    std::size_t bytes = 0;
    for (Sentence block; columns_ == 0 && bytes <= kMaxLineBytes && read_block(block);) {
      for (const std::string& line : block.lines) bytes += line.size();
      learn_columns(block);
      waiting_.push_back(std::move(block));
    }
    if (columns_ == 0) learn_columns_of_hashes();
    for (std::size_t i = 0; i + 1 < waiting_.size();) {
      if (has_token(waiting_[i])) {
        ++i;
        continue;
      }
      Sentence& after = waiting_[i + 1];
      std::vector<std::string> lines = std::move(waiting_[i].lines);
      lines.emplace_back();
      lines.insert(lines.end(), after.lines.begin(), after.lines.end());
      after.lines = std::move(lines);
      after.line = waiting_[i].line;
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  bool has_token(const Sentence& s) {
    return std::any_of(s.lines.begin(), s.lines.end(), [&](const std::string& line) {
      if (is_blank(line)) return false;
      split(line);
      return !aside(line);
    });
  }

  // For a file whose lines all begin with `#`: those other than notes are rows if they all have the same, sufficient
  // number of columns, and more than `#` in the first one.
  void learn_columns_of_hashes() {
    std::size_t columns = 0, first = 0;
    for (const Sentence& s : waiting_)
      for (std::size_t i = 0; i < s.lines.size(); ++i) {
        if (is_blank(s.lines[i]) || is_docstart(s.lines[i]) || is_note(s.lines[i])) continue;
        split(s.lines[i]);
        if (fields_[0] == "#" || (columns > 0 && fields_.size() != columns)) return;
        if (columns == 0) first = s.line + i;
        columns = fields_.size();
      }
    const std::size_t needed = options_.require_tags ? std::max(token_, last_tag()) + 1 : token_ + 1;
    if (columns < needed) return;
    columns_ = columns;
    columns_line_ = first;
  }

  void split(const std::string& line) {
    if (options_.format == SentenceFormat::kConllu)
      split_at(line, '\t', fields_);
    else if (!options_.separator.empty())
      split_at(line, options_.separator[0], fields_);
    else
      split_blanks(line, fields_);
  }

  // Whether a line is not a token. `fields_` are its columns.
  bool aside(const std::string& line) const {
    if (options_.format == SentenceFormat::kConllu)
      return line[0] == '#' || fields_[0].find_first_of("-.") != std::string_view::npos;
    if (is_docstart(line)) return true;
    if (line[0] != '#') return false;
    if (is_note(line)) return true;
    // As long as the number of columns is unknown, a single word is a token.
    return columns_ > 0 ? fields_.size() != columns_ : fields_.size() > 1;
  }

  // The number of columns is that of the first line that cannot be a comment.
  void learn_columns(const Sentence& s) {
    for (std::size_t i = 0; i < s.lines.size() && columns_ == 0; ++i) {
      if (s.lines[i][0] == '#' || is_blank(s.lines[i]) || is_docstart(s.lines[i])) continue;
      split(s.lines[i]);
      columns_ = fields_.size();
      columns_line_ = s.line + i;
    }
  }

  // Cuts the lines into tokens and tags.
  void finish(Sentence& s) {
    learn_columns(s);
    const std::size_t columns = std::max<std::size_t>(1, tags_.size());
    s.tags.resize(columns);
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
      s.line_tokens.push_back(-1);
      if (is_blank(s.lines[i])) continue;
      split(s.lines[i]);
      if (aside(s.lines[i])) continue;
      check_row(s.line + i);
      s.line_tokens.back() = static_cast<std::int32_t>(s.tokens.size());
      std::string_view token = fields_[token_];
      // The position is an ASCII digit after a character.
      if (options_.strip_position && token.size() >= 2 && is_digit(token.back())) token.remove_suffix(1);
      s.tokens.emplace_back(token);
      for (std::size_t k = 0; k < columns; ++k) {
        const std::size_t at = tags_.empty() ? fields_.size() - 1 : tags_[k];
        const bool there = at < fields_.size() && at != token_;
        if (there && fields_[at].empty()) fail_at(s.line + i, fmt::format("the tag in column {} is empty", at + 1));
        s.tags[k].emplace_back(there ? fields_[at] : kMissing);
      }
    }
  }

  std::size_t last_tag() const { return tags_.empty() ? 1 : *std::max_element(tags_.begin(), tags_.end()); }

  void check_row(std::size_t line) const {
    if (fields_.size() <= token_ || fields_[token_].empty())
      fail_at(line, fmt::format("no token in column {}, found {} columns", token_ + 1, fields_.size()));
    if (columns_ > 0 && fields_.size() != columns_)
      fail_at(line,
              options_.format == SentenceFormat::kConllu
                  ? fmt::format("{} tab-separated columns, expected 10", fields_.size())
                  : fmt::format("{} columns, expected {} as in line {}", fields_.size(), columns_, columns_line_));
    if (options_.require_tags && fields_.size() <= last_tag())
      fail_at(line, fmt::format("{} columns, expected a tag in column {}", fields_.size(), last_tag() + 1));
  }

  std::size_t token_ = 0, columns_ = 0, columns_line_ = 0;
  std::vector<std::size_t> tags_;  // empty: the last
  std::vector<std::string_view> fields_;
  bool settled_ = false;
  std::deque<Sentence> waiting_;  // read before the number of columns was known
};

class SlashedReader : public SentenceReader {
 public:
  SlashedReader(LineReader lines, const SentenceOptions& options) : SentenceReader(std::move(lines), options) {}

 protected:
  bool read(Sentence& s) override {
    std::string line;
    if (!next_line(line, s)) return false;
    s.tags.resize(1);
    split_blanks(line, pieces_);
    drop_compounds();
    for (std::string_view piece : pieces_) {
      const std::size_t slash = piece.rfind('/');
      const bool tagged = slash != std::string_view::npos && slash > 0 && slash + 1 < piece.size();
      if (!tagged && options_.require_tags)
        fail_at(s.line, fmt::format("expected TOKEN/TAG, found \"{}\"", shown(piece)));
      s.tokens.emplace_back(tagged ? piece.substr(0, slash) : piece);
      s.tags[0].emplace_back(tagged ? piece.substr(slash + 1) : kMissing);
    }
    s.lines.push_back(std::move(line));
    s.line_tokens.push_back(-1);
    return true;
  }

 private:
  // `[中国/ns 政府/n]nt`, as in Peking University's corpus of the People's Daily: the words are kept, with their own
  // tags.
  void drop_compounds() {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const std::string_view piece = pieces_[i];
      const std::size_t slash = piece.rfind('/');
      if (slash == std::string_view::npos || slash == 0) continue;
      // Nothing but brackets before the slash is a token.
      const std::size_t opening = piece.find_first_not_of('[');
      if (opening < slash) open.insert(open.end(), opening, i);
      const std::size_t close = piece.find(']', slash + 2);
      if (close == std::string_view::npos) continue;
      const auto closing = static_cast<std::size_t>(std::count(piece.begin() + close, piece.end(), ']'));
      if (closing > open.size()) continue;
      pieces_[i].remove_suffix(piece.size() - close);
      for (std::size_t k = 0; k < closing; ++k) {
        pieces_[open.back()].remove_prefix(1);
        open.pop_back();
      }
      counts_.compounds += closing;
    }
  }

  std::vector<std::string_view> pieces_;
};

class PlainSentenceReader : public SentenceReader {
 public:
  PlainSentenceReader(LineReader lines, const SentenceOptions& options)
      : SentenceReader(std::move(lines), options), cutter_(options.tokenizer) {}

 protected:
  bool read(Sentence& s) override {
    std::string line;
    if (!next_line(line, s)) return false;
    s.text = line;
    cutter_.cut(s);
    s.lines.push_back(std::move(line));
    s.line_tokens.push_back(-1);
    return true;
  }

 private:
  TextCutter cutter_;
};

void check(const SentenceOptions& o) {
  const auto refuse = [&](const char* key) {
    throw UsageError(fmt::format("{} does not apply to the format {}", key, name_of(o.format)));
  };
  const bool rows = o.format == SentenceFormat::kConll || o.format == SentenceFormat::kConllu;
  if (!rows && o.format != SentenceFormat::kJsonl && !o.token.empty()) refuse("data.text");
  if (!rows && !o.tags.empty()) refuse("data.columns");
  if (o.format != SentenceFormat::kConll && !o.separator.empty()) refuse("data.separator");
  if (o.format != SentenceFormat::kConll && o.strip_position) refuse("data.strip_position");
  if (o.format == SentenceFormat::kConll && o.ids)
    throw UsageError("--id: sentences of conll have none; expected conllu, jsonl, lines or slashed");
  if (o.separator.size() > 1)
    throw UsageError(fmt::format("data.separator: expected one ASCII character, found \"{}\"", shown(o.separator)));
}

// Tokens are substrings of the text itself; the model normalises them for look-up.
TokenizerOptions places_alone(TokenizerOptions options) {
  options.normalize = Normalization::kNone;
  options.lowercase = options.zero_digits = false;
  return options;
}

}  // namespace

TextCutter::TextCutter(const TokenizerOptions& options) : tokenizer_(places_alone(options)) {}

void TextCutter::cut(Sentence& s) {
  tokenizer_.tokenize(*s.text, tokens_);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    // A combining mark on a blank is kept without the blank.
    const std::string_view text =
        trim_white_space(std::string_view(*s.text).substr(tokens_.begin(i), tokens_.end(i) - tokens_.begin(i)));
    if (text.empty()) continue;
    const auto begin = static_cast<std::uint32_t>(text.data() - s.text->data());
    s.places.emplace_back(begin, begin + text.size());
    s.tokens.emplace_back(text);
  }
}

std::string_view name_of(SentenceFormat format) {
  return std::find_if(std::begin(kFormatNames), std::end(kFormatNames),
                      [&](const auto& n) { return n.first == format; })
      ->second;
}

std::optional<SentenceFormat> sentence_format_from_name(std::string_view name) {
  for (const auto& [format, its_name] : kFormatNames)
    if (its_name == name) return format;
  return std::nullopt;
}

std::size_t conllu_column(const std::string& name) { return column(name, SentenceFormat::kConllu, "data.columns"); }

std::vector<std::uint8_t> blanks_before(const Sentence& s) {
  std::vector<std::uint8_t> out(s.tokens.size());
  for (std::size_t t = 1; t < s.places.size(); ++t) out[t] = s.places[t].first > s.places[t - 1].second ? 1 : 0;
  return out;
}

PlacedText join_tokens(const std::vector<std::string>& tokens, std::string_view between) {
  PlacedText out;
  for (const std::string& token : tokens) {
    if (!out.text.empty()) out.text += between;
    out.places.emplace_back(out.text.size(), out.text.size() + token.size());
    out.text += token;
  }
  return out;
}

std::unique_ptr<SentenceReader> SentenceReader::open(const std::string& path, const SentenceOptions& options) {
  check(options);
  return open(LineReader(path, options.invalid_utf8, options.part), options);
}

std::unique_ptr<SentenceReader> SentenceReader::open(LineReader lines, const SentenceOptions& options) {
  check(options);
  switch (options.format) {
    case SentenceFormat::kSlashed:
      return std::make_unique<SlashedReader>(std::move(lines), options);
    case SentenceFormat::kLines:
      return std::make_unique<PlainSentenceReader>(std::move(lines), options);
    case SentenceFormat::kJsonl:
      return jsonl_sentences(std::move(lines), options);
    default:
      return std::make_unique<RowReader>(std::move(lines), options);
  }
}

bool SentenceReader::next(Sentence& sentence) {
  sentence = {};
  if (lines_.awaited_part()) enter_part();
  if (!read(sentence)) return false;
  ++sentences_;
  return true;
}

bool SentenceReader::next_line(std::string& line, Sentence& sentence) {
  if (!lines_.next(line)) return false;
  sentence.line = lines_.line_number();
  if (options_.ids) sentence.id = take_id(line, lines_);
  return true;
}

SentenceCounts SentenceReader::counts() const {
  SentenceCounts out = counts_;
  out.sentences = sentences_;
  out.crlf_lines = lines_.crlf_lines();
  out.invalid_sequences = lines_.invalid_sequences();
  out.had_bom = lines_.had_bom();
  out.bom_lines = lines_.bom_lines();
  out.invalid_bytes = lines_.invalid_bytes();
  return out;
}

void SentenceReader::fail_at(std::size_t line, const std::string& message) const {
  fail("{}:{}: {}", name(), line, message);
}

}  // namespace mnemo
