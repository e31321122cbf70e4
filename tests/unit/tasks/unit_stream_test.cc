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
  for (std::int64_t first = 0; first <= 23; ++first)
    for (std::int64_t count = 0; first + count <= 23; ++count) {
      std::vector<std::int32_t> a(count), b(count);
      small.read(first, a);
      large.read(first, b);
      REQUIRE(a == b);
      for (std::int64_t i = 0; i < count; ++i) REQUIRE(a[i] == (first + i) * (first + i));
    }
  small.reverse();
  large.reverse();
  for (std::int64_t first = 0; first <= 23; ++first)
    for (std::int64_t count = 0; first + count <= 23; ++count) {
      std::vector<std::int32_t> a(count), b(count);
      small.read(first, a);
      large.read(first, b);
      REQUIRE(a == b);
      for (std::int64_t i = 0; i < count; ++i) REQUIRE(a[i] == (22 - first - i) * (22 - first - i));
    }
}
