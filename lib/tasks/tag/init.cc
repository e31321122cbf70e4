// Drafts a configuration for tagged sentences from a look at the files. The format is the first one that all of the
// first lines fit; then all of train is read by the reader that training uses, and the choices follow from its script,
// its tokens and the number of sentences.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "pipeline/tagger_input.h"
#include "tasks/draft.h"
#include "text/tags.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kSample = 5000;  // lines from which the format is found
constexpr double kMost = 0.9;          // fraction of the tokens that is taken for all

std::vector<std::string> split_at(const std::string& line, const char* separators, bool runs) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find_first_of(separators, at), line.size());
    if (!runs || end > at) out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

bool try_jsonl(const std::vector<std::string>& lines, Draft& draft) {
  bool tagged = false;
  try {
    for (const std::string& line : lines) {
      if (line.empty()) continue;
      if (line.front() != '{') return false;
      const Json object = parse_json(line);
      tagged = tagged || object.contains("spans") || object.contains("tags") || object.contains("tokens");
      if (!tagged && object.contains("label") && object["label"].is_array()) {
        draft.set("data.label", "label", "lists of spans");
        tagged = true;
      }
    }
  } catch (const Json::exception&) {
    return false;
  }
  if (tagged) draft.set("data.format", "jsonl", "one object per line, with spans or tags");
  return tagged;
}

bool try_conllu(const std::vector<std::string>& lines, Draft& draft) {
  constexpr std::size_t kColumns = 10, kUpos = 3, kXpos = 4;
  std::size_t rows = 0, upos = 0, xpos = 0;
  for (const std::string& line : lines) {
    if (line.empty() || line.front() == '#') continue;
    const auto cells = split_at(line, "\t", false);
    if (cells.size() != kColumns || cells.front().find_first_not_of("0123456789-.") != std::string::npos) return false;
    ++rows;
    upos += cells[kUpos] != "_" ? 1 : 0;
    xpos += cells[kXpos] != "_" ? 1 : 0;
  }
  if (rows == 0 || upos + xpos == 0) return false;
  draft.set("data.format", "conllu", "ten columns separated by tabs, the first one a number");
  draft.set("data.columns", Json::array({upos > 0 ? "upos" : "xpos"}), "parts of speech");
  return true;
}

bool try_slashed(const std::vector<std::string>& lines, Draft& draft) {
  std::size_t tokens = 0, tagged = 0;
  for (const std::string& line : lines)
    for (const std::string& token : split_at(line, " \t", true)) {
      const std::size_t slash = token.rfind('/');
      ++tokens;
      tagged += slash != std::string::npos && slash > 0 && slash + 1 < token.size() ? 1 : 0;
    }
  if (tokens == 0 || static_cast<double>(tagged) < kMost * static_cast<double>(tokens)) return false;
  draft.set("data.format", "slashed", "tokens are word/tag");
  return true;
}

// The number of columns, if it is the same in all rows.
std::optional<std::size_t> width_of(const std::vector<std::string>& lines, const char* separators, bool runs) {
  std::optional<std::size_t> width;
  for (const std::string& line : lines) {
    if (line.find_first_not_of(" \t") == std::string::npos || line.starts_with("-DOCSTART-")) continue;
    const std::size_t columns = split_at(line, separators, runs).size();
    if (line.starts_with("# ") && width && columns != *width) continue;
    if (width && columns != *width) return std::nullopt;
    width = columns;
  }
  return width;
}

bool try_conll(const std::vector<std::string>& lines, Draft& draft) {
  auto width = width_of(lines, " \t", true);
  const bool tabs = !width || *width < 2;
  if (tabs) width = width_of(lines, "\t", false);
  if (!width || *width < 2) return false;
  draft.set(
      "data.format", "conll",
      fmt::format("one token per line, {} columns, of which the first is the token and the last its tag", *width));
  if (tabs) draft.set("data.separator", "\\t", "there are blanks inside columns");
  return true;
}

constexpr std::array kFormats{try_jsonl, try_conllu, try_slashed, try_conll};

void draft_format(const std::string& path, Draft& draft) {
  const std::vector<std::string> lines = first_lines(path, kSample, true);
  for (const auto& attempt : kFormats)
    if (attempt(lines, draft)) return;
  fail(
      "{}: found no tags: expected a token and its tags per line, CoNLL-U, word/tag, or objects with spans; or write "
      "the data section by hand (mnemo config explain data)",
      path);
}

struct Seen {
  std::int64_t sentences = 0, tokens = 0, single = 0, numbered = 0;
  std::map<std::string, std::int64_t> tags;
  ScriptCount script;
  SchemeGuess scheme;

  bool mostly(std::int64_t count) const { return static_cast<double>(count) > kMost * static_cast<double>(tokens); }
};

// Whether the token is like "句0", where characters have their position in the word after them.
bool is_numbered(const std::string& token) {
  return token.size() > 1 && token.back() >= '0' && token.back() <= '9' && is_unsegmented(decode_utf8(&token[0]).value);
}

void add(const Sentence& sentence, Seen& seen) {
  if (sentence.tokens.empty()) return;
  ++seen.sentences;
  for (const std::string& token : sentence.tokens) {
    ++seen.tokens;
    seen.single += count_code_points(token) == 1 ? 1 : 0;
    seen.numbered += is_numbered(token) ? 1 : 0;
    seen.script.add(token);
  }
  if (sentence.tags.empty()) return;
  seen.scheme.add(sentence.tags.front());
  for (const std::string& tag : sentence.tags.front()) ++seen.tags[tag];
}

// Reads all of train by the reader that training uses, so that anything unreadable is reported at once.
Seen look(const Config& config) {
  Seen out;
  for (const DataFile& file : config.data.train) {
    const auto reader = SentenceReader::open(file.file, sentence_options(config, file, InvalidUtf8::kError, true));
    Sentence sentence;
    while (reader->next(sentence)) add(sentence, out);
  }
  return out;
}

// Whether the tokens are characters, or words that are to be found in characters.
bool draft_characters(const Config& config, const Seen& seen, Draft& draft) {
  if (!seen.script.unsegmented()) return false;
  if (config.data.format == "slashed") {
    draft.set("data.columns", "tagged-words",
              fmt::format("{}% of the letters are of a script without blanks between words, so words are found, too",
                          seen.script.share()));
    return true;
  }
  if (seen.mostly(seen.numbered))
    draft.set("data.strip_position", true, "tokens are characters followed by their position in the word");
  return seen.mostly(seen.single) || seen.mostly(seen.numbered) || config.data.format == "jsonl";
}

void draft_text(bool characters, const Seen& seen, Draft& draft) {
  if (characters) {
    draft.set("text.unit", "char", "characters are the tokens");
    return;
  }
  if (seen.script.unsegmented()) {
    draft.note("tokens are words: text to be tagged must be segmented into words, too");
  } else {
    draft.set("text.lowercase", true, "words are looked up in lower case; their characters are read as they are");
    draft.set("text.digits", "zero");
  }
}

}  // namespace

void draft_tag(const PartFiles& parts, Draft& draft) {
  draft_format(parts.train.front(), draft);
  const Seen seen = look(draft.config());
  if (seen.tokens == 0) fail("{}: has no tokens", parts.train.front());
  draft.note(fmt::format("tags: {} different ones, scheme {}", seen.tags.size(), name_of(seen.scheme.scheme())));
  draft_dev(parts, seen.sentences, draft);
  draft_text(draft_characters(draft.config(), seen, draft), seen, draft);
  draft.note(fmt::format("{} sentences, {} tokens", seen.sentences, seen.tokens));
  note_sizes(seen.sentences, draft);
}

}  // namespace mnemo
