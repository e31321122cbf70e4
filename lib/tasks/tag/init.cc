// Drafts a configuration for tagged sentences from a look at the files. The format is the first one that the first
// lines fit and with which the reader that training uses reads all of train and finds tags; the choices follow from its
// script, its tokens and the number of sentences.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/tagger_input.h"
#include "tasks/draft.h"
#include "text/tags.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kSample = 5000;  // lines from which the format is found
constexpr std::size_t kWords = 100'000;
constexpr double kMost = 0.9;  // fraction of the tokens that is taken for all

std::vector<std::string> split_at(const std::string& line, const char* separators, bool runs) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find_first_of(separators, at), line.size());
    if (!runs || end > at) out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// The key of lists that look like spans: of objects with start and end, or of arrays of three.
std::optional<std::string> spans_key(const std::vector<Json>& objects) {
  for (const Json& object : objects)
    for (const auto& [key, value] : object.items()) {
      if (!value.is_array() || value.empty() || key == "tokens") continue;
      const Json& first = value.front();
      if ((first.is_array() && first.size() == 3) ||
          (first.is_object() && first.contains("start") && first.contains("end")))
        return key;
    }
  return std::nullopt;
}

// Objects are no other format, so that whatever they lack is reported; the reader reports it if no line is read.
void draft_objects(const std::string& path, const std::vector<Json>& objects, Draft& draft) {
  draft.set("data.format", "jsonl", "one object per line");
  if (objects.empty()) return;
  const auto any = [&](const char* key) {
    return std::any_of(objects.begin(), objects.end(), [&](const Json& object) { return object.contains(key); });
  };
  if (!any("text") && !any("tokens")) {
    for (const auto& [key, value] : objects.front().items())
      if (value.is_string()) {
        draft.set("data.text", key, "the first key with a string");
        break;
      }
  }
  if (any("spans") || any("tags") || any("tokens")) return;
  const auto spans = spans_key(objects);
  if (!spans)
    fail(
        "{}: the objects have no tags: expected \"spans\" (or data.label as their key) beside the text, or \"tokens\" "
        "and \"tags\", found {}",
        path, described_keys(objects));
  draft.set("data.label", *spans, "lists of spans");
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

// The rows of a file in columns.
struct RowShape {
  std::size_t width = 0;
  bool counted = true;  // the first column counts the tokens of each sentence
};

// Their shape, if nearly all rows have the same number of columns: the others are mistakes for the reader to report.
std::optional<RowShape> shape_of(const std::vector<std::string>& lines, const char* separators, bool runs) {
  RowShape out;
  std::size_t rows = 0, odd = 0, longest = 0, place = 0;  // place: of the row in its sentence
  bool from_one = false;
  for (const std::string& line : lines) {
    if (line.find_first_not_of(" \t") == std::string::npos) place = 0;
    if (place == 0 && line.find_first_not_of(" \t") == std::string::npos) continue;
    if (line.starts_with("-DOCSTART-")) continue;
    const std::vector<std::string> cells = split_at(line, separators, runs);
    if (line.starts_with("# ") && (out.width == 0 || cells.size() != out.width)) continue;
    if (out.width == 0) out.width = cells.size();
    ++rows;
    odd += cells.size() != out.width ? 1 : 0;
    if (cells.empty()) continue;
    if (place == 0) from_one = cells.front() == "1";
    out.counted = out.counted && cells.front() == std::to_string(place + (from_one ? 1 : 0));
    longest = std::max(longest, ++place);
  }
  if (rows == 0 || 100 * odd > rows) return std::nullopt;
  out.counted = out.counted && out.width > 2 && longest > 1;
  return out;
}

bool try_conll(const std::vector<std::string>& lines, Draft& draft) {
  auto shape = shape_of(lines, " \t", true);
  const bool tabs = !shape || shape->width < 2;
  if (tabs) shape = shape_of(lines, "\t", false);
  if (!shape || shape->width < 2) return false;
  draft.set("data.format", "conll",
            fmt::format("one token per line, {} columns, of which {} is the token and the last its tag", shape->width,
                        shape->counted ? "the second" : "the first"));
  if (shape->counted) draft.set("data.text", 2, "the first column counts the tokens of each sentence");
  if (tabs) draft.set("data.separator", "\\t", "there are blanks inside columns");
  return true;
}

constexpr std::array kFormats{try_conllu, try_slashed, try_conll};

struct SeenSentences {
  std::int64_t sentences = 0, tokens = 0, single = 0, numbered = 0;
  std::map<std::string, std::int64_t> tags;
  std::vector<std::set<std::string>> tags_of_files;
  std::set<std::string> words;  // different tokens, at most kWords
  ScriptCount script;
  SchemeGuess scheme;

  bool mostly(std::int64_t count) const { return static_cast<double>(count) > kMost * static_cast<double>(tokens); }
};

// Whether the token is like "句0", where characters, whatever they are, have their position in the word after them.
bool is_numbered(const std::string& token) {
  return token.back() >= '0' && token.back() <= '9' && count_code_points(token) == 2;
}

void add(const Sentence& sentence, SeenSentences& seen) {
  if (sentence.tokens.empty()) return;
  ++seen.sentences;
  for (const std::string& token : sentence.tokens) {
    ++seen.tokens;
    seen.single += count_code_points(token) == 1 ? 1 : 0;
    seen.numbered += is_numbered(token) ? 1 : 0;
    seen.script.add(token);
    if (seen.words.size() < kWords) seen.words.insert(token);
  }
  if (sentence.tags.empty()) return;
  seen.scheme.add(sentence.tags.front());
  for (const std::string& tag : sentence.tags.front()) {
    ++seen.tags[tag];
    seen.tags_of_files.back().insert(tag);
  }
}

void look_at(const Config& config, const DataFile& file, InvalidUtf8 policy, SeenSentences& out) {
  const auto reader = SentenceReader::open(file.file, sentence_options(config, file, policy, true));
  out.tags_of_files.emplace_back();
  Sentence sentence;
  while (reader->next(sentence)) add(sentence, out);
}

// Whether a tag is like those of spans: O, B-X.
bool is_span_tag(const std::string& tag) {
  return tag == "O" ||
         (tag.size() > 2 && tag[1] == '-' && std::string_view("BIEMSLU").find(tag[0]) != std::string::npos);
}

// Throws Error if there are no tags that a model could learn: the last words of lines of prose are not tags.
void check_tags(const std::string& path, const Config& config, const SeenSentences& seen) {
  constexpr std::int64_t kFew = 20;  // in a small file, where most tags occur only a few times
  if (seen.tokens == 0) fail("{}: has no tokens", path);
  const auto kinds = std::ssize(seen.tags);
  if (kinds < 2)
    fail("{}: all tokens have the tag \"{}\", expected two tags or more", path, shown(seen.tags.begin()->first));
  if (config.data.format != "conll") return;
  const bool spans =
      std::all_of(seen.tags.begin(), seen.tags.end(), [](const auto& t) { return is_span_tag(t.first); });
  const auto words = std::count_if(seen.tags.begin(), seen.tags.end(),
                                   [&](const auto& tag) { return seen.words.contains(tag.first); });
  if (!spans && 2 * words > kinds)
    fail("{}: found no tags: the last column has words that are tokens, too, as in prose", path);
  if (!spans && kinds > std::max(seen.tokens / 10, std::min(seen.tokens / 3, kFew)))
    fail("{}: found no tags: the last column has {} different values in {}, expected few that recur", path, kinds,
         counted(seen.tokens, "row"));
}

// Reads all of train by the reader that training uses, so that anything unreadable is reported at once.
SeenSentences look(const PartFiles& parts, const Config& config) {
  SeenSentences out;
  for (const DataFile& file : config.data.train) look_at(config, file, parts.invalid_utf8, out);
  check_tags(parts.train.front(), config, out);
  return out;
}

// Finds the format, and reads train with it.
SeenSentences draft_format(const PartFiles& parts, Draft& draft) {
  const std::string& path = parts.train.front();
  const std::vector<std::string> lines = first_lines(path, kSample, parts.invalid_utf8, true);
  const auto blank = [](const std::string& line) { return line.find_first_not_of(" \t") == std::string::npos; };
  if (std::all_of(lines.begin(), lines.end(), blank)) fail("{}: has no text", path);
  if (const ObjectLines found = parse_objects(lines); found.likely()) {
    draft_objects(path, found.objects, draft);
    return look(parts, draft.config());
  }
  const auto fits = [&](const auto& attempt, Draft& trial) { return attempt(lines, trial); };
  if (auto seen = first_readable(kFormats, draft, fits, [&](const Config& config) { return look(parts, config); }))
    return std::move(*seen);
  fail(
      "{}: found no tags: expected a token and its tags per line, CoNLL-U, word/tag, or objects with spans; or write "
      "the data section by hand (mnemo config explain data)",
      path);
}

// Whether the tokens are characters, or words that are to be found in characters.
bool draft_characters(const Config& config, const SeenSentences& seen, Draft& draft) {
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

void draft_text(bool characters, const SeenSentences& seen, Draft& draft) {
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
  const SeenSentences seen = draft_format(parts, draft);
  check_one_set(parts, seen.tags_of_files, draft);
  const Config config = draft.config();
  SeenSentences measured;  // dev and test have to be of the same format
  for (const auto* files : {&config.data.dev, &config.data.test})
    for (const DataFile& file : *files) look_at(config, file, parts.invalid_utf8, measured);
  draft.note(fmt::format("tags: {} different ones, scheme {}", seen.tags.size(), name_of(seen.scheme.scheme())));
  draft_dev(parts, seen.sentences, draft);
  draft_text(draft_characters(config, seen, draft), seen, draft);
  draft.note(fmt::format("{}, {}", counted(seen.sentences, "sentence"), counted(seen.tokens, "token")));
  note_sizes(seen.sentences, draft);
}

}  // namespace mnemo
