// conll, conllu and jsonl write the lines that a sentence was read from, so that columns, comments and keys that the
// model does not predict stay unchanged. html, slashed and sentences of other formats are written from the tokens.
#include "pipeline/tag_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "base/json.h"
#include "text/html.h"
#include "text/json_line.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Colours of the span types in the order of their names: light enough for black text on a page, and the terminal's own.
constexpr std::string_view kColours[] = {"#9ecae1", "#fdae6b", "#a1d99b", "#bcbddc", "#fc9272", "#d9d9d9"};
constexpr int kTerminalColours[] = {34, 33, 32, 35, 31, 36};

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>mnemo tag</title><style>
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/2.2 sans-serif; color: #222; }
p { margin: 0 0 .6rem; overflow-wrap: anywhere; }
mark { padding: .15rem .3rem; border-radius: .25rem; color: #000; }
mark small { padding-left: .4rem; font-size: .7rem; opacity: .75; }
rt { color: #555; }
)";

// The number of code points before each byte of valid UTF-8, and their total.
std::vector<std::uint32_t> count_before(const std::string& text) {
  std::vector<std::uint32_t> out(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) out[i + 1] = out[i] + (is_continuation(text[i]) ? 0 : 1);
  return out;
}

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::string TagWriter::head() const {
  if (options_.format != TagFormat::kHtml) return "";
  std::string out(kHead);
  for (std::size_t k = 0; k < std::size(kColours); ++k)
    out += fmt::format(".c{} {{ background: {}; }}\n", k, kColours[k]);
  return out + "</style></head><body>\n";
}

bool TagWriter::needs_tags_alone() const {
  const bool rows = options_.format == TagFormat::kConll || options_.format == TagFormat::kConllu;
  return rows && options_.least <= 0 && !options_.marginals && options_.best == 0;
}

const std::string* TagWriter::unwritable(const Sentence& s) const {
  const bool slashed = options_.format == TagFormat::kSlashed;
  if (!slashed && (options_.format != TagFormat::kConll || options_.rows)) return nullptr;
  for (const std::string& token : s.tokens)
    if (token.find_first_of(slashed ? " \t\r\n" : "\t\r\n") != std::string::npos) return &token;
  return nullptr;
}

std::string TagWriter::tail() const { return options_.format == TagFormat::kHtml ? "</body></html>\n" : ""; }

void TagWriter::append(const Sentence& sentence, std::vector<PredictedTags> predicted, TaggedText& out) const {
  // A word whose tag is unlikely stays a word; append_slashed writes `_` for the tag.
  const bool words = options_.format == TagFormat::kSlashed && finds_words(columns_.front().name);
  for (std::size_t k = 0; k < predicted.size() && !words; ++k) drop_unlikely(columns_[k], predicted[k]);
  switch (options_.format) {
    case TagFormat::kConll:
      return append_conll(sentence, predicted, out);
    case TagFormat::kConllu:
      return append_conllu(sentence, predicted, out.text);
    case TagFormat::kJsonl:
      out.text += json(sentence, predicted).dump() + "\n";
      return;
    case TagFormat::kHtml:
      return append_html(sentence, predicted, out.text);
    case TagFormat::kSlashed:
      return append_slashed(sentence, predicted.front(), out.text);
  }
}

void TagWriter::drop_unlikely(const TagColumn& column, PredictedTags& p) const {
  if (options_.least <= 0) return;
  if (column.data_scheme == TagScheme::kNone) {
    for (std::size_t t = 0; t < p.tags.size(); ++t)
      if (p.probabilities[t] < options_.least) {
        p.tags[t] = "_";
        p.probabilities[t] = kUnknown;
      }
    return;
  }
  std::erase_if(p.spans, [&](const auto& span) { return span.probability < options_.least; });
  std::vector<TagSpan> spans;
  std::vector<bool> inside(p.tags.size());
  for (const auto& span : p.spans) {
    spans.push_back({span.type, span.begin, span.end});
    std::fill(inside.begin() + static_cast<std::ptrdiff_t>(span.begin),
              inside.begin() + static_cast<std::ptrdiff_t>(span.end), true);
  }
  p.tags = spell_spans(spans, p.tags.size(), column.data_scheme);
  // If train has no token outside a span, there is no O to predict.
  if (std::find(column.tags.begin(), column.tags.end(), "O") == column.tags.end())
    std::replace(p.tags.begin(), p.tags.end(), std::string("O"), std::string("_"));
  // A token whose span was dropped gets the probability of O, if there is one.
  const auto tags = shown_tags(column);
  const auto outside = static_cast<std::size_t>(std::find(tags.begin(), tags.end(), "O") - tags.begin());
  for (std::size_t t = 0; t < p.tags.size(); ++t)
    if (!inside[t]) p.probabilities[t] = outside < tags.size() ? p.marginals[t * tags.size() + outside] : kUnknown;
}

std::string TagWriter::marginals_of(const TagColumn& column, const PredictedTags& p, std::size_t token) const {
  const auto tags = shown_tags(column);
  std::string out;
  for (std::size_t k = 0; k < tags.size(); ++k)
    out += fmt::format("{}{}={:.8f}", k == 0 ? "" : "|", tags[k], p.marginals[token * tags.size() + k]);
  return out;
}

// A type's index among those of all columns, modulo the number of colours.
std::size_t TagWriter::colour_of(std::string_view type) const {
  return static_cast<std::size_t>(std::distance(types_.begin(), types_.find(type))) % std::size(kColours);
}

void TagWriter::append_token(std::string_view before, char separator, const std::vector<PredictedTags>& predicted,
                             std::size_t token, TaggedText& out) const {
  std::string& text = out.text;
  text += before;
  for (std::size_t k = 0; k < predicted.size(); ++k) {
    const PredictedTags& p = predicted[k];
    const auto parts = split_tag(p.tags[token], columns_[k].data_scheme);
    text += separator;
    if (options_.colour && parts && parts->letter != 'O')
      out.highlights.push_back(
          {text.size(), text.size() + p.tags[token].size(), kTerminalColours[colour_of(parts->type)]});
    text += p.tags[token];
    if (options_.marginals) text.append(1, separator).append(marginals_of(columns_[k], p, token));
    for (std::size_t n = 1; n < static_cast<std::size_t>(options_.best); ++n)
      text.append(1, separator).append(n < p.best.size() ? p.best[n].tags[token] : "_");
  }
  text += '\n';
}

void TagWriter::append_conll(const Sentence& s, const std::vector<PredictedTags>& predicted, TaggedText& out) const {
  // Rows of conllu have theirs in a comment already.
  if (s.id && !options_.rows) out.text += fmt::format("# sent_id = {}\n", s.id->text);
  if (options_.rows) {
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
      const std::string& line = s.lines[i];
      if (s.line_tokens[i] < 0)
        out.text.append(line).append(1, '\n');
      else
        append_token(line,
                     !options_.separator.empty()            ? options_.separator[0]
                     : line.find('\t') != std::string::npos ? '\t'
                                                            : ' ',
                     predicted, s.line_tokens[i], out);
    }
  } else {
    for (std::size_t t = 0; t < s.tokens.size(); ++t) append_token(s.tokens[t], '\t', predicted, t, out);
  }
  out.text += '\n';
}

void TagWriter::append_conllu(const Sentence& s, const std::vector<PredictedTags>& predicted, std::string& out) const {
  std::vector<std::size_t> places;
  for (const TagColumn& column : columns_) places.push_back(conllu_column(column.name));
  for (std::size_t i = 0; i < s.lines.size(); ++i) {
    const std::string& line = s.lines[i];
    std::size_t begin = 0;
    for (std::size_t place = 0; begin <= line.size(); ++place) {
      const std::size_t end = std::min(line.find('\t', begin), line.size());
      const auto column = std::find(places.begin(), places.end(), place);
      if (place > 0) out += '\t';
      if (s.line_tokens[i] < 0 || column == places.end())
        out.append(line, begin, end - begin);
      else
        out += predicted[column - places.begin()].tags[s.line_tokens[i]];
      begin = end + 1;
    }
    out += '\n';
  }
  out += '\n';
}

// For sentences that were read as tokens, the text is the tokens joined by blanks, or without blanks if they are
// characters.
PlacedText TagWriter::place(const Sentence& s) const {
  if (s.text) return {*s.text, s.places};
  return join_tokens(s.tokens, characters_ ? "" : " ");
}

void TagWriter::append_slashed(const Sentence& s, const PredictedTags& predicted, std::string& out) const {
  if (s.id) out.append(s.id->text).append(1, '\t');
  auto add = [&, first = true](std::string_view text, std::string_view tag) mutable {
    if (!std::exchange(first, false)) out += ' ';
    out += text;
    if (!tag.empty()) out.append("/").append(tag);
  };
  if (finds_words(columns_.front().name)) {
    for (const auto& word : predicted.spans) {
      std::string text;
      for (std::size_t t = word.begin; t < word.end; ++t) text += s.tokens[t];
      add(text, word.type.empty() || word.probability >= options_.least ? word.type : "_");
    }
  } else {
    for (std::size_t t = 0; t < s.tokens.size(); ++t) add(s.tokens[t], predicted.tags[t]);
  }
  out += '\n';
}

Json TagWriter::json(const Sentence& s, const std::vector<PredictedTags>& predicted) const {
  const PlacedText placed = place(s);
  JsonDocument document(options_.keys ? parse_json(s.lines.front(), {.depth = kMaxLineDepth}) : Json::object());
  Json& record = *document;
  if (s.id) record["id"] = json_of(*s.id);
  for (const std::string& own :
       {std::string("tokens"), std::string("tags"), options_.spans_key, std::string("nbest"), std::string("columns")})
    record.erase(own);
  record[options_.text_key] = placed.text;
  for (std::size_t k = 0; k < predicted.size(); ++k) {
    const Json part = column_json(s, columns_[k], predicted[k], placed);
    if (k == 0) record.update(part);
    if (predicted.size() > 1) record["columns"][columns_[k].name] = part;
  }
  return record;
}

Json TagWriter::column_json(const Sentence& s, const TagColumn& column, const PredictedTags& p,
                            const PlacedText& placed) const {
  const std::vector<std::uint32_t> before = count_before(placed.text);
  Json tokens = Json::array(), spans = Json::array();
  const auto shown = options_.marginals ? shown_tags(column) : std::vector<std::string>();
  for (std::size_t t = 0; t < s.tokens.size(); ++t) {
    Json token{{"text", s.tokens[t]},
               {"start", before[placed.places[t].first]},
               {"end", before[placed.places[t].second]},
               {"tag", p.tags[t]},
               {"probability", std::isnan(p.probabilities[t]) ? Json() : Json(p.probabilities[t])}};
    for (std::size_t j = 0; j < shown.size(); ++j) token["marginals"][shown[j]] = p.marginals[t * shown.size() + j];
    tokens.push_back(std::move(token));
  }
  for (const auto& span : p.spans) {
    const std::uint32_t begin = placed.places[span.begin].first, end = placed.places[span.end - 1].second;
    spans.push_back({{"type", span.type},
                     {"start", before[begin]},
                     {"end", before[end]},
                     {"byte_start", begin},
                     {"byte_end", end},
                     {"probability", span.probability}});
  }
  Json out{{"tokens", tokens}};
  if (column.data_scheme != TagScheme::kNone) out[options_.spans_key] = spans;
  for (const auto& sequence : p.best)
    out["nbest"].push_back({{"tags", sequence.tags}, {"probability", sequence.probability}});
  return out;
}

void TagWriter::append_html(const Sentence& s, const std::vector<PredictedTags>& predicted, std::string& out) const {
  const PlacedText placed = place(s);
  const std::string_view text = placed.text;
  out += "<p>";
  std::size_t at = 0;
  const auto upto = [&](std::size_t end) {
    out += escape_html(text.substr(at, end - at));
    at = end;
  };
  if (columns_.front().data_scheme == TagScheme::kNone) {
    for (std::size_t t = 0; t < s.tokens.size(); ++t) {
      upto(placed.places[t].first);
      out += "<ruby>";
      upto(placed.places[t].second);
      out += fmt::format("<rt>{}</rt></ruby>", escape_html(predicted.front().tags[t]));
    }
  } else {
    for (const auto& span : predicted.front().spans) {
      upto(placed.places[span.begin].first);
      out += fmt::format("<mark class=\"c{}\">", colour_of(span.type));
      upto(placed.places[span.end - 1].second);
      out += fmt::format("<small>{}{}{:.2f}</small></mark>", escape_html(span.type), span.type.empty() ? "" : " ",
                         span.probability);
    }
  }
  upto(text.size());
  out += "</p>\n";
}

}  // namespace mnemo
