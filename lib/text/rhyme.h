// Which Chinese characters rhyme, and which are level or oblique.
//
// A character may have several readings of its own (看 is level and oblique): poets use either. It may also be doubtful
// which character it is: in a simplified text 征 stands for 征 (level) and for 徵 (as a note oblique), in a traditional
// one only for itself. So a table is that of a book and a script, and knows two sets of readings of each character:
// those of any of the characters that it may stand for, and those that all of these have. The latter also lack what the
// transcriptions of the book of the ci and of the Pingshui book, which it follows, do not agree in.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mnemo {

/// pingshui: the 106 groups of the Pingshui book, by which Tang poems rhyme. xinyun: the 14 parts of today's Mandarin
/// (Zhonghua xinyun), level and oblique ones apart. cilin: the 19 parts of the book of the ci (Cilin zhengyun).
enum class RhymeBook { kPingshui, kXinyun, kCilin };

std::string_view name_of(RhymeBook book);
std::optional<RhymeBook> rhyme_book_from_name(std::string_view name);

/// Tones, as a set: a character with readings of both may stand for either.
using Tones = std::uint8_t;
constexpr Tones kLevel = 1, kOblique = 2, kAnyTone = 3;

/// How a text is written. In a mixed one simplified characters may stand for all that they do in a simplified one.
enum class Script { kTraditional, kSimplified, kMixed };

/// Characters of a text that show its script, as traditional or simplified texts alone have them.
struct ScriptEvidence {
  std::uint64_t traditional = 0, simplified = 0;

  void add(char32_t character, std::uint64_t times = 1);
  /// The script of 99 in 100 of them, else kMixed; nothing if there are none.
  std::optional<Script> script() const;
};

class Vocabulary;
/// Of the text that the vocabulary was counted in, by its units of one character; kMixed if nothing shows it.
Script script_of(const Vocabulary& vocabulary);

/// Characters that rhyme with one another.
struct RhymeClass {
  std::string name;  ///< as the book has it
  Tones tone;        ///< kLevel or kOblique
  int sound;         ///< equal for classes that differ in tone alone
};

/// A book of rhymes. Traditional and simplified characters stand side by side.
class RhymeTable {
 public:
  /// Made on first use.
  static const RhymeTable& of(RhymeBook book, Script script);

  const std::vector<RhymeClass>& classes() const { return classes_; }
  /// Indices into classes(), ascending, of any character that this one may stand for; none: the book does not know it.
  std::span<const std::uint8_t> readings(char32_t character) const;
  /// 0: unknown.
  Tones tones(char32_t character) const;
  /// Of every character that this one may stand for, and undisputed.
  std::span<const std::uint8_t> sure_readings(char32_t character) const;
  /// The tones that each of them has. There may be one though they share no reading; 0: none, or unknown.
  Tones sure_tones(char32_t character) const;

 private:
  using Readings = std::vector<std::uint8_t>;
  struct Doubtful {
    Readings readings;
    Tones tones = kAnyTone;
  };

  RhymeTable(RhymeBook book, Script script);
  void add_merged(RhymeBook book, Script script);
  Tones tones_of(std::span<const std::uint8_t> readings) const;

  std::vector<RhymeClass> classes_;
  std::unordered_map<char32_t, Readings> readings_;
  std::unordered_map<char32_t, Doubtful> doubtful_;  // what is sure, where not all is
};

/// What readings must share to rhyme: the class, or where tones are mixed its sound.
constexpr int kRhymeKeys = 128;
using RhymeKeys = std::bitset<kRhymeKeys>;
inline int rhyme_key(const RhymeTable& table, std::uint8_t reading, bool mixed) {
  return mixed ? table.classes()[reading].sound : reading;
}

}  // namespace mnemo
