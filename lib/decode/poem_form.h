// The forms of Chinese poems: line lengths, fixed tones, and which lines rhyme.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/poems.h"
#include "text/rhyme.h"

namespace mnemo {

/// strict: every place has the tone of the pattern. loose: the even places and the last have it, the others are free
/// unless that breaks the rule against a lone level tone (孤平: an oblique first and third tone in a five-character
/// line, or third and fifth in one of seven, that ends "oblique, oblique, level" but for the third from last) or
/// against three level tones at a line's end (三平调). off: any tones. For tunes, loose is the same as strict: the
/// pattern itself says which places are free.
enum class ToneRule { kStrict, kLoose, kOff };

std::optional<ToneRule> tone_rule_from_name(std::string_view name);

/// Tones of a line: bit i of `fixed` is set if place i has a fixed tone, bit i of `oblique` if that is oblique.
struct TonePattern {
  std::uint32_t fixed = 0, oblique = 0;

  Tones at(int place) const {
    if ((fixed >> place & 1) == 0) return kAnyTone;
    return (oblique >> place & 1) != 0 ? kOblique : kLevel;
  }
};

/// The requirements of one variant of a form for a line.
struct LineRule {
  std::vector<TonePattern> patterns;  ///< the line must fit one of them
  /// The same if the poet gave the first character: the strict rule is then relaxed as textbooks allow.
  std::vector<TonePattern> given_first;
  int rhyme = -1;  ///< which of the poem's rhymes the line ends in; -1: in none
  Tones rhyme_tone = kAnyTone;
};

struct PoemForm {
  struct Line {
    int length = 0;
    /// Punctuation after each place, or nothing. After the last one also "\n" if a new line of text begins.
    std::vector<std::string> marks;
  };
  std::string name;
  std::vector<Line> lines;
  std::vector<std::vector<LineRule>> alternatives;  ///< each has a rule for every line
  int rhymes = 0;
  std::vector<bool> mixed;  ///< [rhymes] whether it is at level and at oblique places, which share a sound

  int characters() const;
  /// Regulated verse has several variants, a tune one.
  bool is_tune() const { return alternatives.size() == 1; }
};

/// 五绝, 七绝, 五律, 七律 and the tunes of `form_names`, also in traditional characters. Nothing if there is none of
/// that name.
std::optional<PoemForm> form_from_name(std::string_view name, ToneRule tones);

/// Names of all forms that are known.
std::vector<std::string> form_names();

/// Reads a tune's pattern. A line of the file is a line of text; blanks, empty lines, a byte order mark and what
/// follows # are skipped, but the first line that is not empty is the tune's name. 平, 仄 and 中 are places of a level,
/// an oblique, a free tone. A letter A to Z after a place means that it rhymes with the others of that letter; it ends
/// a line of verse, as does any of ，。；！？ and the line's end; 、 is a pause within one. A letter at level and at
/// oblique places requires the same sound in both. Throws Error with `name` and the line for anything that cannot be
/// read, and for a pattern without a name, without a place or with a line of more than 31.
PoemForm parse_tune(std::string_view text, const std::string& name, ToneRule tones);

/// The lines of verse of a poem of this form. Editions mark a tune's pauses differently: if consecutive pieces between
/// any marks add up to the form's lines, they are joined accordingly.
std::vector<std::u32string> lines_of(const PoemForm& form, std::string_view text);

/// A rule that a poem breaks.
struct PoemFault {
  int line = -1;  ///< of verse, from 0; -1: the whole poem
  std::string message;
};

struct PoemCheck {
  std::vector<PoemFault> faults;
  std::vector<std::string> tones;  ///< of each line: 平, 仄, 通 (either), ？ (unknown)
  std::string rhyme;               ///< names of the classes that its rhymes have, if they rhyme
};

/// Checks a poem against the variant of the form that it is nearest to. A character that may stand for several counts
/// as the one that fits. A character that the book does not know is a fault where a tone is fixed, or at a rhyme, but
/// not as the first of a line if `given_first` (the poet gave these).
PoemCheck check_poem(const PoemForm& form, const std::vector<std::u32string>& lines, const RhymeTable& table,
                     bool allow_repeats, bool given_first = false);

}  // namespace mnemo
