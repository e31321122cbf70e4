// Drafts a configuration for a language model from a look at the files.
#include <algorithm>

#include "base/error.h"
#include "tasks/draft.h"
#include "text/line_reader.h"
#include "text/poems.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

struct Seen {
  std::int64_t lines = 0, points = 0, longest = 0;
  ScriptCount script;

  void add(const std::string& text) {
    const auto length = static_cast<std::int64_t>(count_code_points(text));
    ++lines;
    points += length;
    longest = std::max(longest, length);
    script.add(text);
  }
};

Seen look_at_lines(const std::vector<std::string>& paths) {
  Seen out;
  for (const std::string& path : paths) {
    LineReader reader(path, InvalidUtf8::kError);
    std::string line;
    while (reader.next(line)) out.add(line);
  }
  return out;
}

Seen look_at_poems(const std::vector<std::string>& paths) {
  Seen out;
  for (const std::string& path : paths) {
    LineReader reader(path, InvalidUtf8::kError);
    PoemCounts counts;
    for (const Poem& poem : read_poems(reader, counts)) out.add(poem.body);
  }
  return out;
}

}  // namespace

void draft_generate(const PartFiles& parts, Draft& draft) {
  const std::vector<std::string> first = first_lines(parts.train.front(), 1);
  if (first.empty()) fail("{}: has no lines", parts.train.front());
  const std::size_t mark = first.front().find_first_not_of(" \t");
  const bool poems = first.front()[mark] == '[';
  if (first.front()[mark] == '{')
    fail("{}: holds JSON objects, expected plain text or an array of poems", parts.train.front());
  const Seen seen = poems ? look_at_poems(parts.train) : look_at_lines(parts.train);
  if (seen.points == 0) fail("{}: has no text", parts.train.front());
  if (poems)
    draft.set("data.format", "poems-json", fmt::format("a JSON array, of {} poems", seen.lines));
  else
    draft.set("data.format", "lines",
              fmt::format("plain text, {} lines, read as one stream; if each is a text of its own, set data.records to "
                          "true",
                          seen.lines));
  draft_dev(parts, seen.lines, draft);
  draft.set("text.unit", "char", "characters suit every language; the alternative is word");
  draft.note(fmt::format("{} characters to learn from", seen.points));
  note_sizes(seen.points, draft);
}

}  // namespace mnemo
