#include "nn/packing.h"

#include <numeric>
#include <set>

#include "base/random.h"
#include "nn/arena.h"
#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("a packing holds every token once, time-major, longest first, equal lengths in order") {
  RandomStream random(1, Purpose::kTest);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::int32_t> lengths(random.below(9));
    for (auto& length : lengths) length = static_cast<std::int32_t>(random.below(6));
    const Packing packing(lengths);
    REQUIRE(packing.tokens() == std::accumulate(lengths.begin(), lengths.end(), 0));
    std::set<Index> rows;
    for (Index b = 0; b < packing.sequences(); ++b) {
      REQUIRE(packing.length(b) == lengths[packing.original(b)]);
      if (b > 0) {
        REQUIRE(packing.length(b - 1) >= packing.length(b));
        if (packing.length(b - 1) == packing.length(b)) REQUIRE(packing.original(b - 1) < packing.original(b));
      }
      for (Index t = 0; t < packing.length(b); ++t) {
        REQUIRE(b < packing.rows_at(t));
        REQUIRE(rows.insert(packing.row(b, t)).second);
      }
    }
    REQUIRE(std::ssize(rows) == packing.tokens());
    if (!rows.empty()) REQUIRE(*rows.rbegin() == packing.tokens() - 1);
    REQUIRE(packing.rows_at(packing.steps()) == 0);
  }
}

TEST_CASE("an arena returns aligned memory, and allocates none once it knows the size") {
  Arena arena;
  for (int round = 0; round < 3; ++round) {
    arena.reset();
    for (std::int64_t count : {1, 100000, 17, 300000}) {
      float* memory = arena.allocate(count);
      REQUIRE(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
      memory[0] = memory[count - 1] = 1.0f;
    }
  }
  const auto bytes = arena.bytes();
  arena.reset();
  arena.allocate(400000);
  CHECK(arena.bytes() == bytes);
}
