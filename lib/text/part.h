// Parts of a file that several processes answer: cut so that the answers to all parts, one after another, are those to
// the whole.
#pragma once

#include <cstdint>
#include <string_view>

namespace mnemo {

/// Part `index`, from 1, of `count`.
struct Part {
  static constexpr std::int64_t kMostParts = 1'000'000;

  std::int64_t index = 1, count = 1;

  /// Of `size` bytes, those before this part and those up to its end, before both are moved to the next place at which
  /// the format can be cut.
  std::uint64_t begin_of(std::uint64_t size) const { return before(index - 1, size); }
  std::uint64_t end_of(std::uint64_t size) const { return before(index, size); }
  bool is_first() const { return index == 1; }

 private:
  // size * parts / count, without overflow.
  std::uint64_t before(std::int64_t parts, std::uint64_t size) const {
    const auto n = static_cast<std::uint64_t>(count), k = static_cast<std::uint64_t>(parts);
    return size / n * k + size % n * k / n;
  }
};

/// The part that "I/N" names. Throws UsageError, beginning with `option`, for anything else.
Part parse_part(std::string_view text, std::string_view option);

}  // namespace mnemo
