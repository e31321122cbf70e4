// Which Chinese characters rhyme, and which are level or oblique.
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
  static const RhymeTable& of(RhymeBook book);

  const std::vector<RhymeClass>& classes() const { return classes_; }
  /// Indices into classes(), ascending; none: the book does not know the character.
  std::span<const std::uint8_t> readings(char32_t character) const;
  /// 0: unknown.
  Tones tones(char32_t character) const;

 private:
  explicit RhymeTable(RhymeBook book);

  std::vector<RhymeClass> classes_;
  std::unordered_map<char32_t, std::vector<std::uint8_t>> readings_;
};

/// What readings must share to rhyme: the class, or where tones are mixed its sound.
constexpr int kRhymeKeys = 128;
using RhymeKeys = std::bitset<kRhymeKeys>;
inline int rhyme_key(const RhymeTable& table, std::uint8_t reading, bool mixed) {
  return mixed ? table.classes()[reading].sound : reading;
}

}  // namespace mnemo
