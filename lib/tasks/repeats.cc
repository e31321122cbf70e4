// Texts are hashed once, on all threads. Then the records of each share of the hashes go through a table of the first
// records, which holds half of a hash each: texts whose halves agree are compared themselves. Threads take shares.
#include "tasks/repeats.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include "base/storage.h"
#include "tasks/blocks.h"

namespace mnemo {
namespace {

constexpr std::int64_t kRecordsOfBlock = 4096;
// Of train, in all tables at a time.
constexpr std::int64_t kRecordsOfTables = std::int64_t{1} << 24;
// Each share is a pass over the hashes.
constexpr int kMostTables = 8;

// FNV-1a over eight bytes at a time, mixed at the end so that all bits depend on all bytes.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ull ^ text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::copy_n(text.data(), 8, reinterpret_cast<char*>(&word));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
  }
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
  return hash ^ hash >> 32;
}

StoredArray<std::uint64_t> hashes_of(const RecordSet& records) {
  StoredArray<std::uint64_t> out(records.storage());
  const auto make = [&](std::int64_t first, std::int64_t end) {
    std::vector<std::uint64_t> hashes;
    hashes.reserve(static_cast<std::size_t>(end - first));
    for (std::int64_t i = first; i < end; ++i) hashes.push_back(hash_of(records.text(i)));
    return hashes;
  };
  in_blocks(records.size(), kRecordsOfBlock, records.storage() ? records.storage()->pool : nullptr, make,
            [&](const std::vector<std::uint64_t>& hashes) { out.append(hashes); });
  out.finish();
  return out;
}

// First records of train by their text: open addressing, at most two thirds full.
class FirstRecords {
 public:
  FirstRecords(const RecordSet& train, std::int64_t most)
      : train_(train), slots_(static_cast<std::size_t>(most + most / 2 + 2)) {}

  void clear() { std::ranges::fill(slots_, Slot()); }

  // The first record of train with the text of this one, or -1; with `insert` the record is one of train, and is added
  // if it is the first.
  std::int64_t find(const RecordSet& set, std::int64_t record, std::uint64_t hash, bool insert) {
    const auto half = static_cast<std::uint32_t>(hash);
    std::size_t at = (hash >> 32) * slots_.size() >> 32;
    std::string text;
    for (;; at = at + 1 == slots_.size() ? 0 : at + 1) {
      Slot& slot = slots_[at];
      if (slot.record == kFree) {
        if (insert) slot = {half, static_cast<std::uint32_t>(record)};
        return -1;
      }
      if (slot.half != half) continue;
      if (text.empty()) text = set.text(record);
      if (train_.text(slot.record) == text) return slot.record;
    }
  }

 private:
  static constexpr std::uint32_t kFree = ~std::uint32_t{0};
  struct Slot {
    std::uint32_t half = 0, record = kFree;
  };

  const RecordSet& train_;
  std::vector<Slot> slots_;
};

}  // namespace

void find_repeats(const RecordSet& train, const std::vector<const RecordSet*>& others, const UseRepeat& use) {
  std::vector<std::pair<const RecordSet*, StoredArray<std::uint64_t>>> sets;
  sets.emplace_back(&train, hashes_of(train));
  for (const RecordSet* set : others) sets.emplace_back(set, hashes_of(*set));
  ThreadPool* pool = train.storage() ? train.storage()->pool : nullptr;
  const std::int64_t tables = pool ? std::min(pool->threads(), kMostTables) : 1;
  const std::int64_t records_of_table = kRecordsOfTables / tables;
  const std::int64_t rounds = train.size() / kRecordsOfTables + 1, shares = rounds * tables;
  std::mutex mutex;
  const auto take_share = [&](std::int64_t share, FirstRecords& table) {
    table.clear();
    for (std::size_t s = 0; s < sets.size(); ++s) {
      const auto& [set, hashes] = sets[s];
      for (std::int64_t i = 0; i < set->size(); ++i) {
        const std::uint64_t hash = hashes[i];
        // Bits that the table does not use for the place.
        if (static_cast<std::int64_t>((hash & 0xffff) * static_cast<std::uint64_t>(shares) >> 16) != share) continue;
        const std::int64_t first = table.find(*set, i, hash, s == 0);
        if (first < 0) continue;
        const std::lock_guard lock(mutex);
        use(s, i, first);
      }
    }
  };
  const auto take_shares = [&](std::int64_t t) {
    // A share of the hashes has more records of train than others: by chance a few, or many where texts are repeated,
    // which take one slot together.
    FirstRecords table(train, std::min(train.size(), records_of_table + records_of_table / 8));
    for (std::int64_t round = 0; round < rounds; ++round) take_share(round * tables + t, table);
  };
  if (pool)
    pool->parallel_for(tables, take_shares);
  else
    take_shares(0);
}

}  // namespace mnemo
