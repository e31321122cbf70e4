// The baselines on synthetic records, in which a word or the order of two determines the class.
#include "measure/baseline.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

Features features_of(const std::vector<std::string_view>& units, int max_n = 2) { return ngram_features(units, max_n); }

struct Data {
  std::vector<Features> features;
  GoldLabels gold;
};

// Records of ten random words of which one, or with `pairs` only the order of two, determines the class.
Data draw(std::size_t records, int classes, bool pairs, std::uint64_t seed) {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> all;
    all.reserve(300);
    for (int i = 0; i < 300; ++i) all.push_back("w" + std::to_string(i));
    return all;
  }();
  RandomStream random(seed, Purpose::kTest);
  Data data;
  for (std::size_t i = 0; i < records; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes)));
    std::vector<std::string_view> units;
    units.reserve(10);
    for (int k = 0; k < 10; ++k) units.push_back(words[100 + random.below(200)]);
    const std::size_t at = random.below(9);
    units[at] = pairs ? words[label == 0 ? 0 : 1] : words[static_cast<std::size_t>(label)];
    if (pairs) units[at + 1] = words[label == 0 ? 1 : 0];
    data.features.push_back(features_of(units));
    data.gold.push_back({label});
  }
  return data;
}

double accuracy(const std::vector<float>& p, const GoldLabels& gold, int classes) {
  double right = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const auto row = p.begin() + static_cast<std::ptrdiff_t>(i) * classes;
    right += std::max_element(row, row + classes) - row == gold[i][0];
  }
  return right / static_cast<double>(gold.size());
}

}  // namespace

TEST_CASE("the majority baseline gives the class frequencies of training") {
  const auto p = majority_baseline({{1}, {1}, {0}, {2}}, 3, false, 2);
  CHECK(p == std::vector<float>{0.25F, 0.5F, 0.25F, 0.25F, 0.5F, 0.25F});
  CHECK(majority_baseline({{1, 0}, {1}, {}, {}}, 2, true, 1) == std::vector<float>{0.25F, 0.5F});
  CHECK(majority_baseline({}, 2, false, 1) == std::vector<float>{0.5F, 0.5F});
  CHECK(majority_baseline({}, 2, true, 1) == std::vector<float>{0, 0});
  CHECK(majority_baseline({{0}}, 2, false, 0).empty());
}

TEST_CASE("features are the different n-grams, whatever their order") {
  CHECK(features_of({}).empty());
  CHECK(features_of({"a"}).size() == 1);
  CHECK(features_of({"a", "b", "a"}, 1).size() == 2);
  CHECK(features_of({"a", "b", "c"}, 2).size() == 5);
  CHECK(features_of({"a", "b", "c"}, 3).size() == 6);
  CHECK(features_of({"a", "b", "c"}, 9).size() == 6);
  CHECK(features_of({"ab", "c"}) != features_of({"a", "bc"}));
  CHECK(features_of({"a", "b"}, 1) == features_of({"b", "a"}, 1));
  CHECK(features_of({"a", "b"}, 2) != features_of({"b", "a"}, 2));
  const auto sorted = features_of({"the", "quick", "brown", "fox", "好"}, 3);
  CHECK(std::ranges::is_sorted(sorted));
}

TEST_CASE("hashes of short n-grams rarely collide") {
  std::set<std::uint32_t> hashes;
  std::size_t grams = 0;
  for (char32_t c = 0x4E00; c < 0x4E00 + 2000; ++c) {
    const char unit[] = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
                         static_cast<char>(0x80 | (c & 63))};
    for (const std::string_view other : {"一", "的", "了"})
      for (const std::uint32_t hash : ngram_features(std::vector<std::string_view>{{unit, 3}, other}, 2)) {
        hashes.insert(hash & 0xFFFFF);
        ++grams;
      }
  }
  // 2,000 characters and their 6,000 pairs in 2^20 buckets: about 30 collisions are to be expected.
  CHECK(grams >= 17990);
  CHECK(hashes.size() > 7900);
}

TEST_CASE("the baseline learns words and pairs of words") {
  for (const int classes : {2, 7}) {
    const Data train = draw(1500, classes, false, 1), test = draw(300, classes, false, 2);
    const NgramBaseline model(train.features, train.gold, classes, false, word_baseline_options());
    CHECK(accuracy(model.predict(test.features), test.gold, classes) > 0.97);
  }
  const Data train = draw(1500, 2, true, 3), test = draw(300, 2, true, 4);
  const NgramBaseline model(train.features, train.gold, 2, false, word_baseline_options());
  CHECK(accuracy(model.predict(test.features), test.gold, 2) > 0.97);
}

TEST_CASE("several labels are learnt one by one") {
  const Data a = draw(1500, 3, false, 5);
  GoldLabels gold;
  for (const auto& labels : a.gold)
    gold.push_back(labels[0] == 0   ? std::vector<std::int32_t>{}
                   : labels[0] == 1 ? std::vector<std::int32_t>{1}
                                    : std::vector<std::int32_t>{1, 2});
  const NgramBaseline model(a.features, gold, 3, true, word_baseline_options());
  const auto p = model.predict(a.features);
  std::size_t right = 0;
  for (std::size_t i = 0; i < gold.size(); ++i)
    for (std::int32_t c = 0; c < 3; ++c)
      right += (p[3 * i + static_cast<std::size_t>(c)] >= 0.5F) == (std::ranges::count(gold[i], c) > 0);
  CHECK(right > 3 * gold.size() * 97 / 100);
}

TEST_CASE("the same arguments give the same baseline, another seed another one") {
  const Data data = draw(300, 3, false, 6);
  auto options = word_baseline_options();
  const auto first = NgramBaseline(data.features, data.gold, 3, false, options).predict(data.features);
  CHECK(NgramBaseline(data.features, data.gold, 3, false, options).predict(data.features) == first);
  options.seed = 2;
  CHECK(NgramBaseline(data.features, data.gold, 3, false, options).predict(data.features) != first);
}

TEST_CASE("probabilities are valid, also for records without a known word") {
  const Data data = draw(200, 3, false, 7);
  const NgramBaseline model(data.features, data.gold, 3, false, word_baseline_options());
  const auto p = model.predict({features_of({}), features_of({"never", "seen"}), data.features[0]});
  REQUIRE(p.size() == 9);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(p[3 * i] + p[3 * i + 1] + p[3 * i + 2] == Approx(1));
    for (std::size_t c = 0; c < 3; ++c) CHECK((p[3 * i + c] > 0 && p[3 * i + c] < 1));
  }
  CHECK(std::equal(p.begin(), p.begin() + 3, p.begin() + 3));
}

TEST_CASE("little and odd data") {
  const NgramBaseline nothing({}, {}, 2, false, word_baseline_options());
  CHECK(nothing.predict({features_of({"a"})}) == std::vector<float>{0.5F, 0.5F});
  const NgramBaseline empty({{}, {}}, {{1}, {1}}, 2, false, word_baseline_options());
  CHECK(empty.predict({{}})[1] > 0.5F);
  const NgramBaseline single({features_of({"a"})}, {{0}}, 1, false, word_baseline_options());
  CHECK(single.predict({{}}) == std::vector<float>{1});
  CHECK_THROWS_WITH(NgramBaseline({{}}, {}, 2, false, {}), contains_text("gold labels for 1 records, found 0"));
  CHECK_THROWS_WITH(NgramBaseline({{}}, {{2}}, 2, false, {}), contains_text("label id from 0 to 1, found 2"));
  CHECK_THROWS_WITH(NgramBaseline({{}}, {{}}, 2, false, {}), contains_text("one gold label, found 0"));
  CHECK_THROWS_AS(NgramBaseline({}, {}, 0, false, {}), Error);
}

TEST_CASE("many classes share weights instead of filling the memory") {
  const int classes = 40'000;
  const Data data = draw(400, 4, false, 8);
  auto options = word_baseline_options();
  options.epochs = 2;
  const NgramBaseline model(data.features, data.gold, classes, false, options);
  CHECK(model.predict({data.features[0]}).size() == classes);
}
