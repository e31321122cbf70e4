// Learning the merges of byte pair encoding (Gage 1994; Sennrich, Haddow & Birch 2016, "Neural Machine Translation of
// Rare Words with Subword Units").
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/string_table.h"

namespace mnemo {

/// Two pieces that become one.
struct Merge {
  std::string left, right;

  bool operator==(const Merge&) const = default;
};

/// Longest piece in bytes: longer ones would let a small table of merges take much memory.
inline constexpr std::size_t kLongestPiece = 1024;

/// Different words, as sequences of pieces, and how often each occurs.
class PieceCounts {
 public:
  /// Adds a word given as its pieces, which must not be empty.
  void add(const std::vector<std::string_view>& pieces, std::uint64_t count);

 private:
  friend class MergeLearner;

  StringTable pieces_;
  std::vector<std::int32_t> sequence_;  // of all words, each followed by -1
  std::vector<std::uint64_t> counts_;   // [words]
};

/// The first `most` merges: each time the pair of adjacent pieces that occurs most often becomes one piece, wherever it
/// occurs in a word, from left to right. Of pairs that occur equally often the one whose left piece, then whose right
/// one, is greatest by its bytes comes first, as in subword-nmt. Ends early at pairs that occur less than `least`
/// times. No piece gets longer than kLongestPiece. The same bytes for the same words in any order.
std::vector<Merge> learn_merges(const PieceCounts& words, std::size_t most, std::uint64_t least = 2);

}  // namespace mnemo
