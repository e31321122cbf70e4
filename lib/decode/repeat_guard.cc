#include "decode/repeat_guard.h"

#include <algorithm>

namespace mnemo {

void RepeatGuard::note(std::int32_t unit) {
  if (n_ > 0) history_.push_back(unit);
}

const RepeatGuard::Units* RepeatGuard::repeating(const Constraint* constraint, Units& found) const {
  found.clear();
  if (n_ <= 0 || std::ssize(history_) < n_) return nullptr;
  const auto last = history_.end() - (n_ - 1);
  for (auto begin = history_.begin(), next = begin + (n_ - 1); next != history_.end(); ++begin, ++next)
    if (std::equal(last, history_.end(), begin) && !(constraint && constraint->demands(*next))) found.insert(*next);
  return found.empty() ? nullptr : &found;
}

}  // namespace mnemo
