// Tags that spell spans of tokens: the schemes of named entities and of word segmentation.
//
// A tag is a letter, or a letter, `-` and a type: B-PER, I-PER, O; or for words without types B, M, E, S.
// clang-format off
//   iob1   I-X for tokens of a span; B-X only for the first one of a span that directly follows another of its type
//   bio    B-X for the first token, I-X for the others (IOB2)
//   ioe2   E-X for the last token, I-X for the others
//   bioes  B-X, I-X, E-X for first, inner and last token, S-X for a single one (also called IOBES)
//   bmes   as bioes with M for I
//   bilou  as bioes with L for E and U for S
//   none   tags stand for themselves, as parts of speech do
// clang-format on
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

enum class TagScheme { kNone, kIob1, kBio, kIoe2, kBioes, kBmes, kBilou };

std::string_view name_of(TagScheme scheme);
std::optional<TagScheme> scheme_from_name(std::string_view name);

/// A tag's letter and type: "B-PER" is {'B', "PER"}, "B" is {'B', ""}, "O" is {'O', ""}. The type is the rest of the
/// tag, so it may contain hyphens.
struct TagParts {
  char letter;
  std::string_view type;
};

/// The tag of a letter and a type, which may be empty.
std::string letter_tag(char letter, std::string_view type);

/// Nothing if the tag is not one of the scheme's. Every scheme except none has O.
std::optional<TagParts> split_tag(std::string_view tag, TagScheme scheme);
/// The tags that split_tag accepts, for messages: "O, B-TYPE, I-TYPE".
std::string_view tags_of(TagScheme scheme);

/// Tokens [begin, end).
struct TagSpan {
  std::string_view type;
  std::size_t begin, end;
  bool operator==(const TagSpan&) const = default;
};

/// Spans as conlleval counts them (Tjong Kim Sang & De Meulder 2003), whatever the scheme, in order. A span begins at B
/// or S, and at any other letter except O after O, E or S, at the first token, or where the type changes. It ends
/// before the next beginning or O. L and U count as E and S. Types are views of `tags`.
std::vector<TagSpan> conlleval_spans(std::span<const std::string> tags);

/// Only spans that are spelled exactly as the scheme (any except none and iob1) requires: the strict count of seqeval.
std::vector<TagSpan> strict_spans(std::span<const std::string> tags, TagScheme scheme);

/// The tags that spell spans, which must be in order and not overlap, with O elsewhere.
std::vector<std::string> spell_spans(std::span<const TagSpan> spans, std::size_t tokens, TagScheme scheme);

/// Whether a tag of the scheme may begin a sentence, end it, or follow another.
bool may_begin(std::string_view tag, TagScheme scheme);
bool may_end(std::string_view tag, TagScheme scheme);
bool may_follow(std::string_view before, std::string_view tag, TagScheme scheme);

/// Guesses the scheme of a corpus from the tags of its sentences, added one by one.
class SchemeGuess {
 public:
  void add(std::span<const std::string> tags);
  /// none if some tag has no letter of a scheme, if tags have letters of several schemes, or if all are O or single
  /// letters that may be parts of speech (S, L, U). Only B and I are iob1 if more spans begin with I than with B, else
  /// bio; only I and E are ioe2.
  TagScheme scheme() const;

 private:
  bool has(char letter) const { return letters_.find(letter) != std::string::npos; }

  bool plain_ = false, spans_ = false;
  std::string letters_;  // that occur
  std::size_t b_begins_ = 0, i_begins_ = 0;
};

/// The tag of a scheme that a misspelled one resembles: O for "0" and "o", B-PER for "B_PER", "b-PER" and "PER-B".
/// Nothing if it resembles none, or is one.
std::optional<std::string> meant_tag(std::string_view tag);

}  // namespace mnemo
