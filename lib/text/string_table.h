// Strings numbered in the order of insertion, with fast look-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mnemo {

constexpr std::uint32_t kFnvStart = 2166136261u;

/// FNV-1a, 32 bits (Fowler, Noll, Vo). Pass the result of an earlier call as `hash` to continue it.
inline std::uint32_t fnv1a(std::string_view bytes, std::uint32_t hash = kFnvStart) {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619u;
  return hash;
}

/// A set of strings: one pool of bytes and an open-addressing table with linear probing, at most half full. Strings are
/// numbered from 0 and never removed.
class StringTable {
 public:
  std::size_t size() const { return ends_.size(); }

  /// The number of the string, or -1.
  std::int32_t find(std::string_view string) const;
  /// The number of the string, which is added if it is new (as size() - 1). Throws Error beyond 2^30 strings.
  std::int32_t insert(std::string_view string);
  std::string_view text(std::int32_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[static_cast<std::size_t>(index) - 1];
    return {pool_.data() + begin, ends_[static_cast<std::size_t>(index)] - begin};
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t index = -1;  // -1: free
  };

  std::size_t slot_of(std::string_view string, std::uint32_t hash) const;
  void grow();

  std::string pool_;
  std::vector<std::size_t> ends_;  // string i ends here in pool_, where the next one begins
  std::vector<Slot> slots_;        // their number is a power of two
};

}  // namespace mnemo
