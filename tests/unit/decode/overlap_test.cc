#include "decode/overlap.h"

#include <algorithm>
#include <set>

#include "base/random.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

using Text = std::vector<std::int32_t>;

bool stands_in(const Text& corpus, Text::const_iterator begin, Text::const_iterator end) {
  return std::search(corpus.begin(), corpus.end(), begin, end) != corpus.end();
}

// Brute force: tries every run.
Overlap slow_overlap(const Text& text, const Text& corpus) {
  Overlap out;
  for (auto a = text.begin(); a != text.end(); ++a)
    for (auto b = a + 1; b <= text.end(); ++b)
      if (b - a > out.longest && stands_in(corpus, a, b)) out.longest = b - a;
  for (std::size_t n = 0; n < Overlap::kLengths.size(); ++n)
    for (std::int64_t at = 0; at + Overlap::kLengths[n] <= std::ssize(text); ++at) {
      ++out.ngrams[n];
      out.known[n] += stands_in(corpus, text.begin() + at, text.begin() + at + Overlap::kLengths[n]) ? 1 : 0;
    }
  return out;
}

}  // namespace

TEST_CASE("the overlap of texts with a corpus is what trying every run finds") {
  RandomStream random(1, Purpose::kTest);
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t units = 2 + random.below(4);
    const auto text = [&](std::uint64_t length) {
      Text out(length);
      for (auto& unit : out) unit = static_cast<std::int32_t>(random.below(units));
      return out;
    };
    const std::vector<Text> texts{text(random.below(25)), text(random.below(25)), text(12)};
    const Text corpus = text(40 + random.below(60));
    OverlapFinder finder(texts);
    for (const std::int32_t unit : corpus) finder.read(unit);
    const auto found = finder.find();
    REQUIRE(found.size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Overlap slow = slow_overlap(texts[i], corpus);
      CHECK(found[i].longest == slow.longest);
      CHECK(found[i].ngrams == slow.ngrams);
      CHECK(found[i].known == slow.known);
      const auto begin = texts[i].begin() + found[i].begin;
      CHECK(stands_in(corpus, begin, begin + found[i].longest));
    }
  }
}

TEST_CASE("a run does not extend over the end of a text of the corpus") {
  OverlapFinder finder({{1, 2, 3, 4}});
  for (const std::int32_t unit : {1, 2}) finder.read(unit);
  finder.end_text();
  for (const std::int32_t unit : {3, 4}) finder.read(unit);
  CHECK(finder.find()[0].longest == 2);
}
