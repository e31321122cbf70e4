// The forms of Chinese poems: how long lines are, where tones are fixed, which lines rhyme.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/poems.h"
#include "text/rhyme.h"

namespace mnemo {

/// strict: every place has the tone of the pattern. loose: the even places and the last have, the others are free where
/// neither of the rules against a lone level tone (孤平: an oblique first and third tone in a five-character line, or
/// third and fifth in one of seven, that ends "oblique, oblique, level" but for the third from last) nor against three
/// level tones at a line's end (三平调) is broken. off: any tones. A tune's pattern leaves free what it leaves free.
enum class ToneRule { kStrict, kLoose, kOff };

std::optional<ToneRule> tone_rule_from_name(std::string_view name);

/// Tones of a line: bit i of `fixed` says that place i has a tone, bit i of `oblique` which.
struct TonePattern {
  std::uint32_t fixed = 0, oblique = 0;

  Tones at(int place) const {
    if ((fixed >> place & 1) == 0) return kAnyTone;
    return (oblique >> place & 1) != 0 ? kOblique : kLevel;
  }
};

/// What one way of writing a form asks of a line.
struct LineRule {
  std::vector<TonePattern> patterns;  ///< any of them will do
  /// The same where the first character is given by the poet: the strict rule then bends as the textbooks let it.
  std::vector<TonePattern> given_first;
  int rhyme = -1;  ///< which of the poem's rhymes the line ends in; -1: in none
  Tones rhyme_tone = kAnyTone;
};

struct PoemForm {
  struct Line {
    int length = 0;
    /// What stands behind each place: punctuation, or nothing. Behind the last one also "\n" where a new line of text
    /// begins.
    std::vector<std::string> marks;
  };
  std::string name;
  std::vector<Line> lines;
  std::vector<std::vector<LineRule>> alternatives;  ///< each has a rule for every line
  int rhymes = 0;
  std::vector<bool> mixed;  ///< [rhymes] stands at level and at oblique places, which have the sound in common

  int characters() const;
  /// Regulated verse has several ways of being written, a tune one.
  bool is_tune() const { return alternatives.size() == 1; }
};

/// 五绝, 七绝, 五律, 七律 and the tunes of `form_names`, also in traditional characters. Nothing if there is none of
/// that name.
std::optional<PoemForm> form_from_name(std::string_view name, ToneRule tones);

/// Names of all forms that are known.
std::vector<std::string> form_names();

/// Reads a tune's pattern. A line of the file is a line of text; blanks, empty lines, a byte order mark and what
/// follows # are skipped, but the first line that is not empty is the tune's name. 平, 仄 and 中 are places of a level,
/// an oblique, a free tone. A letter A to Z behind a place says that it rhymes with the others of that letter; it ends
/// a line of verse, as does any of ，。；！？ and the line's end; 、 is a pause within one. A letter at level and at
/// oblique places asks for the same sound in both. Throws Error with `name` and the line for what cannot be read, and a
/// pattern without a name, without a place or with a line of more than 31.
PoemForm parse_tune(std::string_view text, const std::string& name, ToneRule tones);

/// The lines of verse of a poem that is to have the form. How a tune's pauses are marked differs from edition to
/// edition: where pieces between any marks make up its lines one after the other, they are taken so.
std::vector<std::u32string> lines_of(const PoemForm& form, std::string_view text);

/// A rule that a poem breaks.
struct PoemFault {
  int line = -1;  ///< of verse, from 0; -1: of the poem
  std::string message;
};

struct PoemCheck {
  std::vector<PoemFault> faults;
  std::vector<std::string> tones;  ///< of each line: 平, 仄, 通 (either), ？ (unknown)
  std::string rhyme;               ///< names of the classes that its rhymes have, if they rhyme
};

/// What is wrong with a poem by the way of writing the form that it comes nearest to. Where it is doubtful which
/// character one stands for, it counts as the one that fits. A character that the book does not know is a fault where a
/// tone is fixed, or at a rhyme, but as the first of a line where `given_first` says that these are the poet's.
PoemCheck check_poem(const PoemForm& form, const std::vector<std::u32string>& lines, const RhymeTable& table,
                     bool allow_repeats, bool given_first = false);

}  // namespace mnemo
