// Scripts of characters (UAX #24), and the words within which subwords are made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mnemo {

/// What a character is for cutting words. Values from kFirstScript on are the letters of one script each.
enum CharacterClass : std::uint8_t {
  kOtherCharacter,  ///< controls, unassigned and private code points
  kBlankCharacter,  ///< Unicode's White_Space
  kPunctuation,     ///< and symbols
  kNumber,          ///< decimal digits of any script, and other numbers that no script owns
  kJoiningMark,     ///< marks, joiners and letters that belong to the script of the character before
  kFirstScript,
};

/// The class of a Unicode scalar value. From Unicode's data files as a table, so that it does not depend on the
/// installed libraries.
std::uint8_t character_class(char32_t value);

/// True for a code point of a script that has no blanks between words: Chinese, Japanese, Thai and others.
bool is_unsegmented(char32_t value);

/// True if the two code points are neighbours within one word: letters of one script that has blanks between words, or
/// digits.
bool within_word(char32_t before, char32_t after);

/// The end of the subword word that begins at byte `at` < text.size(): an optional blank (U+0020) and the longest run
/// of characters of one class after it, with their joining marks. Of several blanks only the last belongs to the word
/// after them; those before it are a word of their own. `text` must be valid UTF-8, `at` a boundary.
std::size_t subword_word_end(std::string_view text, std::size_t at);

}  // namespace mnemo
