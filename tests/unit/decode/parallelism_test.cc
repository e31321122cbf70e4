#include "decode/parallelism.h"

#include <algorithm>
#include <cmath>

#include "tests/catch.h"

using namespace mnemo;

TEST_CASE("couplets are as parallel as the centred vectors of their characters") {
  // The counted rows 1 to 4 have the mean (1, 1); row 0 is far off and not counted.
  Parameter table("t", {5, 2});
  const std::vector<float> values{100, 100, 2, 1, 0, 1, 1, 3, 1, -1};
  std::copy(values.begin(), values.end(), table.value.data());
  const CentredVectors vectors(table, {false, true, true, true, true});
  CHECK(vectors.cosine(1, 1) == Approx(1));
  CHECK(vectors.cosine(1, 2) == Approx(-1));
  CHECK(vectors.cosine(1, 3) == Approx(0).margin(1e-6));
  CHECK(vectors.cosine(3, 4) == Approx(-1));
  CHECK(vectors.cosine(0, 1) == Approx(std::sqrt(0.5)));
  const std::vector<std::int32_t> first{1, 3, 2}, second{2, 3, 1};
  // The same character in both lines counts as 0.
  CHECK(parallelism(vectors, first, second) == Approx(-2.0 / 3));
  CHECK(parallelism(vectors, {}, {}) == 0);
}

TEST_CASE("only the middle couplets of eight lines of regulated verse are to be parallel") {
  CHECK(parallel_couplets(*form_from_name("七律", ToneRule::kStrict)) == std::vector<std::size_t>{2, 4});
  CHECK(parallel_couplets(*form_from_name("五律", ToneRule::kOff)) == std::vector<std::size_t>{2, 4});
  CHECK(parallel_couplets(*form_from_name("七绝", ToneRule::kStrict)).empty());
  // 西江月 has eight lines too.
  CHECK(form_from_name("西江月", ToneRule::kStrict)->lines.size() == 8);
  CHECK(parallel_couplets(*form_from_name("西江月", ToneRule::kStrict)).empty());
}
