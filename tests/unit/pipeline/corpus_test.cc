#include "pipeline/corpus.h"

#include "tests/catch.h"
#include "text/vocabulary.h"

using namespace mnemo;

TEST_CASE("unknown units replace each subword of a unit, and no n-gram") {
  Vocabulary vocabulary;
  for (const char* piece : {"a", "b", "c"}) vocabulary.add(piece);
  EncodedText text;
  text.starts = {0, 3, 5};  // a unit of two subwords with one n-gram, a unit of one with one
  text.rows = {1, 2, 9, 3, 7};
  text.weights = {0.5f, 0.5f, 1, 1, 1};
  Corpus corpus;
  corpus.add(text);
  const std::vector<std::int64_t> all{0};
  using Rows = std::vector<std::int32_t>;
  CHECK(corpus.batch(all, {.rate = 1, .vocabulary = &vocabulary}).bags.rows == Rows{0, 0, 9, 0, 7});
  CHECK(corpus.batch(all, {.rate = 0, .vocabulary = &vocabulary}).bags.rows == text.rows);
  // Without a vocabulary a unit's first row is its own.
  CHECK(corpus.batch(all, {.rate = 1}).bags.rows == Rows{0, 2, 9, 0, 7});
}
