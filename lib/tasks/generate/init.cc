// Drafts a configuration for a language model from a look at the files. Any text may begin with a bracket or a brace,
// so that only what is JSON throughout is taken for it.
#include "base/error.h"
#include "pipeline/network_options.h"
#include "pipeline/text_language_model.h"
#include "tasks/draft.h"
#include "text/line_reader.h"
#include "text/poems.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr const char* kUnit = "char";

struct SeenText {
  std::int64_t lines = 0;  // or poems
  std::int64_t points = 0;
  std::int64_t units = 0;  // by which a run counts the size of train
};

SeenText look_at_lines(const std::vector<std::string>& paths, InvalidUtf8 policy) {
  SeenText out;
  for (const std::string& path : paths) {
    LineReader reader(path, policy);
    std::string piece;
    for (bool ends = false; reader.next_piece(piece, false, ends);) {
      out.points += static_cast<std::int64_t>(count_code_points(piece));
      out.lines += ends ? 1 : 0;
    }
  }
  out.units = out.points + out.lines;  // the end of a line is a unit, too
  return out;
}

SeenText look_at_poems(const std::vector<std::string>& paths, InvalidUtf8 policy) {
  TextConfig text;
  text.unit = kUnit;
  const Tokenizer tokenizer(tokenizer_options(text));
  Tokens tokens;
  SeenText out;
  for (const std::string& path : paths) {
    LineReader reader(path, policy);
    PoemCounts counts;
    for (const Poem& poem : read_poems(reader, counts)) {
      ++out.lines;
      out.points += static_cast<std::int64_t>(count_code_points(poem.body));
      for_record_units(poem, true, tokenizer, tokens, [&](Section, const SourceUnit&) { ++out.units; });
    }
  }
  return out;
}

SeenText look_at(bool poems, const std::vector<std::string>& paths, InvalidUtf8 policy) {
  return poems ? look_at_poems(paths, policy) : look_at_lines(paths, policy);
}

// Whether a text is an array of objects, or at least begins as one: then a mistake further on is for the reader of
// poems to report.
bool is_array_of_objects(const std::string& text) {
  std::size_t objects = 0, others = 0;
  try {
    parse_json_items(text, [&](Json item) {
      const JsonDocument document(std::move(item));
      ++(document->is_object() ? objects : others);
    });
  } catch (const JsonError&) {
    return objects > 0 && others == 0;
  }
  return objects > 0 && others == 0;
}

// Whether a file holds poems rather than text. Throws Error for one that holds other JSON.
bool holds_poems(const std::string& path, InvalidUtf8 policy) {
  constexpr std::size_t kFirst = 10;
  const std::vector<std::string> first = first_lines(path, kFirst, policy);
  if (first.empty()) fail("{}: has no text", path);
  const ObjectLines found = parse_objects(first);
  if (found.objects.size() == found.lines)
    fail("{}:1: holds JSON objects: expected plain text or an array of poems, found {}", path,
         described_keys(found.objects));
  return first.front()[first.front().find_first_not_of(" \t")] == '[' && is_array_of_objects(read_unpacked(path));
}

}  // namespace

void draft_generate(const PartFiles& parts, Draft& draft) {
  const bool poems = holds_poems(parts.train.front(), parts.invalid_utf8);
  const SeenText seen = look_at(poems, parts.train, parts.invalid_utf8);
  // They have to be of the same format.
  look_at(poems, parts.dev, parts.invalid_utf8);
  look_at(poems, parts.test, parts.invalid_utf8);
  if (seen.points == 0) fail("{}: has no text", parts.train.front());
  if (poems)
    draft.set("data.format", "poems-json", fmt::format("a JSON array, of {}", counted(seen.lines, "poem")));
  else
    draft.set(
        "data.format", "lines",
        fmt::format("plain text, {}, read as one stream; if each line is a text of its own, set data.records to true",
                    counted(seen.lines, "line")));
  draft_dev(parts, seen.lines, draft);
  draft.set("text.unit", kUnit, "characters suit every language; the alternative is word");
  draft.note(fmt::format("{} to learn from", counted(seen.points, "character")));
  note_sizes(seen.units, draft);
}

}  // namespace mnemo
