#include "text/poems.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

bool is_one_of(std::u32string_view characters, char32_t c) { return characters.find(c) != std::u32string_view::npos; }

constexpr std::u32string_view kVerseEnds = U"，。；！？：﹐﹒﹔﹖﹗,.;!?: \t\r\n\u3000";
constexpr std::u32string_view kMarks = U"[]［］【】〔〕〖〗「」『』《》〈〉“”‘’\"'=*〝〞﹁﹂﹃﹄";
constexpr std::u32string_view kDashes = U"…⋯—―–─-·～（）()";
constexpr std::u32string_view kLost =
    U"□囗";  // the second, an old word for "enclose", stands for the first in editions

// Appends the text without editors' marks and notes to `out`. Returns false if characters are lost.
bool clean(std::string_view text, std::string& out, PoemCounts& counts) {
  int depth = 0;
  bool whole = true;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, length] = decode_utf8(text.data() + i);
    if (c == U'（' || c == U'(') {
      counts.notes += depth == 0 ? 1 : 0;
      ++depth;
    } else if (c == U'）' || c == U')') {
      depth = std::max(0, depth - 1);
    } else if (depth == 0) {
      // {艹/尔} describes a character that has no code point.
      if (is_one_of(kLost, c) || c == U'{' || c == U'}' || c == U'/')
        whole = false;
      else if (is_one_of(kMarks, c))
        ++counts.marks;
      else
        out.append(text.substr(i, length));
    }
    i += length;
  }
  return whole;
}

// Returns false if characters are lost. `wrong` throws.
template <class Wrong>
bool read_poem(const Json& object, const Wrong& wrong, Poem& poem, PoemCounts& counts) {
  if (!object.is_object()) wrong(fmt::format("expected an object, found {}", described_type(object)));
  const auto text = [&](const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return std::string();
    if (!found->is_string()) wrong(fmt::format("\"{}\" is {}, expected a string", key, described_type(*found)));
    std::string value = found->template get<std::string>();
    std::replace(value.begin(), value.end(), '\n', ' ');
    return value;
  };
  poem = {.title = text("title"), .author = text("author"), .form = text("rhythmic"), .body = {}};
  const auto paragraphs = object.find("paragraphs");
  if (paragraphs == object.end()) wrong("no key \"paragraphs\"");
  if (!paragraphs->is_array())
    wrong(fmt::format("\"paragraphs\" is {}, expected an array", described_type(*paragraphs)));
  bool whole = true;
  for (const Json& paragraph : *paragraphs) {
    if (!paragraph.is_string()) wrong(fmt::format("a paragraph is {}, expected a string", described_type(paragraph)));
    std::string cleaned;
    whole = clean(paragraph.get_ref<const std::string&>(), cleaned, counts) && whole;
    if (!cleaned.empty()) poem.body += (poem.body.empty() ? "" : "\n") + cleaned;
  }
  if (poem.form.empty()) poem.form = form_by_lines(poem.body);
  return whole;
}

}  // namespace

std::vector<std::u32string> verse_lines(std::string_view text, bool at_pauses) {
  std::vector<std::u32string> out(1);
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, length] = decode_utf8(text.data() + i);
    i += length;
    if (is_one_of(kVerseEnds, c) || (at_pauses && c == U'、')) {
      if (!out.back().empty()) out.emplace_back();
    } else if (c != U'、' && !is_one_of(kMarks, c) && !is_one_of(kDashes, c)) {
      out.back().push_back(c);
    }
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

std::string without_marks(std::string_view text) {
  std::string out;
  PoemCounts counts;
  clean(text, out, counts);
  return out;
}

std::string form_by_lines(std::string_view body) {
  const auto lines = verse_lines(body);
  if (lines.empty()) return "杂言";
  const std::size_t length = lines.front().size();
  const bool equal = std::all_of(lines.begin(), lines.end(), [&](const auto& line) { return line.size() == length; });
  if (!equal || (length != 5 && length != 7)) return "杂言";
  const std::string start = length == 5 ? "五" : "七";
  return start + (lines.size() == 4 ? "绝" : lines.size() == 8 ? "律" : "言");
}

std::vector<Poem> read_poems(LineReader& lines, PoemCounts& counts) {
  std::string text;
  std::string piece;
  for (bool ends = false; lines.next_piece(piece, false, ends);) text.append(piece).append(ends ? "\n" : "");
  std::vector<Poem> out;
  std::size_t number = 0;
  const auto wrong = [&](const std::string& what) { fail("{}: poem {}: {}", lines.name(), number, what); };
  const auto add = [&](Json item) {
    const JsonDocument document(std::move(item));
    ++number;
    Poem poem;
    if (!read_poem(*document, wrong, poem, counts)) {
      ++counts.gaps;
    } else if (poem.body.empty()) {
      ++counts.empty;
    } else {
      ++counts.poems;
      out.push_back(std::move(poem));
    }
  };
  try {
    parse_json_items(text, add);
  } catch (const JsonError& error) {
    if (!error.offset())
      fail("{}: {}: {}", lines.name(), number > 0 ? fmt::format("after poem {}", number) : "not a collection of poems",
           error.what());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*error.offset()), '\n');
    fail("{}:{}: not valid JSON: {}", lines.name(), line, error.what());
  }
  return out;
}

}  // namespace mnemo
