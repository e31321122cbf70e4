// The CRF compared with pytorch-crf: loss, gradients and best sequences.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "checkpoint/safetensors.h"
#include "nn/crf.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;

namespace {

constexpr float kCrfTolerance = 1e-6f;

double largest_difference(std::span<const float> expected, const float* found) {
  double out = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    out = std::max(out, std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i])));
  return out;
}

}  // namespace

TEST_CASE("the CRF agrees with pytorch-crf, forward and backward") {
  const auto file = SafetensorsFile::read(source_folder() + "/tests/golden/crf.safetensors");
  for (int number = 0; number < 5; ++number) {
    INFO("case " << number);
    const auto tensor = [&](const std::string& name) {
      const TensorView* found = file.find("case" + std::to_string(number) + "." + name);
      REQUIRE(found != nullptr);
      return found;
    };
    const auto integers = [&](const std::string& name) {
      const auto* values = static_cast<const std::int32_t*>(tensor(name)->data);
      return std::vector<std::int32_t>(values, values + tensor(name)->elements());
    };
    const Index K = integers("config")[0];
    const auto lengths = integers("lengths"), gold = integers("gold"), best = integers("best");
    const Packing packing(lengths);
    std::vector<Index> starts(lengths.size() + 1);
    std::partial_sum(lengths.begin(), lengths.end(), starts.begin() + 1);
    // The packing's row of each token in the batch's order.
    std::vector<Index> rows(packing.tokens());
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index t = 0; t < packing.length(b); ++t) rows[starts[packing.original(b)] + t] = packing.row(b, t);
    std::vector<float> scores(packing.tokens() * K), gradient(scores.size());
    std::vector<std::int32_t> packed_gold(packing.tokens());
    for (Index i = 0; i < packing.tokens(); ++i) {
      std::copy_n(tensor("scores")->floats().data() + i * K, K, scores.data() + rows[i] * K);
      packed_gold[rows[i]] = gold[i];
    }

    Crf crf("crf", AllowedTransitions(K));
    crf.visit([&](Parameter& p) {
      std::copy_n(tensor(p.name.substr(4))->floats().data(), p.size(), p.value.data());
      p.clear_gradient();
    });
    ThreadPool pool(2);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining);
    const Activation activation{scores.data(), gradient.data(), packing.tokens(), K};
    const double loss = crf.loss(tape, packing, activation, packed_gold);
    CHECK(std::abs(loss - static_cast<double>(tensor("loss")->floats()[0])) < 1e-5);
    for (Index i = 0; i < packing.tokens(); ++i)
      CHECK(largest_difference(tensor("grad.scores")->floats().subspan(i * K, K), gradient.data() + rows[i] * K) <
            kCrfTolerance);
    crf.visit([&](Parameter& p) {
      INFO(p.name);
      CHECK(largest_difference(tensor("grad." + p.name.substr(4))->floats(), p.gradient.data()) < kCrfTolerance);
    });
    const Chain chain = crf.chain();
    ChainScores sentence;
    for (Index b = 0; b < packing.sequences(); ++b) {
      copy_scores(packing, b, activation, sentence);
      const auto from = best.begin() + starts[packing.original(b)];
      CHECK(chain.best(sentence).tags == std::vector<std::int32_t>(from, from + packing.length(b)));
    }
  }
}
