// How much of generated texts occurs in a corpus.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace mnemo {

/// What a text shares with the corpus.
struct Overlap {
  static constexpr std::array<std::int64_t, 4> kLengths{2, 4, 6, 8};

  std::int64_t longest = 0;  ///< units of the longest run that occurs in the corpus
  std::int64_t begin = 0;    ///< where in the text it begins
  /// n-grams of the text, and how many of them occur in the corpus, by kLengths.
  std::array<std::int64_t, 4> ngrams{}, known{};
};

/// Compares texts with a corpus that is read once, unit by unit: a suffix automaton of the texts (Blumer et al. 1985)
/// records the longest match at each state. Memory grows with the texts alone.
class OverlapFinder {
 public:
  explicit OverlapFinder(const std::vector<std::vector<std::int32_t>>& texts);

  /// The corpus's next unit, at least 0.
  void read(std::int32_t unit);
  /// Ends a text of the corpus: no match extends over it.
  void end_text();

  std::vector<Overlap> find() const;

 private:
  struct State {
    std::int32_t length = 0, link = -1;
    std::int32_t matched = 0;  // longest suffix of the corpus so far that ended here
    std::unordered_map<std::int32_t, std::int32_t> next;
  };

  std::int32_t extend(std::int32_t last, std::int32_t unit);

  std::vector<State> states_;
  std::vector<std::vector<std::int32_t>> ends_;  // the state of each prefix of each text
  std::int32_t now_ = 0, length_ = 0;
};

}  // namespace mnemo
