// Chains of tags compared with the enumeration of all sequences, on every instruction set. Problems are small enough to
// enumerate; forbidden transitions and weights of very different size are among them.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "kernels/chain.h"
#include "kernels/targets.h"
#include "nn/chain.h"
#include "tests/catch.h"
#include "tests/reference/chain.h"
#include "tests/reference/every_target.h"

using namespace mnemo;
using reference::ChainWeights;
using reference::for_all_sequences;

namespace {

struct Problem {
  ChainWeights weights;
  std::vector<std::vector<float>> scores;  // [T][K]
  ChainScores sentence;

  Chain chain() const { return {weights.allowed, weights.begin.data(), weights.next.data(), weights.end.data()}; }
};

// Random weights of the given size; one transition in five is forbidden, but none of tag 0.
Problem random_problem(Index tags, Index length, double scale, bool some_forbidden, std::uint64_t stream) {
  RandomStream random(21, Purpose::kTest, stream);
  const auto values = [&](Index count) {
    std::vector<float> out(count);
    for (float& v : out) v = static_cast<float>(scale * random.normal());
    return out;
  };
  Problem p{{AllowedTransitions(tags), values(tags), values(tags * tags), values(tags)}, {}, {}};
  for (Index i = 0; i < tags && some_forbidden; ++i) {
    if (i > 0 && random.below(5) == 0) p.weights.allowed.begin[i] = 0;
    if (i > 0 && random.below(5) == 0) p.weights.allowed.end[i] = 0;
    for (Index j = 0; j < tags; ++j)
      if (i > 0 && j > 0 && random.below(5) == 0) p.weights.allowed.next[i * tags + j] = 0;
  }
  p.sentence.resize(length, tags);
  for (Index t = 0; t < length; ++t) {
    p.scores.push_back(values(tags));
    p.sentence.set_row(t, p.scores.back().data());
  }
  return p;
}

// The results of the enumeration.
struct Truth {
  double log_sum = 0;
  std::vector<double> marginals, transitions;  // [T, K], [K, K]
  std::vector<TagPath> paths;                  // best first
};

Truth enumerate(const Problem& p) {
  const Index T = p.sentence.length(), K = p.weights.allowed.tags;
  Truth out{0, std::vector<double>(T * K), std::vector<double>(K * K), {}};
  for_all_sequences(K, T, [&](const auto& y) {
    const double score = p.weights.score(p.scores, y);
    if (score != -INFINITY) out.paths.push_back({y, score});
  });
  std::stable_sort(out.paths.begin(), out.paths.end(), [](auto& a, auto& b) { return a.score > b.score; });
  double sum = 0;
  for (const TagPath& path : out.paths) sum += std::exp(path.score - out.paths.front().score);
  out.log_sum = out.paths.front().score + std::log(sum);
  for (const TagPath& path : out.paths) {
    const double probability = std::exp(path.score - out.log_sum);
    for (Index t = 0; t < T; ++t) {
      out.marginals[t * K + path.tags[t]] += probability;
      if (t > 0) out.transitions[path.tags[t - 1] * K + path.tags[t]] += probability;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("sums, marginals, expected transitions and best paths of a chain equal the enumeration's") {
  on_every_target([] {
    for (const auto& [tags, length] : std::vector<std::pair<Index, Index>>{
             {1, 1}, {1, 4}, {2, 1}, {2, 9}, {3, 6}, {5, 4}, {8, 3}, {9, 3}, {17, 2}, {33, 2}})
      for (const double scale : {0.1, 2.0, 400.0})
        for (const bool some_forbidden : {false, true}) {
          INFO(tags << " tags, " << length << " tokens, scale " << scale << ", forbidden " << some_forbidden);
          const Problem p = random_problem(tags, length, scale, some_forbidden, tags * 100 + length);
          const Truth truth = enumerate(p);
          const Chain chain = p.chain();
          ChainSums sums;
          chain.sum(p.sentence, sums);
          CHECK(std::abs(sums.log_sum - truth.log_sum) <=
                kernels::kChainError * std::max(1.0, std::abs(truth.log_sum)));
          const double tolerance = 1e-13 * std::max(100.0, std::abs(truth.log_sum));
          std::vector<double> marginal(tags);
          double worst = 0;
          for (Index t = 0; t < length; ++t) {
            chain.marginals(sums, t, marginal.data());
            for (Index k = 0; k < tags; ++k)
              worst = std::max(worst, std::abs(marginal[k] - truth.marginals[t * tags + k]));
            CHECK(std::abs(std::accumulate(marginal.begin(), marginal.end(), 0.0) - 1.0) < 1e-12);
          }
          CHECK(worst < tolerance);
          const Index stride = kernels::chain_stride(tags);
          std::vector<double> transitions(tags * stride);
          chain.add_expected_transitions(p.sentence, sums, transitions.data());
          worst = 0;
          for (Index i = 0; i < tags; ++i)
            for (Index j = 0; j < tags; ++j)
              worst = std::max(worst, std::abs(transitions[i * stride + j] - truth.transitions[i * tags + j]));
          CHECK(worst < tolerance);
          CHECK(chain.best(p.sentence).tags == truth.paths.front().tags);
          const Index count = std::min<Index>(40, std::ssize(truth.paths));
          const auto paths = chain.best(p.sentence, count);
          REQUIRE(std::ssize(paths) == count);
          bool same = true;
          for (Index n = 0; n < count; ++n) same = same && paths[n].tags == truth.paths[n].tags;
          CHECK(same);
          for (Index n = 0; n < count; ++n)
            CHECK(std::abs(paths[n].score - chain.score(p.sentence, paths[n].tags)) <=
                  1e-12 * std::max(1.0, std::abs(paths[n].score)));
        }
  });
}

TEST_CASE("all paths are returned if more are asked for than there are") {
  const Problem p = random_problem(3, 4, 1.0, true, 5);
  const Truth truth = enumerate(p);
  const auto paths = p.chain().best(p.sentence, 1000);
  REQUIRE(paths.size() == truth.paths.size());
  for (std::size_t n = 0; n < paths.size(); ++n) CHECK(paths[n].tags == truth.paths[n].tags);
}

TEST_CASE("a run of tags has the probability that the enumeration gives") {
  const Problem p = random_problem(4, 6, 1.5, true, 9);
  const Truth truth = enumerate(p);
  const Chain chain = p.chain();
  ChainSums sums;
  chain.sum(p.sentence, sums);
  int compared = 0;
  for (Index first = 0; first < 6; ++first)
    for (Index count = 1; first + count <= 6; ++count)
      for (std::int32_t barred = -1; barred < 4; ++barred) {
        std::map<std::vector<std::int32_t>, double> found;
        for (const TagPath& path : truth.paths) {
          const bool ends = first + count == 6 || path.tags[first + count] != barred;
          const auto begin = path.tags.begin() + first;
          if (ends) found[{begin, begin + count}] += std::exp(path.score - truth.log_sum);
        }
        for (const auto& [tags, probability] : found) {
          CHECK(std::abs(chain.probability(p.sentence, sums, first, tags, barred) - probability) < 1e-12);
          ++compared;
        }
      }
  CHECK(compared > 1000);
}

TEST_CASE("a long sentence's marginals sum to one, and forbidden tags and transitions have probability zero") {
  const Index T = 100000, K = 5;
  Problem p = random_problem(K, T, 3.0, false, 4);
  p.weights.allowed.next[1 * K + 2] = 0;
  p.weights.allowed.begin[3] = 0;
  const Chain chain = p.chain();
  ChainSums sums;
  chain.sum(p.sentence, sums);
  std::vector<double> marginal(K);
  double worst = 0;
  for (Index t = 0; t < T; ++t) {
    chain.marginals(sums, t, marginal.data());
    worst = std::max(worst, std::abs(std::accumulate(marginal.begin(), marginal.end(), 0.0) - 1.0));
  }
  CHECK(worst < 1e-12);
  chain.marginals(sums, 0, marginal.data());
  CHECK(marginal[3] == 0.0);
  std::vector<double> transitions(K * kernels::chain_stride(K));
  chain.add_expected_transitions(p.sentence, sums, transitions.data());
  CHECK(transitions[1 * kernels::chain_stride(K) + 2] == 0.0);
  double total = 0;
  for (Index i = 0; i < K; ++i)
    for (Index j = 0; j < K; ++j) total += transitions[i * kernels::chain_stride(K) + j];
  CHECK(std::abs(total - static_cast<double>(T - 1)) < 1e-7 * static_cast<double>(T));
  const TagPath path = chain.best(p.sentence);
  for (Index t = 1; t < T; ++t) REQUIRE_FALSE((path.tags[t - 1] == 1 && path.tags[t] == 2));
}

TEST_CASE("sums that leave the range of factors are found exactly") {
  // The best beginning must not be followed by the only tag that may end: the relevant terms are a thousand nats
  // smaller.
  AllowedTransitions allowed(3);
  allowed.next = {1, 1, 0, 1, 1, 1, 0, 0, 1};
  allowed.end = {0, 0, 1};
  const std::vector<float> none(3), next{0, -900, 0, 0, 0, -800, 0, 0, 0};
  Problem p{{allowed, none, next, none}, {{1500, 0, -700}, {0, 0, 0}, {900, 0, 0}}, {}};
  p.sentence.resize(3, 3);
  for (Index t = 0; t < 3; ++t) p.sentence.set_row(t, p.scores[t].data());
  const Truth truth = enumerate(p);
  on_every_target([&] {
    const Chain chain = p.chain();
    ChainSums sums;
    chain.sum(p.sentence, sums);
    CHECK(sums.log_sum == Approx(truth.log_sum).epsilon(1e-14));
    std::vector<double> transitions(3 * kernels::chain_stride(3));
    chain.add_expected_transitions(p.sentence, sums, transitions.data());
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 3; ++j)
        CHECK(std::abs(transitions[i * kernels::chain_stride(3) + j] - truth.transitions[i * 3 + j]) < 1e-10);
  });
}

TEST_CASE("it is an error if no sequence is allowed") {
  AllowedTransitions allowed(2);
  allowed.next = {0, 0, 0, 0};
  const Chain chain(allowed, nullptr, nullptr, nullptr);
  ChainScores sentence;
  sentence.resize(2, 2);
  const float zeros[2] = {};
  for (Index t = 0; t < 2; ++t) sentence.set_row(t, zeros);
  ChainSums sums;
  CHECK_THROWS_AS(chain.sum(sentence, sums), Error);
  CHECK_THROWS_AS(chain.best(sentence), Error);
}

TEST_CASE("the mean of chains gives each sequence the mean of its scores") {
  constexpr Index kTags = 5, kLength = 3;
  Problem a = random_problem(kTags, kLength, 3.0, true, 40), b = random_problem(kTags, kLength, 0.5, false, 41),
          c = random_problem(kTags, kLength, 1.0, false, 42);
  b.weights.allowed = c.weights.allowed = a.weights.allowed;
  const std::vector<Chain> chains{a.chain(), b.chain(), c.chain()};
  const Chain mean = Chain::mean_of(chains);
  ChainScores scores = a.sentence;
  scores.add(b.sentence);
  scores.add(c.sentence);
  scores.divide(3);
  std::vector<double> all;
  for (const TagPath& path : mean.best(scores, 1000)) {
    const double expected = (chains[0].score(a.sentence, path.tags) + chains[1].score(b.sentence, path.tags) +
                             chains[2].score(c.sentence, path.tags)) /
                            3;
    CHECK(path.score == Approx(expected));
    CHECK(mean.score(scores, path.tags) == Approx(expected));
    all.push_back(std::exp(expected));
  }
  CHECK(all.size() == chains[0].best(a.sentence, 1000).size());
  ChainSums sums;
  mean.sum(scores, sums);
  CHECK(sums.log_sum == Approx(std::log(std::accumulate(all.begin(), all.end(), 0.0))));
}
