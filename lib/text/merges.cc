// All words lie one after the other as a list of pieces that is linked in both directions. Each pair knows the places
// where it began once; a place is looked at again when the pair is merged, as the pieces there may have changed since.
// The queue works the same way: an entry whose count is no longer true is put back with the true one.
#include "text/merges.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

namespace mnemo {

void PieceCounts::add(const std::vector<std::string_view>& pieces, std::uint64_t count) {
  for (const std::string_view piece : pieces) sequence_.push_back(pieces_.insert(piece));
  sequence_.push_back(-1);
  counts_.push_back(count);
}

class MergeLearner {
 public:
  explicit MergeLearner(const PieceCounts& words) : pieces_(words.pieces_), at_(words.sequence_) {
    const std::size_t size = at_.size();
    next_.resize(size);
    last_.resize(size);
    count_.resize(size);
    std::size_t word = 0;
    for (std::size_t i = 0; i < size; ++i) {
      next_[i] = static_cast<Place>(i + 1);
      last_[i] = static_cast<Place>(i) - 1;
      count_[i] = words.counts_[word];
      if (at_[i] < 0) ++word;
    }
    for (std::size_t i = 0; i + 1 < size; ++i)
      if (at_[i] >= 0 && at_[i + 1] >= 0) change(at_[i], at_[i + 1], static_cast<Place>(i), count_[i]);
    queue_changed();
  }

  std::vector<Merge> learn(std::size_t most, std::uint64_t least) {
    std::vector<Merge> out;
    while (out.size() < most && !queue_.empty()) {
      const Entry best = queue_.top();
      queue_.pop();
      const std::uint64_t now = pairs_[best.pair].count;
      if (now != best.count) {
        if (now > 0 && now < best.count) queue_.push(entry(best.pair));
        continue;
      }
      if (now < least) break;
      const auto [left, right] = pieces_of_[best.pair];
      if (pieces_.text(left).size() + pieces_.text(right).size() > kLongestPiece) continue;
      out.push_back({std::string(pieces_.text(left)), std::string(pieces_.text(right))});
      merge(best.pair, pieces_.insert(out.back().left + out.back().right));
    }
    return out;
  }

 private:
  using Place = std::int64_t;

  struct Pair {
    std::uint64_t count = 0;
    std::vector<Place> places;  // of the left piece, some of them out of date
    bool changed = false;
  };

  struct Entry {
    std::uint64_t count;
    std::int32_t pair;
    const MergeLearner* learner;

    // The greatest is merged first.
    bool operator<(const Entry& other) const {
      if (count != other.count) return count < other.count;
      if (pair == other.pair) return false;
      const auto a = learner->pieces_of_[pair], b = learner->pieces_of_[other.pair];
      if (a.first != b.first) return learner->pieces_.text(a.first) < learner->pieces_.text(b.first);
      return learner->pieces_.text(a.second) < learner->pieces_.text(b.second);
    }
  };

  Entry entry(std::int32_t pair) const { return {pairs_[pair].count, pair, this}; }

  // The number of the pair, which is added if it is new.
  std::int32_t pair_of(std::int32_t left, std::int32_t right) {
    const std::uint64_t key = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    const auto [found, added] = numbers_.try_emplace(key, static_cast<std::int32_t>(pairs_.size()));
    if (added) {
      pairs_.emplace_back();
      pieces_of_.emplace_back(left, right);
    }
    return found->second;
  }

  void change(std::int32_t left, std::int32_t right, Place place, std::uint64_t count) {
    const std::int32_t number = pair_of(left, right);
    Pair& pair = pairs_[number];
    pair.count += count;
    pair.places.push_back(place);
    if (!pair.changed) changed_.push_back(number);
    pair.changed = true;
  }

  void queue_changed() {
    for (const std::int32_t pair : changed_) {
      pairs_[pair].changed = false;
      if (pairs_[pair].count > 0) queue_.push(entry(pair));
    }
    changed_.clear();
  }

  void merge(std::int32_t number, std::int32_t merged) {
    const auto [left, right] = pieces_of_[number];
    std::vector<Place> places;
    places.swap(pairs_[number].places);
    std::sort(places.begin(), places.end());
    for (const Place place : places) {
      const Place second = next_[place];
      if (at_[place] != left || at_[second] != right) continue;  // merged since
      const std::uint64_t count = count_[place];
      const Place before = last_[place], after = next_[second];
      at_[place] = merged;
      at_[second] = kMerged;
      next_[place] = after;
      last_[after] = place;
      if (before >= 0 && at_[before] >= 0) {
        pairs_[pair_of(at_[before], left)].count -= count;
        change(at_[before], merged, before, count);
      }
      if (at_[after] >= 0) {
        pairs_[pair_of(right, at_[after])].count -= count;
        change(merged, at_[after], place, count);
      }
    }
    pairs_[number].count = 0;
    queue_changed();
  }

  static constexpr std::int32_t kMerged = -2;

  StringTable pieces_;
  std::vector<std::int32_t> at_;  // the piece that begins here; -1 after a word
  std::vector<Place> next_, last_;
  std::vector<std::uint64_t> count_;                         // of the word
  std::unordered_map<std::uint64_t, std::int32_t> numbers_;  // of pairs
  std::vector<Pair> pairs_;
  std::vector<std::pair<std::int32_t, std::int32_t>> pieces_of_;  // [pairs] left and right
  std::vector<std::int32_t> changed_;
  std::priority_queue<Entry> queue_;
};

std::vector<Merge> learn_merges(const PieceCounts& words, std::size_t most, std::uint64_t least) {
  return MergeLearner(words).learn(most, least);
}

}  // namespace mnemo
