#include "text/string_table.h"

#include "base/error.h"

namespace mnemo {
namespace {

constexpr std::size_t kFirstSlots = 64;
constexpr std::size_t kMostStrings = std::size_t{1} << 30;

// Mixes the high bits into the low ones, which the table uses: FNV's low bits are weak, as multiplication carries only
// upwards.
std::size_t spread(std::uint32_t hash) { return hash ^ hash >> 15; }

}  // namespace

// The slot that holds the string, or the free one where it belongs.
std::size_t StringTable::slot_of(std::string_view string, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = spread(hash) & mask;
  while (slots_[at].index >= 0 && (slots_[at].hash != hash || text(slots_[at].index) != string)) at = (at + 1) & mask;
  return at;
}

std::int32_t StringTable::find(std::string_view string) const {
  if (slots_.empty()) return -1;
  return slots_[slot_of(string, fnv1a(string))].index;
}

std::int32_t StringTable::insert(std::string_view string) {
  if (2 * (size() + 1) > slots_.size()) grow();
  const std::uint32_t hash = fnv1a(string);
  Slot& slot = slots_[slot_of(string, hash)];
  if (slot.index >= 0) return slot.index;
  if (size() >= kMostStrings) fail("more than {} different strings", kMostStrings);
  pool_.append(string);
  ends_.push_back(pool_.size());
  slot = {hash, static_cast<std::int32_t>(size() - 1)};
  return slot.index;
}

void StringTable::grow() {
  std::vector<Slot> old(slots_.empty() ? kFirstSlots : 2 * slots_.size());
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.index < 0) continue;
    std::size_t at = spread(slot.hash) & mask;
    while (slots_[at].index >= 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace mnemo
