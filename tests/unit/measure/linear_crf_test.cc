#include "measure/linear_crf.h"

#include <set>

#include "base/random.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

std::vector<std::uint64_t> features_at(const std::vector<std::string>& tokens, std::size_t token) {
  return crf_features(tokens)[token];
}

bool share(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b, std::size_t least) {
  const std::set<std::uint64_t> first(a.begin(), a.end());
  std::size_t count = 0;
  for (const std::uint64_t f : b) count += first.count(f);
  return count >= least;
}

// A sentence of 0 and 1 in which a tag is whether the previous token was a 1: it depends on neighbours, not on words
// alone.
LinearCrf::Sentence shifted(RandomStream& random) {
  std::vector<std::string> tokens;
  LinearCrf::Sentence out;
  for (int t = 0; t < 6; ++t) {
    out.tags.push_back(t > 0 && tokens.back() == "b" ? 1 : 0);
    tokens.emplace_back(random.below(2) == 0 ? "a" : "b");
  }
  out.features = crf_features(tokens);
  return out;
}

}  // namespace

TEST_CASE("a token's features are its word, shape, affixes and neighbours") {
  // 1 + 5 words or edges + shapes + 8 affixes + 2 pairs.
  CHECK(features_at({"a", "b", "Städte", "d", "e"}, 2).size() == 1 + 5 + 5 + 8 + 2);
  CHECK(features_at({"ab"}, 0).size() == 1 + 4 + 2 + 4);
  CHECK(crf_features({}).empty());
  // Forms of a word share the lower-cased word, but not the shape.
  CHECK(share(features_at({"Ab"}, 0), features_at({"ab"}, 0), 6));
  CHECK_FALSE(features_at({"Ab"}, 0) == features_at({"ab"}, 0));
  // Affixes are of characters, not of bytes: Chinese words that share a character share prefixes, not suffixes.
  CHECK(share(features_at({"北京"}, 0), features_at({"北海"}, 0), 6));
  CHECK_FALSE(share(features_at({"北京"}, 0), features_at({"南海"}, 0), 6));
}

TEST_CASE("a linear CRF learns what its features determine, and the same model from the same data") {
  RandomStream random(1, Purpose::kTest);
  std::vector<LinearCrf::Sentence> train;
  for (int i = 0; i < 60; ++i) train.push_back(shifted(random));
  train.push_back({});
  const LinearCrf crf(train, AllowedTransitions(2), {}), again(train, AllowedTransitions(2), {});
  for (int i = 0; i < 20; ++i) {
    const auto sentence = shifted(random);
    CHECK(crf.predict(sentence.features) == sentence.tags);
    CHECK(again.predict(sentence.features) == sentence.tags);
  }
  CHECK(crf.predict({}).empty());
}

TEST_CASE("a linear CRF predicts no forbidden transition, whatever its features say") {
  RandomStream random(2, Purpose::kTest);
  std::vector<LinearCrf::Sentence> train;
  // Tag 1 occurs at most once per sentence in training, and must not follow itself.
  AllowedTransitions allowed(2);
  allowed.next[1 * 2 + 1] = 0;
  for (int i = 0; i < 40; ++i) train.push_back({crf_features(std::vector<std::string>{"b", "a", "b"}), {1, 0, 1}});
  const LinearCrf crf(train, allowed, {});
  const auto tags = crf.predict(crf_features(std::vector<std::string>{"b", "b", "b", "b"}));
  for (std::size_t t = 1; t < tags.size(); ++t) CHECK_FALSE((tags[t - 1] == 1 && tags[t] == 1));
  CHECK(std::count(tags.begin(), tags.end(), 1) > 0);
}
