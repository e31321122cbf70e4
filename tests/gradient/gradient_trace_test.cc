// The gradients by lag of every cell, against differences of the loss when the state between two steps is moved.
#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "nn/gradient_trace.h"
#include "nn/recurrent.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr Index kFlowInput = 3, kFlowSteps = 8;

// One sequence through a recurrent network; the loss is the output of the last step of each direction times a vector.
struct FlowCase {
  explicit FlowCase(const RecurrentOptions& o) : layers("flow", o), packing(lengths), pool(2) {
    layers.initialise(3);
    RandomStream random(7, Purpose::kTest, 41);
    const auto fill = [&](std::vector<float>& values, Index count) {
      for (Index i = 0; i < count; ++i) values.push_back(static_cast<float>(random.normal()));
    };
    fill(x, kFlowSteps * kFlowInput);
    fill(weights, o.directions() * o.output());
  }

  GradientTrace trace() {
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining);
    GradientTrace out;
    tape.gradient_trace = &out;
    std::vector<float> dx(x.size(), 0.0f);
    layers.weights_changed();
    const auto output = layers.forward(tape, packing, {x.data(), dx.data(), kFlowSteps, kFlowInput});
    // At every step; those of other steps than the last ones must not count.
    for (Index t = 0; t < kFlowSteps; ++t)
      std::copy(weights.begin(), weights.end(), output.y.gradient + t * output.y.columns);
    tape.backward();
    return out;
  }

  // The loss if only steps from `begin` on are read, from the states `h` and `c` [layers] of those before.
  double loss_from(Index begin, std::vector<float>& h, std::vector<float>& c) {
    const std::vector<std::int32_t> rest{static_cast<std::int32_t>(kFlowSteps - begin)};
    const Packing short_packing(rest);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    layers.prepare(pool);
    const RecurrentOptions& o = layers.options();
    RecurrentState initial;
    initial.h = {h.data(), nullptr, o.layers, o.output()};
    if (!c.empty()) initial.c = {c.data(), nullptr, o.layers, o.hidden};
    const auto output = layers.forward(
        tape, short_packing, {x.data() + begin * kFlowInput, nullptr, kFlowSteps - begin, kFlowInput}, &initial);
    double sum = 0;
    for (Index j = 0; j < o.output(); ++j)
      sum += static_cast<double>(weights[j]) *
             static_cast<double>(output.y.value[(kFlowSteps - begin - 1) * output.y.columns + j]);
    return sum;
  }

  // The states after the first `count` steps.
  std::pair<std::vector<float>, std::vector<float>> state_after(Index count) {
    const std::vector<std::int32_t> some{static_cast<std::int32_t>(count)};
    const Packing short_packing(some);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    layers.prepare(pool);
    const auto output = layers.forward(tape, short_packing, {x.data(), nullptr, count, kFlowInput});
    const auto values = [](const Activation& a) {
      return a.value ? std::vector<float>(a.value, a.value + a.size()) : std::vector<float>();
    };
    return {values(output.final.h), values(output.final.c)};
  }

  std::vector<std::int32_t> lengths{static_cast<std::int32_t>(kFlowSteps)};
  Recurrent layers;
  Packing packing;
  ThreadPool pool;
  std::vector<float> x, weights;
};

// Of the loss by each of `size` values from `first` on.
template <class Loss>
double difference_norm(std::vector<float>& values, Index first, Index size, const Loss& loss) {
  constexpr float kStep = 0.02f;
  double squares = 0;
  for (Index j = 0; j < size; ++j) {
    const float before = values[first + j];
    values[first + j] = before + kStep;
    const double above = loss();
    values[first + j] = before - kStep;
    const double below = loss();
    values[first + j] = before;
    const double slope = (above - below) / (2 * static_cast<double>(kStep));
    squares += slope * slope;
  }
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("gradients by lag are the differences of the loss by the state between two steps, for every cell") {
  for (const CellKind kind : all_cells())
    for (const Index projection : {0, 4}) {
      const RecurrentOptions o{.cell = kind, .input = kFlowInput, .hidden = 6, .layers = 1, .projection = projection};
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(kind).name << ", projection " << projection);
      FlowCase f(o);
      const GradientTrace trace = f.trace();
      REQUIRE(trace.layers.size() == 1);
      REQUIRE(trace.layers[0].h.size() == 1);
      REQUIRE(std::ssize(trace.layers[0].h[0]) == kFlowSteps);
      for (Index lag = 1; lag < kFlowSteps; ++lag) {
        INFO("lag " << lag);
        auto [h, c] = f.state_after(kFlowSteps - lag);
        const auto loss = [&, &h = h, &c = c] { return f.loss_from(kFlowSteps - lag, h, c); };
        const double by_h = difference_norm(h, 0, o.output(), loss);
        CHECK(std::abs(trace.layers[0].h[0][lag] - by_h) < 1e-3 * std::max(1.0, by_h));
        if (c.empty()) continue;
        const double by_c = difference_norm(c, 0, o.hidden, loss);
        CHECK(std::abs(trace.layers[0].c[0][lag] - by_c) < 1e-3 * std::max(1.0, by_c));
      }
    }
}

TEST_CASE("a trace of gradients has every layer and direction, and each direction starts at its own last step") {
  FlowCase f({.cell = CellKind::kGru, .input = kFlowInput, .hidden = 5, .layers = 2, .bidirectional = true});
  const GradientTrace trace = f.trace();
  REQUIRE(trace.layers.size() == 4);
  CHECK(trace.layers[0].layer == 1);
  CHECK(trace.layers[3].direction == 1);
  double squares = 0;
  for (Index j = 0; j < 5; ++j)
    squares += static_cast<double>(f.weights[5 + j]) * static_cast<double>(f.weights[5 + j]);
  CHECK(std::abs(trace.layers[1].h[0][0] - std::sqrt(squares)) < 1e-5);
  for (const auto& layer : trace.layers) {
    REQUIRE(std::ssize(layer.h[0]) == kFlowSteps);
    CHECK(layer.c.empty());
    for (const double norm : layer.h[0]) CHECK(norm > 0);
  }
}
