#include "decode/overlap.h"

#include <algorithm>
#include <numeric>

namespace mnemo {

OverlapFinder::OverlapFinder(const std::vector<std::vector<std::int32_t>>& texts) : states_(1) {
  // Every text begins at the root: a generalised suffix automaton.
  for (const auto& text : texts) {
    ends_.emplace_back();
    std::int32_t last = 0;
    for (const std::int32_t unit : text) {
      last = extend(last, unit);
      ends_.back().push_back(last);
    }
  }
}

std::int32_t OverlapFinder::extend(std::int32_t last, std::int32_t unit) {
  const auto split = [&](std::int32_t from, std::int32_t to) {
    if (states_[to].length == states_[from].length + 1) return to;
    const auto clone = static_cast<std::int32_t>(states_.size());
    State copy = states_[to];
    copy.length = states_[from].length + 1;
    states_.push_back(std::move(copy));
    states_[to].link = clone;
    for (std::int32_t p = from; p >= 0; p = states_[p].link) {
      const auto found = states_[p].next.find(unit);
      if (found == states_[p].next.end() || found->second != to) break;
      found->second = clone;
    }
    return clone;
  };
  if (const auto found = states_[last].next.find(unit); found != states_[last].next.end())
    return split(last, found->second);
  const auto made = static_cast<std::int32_t>(states_.size());
  states_.emplace_back();
  states_[made].length = states_[last].length + 1;
  std::int32_t p = last;
  for (; p >= 0 && !states_[p].next.contains(unit); p = states_[p].link) states_[p].next[unit] = made;
  states_[made].link = p < 0 ? 0 : split(p, states_[p].next.at(unit));
  return made;
}

void OverlapFinder::read(std::int32_t unit) {
  while (true) {
    const auto found = states_[now_].next.find(unit);
    if (found != states_[now_].next.end()) {
      now_ = found->second;
      ++length_;
      break;
    }
    if (now_ == 0) {
      length_ = 0;
      break;
    }
    now_ = states_[now_].link;
    length_ = states_[now_].length;
  }
  states_[now_].matched = std::max(states_[now_].matched, length_);
}

void OverlapFinder::end_text() { now_ = length_ = 0; }

std::vector<Overlap> OverlapFinder::find() const {
  // A match at a state is also one at its suffixes, up to their length.
  std::vector<std::int32_t> matched, order(states_.size());
  for (const State& state : states_) matched.push_back(state.matched);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return states_[a].length > states_[b].length; });
  for (const std::int32_t s : order)
    if (const std::int32_t link = states_[s].link; link >= 0 && matched[s] > 0)
      matched[link] = std::max(matched[link], std::min(matched[s], states_[link].length));
  std::vector<Overlap> out;
  for (const auto& ends : ends_) {
    Overlap one;
    for (std::int64_t i = 0; i < std::ssize(ends); ++i) {
      // Suffixes of the prefix that ends here, longest first.
      for (std::int32_t s = ends[i]; s > 0; s = states_[s].link) {
        if (matched[s] == 0) continue;
        if (matched[s] > one.longest) {
          one.longest = matched[s];
          one.begin = i + 1 - one.longest;
        }
        break;
      }
      for (std::size_t n = 0; n < Overlap::kLengths.size(); ++n) {
        const std::int64_t length = Overlap::kLengths[n];
        if (i + 1 < length) continue;
        ++one.ngrams[n];
        std::int32_t s = ends[i];
        while (states_[s].link >= 0 && states_[states_[s].link].length >= length) s = states_[s].link;
        one.known[n] += matched[s] >= length ? 1 : 0;
      }
    }
    out.push_back(one);
  }
  return out;
}

}  // namespace mnemo
