// Subwords by byte pair encoding: a text as pieces whose concatenation is the text again, none of them unknown.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "text/merges.h"
#include "text/string_table.h"

namespace mnemo {

class Vocabulary;

/// The unit that stands for a byte of a character that no piece of the vocabulary has: "<0xE4>". No piece is spelled
/// like it, as pieces hold characters of one class (text/script.h).
std::string byte_unit(unsigned char byte);
/// The byte of such a unit; nothing for another unit.
std::optional<unsigned char> byte_of_unit(std::string_view unit);

/// BPE-dropout (Provilkov, Emelianenko & Voita 2020): each time a merge is chosen, each possible one is left out with
/// probability `rate`, so that a word is cut in another way each time it is read.
struct MergeDropout {
  double rate = 0.0;
  RandomStream* random = nullptr;
};

/// A piece of a word: it ends at byte `end` of the word, where the next one begins. Bytes of a character that has no
/// unit of its own are pieces of one byte each.
struct Piece {
  std::uint32_t end;
  bool byte;
};

/// Working memory of `Subwords::cut`, to be reused.
class SubwordMemory {
 private:
  friend class Subwords;

  struct Node {
    std::int32_t symbol;  // -1: merged into the one before
    std::uint32_t begin, next, last;
  };
  struct Candidate {
    std::int32_t rank;
    std::uint32_t place;
    std::int32_t left, right;
    // For a heap whose top is the first merge, and of equal ones the leftmost place.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : place > other.place;
    }
  };

  std::vector<Node> nodes_;
  std::vector<Piece> pieces_;
  std::vector<Candidate> queue_, dropped_;
};

/// Merges in their order, and the pieces that are units.
class Subwords {
 public:
  /// Merges without a vocabulary: every piece is a unit. Throws Error for a merge of pieces that neither are one
  /// character nor made by a merge before it.
  explicit Subwords(const std::vector<Merge>& merges);

  /// Pieces that the vocabulary lacks are cut again, into the two that were merged, and characters that it lacks into
  /// bytes (Sennrich & Zhang 2019, "Revisiting Low-Resource Neural Machine Translation").
  void limit_to(const Vocabulary& vocabulary);

  /// Appends the pieces of a word of valid UTF-8. Time is n log n for n characters. Threads may share it, each with its
  /// own memory.
  void cut(std::string_view word, std::vector<Piece>& pieces, SubwordMemory& memory,
           const MergeDropout& dropout = {}) const;

  /// The same as units, byte units among them.
  void for_each_unit(std::string_view word, SubwordMemory& memory,
                     const std::function<void(std::string_view unit)>& use) const;

  std::size_t merges() const { return merges_.size(); }

  /// Bytes that `parse` reads; equal merges give equal bytes. Layout, with numbers as unsigned LEB128:
  ///     "mnemo-subwords-1\n"
  ///     number of merges
  ///     for each merge the left and the right piece: a code point, or 0x110000 + i for the i-th different string that
  ///     merges made
  std::string serialize() const;
  /// Throws Error on bytes that `serialize` cannot have written.
  static Subwords parse(std::string_view bytes);

 private:
  using Symbol = std::int32_t;  // a code point, or kFirstMade + the number of the string

  struct Slot {
    std::uint64_t pair = 0;
    std::int32_t rank = -1;  // -1: free
    Symbol made = 0;
  };

  Subwords() = default;
  void reserve(std::size_t merges);
  void add(Symbol left, Symbol right);
  const Slot& find(Symbol left, Symbol right) const;
  void emit(Symbol symbol, std::uint32_t begin, std::string_view word, std::vector<Piece>& pieces) const;
  std::string text_of(Symbol symbol) const;
  std::uint32_t length_of(Symbol symbol) const;

  std::vector<std::pair<Symbol, Symbol>> merges_;  // by rank
  StringTable made_;
  std::vector<std::pair<Symbol, Symbol>> halves_;  // [made] of the first merge that made it
  std::vector<Slot> slots_;                        // by pair, open addressing; their number is a power of two
  bool limited_ = false;
  std::vector<bool> unit_, character_unit_;  // [made], [code points]; only if limited_
};

/// Puts a text together again from its units.
class PieceJoiner {
 public:
  /// What the unit adds to the text; empty as long as a character's bytes are not complete. Bytes that are no
  /// character become U+FFFD.
  std::string add(std::string_view unit);
  /// What is left at the end of a text; the next unit begins another one.
  std::string end();

 private:
  std::string take_characters(bool wait);
  std::string without_mark(std::string text);

  std::string bytes_;
  bool begins_ = true;
};

}  // namespace mnemo
