// The softmax whose loss sums over a sample of the classes.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "nn/class_sampler.h"
#include "nn/softmax_output.h"
#include "tests/catch.h"
#include "tests/reference/numerical_gradient.h"

using namespace mnemo;

namespace {

constexpr std::uint64_t kSampleSeed = 3, kSampleStep = 5;

std::vector<float> sampled_values(Index count, std::uint64_t stream, float scale = 1.0f) {
  RandomStream random(13, Purpose::kTest, stream);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& value : out) value = scale * static_cast<float>(random.normal());
  return out;
}

struct SampledBench {
  Index rows, in, classes;
  std::vector<std::int32_t> targets;
  std::vector<float> x, dx;
  Parameter table;
  SoftmaxOutput layer;

  SampledBench(Index its_rows, Index its_in, Index its_classes, Index expected, bool tied, float scale = 1.0f)
      : rows(its_rows),
        in(its_in),
        classes(its_classes),
        x(sampled_values(its_rows * its_in, 1, scale)),
        dx(x.size()),
        table("table.weight", {its_classes, its_in}),
        layer("output", its_in, its_classes, tied ? &table : nullptr) {
    for (Index r = 0; r < rows; ++r) targets.push_back(static_cast<std::int32_t>((r * 7 + r / 3) % classes));
    layer.initialise(Initialiser::kUniform, 1);
    std::ranges::copy(sampled_values(classes * in, 2), layer.weight().value.data());
    std::ranges::copy(sampled_values(classes, 3), layer.bias.value.data());
    layer.sample_classes(expected);
  }

  double loss(int threads = 2) {
    ThreadPool pool(threads);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining, kSampleSeed, kSampleStep);
    return layer.loss(tape, {x.data(), dx.data(), rows, in}, targets, 0.5);
  }

  void clear() {
    std::ranges::fill(dx, 0.0f);
    layer.bias.clear_gradient();
    layer.weight().clear_gradient();
  }

  double score(Index r, std::int32_t v) {
    double out = static_cast<double>(layer.bias.value[v]);
    for (Index i = 0; i < in; ++i)
      out += static_cast<double>(x[static_cast<std::size_t>(r * in + i)]) *
             static_cast<double>(layer.weight().value[v * in + i]);
    return out;
  }

  // The definition, in double precision.
  double expected_loss(Index expected) {
    const ClassSampler sampler(classes, expected);
    const std::vector<std::int32_t> sample = sampler.draw(kSampleSeed, kSampleStep);
    double out = 0;
    for (Index r = 0; r < rows; ++r) {
      const std::int32_t target = targets[static_cast<std::size_t>(r)];
      const double own = score(r, target);
      double sum = 1;
      for (const std::int32_t v : sample)
        if (v != target) sum += std::exp(score(r, v) - own) / sampler.probability(v);
      out += std::log(sum);
    }
    return out / static_cast<double>(rows);
  }

  std::vector<float> all_gradients() {
    std::vector<float> out = dx;
    out.insert(out.end(), layer.bias.gradient.data(), layer.bias.gradient.data() + classes);
    out.insert(out.end(), layer.weight().gradient.data(), layer.weight().gradient.data() + classes * in);
    return out;
  }
};

}  // namespace

TEST_CASE("class sampler: each class is in a sample with its probability, so that weighted sums have the right mean") {
  constexpr Index kClasses = 200, kExpected = 30;
  constexpr int kSamples = 4000;
  const ClassSampler sampler(kClasses, kExpected);
  double expected = 0, whole = 0, size = 0, sum = 0;
  std::vector<int> counts(kClasses, 0);
  const auto value = [](std::int32_t v) { return 1.0 + static_cast<double>(v % 7); };
  for (std::int32_t v = 0; v < kClasses; ++v) {
    expected += sampler.probability(v);
    whole += value(v);
    CHECK(sampler.probability(v) > 0.0);
    if (v > 0) CHECK(sampler.probability(v) < sampler.probability(v - 1));
  }
  CHECK(expected == Approx(kExpected).epsilon(1e-6));
  for (std::uint64_t step = 0; step < kSamples; ++step) {
    const std::vector<std::int32_t> sample = sampler.draw(1, step);
    CHECK(std::ranges::is_sorted(sample));
    size += static_cast<double>(sample.size());
    for (const std::int32_t v : sample) {
      ++counts[static_cast<std::size_t>(v)];
      sum += value(v) / sampler.probability(v);
    }
  }
  CHECK(size / kSamples == Approx(kExpected).epsilon(0.01));
  CHECK(sum / kSamples == Approx(whole).epsilon(0.02));
  for (const std::int32_t v : {0, 1, 10, 199}) {
    const double p = sampler.probability(v);
    CHECK(std::abs(counts[static_cast<std::size_t>(v)] - kSamples * p) < 4.0 * std::sqrt(kSamples * p * (1.0 - p)) + 1);
  }
  CHECK(sampler.draw(1, 2) == sampler.draw(1, 2));
  CHECK(sampler.draw(1, 2) != sampler.draw(1, 3));
  CHECK(sampler.draw(1, 2) != sampler.draw(2, 2));
}

TEST_CASE("sampled softmax: the loss as defined, and gradients of input, weights and bias, own and tied") {
  for (const bool tied : {false, true})
    for (const Index expected : {1, 4, 10}) {
      INFO("tied " << tied << ", " << expected << " classes");
      SampledBench bench(9, 5, 17, expected, tied);
      CHECK(bench.loss() == Approx(bench.expected_loss(expected)).epsilon(1e-6));
      bench.clear();
      bench.loss();
      const std::vector<float> found = bench.all_gradients();
      // The gradients are of half the loss.
      const auto error = [&](float* values, std::size_t from, Index count) {
        return reference::gradient_error(values, found.data() + from, count, [&] { return 0.5 * bench.loss(1); });
      };
      CHECK(error(bench.x.data(), 0, bench.rows * bench.in) < 3e-4);
      CHECK(error(bench.layer.bias.value.data(), bench.x.size(), bench.classes) < 3e-4);
      CHECK(error(bench.layer.weight().value.data(), bench.x.size() + static_cast<std::size_t>(bench.classes),
                  bench.classes * bench.in) < 3e-4);
    }
}

TEST_CASE("sampled softmax: scores far above that of the target") {
  SampledBench bench(8, 5, 40, 20, false, 30.0f);
  CHECK(bench.loss() == Approx(bench.expected_loss(20)).epsilon(1e-5));
  CHECK(bench.expected_loss(20) > 40.0);  // e^40 is more than the first pass allows
  bench.clear();
  bench.loss();
  for (const float gradient : bench.all_gradients()) REQUIRE(std::isfinite(gradient));
}

TEST_CASE("sampled softmax: many rows and classes in chunks, the same bits for any threads") {
  SampledBench bench(1500, 7, 9000, 6000, false);
  bench.clear();
  const double loss = bench.loss(1);
  CHECK(loss == Approx(bench.expected_loss(6000)).epsilon(1e-5));
  const std::vector<float> gradients = bench.all_gradients();
  for (const int threads : {2, 3}) {
    bench.clear();
    CHECK(bench.loss(threads) == loss);
    CHECK(bench.all_gradients() == gradients);
  }
}

TEST_CASE("sampled softmax: over all classes in inference, and where the sample would have as many") {
  SampledBench sampled(9, 5, 17, 4, false), whole(9, 5, 17, 0, false), as_many(9, 5, 17, 17, false);
  const double loss = whole.loss();
  CHECK(as_many.loss() == loss);
  CHECK(sampled.loss() != loss);
  ThreadPool pool(1);
  Arena arena;
  std::vector<double> log_p(9);
  sampled.layer.log_probabilities(pool, arena, sampled.x.data(), sampled.targets, log_p.data());
  double sum = 0;
  for (const double one : log_p) sum -= one;
  CHECK(sum / 9.0 == Approx(loss).epsilon(1e-6));
  sampled.layer.sample_classes(0);
  CHECK(sampled.loss() == loss);
}
