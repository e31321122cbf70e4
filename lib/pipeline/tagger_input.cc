#include "pipeline/tagger_input.h"

#include "base/error.h"
#include "pipeline/network_options.h"
#include "pipeline/text_tagger.h"
#include "text/tags.h"

namespace mnemo {

bool predicts_words(const Config& config) {
  const auto& columns = config.data.columns;
  return columns.size() == 1 && finds_words(columns.front());
}

namespace {

// Makes each span one token, tagged with the span's type.
void join_spans(Sentence& s) {
  const std::vector<std::string> tags = std::move(s.tags[0]);
  const std::vector<std::string> pieces = std::move(s.tokens);
  const auto places = std::move(s.places);
  s.tags[0].clear();
  s.tokens.clear();
  s.places.clear();
  std::size_t done = 0;
  const auto add = [&](std::size_t begin, std::size_t end, std::string_view type) {
    s.tokens.push_back(s.text->substr(places[begin].first, places[end - 1].second - places[begin].first));
    s.tags[0].emplace_back(type);
    s.places.emplace_back(places[begin].first, places[end - 1].second);
    done = end;
  };
  for (const TagSpan& span : conlleval_spans(tags)) {
    while (done < span.begin) add(done, done + 1, "_");
    add(span.begin, span.end, span.type);
  }
  while (done < pieces.size()) add(done, done + 1, "_");
  s.by_spans = false;
}

}  // namespace

void cut_words(const Config& config, Sentence& s) {
  const bool tagged = config.data.columns.front() == kTaggedWordsColumn;
  if (s.by_spans) join_spans(s);
  Sentence out;
  out.lines = std::move(s.lines);
  out.line_tokens.assign(out.lines.size(), -1);
  out.line = s.line;
  out.id = std::move(s.id);
  out.tags.resize(1);
  out.text = std::move(s.text);
  for (std::size_t t = 0; t < s.tokens.size(); ++t) {
    const std::string& word = s.tokens[t];
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = at + utf8_length(word[at]);
      out.tokens.push_back(word.substr(at, end - at));
      const bool first = at == 0, last = end == word.size();
      const char letter = first && last ? 'S' : first ? 'B' : last ? 'E' : 'M';
      out.tags[0].push_back(letter_tag(letter, tagged ? s.tags[0][t] : ""));
      if (out.text) out.places.emplace_back(s.places[t].first + at, s.places[t].first + end);
      at = end;
    }
  }
  s = std::move(out);
}

SentenceOptions sentence_options(const Config& config, const DataFile& file, InvalidUtf8 invalid_utf8, bool tags) {
  const std::string format = file.format.value_or(config.data.format);
  const auto known = sentence_format_from_name(format);
  if (!known) throw UsageError(fmt::format("format \"{}\" is not a format of sentences", format));
  SentenceOptions out;
  out.format = *known;
  out.invalid_utf8 = invalid_utf8;
  const bool words_alone = config.data.columns == std::vector<std::string>{kWordsColumn};
  out.require_tags = tags && !words_alone;
  out.read_tags = tags;
  out.spans_are_words = words_alone;
  const bool rows = out.format == SentenceFormat::kConll || out.format == SentenceFormat::kConllu;
  const bool objects = out.format == SentenceFormat::kJsonl;
  if (rows || objects) out.token = file.text.value_or(config.data.text);
  if (objects) out.spans = file.label.value_or(config.data.label);
  if (rows && tags && !predicts_words(config)) out.tags = config.data.columns;
  if (rows && tags && out.tags.empty() && !file.label.value_or(config.data.label).empty())
    out.tags = {file.label.value_or(config.data.label)};
  if (out.format == SentenceFormat::kConll) {
    out.separator = file.separator.value_or(config.data.separator);
    if (out.separator == "\\t") out.separator = "\t";
    out.strip_position = config.data.strip_position;
  }
  out.tokenizer = tokenizer_options(config.text);
  if (!config.text.has_characters()) out.tokenizer.unit = Unit::kUnicodeWord;
  return out;
}

}  // namespace mnemo
