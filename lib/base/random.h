// Counter-based random numbers: Philox 4x32 with ten rounds (Salmon et al. 2011, "Parallel Random Numbers: As Easy as
// 1, 2, 3"). A stream is named by a seed, a purpose and two indices; its i-th number is a function of those and i
// alone, so streams need no state in a checkpoint, and no thread waits for another's draw. The standard library's
// distributions are not used: their results differ between implementations.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace mnemo {

/// What a stream is for. The value is part of the stream's name: never renumber.
enum class Purpose : std::uint32_t {
  kInitialise = 1,
  kShuffle = 2,
  kDropout = 3,
  kSplit = 4,
  kBootstrap = 5,
  kUnknown = 6,
  kBench = 7,
  kTest = 8,
  kSample = 9,
  kConditions = 10,
  kSubword = 11,
  kMemory = 12,
  kChrono = 13,
  kAttribution = 14,
  kPermutation = 15,
  kSearch = 16,
  kRotation = 17,
  kSampledClasses = 18,
};

/// The Philox 4x32-10 block function.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of random numbers. Copying it copies its position.
class RandomStream {
 public:
  /// `a` and `b` distinguish streams of one purpose: step and layer, or epoch, or tensor.
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t a = 0, std::uint32_t b = 0);

  std::uint32_t next();                      ///< 32 random bits.
  double uniform();                          ///< In [0, 1), 53 bits.
  double normal();                           ///< Mean 0, variance 1 (Box & Muller 1958).
  std::uint64_t below(std::uint64_t bound);  ///< In [0, bound) without bias; bound > 0.

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace mnemo
