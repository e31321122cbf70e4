#include "decode/repeat_guard.h"

#include <iterator>

namespace mnemo {

void RepeatGuard::note(std::int32_t unit) {
  if (n_ <= 0) return;
  if (std::ssize(history_) >= n_ - 1) followers_[last_].insert(unit);
  history_.push_back(unit);
  if (std::ssize(history_) < n_ - 1) return;
  // Hashes the last n - 1 units in order.
  last_ = 0;
  for (auto at = history_.end() - (n_ - 1); at != history_.end(); ++at)
    last_ = (last_ ^ static_cast<std::uint32_t>(*at)) * 0x9e3779b97f4a7c15 + 1;
}

const RepeatGuard::Units* RepeatGuard::repeating() const {
  if (n_ <= 0 || std::ssize(history_) < n_ - 1) return nullptr;
  const auto found = followers_.find(last_);
  return found == followers_.end() ? nullptr : &found->second;
}

const RepeatGuard::Units* RepeatGuard::repeating(const Constraint* constraint, Units& kept) const {
  const Units* all = repeating();
  if (!all || !constraint) return all;
  kept = *all;
  std::erase_if(kept, [&](std::int32_t unit) { return constraint->demands(unit); });
  return kept.empty() ? nullptr : &kept;
}

}  // namespace mnemo
