// All schemes are variations of bioes: letters of other schemes are mapped to those of bioes that mean the same, and
// spans and allowed transitions are defined on these.
#include "text/tags.h"

#include <algorithm>
#include <utility>

namespace mnemo {
namespace {

constexpr std::pair<TagScheme, std::string_view> kSchemeNames[] = {
    {TagScheme::kNone, "none"},   {TagScheme::kIob1, "iob1"}, {TagScheme::kBio, "bio"},    {TagScheme::kIoe2, "ioe2"},
    {TagScheme::kBioes, "bioes"}, {TagScheme::kBmes, "bmes"}, {TagScheme::kBilou, "bilou"}};

std::string_view letters_of(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kNone:
      return "";
    case TagScheme::kBioes:
      return "OBIES";
    case TagScheme::kBmes:
      return "OBMES";
    case TagScheme::kBilou:
      return "OBILU";
    case TagScheme::kIoe2:
      return "OIE";
    default:
      return "OBI";
  }
}

std::optional<TagParts> split(std::string_view tag, std::string_view letters) {
  if (tag.empty() || letters.find(tag[0]) == std::string_view::npos) return std::nullopt;
  if (tag.size() == 1) return TagParts{tag[0], {}};
  if (tag[1] != '-' || tag.size() == 2 || tag[0] == 'O') return std::nullopt;
  return TagParts{tag[0], tag.substr(2)};
}

constexpr std::string_view kAllLetters = "OBIMESLU";

// One letter for all that mean the same.
char common_letter(char letter) { return letter == 'L' ? 'E' : letter == 'U' ? 'S' : letter == 'M' ? 'I' : letter; }

TagParts parts_of(std::string_view tag) {
  TagParts out = split(tag, kAllLetters).value_or(TagParts{'O', {}});
  out.letter = common_letter(out.letter);
  return out;
}

// Schemes that mark the first and the last token of a span, and a span of a single token.
bool marks_both_ends(TagScheme scheme) {
  return scheme == TagScheme::kBioes || scheme == TagScheme::kBmes || scheme == TagScheme::kBilou;
}

bool ends_span(char letter) { return letter == 'O' || letter == 'E' || letter == 'S'; }

// Whether a span begins at `now`, the tag after `before`.
bool begins_span(const TagParts& before, const TagParts& now) {
  if (now.letter == 'O') return false;
  return now.letter == 'B' || now.letter == 'S' || ends_span(before.letter) || before.type != now.type;
}

}  // namespace

std::string_view name_of(TagScheme scheme) {
  return std::find_if(std::begin(kSchemeNames), std::end(kSchemeNames),
                      [&](const auto& n) { return n.first == scheme; })
      ->second;
}

std::optional<TagScheme> scheme_from_name(std::string_view name) {
  for (const auto& [scheme, its_name] : kSchemeNames)
    if (its_name == name) return scheme;
  return std::nullopt;
}

std::optional<TagParts> split_tag(std::string_view tag, TagScheme scheme) { return split(tag, letters_of(scheme)); }

std::string_view tags_of(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kNone:
      return "any text";
    case TagScheme::kBioes:
      return "O, B-TYPE, I-TYPE, E-TYPE, S-TYPE";
    case TagScheme::kBmes:
      return "O, B-TYPE, M-TYPE, E-TYPE, S-TYPE, or the letters alone";
    case TagScheme::kBilou:
      return "O, B-TYPE, I-TYPE, L-TYPE, U-TYPE";
    case TagScheme::kIoe2:
      return "O, I-TYPE, E-TYPE";
    default:
      return "O, B-TYPE, I-TYPE";
  }
}

std::vector<TagSpan> conlleval_spans(std::span<const std::string> tags) {
  std::vector<TagSpan> out;
  TagParts before{'O', {}};
  bool open = false;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const TagParts now = parts_of(tags[i]);
    const bool begins = begins_span(before, now);
    if (open && (begins || now.letter == 'O')) {
      out.back().end = i;
      open = false;
    }
    if (begins) {
      out.push_back({now.type, i, i + 1});
      open = true;
    }
    before = now;
  }
  if (open) out.back().end = tags.size();
  return out;
}

std::vector<TagSpan> strict_spans(std::span<const std::string> tags, TagScheme scheme) {
  const bool closed = marks_both_ends(scheme), begun = scheme != TagScheme::kIoe2;
  const auto part = [&](std::size_t i) {
    TagParts out = i < tags.size() ? split_tag(tags[i], scheme).value_or(TagParts{'O', {}}) : TagParts{'O', {}};
    out.letter = common_letter(out.letter);
    return out;
  };
  std::vector<TagSpan> out;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const TagParts first = part(i);
    if (first.letter == 'S' || (first.letter == 'E' && !begun)) out.push_back({first.type, i, i + 1});
    if (first.letter != (begun ? 'B' : 'I')) continue;
    std::size_t end = i + 1;
    while (part(end).letter == 'I' && part(end).type == first.type) ++end;
    const bool ended = part(end).letter == 'E' && part(end).type == first.type;
    if (begun && !closed)
      out.push_back({first.type, i, end});
    else if (ended)
      out.push_back({first.type, i, end + 1});
    if (!begun) i = ended ? end : end - 1;
  }
  return out;
}

std::string letter_tag(char letter, std::string_view type) {
  std::string out(1, letter);
  if (!type.empty()) out.append("-").append(type);
  return out;
}

std::vector<std::string> spell_spans(std::span<const TagSpan> spans, std::size_t tokens, TagScheme scheme) {
  std::vector<std::string> out(tokens, "O");
  const char inner = scheme == TagScheme::kBmes ? 'M' : 'I';
  const char last = scheme == TagScheme::kBilou ? 'L' : 'E', single = scheme == TagScheme::kBilou ? 'U' : 'S';
  const bool begun = scheme != TagScheme::kIoe2;
  const auto set = [&](std::size_t i, char letter, std::string_view type) { out[i] = letter_tag(letter, type); };
  for (std::size_t s = 0; s < spans.size(); ++s) {
    const TagSpan& span = spans[s];
    const bool touches = s > 0 && spans[s - 1].end == span.begin && spans[s - 1].type == span.type;
    for (std::size_t i = span.begin; i < span.end; ++i) set(i, inner, span.type);
    if (begun && (scheme != TagScheme::kIob1 || touches)) set(span.begin, 'B', span.type);
    if (!begun) set(span.end - 1, 'E', span.type);
    if (marks_both_ends(scheme)) set(span.end - 1, span.begin + 1 == span.end ? single : last, span.type);
  }
  return out;
}

bool may_begin(std::string_view tag, TagScheme scheme) { return may_follow("O", tag, scheme); }

bool may_end(std::string_view tag, TagScheme scheme) {
  return (!marks_both_ends(scheme) && scheme != TagScheme::kIoe2) || ends_span(parts_of(tag).letter);
}

bool may_follow(std::string_view before, std::string_view tag, TagScheme scheme) {
  const TagParts last = parts_of(before), now = parts_of(tag);
  const bool goes_on = !ends_span(last.letter) && last.type == now.type;
  switch (scheme) {
    case TagScheme::kNone:
      return true;
    case TagScheme::kIob1:
      return now.letter != 'B' || goes_on;
    case TagScheme::kBio:
      return now.letter != 'I' || goes_on;
    case TagScheme::kIoe2:
      return ends_span(last.letter) || (goes_on && now.letter != 'O');
    default:
      if (ends_span(last.letter)) return now.letter == 'O' || now.letter == 'B' || now.letter == 'S';
      return goes_on && (now.letter == 'I' || now.letter == 'E');
  }
}

void SchemeGuess::add(std::span<const std::string> tags) {
  TagParts before{'O', {}};
  for (const std::string& tag : tags) {
    const auto found = split(tag, kAllLetters);
    if (!found) {
      plain_ = true;
      return;
    }
    if (!has(found->letter)) letters_ += found->letter;
    // A single S, L or U may be a part of speech.
    const bool bare = found->type.empty() && std::string_view("SLU").find(found->letter) != std::string_view::npos;
    spans_ = spans_ || (found->letter != 'O' && !bare);
    const TagParts now = parts_of(tag);
    if (now.letter == 'B') ++b_begins_;
    if (now.letter == 'I' && begins_span(before, now)) ++i_begins_;
    before = now;
  }
}

TagScheme SchemeGuess::scheme() const {
  if (plain_ || !spans_) return TagScheme::kNone;
  const bool m = has('M'), bioes = has('E') || has('S'), bilou = has('L') || has('U');
  if (bilou) return m || bioes ? TagScheme::kNone : TagScheme::kBilou;
  if (m) return TagScheme::kBmes;
  if (bioes) return has('B') || has('S') ? TagScheme::kBioes : TagScheme::kIoe2;
  return i_begins_ > b_begins_ ? TagScheme::kIob1 : TagScheme::kBio;
}

std::optional<std::string> meant_tag(std::string_view tag) {
  if (tag == "0" || tag == "o") return "O";
  if (tag.size() < 3 || split(tag, kAllLetters)) return std::nullopt;
  const auto spelled = [](char letter, char between, std::string_view type) -> std::optional<std::string> {
    const char upper = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
    if (upper == 'O' || kAllLetters.find(upper) == std::string_view::npos || (between != '-' && between != '_'))
      return std::nullopt;
    return letter_tag(upper, type);
  };
  if (auto out = spelled(tag[0], tag[1], tag.substr(2))) return out;
  return spelled(tag.back(), tag[tag.size() - 2], tag.substr(0, tag.size() - 2));
}

}  // namespace mnemo
