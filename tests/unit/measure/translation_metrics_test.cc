// Tokens, counts and scores are compared with those of sacrebleu, n-grams of longer sequences with a slow count, and
// resamples with corpora written out.
#include "measure/translation_metrics.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;
using nlohmann::json;

namespace {

json translation_golden() { return json::parse(read_file(source_folder() + "/tests/golden/translation.json")); }

Approx score_of(const json& expected) {
  return Approx(expected.get<double>()).epsilon(0).margin(kTranslationScoreError);
}

std::vector<BleuCounts> bleu_counts(const json& corpus, BleuTokens tokens) {
  std::vector<BleuCounts> sentences;
  for (std::size_t s = 0; s < corpus["hypotheses"].size(); ++s)
    sentences.push_back(
        count_bleu(corpus["hypotheses"][s].get<std::string>(), corpus["references"][s].get<std::string>(), tokens));
  return sentences;
}

std::vector<ChrfCounts> chrf_counts(const json& corpus) {
  std::vector<ChrfCounts> sentences;
  for (std::size_t s = 0; s < corpus["hypotheses"].size(); ++s)
    sentences.push_back(
        count_chrf(corpus["hypotheses"][s].get<std::string>(), corpus["references"][s].get<std::string>()));
  return sentences;
}

template <class Counts>
Counts sum_of(const std::vector<Counts>& sentences) {
  Counts sum;
  for (const Counts& one : sentences) sum += one;
  return sum;
}

// The n-grams of a sequence with their numbers, as a table.
template <class Sequence>
std::map<Sequence, std::int64_t> ngram_table(const Sequence& sequence, std::size_t n) {
  std::map<Sequence, std::int64_t> table;
  for (std::size_t i = 0; i + n <= sequence.size(); ++i)
    ++table[Sequence(sequence.begin() + static_cast<std::ptrdiff_t>(i),
                     sequence.begin() + static_cast<std::ptrdiff_t>(i + n))];
  return table;
}

template <class Sequence>
std::int64_t slow_matches(const Sequence& hypothesis, const Sequence& reference, std::size_t n) {
  const auto in_reference = ngram_table(reference, n);
  std::int64_t matches = 0;
  for (const auto& [ngram, count] : ngram_table(hypothesis, n))
    if (const auto found = in_reference.find(ngram); found != in_reference.end())
      matches += std::min(count, found->second);
  return matches;
}

// Words of one letter of the first `letters`.
std::string random_words(RandomStream& random, std::size_t length, std::uint64_t letters) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text += {static_cast<char>('a' + random.below(letters)), ' '};
  return text;
}

// A corpus that agrees with its references in a part of the words.
std::vector<BleuCounts> draw_bleu(std::size_t sentences, double skill, std::uint64_t seed) {
  RandomStream random(seed, Purpose::kTest), truth(99, Purpose::kTest);
  std::vector<BleuCounts> corpus;
  for (std::size_t s = 0; s < sentences; ++s) {
    const std::string reference = random_words(truth, 5 + truth.below(20), 26);
    std::string hypothesis = reference;
    for (std::size_t i = 0; i < hypothesis.size(); i += 2)
      if (random.uniform() > skill) hypothesis[i] = '0';
    corpus.push_back(count_bleu(hypothesis, reference, BleuTokens::kNone));
  }
  return corpus;
}

// The difference of BLEU on the k-th resample, written out.
double resampled_difference(const std::vector<BleuCounts>& a, const std::vector<BleuCounts>& b, std::uint64_t k) {
  RandomStream random(1, Purpose::kBootstrap, k);
  std::vector<BleuCounts> first, second;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto from = random.below(a.size());
    first.push_back(a[from]);
    second.push_back(b[from]);
  }
  return bleu(sum_of(first)) - bleu(sum_of(second));
}

}  // namespace

TEST_CASE("translations: tokens are those of sacrebleu") {
  const json golden = translation_golden();
  REQUIRE(golden["lines"].size() > 40);
  for (const json& expected : golden["lines"])
    for (const char* name : {"13a", "none", "char", "zh"}) {
      INFO(name << ": " << expected["line"]);
      const auto tokens = bleu_tokens(expected["line"].get<std::string>(), *bleu_tokens_from_name(name));
      CHECK(tokens == expected[name].get<std::vector<std::string>>());
    }
}

TEST_CASE("translations: counts and scores of BLEU are those of sacrebleu") {
  const json golden = translation_golden();
  REQUIRE(golden["corpora"].size() == 17);
  for (const json& corpus : golden["corpora"]) {
    REQUIRE(corpus["bleu"].size() == 4);
    for (const json& expected : corpus["bleu"]) {
      INFO(corpus["name"] << ", tokens " << expected["tokens"]);
      const BleuTokens tokens = *bleu_tokens_from_name(expected["tokens"].get<std::string>());
      const auto sentences = bleu_counts(corpus, tokens);
      const BleuCounts sum = sum_of(sentences);
      CHECK(json(sum.correct) == expected["correct"]);
      CHECK(json(sum.total) == expected["total"]);
      CHECK(json{sum.hypothesis_length, sum.reference_length} == expected["lengths"]);
      CHECK(bleu(sum) == score_of(expected["score"]));
      CHECK(brevity_penalty(sum) == score_of(expected["brevity_penalty"]));
      for (std::size_t n = 0; n < kBleuOrders; ++n)
        CHECK(bleu_precisions(sum)[n] == score_of(expected["precisions"][n]));
      REQUIRE(sentences.size() == expected["sentences"].size());
      for (std::size_t s = 0; s < sentences.size(); ++s)
        CHECK(sentence_bleu(sentences[s]) == score_of(expected["sentences"][s]));
      CHECK(bleu_signature(tokens) == expected["signature"].get<std::string>());
    }
  }
}

TEST_CASE("translations: counts and scores of chrF are those of sacrebleu") {
  const json golden = translation_golden();
  REQUIRE(golden["corpora"].size() == 17);
  for (const json& corpus : golden["corpora"]) {
    INFO(corpus["name"]);
    const json& expected = corpus["chrf"];
    const auto sentences = chrf_counts(corpus);
    const ChrfCounts sum = sum_of(sentences);
    CHECK(json(sum.hypothesis) == expected["hypothesis"]);
    CHECK(json(sum.reference) == expected["reference"]);
    CHECK(json(sum.matched) == expected["matched"]);
    CHECK(chrf(sum) == score_of(expected["score"]));
    REQUIRE(sentences.size() == expected["sentences"].size());
    for (std::size_t s = 0; s < sentences.size(); ++s) CHECK(chrf(sentences[s]) == score_of(expected["sentences"][s]));
    CHECK(chrf_signature() == expected["signature"].get<std::string>());
  }
}

TEST_CASE("translations: matches are those of tables of n-grams, at any length and alphabet") {
  RandomStream random(1, Purpose::kTest);
  for (const std::size_t length : {0, 1, 3, 5, 7, 16, 17, 200, 3000})
    for (const std::uint64_t letters : {1, 2, 5, 26}) {
      INFO(length << " words of " << letters);
      const std::string reference = random_words(random, length, letters);
      const std::string hypothesis = random_words(random, length == 0 ? 4 : random.below(2 * length), letters);
      const BleuCounts words = count_bleu(hypothesis, reference, BleuTokens::kNone);
      const ChrfCounts characters = count_chrf(hypothesis, reference);
      const auto a = bleu_tokens(hypothesis, BleuTokens::kNone), b = bleu_tokens(reference, BleuTokens::kNone);
      CHECK(words.reference_length == static_cast<std::int64_t>(length));
      for (std::size_t n = 1; n <= kBleuOrders; ++n) CHECK(words.correct[n - 1] == slow_matches(a, b, n));
      for (std::size_t n = 1; n <= kChrfOrders; ++n) CHECK(characters.matched[n - 1] == slow_matches(a, b, n));
    }
}

TEST_CASE("translations: names of tokens") {
  CHECK(name_of(BleuTokens::k13a) == "13a");
  CHECK(bleu_tokens_from_name("zh") == BleuTokens::kZh);
  CHECK(bleu_tokens_from_name("char") == BleuTokens::kChar);
  CHECK(bleu_tokens_from_name("none") == BleuTokens::kNone);
  CHECK_FALSE(bleu_tokens_from_name("intl"));
}

TEST_CASE("translations: a line of a megabyte is counted, whatever it repeats") {
  RandomStream random(2, Purpose::kTest);
  const std::string words = random_words(random, 1u << 19, 3);
  std::string points, entities;
  while (points.size() < 1u << 20) points += ".,";
  while (entities.size() < 1u << 20) entities += "&amp;<skipped>-\n ";
  for (const std::string& line : {points, words, entities})
    for (const auto tokens : {BleuTokens::k13a, BleuTokens::kNone, BleuTokens::kChar, BleuTokens::kZh}) {
      const BleuCounts same = count_bleu(line, line, tokens);
      CHECK(same.correct == same.total);
      CHECK(same.hypothesis_length == same.total[0]);
      CHECK(same.total[0] > (tokens == BleuTokens::kNone ? 0 : 1 << 15));
    }
  const ChrfCounts same = count_chrf(words, words);
  CHECK(same.matched == same.hypothesis);
  CHECK(same.matched[5] == (1 << 19) - 5);
  CHECK(count_chrf("b", points).matched[0] == 0);
}

TEST_CASE("translations: the interval of a corpus is that of its sentences drawn again") {
  const auto corpus = draw_bleu(60, 0.7, 3);
  const std::vector<BleuCounts> nothing(60);
  const Interval one = bootstrap_corpus(corpus, {1});
  CHECK(one.value == bleu(sum_of(corpus)));
  CHECK(one.low == Approx(resampled_difference(corpus, nothing, 0)).epsilon(1e-12));
  CHECK(one.high == one.low);
  const Interval many = bootstrap_corpus(corpus);
  CHECK(many.low < many.value - 1);
  CHECK(many.high > many.value + 1);
  CHECK(bootstrap_corpus(corpus).low == many.low);
  CHECK(bootstrap_corpus(corpus, {1000, 2}).low != many.low);
  const auto characters = chrf_counts(translation_golden()["corpora"][0]);
  const Interval f_score = bootstrap_corpus(characters);
  CHECK(f_score.value == chrf(sum_of(characters)));
  CHECK(f_score.low < f_score.value - 1);
  CHECK(f_score.high > f_score.value + 1);
  CHECK(bootstrap_corpus(std::vector<BleuCounts>()).high == 0);
}

TEST_CASE("translations: two systems are distinguished if they differ, and not otherwise") {
  const auto good = draw_bleu(200, 0.8, 4), bad = draw_bleu(200, 0.6, 5), like = draw_bleu(200, 0.8, 9);
  const Comparison apart = compare_corpora(good, bad);
  CHECK(apart.metric == "bleu");
  CHECK(apart.test == "paired bootstrap test");
  CHECK(apart.first == bleu(sum_of(good)));
  CHECK(apart.difference.value == apart.first - bleu(sum_of(bad)));
  CHECK(apart.difference.low > 0);
  CHECK(apart.p_value == 1.0 / 1001);
  const Comparison alike = compare_corpora(good, like);
  CHECK(alike.p_value > 0.05);
  CHECK(alike.difference.low * alike.difference.high < 0);
  CHECK(compare_corpora(good, good).p_value == 1);
  CHECK_THROWS_WITH(compare_corpora(good, draw_bleu(199, 0.8, 4)), contains_text("found 200 and 199 of them"));
  const auto characters = chrf_counts(translation_golden()["corpora"][0]);
  CHECK(compare_corpora(characters, std::vector<ChrfCounts>(characters.size())).p_value < 0.05);
  CHECK(compare_corpora(characters, characters).metric == "chrf");
}

TEST_CASE("translations: the p-value counts resamples by their distance from the mean of all") {
  const auto a = draw_bleu(40, 0.75, 7), b = draw_bleu(40, 0.7, 8);
  std::vector<double> differences;
  double mean = 0;
  for (std::uint64_t k = 0; k < 300; ++k) {
    differences.push_back(resampled_difference(a, b, k));
    mean += differences.back() / 300;
  }
  const double observed = std::abs(bleu(sum_of(a)) - bleu(sum_of(b)));
  int beyond = 0, around_observed = 0;
  for (const double each : differences) {
    beyond += std::abs(each - mean) >= observed;
    around_observed += std::abs(each - (bleu(sum_of(a)) - bleu(sum_of(b)))) >= observed;
  }
  REQUIRE(beyond > 10);
  REQUIRE(beyond < 290);
  REQUIRE(beyond != around_observed);
  CHECK(compare_corpora(a, b, {300}).p_value == Approx((beyond + 1) / 301.0).epsilon(1e-12));
}
