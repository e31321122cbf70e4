// Sentences as JSON lines. Spans and tokens are given in code points, so the byte offset of each code point is kept per
// line. Spans are moved to the boundaries of the tokens that they touch and spelled as bio tags, so that from there on
// they are handled like tags from any other format.
#include <algorithm>
#include <cmath>
#include <deque>
#include <tuple>

#include "base/error.h"
#include "base/shown.h"
#include "text/json_line.h"
#include "text/sentence_readers.h"
#include "text/tags.h"

namespace mnemo {
namespace {

class JsonlSentences : public SentenceReader {
 public:
  JsonlSentences(LineReader lines, const SentenceOptions& options)
      : SentenceReader(std::move(lines), options),
        text_key_(options.token.empty() ? "text" : options.token),
        spans_key_(options.spans.empty() ? "spans" : options.spans),
        cutter_(options.tokenizer) {}

 protected:
  bool read(Sentence& s) override {
    if (!lines_.next(line_)) return false;
    s.line = lines_.line_number();
    const JsonDocument document = parse_json_line(line_, name(), s.line);
    const Json& object = *document;
    if (options_.ids) s.id = json_id(object, name(), s.line);
    read_text(object, s);
    read_tokens(object, s);
    s.tags.resize(1);
    const bool spans = object.contains(spans_key_);
    if (!options_.read_tags || (!spans && !options_.require_tags))
      s.tags[0].assign(s.tokens.size(), "_");
    else if (spans)
      read_spans(object[spans_key_], s);
    else
      read_tags(object, s);
    s.lines.push_back(line_);
    s.line_tokens.push_back(-1);
    return true;
  }

 private:
  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(lines_.line_number(), fmt::format(format, std::forward<Args>(args)...));
  }

  void read_text(const Json& object, Sentence& s) {
    starts_.clear();
    const auto found = object.find(text_key_);
    if (found == object.end()) {
      if (!object.contains("tokens")) fail_here("no key \"{}\" in the object, and no tokens", shown(text_key_));
      return;
    }
    if (!found->is_string()) fail_here("\"{}\" is {}, expected a string", shown(text_key_), described_type(*found));
    s.text = found->get<std::string>();
    for (std::size_t at = 0; at <= s.text->size(); ++at)
      if (at == s.text->size() || !is_continuation((*s.text)[at])) starts_.push_back(static_cast<std::uint32_t>(at));
  }

  void read_tokens(const Json& object, Sentence& s) {
    const auto found = object.find("tokens");
    if (found == object.end()) return cutter_.cut(s);
    if (!found->is_array()) fail_here("\"tokens\" is {}, expected an array", described_type(*found));
    for (const Json& token : *found) {
      const std::uint32_t before = s.places.empty() ? 0 : s.places.back().second;
      if (token.is_object() && s.text && token.contains("start")) {
        const auto place = bytes_of(token);
        if (place.first < before) fail_here("token {} begins before the end of the previous one", s.tokens.size() + 1);
        s.places.push_back(place);
        s.tokens.push_back(s.text->substr(place.first, place.second - place.first));
        continue;
      }
      const Json* text = token.is_object() && token.contains("text") ? &token["text"] : &token;
      if (!text->is_string() || text->get_ref<const std::string&>().empty())
        fail_here("token {} is neither a string nor an object with start and end", s.tokens.size() + 1);
      s.tokens.push_back(text->get<std::string>());
      if (!s.text) continue;
      const std::size_t at = s.text->find(s.tokens.back(), before);
      if (at == std::string::npos)
        fail_here("token {}, \"{}\", is not in the rest of the text", s.tokens.size(), shown(s.tokens.back()));
      s.places.emplace_back(at, at + s.tokens.back().size());
    }
  }

  // The bytes of the text between an object's start and end.
  std::pair<std::uint32_t, std::uint32_t> bytes_of(const Json& object) const {
    return bytes_of(object.contains("start") ? object["start"] : Json(),
                    object.contains("end") ? object["end"] : Json());
  }

  std::pair<std::uint32_t, std::uint32_t> bytes_of(const Json& start, const Json& end) const {
    const auto place = [&](const Json& value) -> std::size_t {
      // Some programs write every number as 3.0; a number that is not whole is not a position in the text.
      const double number = value.is_number() ? value.get<double>() : -1;
      if (!(number >= 0 && number < static_cast<double>(starts_.size()) && number == std::floor(number)))
        fail_here("place {} is not a whole number from 0 to {}, the number of characters", shown(value.dump()),
                  starts_.size() - 1);
      return static_cast<std::size_t>(number);
    };
    const std::size_t first = place(start), last = place(end);
    if (first >= last) fail_here("the range from {} to {} holds no character", first, last);
    return {starts_[first], starts_[last]};
  }

  // A hint for an object with a list that may be its spans, which annotation tools give different names.
  static std::string key_hint(const Json& object) {
    for (const auto& [key, value] : object.items())
      if (value.is_array() && !value.empty() && (value[0].is_array() || value[0].is_object()) && key != "tokens")
        return fmt::format("; data.label={} would read its \"{}\" as spans", shown(key), shown(key));
    return "";
  }

  // A hint for a span with a list of types, as Label Studio writes it.
  static std::string list_hint(const Json& span) {
    if (span.is_object() && span.contains("labels"))
      return "; its \"labels\" is a list: write one of them as \"label\"";
    return "";
  }

  void read_spans(const Json& spans, Sentence& s) {
    if (!s.text) fail_here("spans refer to \"{}\", which is missing", shown(text_key_));
    if (!spans.is_array()) fail_here("\"{}\" is {}, expected an array", shown(spans_key_), described_type(spans));
    std::vector<TagSpan> found;
    for (const Json& span : spans) {
      const bool row = span.is_array() && span.size() == 3;
      if (!row && !span.is_object())
        fail_here("a span is {}, expected an object of start, end and type, or [start, end, type]",
                  described_type(span));
      const auto bytes = row ? bytes_of(span[0], span[1]) : bytes_of(span);
      const char* key = !row && !span.contains("type") ? "label" : "type";
      const Json type = row ? span[2] : span.contains(key) ? span[key] : Json();
      if (!type.is_string() || (type.get_ref<const std::string&>().empty() && !options_.spans_are_words))
        fail_here("the type of a span is {}, expected a string under \"type\" or \"label\"{}",
                  type.is_string() ? "empty" : described_type(type), list_hint(span));
      types_.push_back(type.get<std::string>());
      const auto begin =
          std::partition_point(s.places.begin(), s.places.end(), [&](auto p) { return p.second <= bytes.first; });
      const auto end = std::partition_point(begin, s.places.end(), [&](auto p) { return p.first < bytes.second; });
      if (begin == end) fail_here("span {} holds no token", shown(span.dump()));
      if (begin->first != bytes.first || (end - 1)->second != bytes.second) {
        if (counts_.moved_spans++ == 0)
          counts_.first_moved =
              fmt::format("{}:{}: span {} read as \"{}\"", name(), lines_.line_number(), shown(span.dump()),
                          shown(s.text->substr(begin->first, (end - 1)->second - begin->first)));
      }
      found.push_back({types_.back(), static_cast<std::size_t>(begin - s.places.begin()),
                       static_cast<std::size_t>(end - s.places.begin())});
    }
    std::sort(found.begin(), found.end(), [](const TagSpan& a, const TagSpan& b) {
      return std::tie(a.begin, a.end, a.type) < std::tie(b.begin, b.end, b.type);
    });
    const auto distinct = std::unique(found.begin(), found.end());
    counts_.repeated_spans += static_cast<std::size_t>(found.end() - distinct);
    found.erase(distinct, found.end());
    for (std::size_t i = 1; i < found.size(); ++i)
      if (found[i].begin < found[i - 1].end)
        fail_here("spans of {} and {} share the token \"{}\", which can have only one tag", shown(found[i - 1].type),
                  shown(found[i].type), shown(s.tokens[found[i].begin]));
    s.tags[0] = spell_spans(found, s.tokens.size(), TagScheme::kBio);
    s.by_spans = true;
    types_.clear();
  }

  // Reads the tags of tokens, for an object without spans.
  void read_tags(const Json& object, Sentence& s) const {
    const Json none = Json::array();
    const Json& tokens = object.contains("tokens") ? object["tokens"] : none;
    const Json* tags = object.contains("tags") ? &object["tags"] : nullptr;
    if (tags && (!tags->is_array() || tags->size() != s.tokens.size()))
      fail_here("\"tags\" is {}{}, expected an array of {}, one for each token", described_type(*tags),
                tags->is_array() ? fmt::format(" of {}", tags->size()) : "", s.tokens.size());
    for (std::size_t t = 0; t < s.tokens.size(); ++t) {
      const Json* own =
          t < tokens.size() && tokens[t].is_object() && tokens[t].contains("tag") ? &tokens[t]["tag"] : nullptr;
      const Json* tag = tags ? &(*tags)[t] : own;
      if (tag && tag->is_string() && tag->get_ref<const std::string&>().empty())
        fail_here("the tag of token {} is empty", t + 1);
      if (tag && !tag->is_string())
        fail_here("the tag of token {} is {}, expected a string", t + 1, described_type(*tag));
      if (!tag)
        fail_here("token {} has no tag, and the object has no \"{}\"{}", t + 1, shown(spans_key_), key_hint(object));
      s.tags[0].push_back(tag->get<std::string>());
    }
  }

  std::string text_key_, spans_key_, line_;
  TextCutter cutter_;
  std::vector<std::uint32_t> starts_;  // byte offsets of the text's characters, and of its end
  std::deque<std::string> types_;
};

}  // namespace

std::unique_ptr<SentenceReader> jsonl_sentences(LineReader lines, const SentenceOptions& options) {
  return std::make_unique<JsonlSentences>(std::move(lines), options);
}

}  // namespace mnemo
