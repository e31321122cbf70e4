#include "text/tags.h"

#include <algorithm>
#include <utility>

namespace mnemo {
namespace {

constexpr std::pair<TagScheme, std::string_view> kNames[] = {{TagScheme::kNone, "none"},
                                                             {TagScheme::kIob1, "iob1"},
                                                             {TagScheme::kBio, "bio"},
                                                             {TagScheme::kBioes, "bioes"},
                                                             {TagScheme::kBmes, "bmes"}};

std::string_view letters_of(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kNone:
      return "";
    case TagScheme::kBioes:
      return "OBIES";
    case TagScheme::kBmes:
      return "OBMES";
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

constexpr std::string_view kAllLetters = "OBIMES";

TagParts parts_of(std::string_view tag) { return split(tag, kAllLetters).value_or(TagParts{'O', {}}); }

bool ends_span(char letter) { return letter == 'O' || letter == 'E' || letter == 'S'; }

// Whether a span begins at `now`, the tag behind `before`.
bool begins_span(const TagParts& before, const TagParts& now) {
  if (now.letter == 'O') return false;
  return now.letter == 'B' || now.letter == 'S' || ends_span(before.letter) || before.type != now.type;
}

}  // namespace

std::string_view name_of(TagScheme scheme) {
  return std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& n) { return n.first == scheme; })->second;
}

std::optional<TagScheme> scheme_from_name(std::string_view name) {
  for (const auto& [scheme, its_name] : kNames)
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
  const bool closed = scheme == TagScheme::kBioes || scheme == TagScheme::kBmes;
  const auto part = [&](std::size_t i) {
    return i < tags.size() ? split_tag(tags[i], scheme).value_or(TagParts{'O', {}}) : TagParts{'O', {}};
  };
  std::vector<TagSpan> out;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const TagParts first = part(i);
    if (first.letter == 'S') out.push_back({first.type, i, i + 1});
    if (first.letter != 'B') continue;
    std::size_t end = i + 1;
    while ((part(end).letter == 'I' || part(end).letter == 'M') && part(end).type == first.type) ++end;
    if (!closed) out.push_back({first.type, i, end});
    if (closed && part(end).letter == 'E' && part(end).type == first.type) out.push_back({first.type, i, end + 1});
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
  const bool closed = scheme == TagScheme::kBioes || scheme == TagScheme::kBmes;
  const char inner = scheme == TagScheme::kBmes ? 'M' : 'I';
  const auto set = [&](std::size_t i, char letter, std::string_view type) { out[i] = letter_tag(letter, type); };
  for (std::size_t s = 0; s < spans.size(); ++s) {
    const TagSpan& span = spans[s];
    const bool touches = s > 0 && spans[s - 1].end == span.begin && spans[s - 1].type == span.type;
    for (std::size_t i = span.begin; i < span.end; ++i) set(i, inner, span.type);
    if (scheme != TagScheme::kIob1 || touches) set(span.begin, 'B', span.type);
    if (closed) set(span.end - 1, span.begin + 1 == span.end ? 'S' : 'E', span.type);
  }
  return out;
}

bool may_begin(std::string_view tag, TagScheme scheme) { return may_follow("O", tag, scheme); }

bool may_end(std::string_view tag, TagScheme scheme) {
  return (scheme != TagScheme::kBioes && scheme != TagScheme::kBmes) || ends_span(parts_of(tag).letter);
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
    default:
      if (ends_span(last.letter)) return now.letter == 'O' || now.letter == 'B' || now.letter == 'S';
      return goes_on && (now.letter == 'I' || now.letter == 'M' || now.letter == 'E');
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
    const TagParts now = *found;
    spans_ = spans_ || (now.letter != 'O' && (now.letter != 'S' || !now.type.empty()));
    m_ = m_ || now.letter == 'M';
    ends_ = ends_ || now.letter == 'E' || now.letter == 'S';
    if (now.letter == 'B') ++b_begins_;
    if (now.letter == 'I' && begins_span(before, now)) ++i_begins_;
    before = now;
  }
}

TagScheme SchemeGuess::scheme() const {
  if (plain_ || !spans_) return TagScheme::kNone;
  if (m_) return TagScheme::kBmes;
  if (ends_) return TagScheme::kBioes;
  return i_begins_ > b_begins_ ? TagScheme::kIob1 : TagScheme::kBio;
}

}  // namespace mnemo
