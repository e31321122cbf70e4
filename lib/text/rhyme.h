// Which Chinese characters rhyme, and which are level or oblique.
//
// A character may have several readings (看 is level and oblique), of which poets use either. It may also be uncertain
// which character it is: in a simplified text 征 stands for 征 (level) and for 徵 (as a note oblique), in a traditional
// one only for itself. So a table belongs to a book and a script, and has two sets of readings for each character:
// those of any of the characters that it may stand for, and those that all of these have. The latter also exclude
// readings on which the transcriptions of the book of the ci and of the Pingshui book, which it follows, disagree.
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

/// pingshui: the 106 groups of the Pingshui book, by which Tang poems rhyme. xinyun: the 14 parts of modern Mandarin
/// (Zhonghua xinyun), with level and oblique ones separate. cilin: the 19 parts of the book of the ci (Cilin zhengyun).
enum class RhymeBook { kPingshui, kXinyun, kCilin };

std::string_view name_of(RhymeBook book);
std::optional<RhymeBook> rhyme_book_from_name(std::string_view name);

/// Tones, as a set: a character with readings of both may stand for either.
using Tones = std::uint8_t;
constexpr Tones kLevel = 1, kOblique = 2, kAnyTone = 3;

/// How a text is written. In a mixed one, simplified characters may stand for all that they do in a simplified one.
enum class Script { kTraditional, kSimplified, kMixed };

/// Counts of characters that show a text's script, as only traditional or only simplified texts have them.
struct ScriptEvidence {
  std::uint64_t traditional = 0, simplified = 0;

  void add(char32_t character, std::uint64_t times = 1);
  /// The script of at least 99 in 100 of them, else kMixed; nothing if there are none.
  std::optional<Script> script() const;
};

class Vocabulary;
/// The script of the text that the vocabulary was built from, by its units of one character; kMixed if none shows it.
Script script_of(const Vocabulary& vocabulary);

/// Characters that rhyme with one another.
struct RhymeClass {
  std::string name;  ///< as in the book
  Tones tone;        ///< kLevel or kOblique
  int sound;         ///< equal for classes that differ only in tone
};

/// A book of rhymes, with both traditional and simplified characters.
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
  /// The tones that each of them has. There may be one even if they share no reading; 0: none, or unknown.
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
  std::unordered_map<char32_t, Doubtful> doubtful_;  // the sure readings, where not all are sure
};

/// The key that readings must share to rhyme: the class, or if tones are mixed its sound.
constexpr int kRhymeKeys = 128;
using RhymeKeys = std::bitset<kRhymeKeys>;
inline int rhyme_key(const RhymeTable& table, std::uint8_t reading, bool mixed) {
  return mixed ? table.classes()[reading].sound : reading;
}

}  // namespace mnemo
