#include "base/random.h"

#include <cmath>
#include <set>

#include "tests/catch.h"

using namespace mnemo;

// Known answers of philox4x32-10 from the Random123 distribution's kat_vectors.
TEST_CASE("Philox gives the published known answers") {
  using Four = std::array<std::uint32_t, 4>;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams differ by seed, purpose and index, and the same name repeats them") {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed : {1, 2})
    for (auto purpose : {Purpose::kShuffle, Purpose::kDropout})
      for (std::uint64_t a : {0, 1})
        for (std::uint32_t b : {0u, 1u}) first.insert(RandomStream(seed, purpose, a, b).next());
  CHECK(first.size() == 16);
  CHECK(RandomStream(7, Purpose::kSplit, 3).next() == RandomStream(7, Purpose::kSplit, 3).next());
}

TEST_CASE("distributions have the moments they should") {
  RandomStream random(1, Purpose::kTest);
  double sum = 0, squares = 0, uniforms = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    uniforms += u;
  }
  CHECK(std::abs(sum / n) < 0.01);
  CHECK(std::abs(squares / n - 1) < 0.02);
  CHECK(std::abs(uniforms / n - 0.5) < 0.005);
}

TEST_CASE("a shuffle is a permutation, and below() keeps its bound") {
  std::vector<int> items(100);
  for (int i = 0; i < 100; ++i) items[i] = i;
  RandomStream random(1, Purpose::kTest);
  auto shuffled = items;
  random.shuffle(shuffled);
  CHECK(shuffled != items);
  CHECK(std::set<int>(shuffled.begin(), shuffled.end()).size() == 100);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) ++seen[random.below(7)];
  for (int count : seen) CHECK((count > 850 && count < 1150));
}
