#include "text/sentences.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/shown.h"
#include "text/sentence_readers.h"
#include "text/utf8.h"
#include "text/word_break.h"

namespace mnemo {
namespace {

constexpr std::pair<SentenceFormat, std::string_view> kNames[] = {{SentenceFormat::kConll, "conll"},
                                                                  {SentenceFormat::kConllu, "conllu"},
                                                                  {SentenceFormat::kSlashed, "slashed"},
                                                                  {SentenceFormat::kLines, "lines"},
                                                                  {SentenceFormat::kJsonl, "jsonl"}};

constexpr std::array<std::string_view, 10> kConlluColumns{"id",    "form", "lemma",  "upos", "xpos",
                                                          "feats", "head", "deprel", "deps", "misc"};

constexpr std::string_view kBlanks = " \t", kMissing = "_";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A column's place from 0, or nothing for a text that is neither a number from 1 nor a name.
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
                         : fmt::format("{}: expected a column's number from 1, found {}", key, shown(name)));
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

// "# key = value", which says something of a sentence.
bool is_note(std::string_view line) { return line.starts_with("# ") && line.find(" = ", 2) != std::string_view::npos; }

// What conll and conllu share: sentences of rows.
class RowReader : public SentenceReader {
 public:
  RowReader(LineReader lines, const SentenceOptions& options) : SentenceReader(std::move(lines), options) {
    const bool conllu = options_.format == SentenceFormat::kConllu;
    token_ = column(options_.token.empty() ? conllu ? "form" : "1" : options_.token, options_.format, "data.text");
    std::vector<std::string> names = options_.tags;
    if (names.empty() && conllu) names = {"upos"};
    for (const std::string& name : names) tags_.push_back(column(name, options_.format, "data.columns"));
  }

 protected:
  bool read(Sentence& s) override {
    std::string line;
    while (lines_.next(line)) {
      if (options_.format == SentenceFormat::kConll && line.starts_with("-DOCSTART-")) continue;
      if (line.find_first_not_of(kBlanks) == std::string::npos) {
        // Before the first row a block of `#` lines is a comment most likely: it belongs to the sentence behind it.
        const bool comment = options_.format == SentenceFormat::kConll && columns_ == 0 && only_hashes(s);
        if (!comment && finish(s)) return true;
        continue;
      }
      if (s.lines.empty()) s.line = lines_.line_number();
      s.lines.push_back(std::move(line));
      line.clear();
    }
    return finish(s);
  }

 private:
  static bool only_hashes(const Sentence& s) {
    return std::all_of(s.lines.begin(), s.lines.end(), [](const std::string& line) { return line[0] == '#'; });
  }

  void split(const std::string& line) {
    if (options_.format == SentenceFormat::kConllu)
      split_at(line, '\t', fields_);
    else if (!options_.separator.empty())
      split_at(line, options_.separator[0], fields_);
    else
      split_blanks(line, fields_);
  }

  // Whether a line holds no token. `fields_` are its columns.
  bool aside(const std::string& line) const {
    if (options_.format == SentenceFormat::kConllu)
      return line[0] == '#' || fields_[0].find_first_of("-.") != std::string_view::npos;
    if (line[0] != '#') return false;
    if (is_note(line)) return true;
    // Where no other line has told the number of columns, one word alone is a token.
    return columns_ > 0 ? fields_.size() != columns_ : fields_.size() > 1;
  }

  // The number of columns is that of the first line that cannot be a comment.
  void learn_columns(const Sentence& s) {
    if (options_.format == SentenceFormat::kConllu) columns_ = kConlluColumns.size();
    for (std::size_t i = 0; i < s.lines.size() && columns_ == 0; ++i) {
      if (s.lines[i][0] == '#') continue;
      split(s.lines[i]);
      columns_ = fields_.size();
      columns_line_ = s.line + i;
    }
  }

  bool finish(Sentence& s) {
    if (s.lines.empty()) return false;
    learn_columns(s);
    const std::size_t columns = std::max<std::size_t>(1, tags_.size());
    s.tags.resize(columns);
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
      split(s.lines[i]);
      s.line_tokens.push_back(-1);
      if (aside(s.lines[i])) continue;
      check_row(s.line + i);
      s.line_tokens.back() = static_cast<std::int32_t>(s.tokens.size());
      std::string_view token = fields_[token_];
      // The position is an ASCII digit behind a character.
      if (options_.strip_position && token.size() >= 2 && is_digit(token.back())) token.remove_suffix(1);
      s.tokens.emplace_back(token);
      for (std::size_t k = 0; k < columns; ++k) {
        const std::size_t at = tags_.empty() ? fields_.size() - 1 : tags_[k];
        const bool there = at < fields_.size() && at != token_;
        if (there && fields_[at].empty()) fail_at(s.line + i, fmt::format("the tag in column {} is empty", at + 1));
        s.tags[k].emplace_back(there ? fields_[at] : kMissing);
      }
    }
    return true;
  }

  void check_row(std::size_t line) const {
    const std::size_t last_tag = tags_.empty() ? 1 : *std::max_element(tags_.begin(), tags_.end());
    if (fields_.size() <= token_ || fields_[token_].empty())
      fail_at(line, fmt::format("no token in column {}, found {} columns", token_ + 1, fields_.size()));
    if (columns_ > 0 && fields_.size() != columns_)
      fail_at(line,
              options_.format == SentenceFormat::kConllu
                  ? fmt::format("{} columns between tabs, expected 10", fields_.size())
                  : fmt::format("{} columns, expected {} as in line {}", fields_.size(), columns_, columns_line_));
    if (options_.require_tags && fields_.size() <= last_tag)
      fail_at(line, fmt::format("{} columns, expected a tag in column {}", fields_.size(), last_tag + 1));
  }

  std::size_t token_ = 0, columns_ = 0, columns_line_ = 0;
  std::vector<std::size_t> tags_;  // empty: the last
  std::vector<std::string_view> fields_;
};

class SlashedReader : public SentenceReader {
 public:
  SlashedReader(LineReader lines, const SentenceOptions& options) : SentenceReader(std::move(lines), options) {}

 protected:
  bool read(Sentence& s) override {
    std::string line;
    if (!lines_.next(line)) return false;
    s.line = lines_.line_number();
    s.tags.resize(1);
    split_blanks(line, pieces_);
    for (std::string_view piece : pieces_) {
      const std::size_t slash = piece.rfind('/');
      const bool tagged = slash != std::string_view::npos && slash > 0 && slash + 1 < piece.size();
      if (!tagged && options_.require_tags)
        fail_at(s.line, fmt::format("\"{}\" is no token, slash and tag", shown(piece)));
      s.tokens.emplace_back(tagged ? piece.substr(0, slash) : piece);
      s.tags[0].emplace_back(tagged ? piece.substr(slash + 1) : kMissing);
    }
    s.lines.push_back(std::move(line));
    s.line_tokens.push_back(-1);
    return true;
  }

 private:
  std::vector<std::string_view> pieces_;
};

class PlainReader : public SentenceReader {
 public:
  PlainReader(LineReader lines, const SentenceOptions& options)
      : SentenceReader(std::move(lines), options), cutter_(options.tokenizer) {}

 protected:
  bool read(Sentence& s) override {
    std::string line;
    if (!lines_.next(line)) return false;
    s.line = lines_.line_number();
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
    throw UsageError(fmt::format("{} has no meaning for the format {}", key, name_of(o.format)));
  };
  const bool rows = o.format == SentenceFormat::kConll || o.format == SentenceFormat::kConllu;
  if (!rows && o.format != SentenceFormat::kJsonl && !o.token.empty()) refuse("data.text");
  if (!rows && !o.tags.empty()) refuse("data.columns");
  if (o.format != SentenceFormat::kConll && !o.separator.empty()) refuse("data.separator");
  if (o.format != SentenceFormat::kConll && o.strip_position) refuse("data.strip_position");
  if (o.separator.size() > 1)
    throw UsageError(fmt::format("data.separator: expected one ASCII character, found \"{}\"", shown(o.separator)));
}

bool is_white_space(std::string_view text) {
  if (is_ascii(text.substr(0, 1))) return false;  // blanks of ASCII are gone
  const WordSegment segment = next_word_segment(text, 0);
  return segment.white_space_only && segment.end == text.size();
}

// Tokens are taken from the text itself; the model brings them into the form to look up.
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
    std::uint32_t begin = tokens_.begin(i);
    const std::uint32_t end = tokens_.end(i);
    // A mark that has nothing but a blank to stand on leaves it.
    begin = static_cast<std::uint32_t>(std::min<std::size_t>(s.text->find_first_not_of(" \t\v\f\r\n", begin), end));
    const std::string_view text = std::string_view(*s.text).substr(begin, end - begin);
    if (text.empty() || is_white_space(text)) continue;
    s.places.emplace_back(begin, end);
    s.tokens.emplace_back(text);
  }
}

std::string_view name_of(SentenceFormat format) {
  return std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& n) { return n.first == format; })->second;
}

std::optional<SentenceFormat> sentence_format_from_name(std::string_view name) {
  for (const auto& [format, its_name] : kNames)
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
  return open(LineReader(path, options.invalid_utf8), options);
}

std::unique_ptr<SentenceReader> SentenceReader::open(LineReader lines, const SentenceOptions& options) {
  check(options);
  switch (options.format) {
    case SentenceFormat::kSlashed:
      return std::make_unique<SlashedReader>(std::move(lines), options);
    case SentenceFormat::kLines:
      return std::make_unique<PlainReader>(std::move(lines), options);
    case SentenceFormat::kJsonl:
      return jsonl_sentences(std::move(lines), options);
    default:
      return std::make_unique<RowReader>(std::move(lines), options);
  }
}

bool SentenceReader::next(Sentence& sentence) {
  sentence = {};
  if (!read(sentence)) return false;
  ++sentences_;
  return true;
}

SentenceCounts SentenceReader::counts() const {
  return {sentences_,       lines_.crlf_lines(), lines_.invalid_sequences(),
          lines_.had_bom(), widened_spans_,      first_widened_};
}

void SentenceReader::fail_at(std::size_t line, const std::string& message) const {
  fail("{}:{}: {}", name(), line, message);
}

}  // namespace mnemo
