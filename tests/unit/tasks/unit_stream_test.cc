#include "tasks/generate/unit_stream.h"

#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("a stream of units is the same from memory and from its temporary file") {
  UnitStream small(5), large;
  for (std::int32_t i = 0; i < 23; ++i) {
    small.add(i * i);
    large.add(i * i);
  }
  REQUIRE(small.size() == 23);
  const auto check = [&](const auto& expected) {
    for (std::int64_t first = 0; first <= 23; ++first)
      for (std::int64_t count = 0; first + count <= 23; ++count) {
        std::vector<std::int32_t> a(count), b(count);
        small.read(first, a);
        large.read(first, b);
        REQUIRE(a == b);
        for (std::int64_t i = 0; i < count; ++i) REQUIRE(a[i] == expected(first + i));
      }
  };
  check([](std::int64_t place) { return place * place; });
  small.reverse();
  large.reverse();
  check([](std::int64_t place) { return (22 - place) * (22 - place); });
}
