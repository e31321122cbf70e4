// Every layer's gradients against central differences: inputs, parameters and states.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "base/random.h"
#include "models/classifier.h"
#include "models/language_model.h"
#include "models/tagger.h"
#include "nn/adaptive_softmax.h"
#include "nn/convolution.h"
#include "nn/crf.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"
#include "nn/recurrent_steps.h"
#include "nn/rows.h"
#include "nn/self_attention.h"
#include "nn/softmax_output.h"
#include "tests/catch.h"
#include "tests/reference/numerical_gradient.h"
#include "tests/reference/softmax.h"

using namespace mnemo;
using reference::gradient_error;

namespace {

constexpr double kTolerance = 3e-4, kStep = 2e-2;

std::vector<float> random_values(Index count, std::uint64_t stream) {
  RandomStream random(7, Purpose::kTest, stream);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(random.normal());
  return out;
}

// Runs `forward` on a fresh tape; the loss is the weighted sum of its output, with fixed random weights.
class Bench {
 public:
  using Forward = std::function<Activation(Tape&, const Activation& x)>;

  Bench(std::vector<float> x, Index rows, Index columns, Forward forward)
      : x_(std::move(x)), dx_(x_.size()), rows_(rows), columns_(columns), forward_(std::move(forward)) {}

  double loss(bool backward = false) {
    arena_.reset();
    Tape tape(pool_, arena_, Tape::Mode::kTraining, 3, 5);
    std::fill(dx_.begin(), dx_.end(), 0.0f);
    const Activation y = forward_(tape, {x_.data(), dx_.data(), rows_, columns_});
    const auto weights = random_values(y.size(), 99);
    double sum = 0;
    for (Index i = 0; i < y.size(); ++i) sum += static_cast<double>(y.value[i]) * static_cast<double>(weights[i]);
    if (backward) {
      std::copy(weights.begin(), weights.end(), y.gradient);
      tape.backward();
    }
    return sum;
  }

  double input_error(double step = kStep, int shorter = 0) {
    loss(true);
    const auto gradient = dx_;
    return gradient_error(
        x_.data(), gradient.data(), std::ssize(x_), [&] { return loss(); }, step, shorter);
  }

  double parameter_error(Parameter& p, const std::function<void()>& changed, double step = kStep, int shorter = 0) {
    p.clear_gradient();
    changed();
    loss(true);
    std::vector<float> gradient(p.size());
    if (p.sparse) {
      for (std::size_t i = 0; i < p.touched.size(); ++i)
        std::copy_n(p.gradient.data() + static_cast<Index>(i) * p.row_size(), p.row_size(),
                    gradient.data() + p.touched[i] * p.row_size());
    } else {
      std::copy_n(p.gradient.data(), p.size(), gradient.data());
    }
    return gradient_error(
        p.value.data(), gradient.data(), p.size(),
        [&] {
          changed();
          return loss();
        },
        step, shorter);
  }

 private:
  ThreadPool pool_{2};
  Arena arena_;
  std::vector<float> x_, dx_;
  Index rows_, columns_;
  Forward forward_;
};

}  // namespace

TEST_CASE("linear: gradients of input, weight and bias") {
  Linear layer("linear", 5, 3);
  layer.initialise(Initialiser::kUniform, 1);
  Bench bench(random_values(7 * 5, 1), 7, 5, [&](Tape& tape, const Activation& x) { return layer.forward(tape, x); });
  CHECK(bench.input_error() < kTolerance);
  layer.visit([&](Parameter& p) {
    INFO(p.name);
    CHECK(bench.parameter_error(p, [&] { layer.weights_changed(); }) < kTolerance);
  });
}

TEST_CASE("windows: rows of the neighbours and zeros beyond the ends, and gradients") {
  const std::vector<std::int32_t> lengths{1, 4, 0, 2};
  const Packing packing(lengths);
  const auto x = random_values(packing.tokens() * 3, 1);
  for (const Index width : {1, 3, 5}) {
    INFO("width " << width);
    const auto forward = [&](Tape& tape, const Activation& in) { return windows(tape, packing, in, width); };
    ThreadPool pool(1);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    auto in = x;
    const Activation y = forward(tape, {in.data(), nullptr, packing.tokens(), 3});
    REQUIRE(y.columns == width * 3);
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index t = 0; t < packing.length(b); ++t)
        for (Index k = 0; k < y.columns; ++k) {
          const Index from = t + k / 3 - width / 2;
          const bool inside = from >= 0 && from < packing.length(b);
          CHECK(y.value[packing.row(b, t) * y.columns + k] == (inside ? x[packing.row(b, from) * 3 + k % 3] : 0.0f));
        }
    CHECK(Bench(x, packing.tokens(), 3, forward).input_error() < kTolerance);
  }
}

TEST_CASE("columns side by side: values, and gradients of rows used several times or never") {
  const std::vector<std::int32_t> rows{2, 0, 2, 2, 1};
  auto other = random_values(4 * 2, 2);
  std::vector<float> other_gradient(other.size());
  const Activation table{other.data(), other_gradient.data(), 4, 2};
  const auto forward = [&](Tape& tape, const Activation& x) {
    std::fill(other_gradient.begin(), other_gradient.end(), 0.0f);
    return side_by_side(tape, 5, {{table, rows}, {x, {}}});
  };
  Bench bench(random_values(5 * 3, 1), 5, 3, forward);
  CHECK(bench.input_error() < kTolerance);
  bench.loss(true);
  const auto found = other_gradient;
  CHECK(gradient_error(
            other.data(), found.data(), std::ssize(other), [&] { return bench.loss(); }, kStep) < kTolerance);
  CHECK(std::all_of(found.begin() + 6, found.end(), [](float g) { return g == 0.0f; }));
}

TEST_CASE("bfloat16 products: every cell's output and gradients are near float32's") {
  if (!kernels::no_bfloat16_products().empty()) {
    WARN("skipped: " << kernels::no_bfloat16_products());
    return;
  }
  const std::vector<std::int32_t> lengths{9, 4, 0, 1, 9};
  const Packing packing(lengths);
  constexpr Index kInput = 21, kHidden = 35;
  auto x = random_values(packing.tokens() * kInput, 1);
  for (const CellKind cell : all_cells()) {
    std::vector<float> found[2], forward[2], back[2];  // all, the output, the input's gradient; float32, bfloat16
    for (int i : {0, 1}) {
      Recurrent layer("rnn",
                      {.cell = cell,
                       .input = kInput,
                       .hidden = kHidden,
                       .layers = 2,
                       .bidirectional = true,
                       .training_precision = i == 0 ? kernels::Precision::kFloat32 : kernels::Precision::kBfloat16});
      layer.initialise(1);
      ThreadPool pool(2);
      Arena arena;
      Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
      std::vector<float> dx(x.size());
      layer.visit([](Parameter& p) { p.clear_gradient(); });
      const Activation y = layer.forward(tape, packing, {x.data(), dx.data(), packing.tokens(), kInput}).y;
      std::fill_n(y.gradient, y.size(), 1.0f);
      tape.backward();
      found[i].assign(y.value, y.value + y.size());
      forward[i] = found[i];
      back[i] = dx;
      found[i].insert(found[i].end(), dx.begin(), dx.end());
      layer.visit(
          [&](Parameter& p) { found[i].insert(found[i].end(), p.gradient.data(), p.gradient.data() + p.size()); });
    }
    const auto relative = [](const std::vector<float>(&values)[2]) {
      double square = 0, difference = 0;
      for (std::size_t k = 0; k < values[0].size(); ++k) {
        square += double{values[0][k]} * double{values[0][k]};
        difference += std::pow(double{values[0][k]} - double{values[1][k]}, 2);
      }
      return std::sqrt(difference / square);
    };
    INFO(cell_traits(cell).name << ": " << relative(found));
    // Each product rounds: those of forward, of backward, and of the weights' gradients.
    CHECK(relative(forward) > 1e-5);
    CHECK(relative(back) > 1e-5);
    // A factor is off by up to 0.4%; normalisation and deep sums amplify it most.
    CHECK(relative(found) < 0.06);
  }
}

namespace {

// Cells whose loss has kinks or sharp bends.
bool is_rough(CellKind cell) {
  return cell == CellKind::kRnnRelu || cell == CellKind::kNormLstm || cell == CellKind::kCappedLstm;
}

// Options around a cell that must have the same effect in steps as in whole sequences.
RecurrentOptions stepped_options(CellKind cell, int variant) {
  RecurrentOptions o{.cell = cell, .input = 5, .hidden = 7, .layers = 3};
  if (variant == 1) o.projection = 4;
  if (variant == 2) o.residual = Residual::kAdd;
  if (variant == 3) o.residual = Residual::kHighway;
  if (variant == 4) o.zoneout_h = 0.3f;
  if (variant == 5) o.zoneout_c = 0.3f;
  if (variant == 6) o.learned_initial = true;
  if (variant == 7) o.layer_dropout = 0.4f;
  if (variant == 8) {
    o.layer_dropout = 0.4f;
    o.variational = true;
  }
  if (variant == 9) o.state_dropout = 0.4f;
  if (variant == 10) o.weight_dropout = 0.4f;
  if (variant == 11 || variant == 12) o.sum_layers = true;
  if (variant == 12) {
    o.layer_dropout = 0.4f;
    o.residual = Residual::kAdd;
  }
  if (variant >= 13) o.mogrifier = {variant - 12, 3};
  if (variant == 14) o.state_dropout = 0.4f;
  if (variant == 15) o.layer_dropout = o.weight_dropout = 0.4f;
  if (variant == 16) o.zoneout_h = o.zoneout_c = 0.3f;
  if (variant == 17) o.projection = 4;
  return o;
}

// Output, final state and every gradient of a batch, through whole sequences or step by step.
std::vector<float> all_results(const RecurrentOptions& o, bool stepped, bool with_initial, Tape::Mode mode) {
  const std::vector<std::int32_t> lengths{6, 2, 0, 1, 6, 4};
  const Packing packing(lengths);
  Recurrent layers("rnn", o);
  layers.initialise(3);
  ThreadPool pool(2);
  Arena arena;
  Tape tape(pool, arena, mode, 3, 5);
  const bool training = tape.training();
  auto x = random_values(packing.tokens() * o.input, 1);
  std::vector<float> dx(x.size());
  const Activation input{x.data(), training ? dx.data() : nullptr, packing.tokens(), o.input};
  RecurrentState initial;
  if (with_initial) {
    initial.h = tape.allocate(o.layers * packing.sequences(), o.output());
    const auto h = random_values(initial.h.size(), 2);
    std::copy(h.begin(), h.end(), initial.h.value);
    if (cell_traits(o.cell).cell_state) {
      initial.c = tape.allocate(o.layers * packing.sequences(), o.hidden);
      const auto c = random_values(initial.c.size(), 3);
      std::copy(c.begin(), c.end(), initial.c.value);
    }
  }
  layers.visit([](Parameter& p) { p.clear_gradient(); });
  const RecurrentState* first = with_initial ? &initial : nullptr;
  std::vector<float> out;
  const auto add = [&](const float* values, Index count) { out.insert(out.end(), values, values + count); };
  const auto weights = random_values(packing.tokens() * o.output(), 4);
  const auto take = [&](const Activation& y, Index row) {
    add(y.value, y.size());
    if (training) std::copy_n(weights.data() + row * o.output(), y.size(), y.gradient);
  };
  RecurrentState final;
  if (stepped) {
    layers.prepare(tape);
    RecurrentSteps steps(layers, tape, packing, first);
    for (Index t = 0; t < packing.steps(); ++t) {
      const Index at = packing.offset(t) * o.input;
      take(steps.step({x.data() + at, training ? dx.data() + at : nullptr, packing.rows_at(t), o.input}),
           packing.offset(t));
    }
    CHECK_THROWS_WITH(steps.step(input), contains_text("step 7 of a batch of 6"));
    final = steps.final();
  } else {
    const auto whole = layers.forward(tape, packing, input, first);
    take(whole.y, 0);
    final = whole.final;
  }
  for (const Activation& state : {final.h, final.c}) {
    if (!state.value) continue;
    add(state.value, state.size());
    if (training) std::fill_n(state.gradient, state.size(), 0.5f);
  }
  if (!training) return out;
  tape.backward();
  add(dx.data(), std::ssize(dx));
  for (const Activation& state : {initial.h, initial.c})
    if (state.value) add(state.gradient, state.size());
  layers.visit([&](Parameter& p) { add(p.gradient.data(), p.size()); });
  return out;
}

}  // namespace

TEST_CASE("step by step with backward: the bits of whole sequences, for every cell and the options around it") {
  for (const CellKind cell : all_cells())
    for (int variant = 0; variant <= 17; ++variant) {
      const RecurrentOptions o = stepped_options(cell, variant);
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(cell).name << ", variant " << variant);
      for (const bool with_initial : {false, true})
        for (const auto mode : {Tape::Mode::kTraining, Tape::Mode::kInference}) {
          const auto found = all_results(o, true, with_initial, mode),
                     whole = all_results(o, false, with_initial, mode);
          REQUIRE(found.size() == whole.size());
          if (o.residual != Residual::kHighway || mode == Tape::Mode::kInference) {
            CHECK(found == whole);
            continue;
          }
          // The gradients of a highway's own weights are summed step by step.
          float difference = 0.0f;
          for (std::size_t i = 0; i < whole.size(); ++i)
            difference = std::max(difference, std::abs(found[i] - whole[i]));
          CHECK(difference < 1e-5f);
        }
    }
}

TEST_CASE("step by step, each output being part of the next input: gradients") {
  const std::vector<std::int32_t> lengths{4, 2, 1, 4};
  const Packing packing(lengths);
  for (const CellKind cell : all_cells()) {
    INFO(cell_traits(cell).name);
    // As for whole sequences: kinks and sharp bends.
    const bool rough = is_rough(cell);
    const Index size = rough ? 6 : 3;
    const double tolerance = rough ? 5e-3 : 5e-4;
    const int shorter = rough ? 3 : 0;
    Recurrent layers("rnn", {.cell = cell, .input = size, .hidden = size, .layers = 2, .layer_dropout = 0.3f});
    layers.initialise(2);
    Bench bench(random_values(packing.tokens() * size, 1), packing.tokens(), size,
                [&](Tape& tape, const Activation& x) {
                  layers.prepare(tape);
                  RecurrentSteps steps(layers, tape, packing);
                  const Activation all = tape.allocate(packing.tokens(), size);
                  Activation last;
                  for (Index t = 0; t < packing.steps(); ++t) {
                    const Index at = packing.offset(t) * size, count = packing.rows_at(t) * size;
                    const Activation input = tape.allocate(packing.rows_at(t), size);
                    for (Index i = 0; i < count; ++i) input.value[i] = x.value[at + i] + (t > 0 ? last.value[i] : 0.0f);
                    tape.record([=] {
                      for (Index i = 0; i < count; ++i) {
                        x.gradient[at + i] += input.gradient[i];
                        if (t > 0) last.gradient[i] += input.gradient[i];
                      }
                    });
                    last = steps.step(input);
                    std::copy_n(last.value, count, all.value + at);
                    tape.record([=] {
                      for (Index i = 0; i < count; ++i) last.gradient[i] += all.gradient[at + i];
                    });
                  }
                  return all;
                });
    CHECK(bench.input_error(1e-2, shorter) < tolerance);
    layers.visit([&](Parameter& p) {
      INFO(p.name);
      CHECK(bench.parameter_error(
                p, [&] { layers.weights_changed(); }, 1e-2, shorter) < tolerance);
    });
  }
}

TEST_CASE("steps refuse two directions and inputs of another shape") {
  ThreadPool pool(1);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining);
  const std::vector<std::int32_t> lengths{2, 1};
  const Packing packing(lengths);
  Recurrent both("rnn", {.input = 3, .hidden = 4, .bidirectional = true});
  both.initialise(1);
  CHECK_THROWS_WITH(RecurrentSteps(both, tape, packing), contains_text("one direction"));
  Recurrent one("rnn", {.input = 3, .hidden = 4});
  one.initialise(1);
  one.prepare(tape);
  RecurrentSteps steps(one, tape, packing);
  CHECK_THROWS_WITH(steps.step(tape.allocate(1, 3)), contains_text("input [1, 3], expected [2, 3]"));
}

TEST_CASE("embedding: gradients of the rows that occur, with weights and repeats") {
  Embedding layer("embedding", 6, 4);
  layer.initialise(1.0f, 1);
  Bags bags;
  bags.starts = {0, 1, 3, 3, 6};
  bags.rows = {2, 0, 2, 5, 5, 1};
  bags.weights = {1.0f, 0.5f, 0.5f, 1.0f, -2.0f, 0.25f};
  Bench bench({}, 0, 0, [&](Tape& tape, const Activation&) { return layer.forward(tape, bags); });
  CHECK(bench.parameter_error(layer.weight, [] {}) < kTolerance);
  CHECK(layer.weight.touched == std::vector<std::int32_t>{0, 1, 2, 5});
}

TEST_CASE("embedding: two look-ups of one pass add their gradients, sparse or dense") {
  Bags bags, more;
  bags.starts = {0, 1, 3};
  bags.rows = {4, 0, 2};
  bags.weights = {1.0f, 0.5f, 0.5f};
  more.starts = {0, 2, 3};
  more.rows = {2, 5, 1};
  more.weights = {1.5f, 1.0f, -1.0f};
  for (const bool dense : {false, true}) {
    Embedding layer("embedding", 6, 4, dense);
    layer.initialise(1.0f, 1);
    Bench bench({}, 0, 0, [&](Tape& tape, const Activation&) {
      const Activation one = layer.forward(tape, bags), two = layer.forward(tape, more);
      return side_by_side(tape, 2, {{one, {}}, {two, {}}});
    });
    CHECK(bench.parameter_error(layer.weight, [] {}) < kTolerance);
    if (!dense) CHECK(layer.weight.touched == std::vector<std::int32_t>{0, 1, 2, 4, 5});
  }
}

TEST_CASE("pooling: gradients of every kind on ragged sequences, including an empty one") {
  const std::vector<std::int32_t> lengths{2, 5, 0, 1, 5};
  const Packing packing(lengths);
  using enum PoolingKind;
  for (const std::vector<PoolingKind>& kinds :
       {std::vector{kLast}, {kMean}, {kMax}, {kAttention}, {kMax, kAttention, kLast, kMean}}) {
    INFO(kinds.size() << " kinds, the first " << static_cast<int>(kinds.front()));
    Pooling layer("attention", kinds, 6, 2);
    layer.initialise(1);
    Bench bench(random_values(packing.tokens() * 6, 2), packing.tokens(), 6,
                [&](Tape& tape, const Activation& x) { return layer.forward(tape, packing, x); });
    CHECK(bench.input_error() < kTolerance);
    layer.visit([&](Parameter& p) { CHECK(bench.parameter_error(p, [] {}) < kTolerance); });
  }
}

TEST_CASE("pooling: several kinds stand side by side") {
  using enum PoolingKind;
  const std::vector<std::int32_t> lengths{2, 5, 0, 1};
  const Packing packing(lengths);
  std::vector<float> values = random_values(packing.tokens() * 6, 2);
  const Activation y{values.data(), nullptr, packing.tokens(), 6};
  ThreadPool pool(1);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kInference);
  const std::vector<PoolingKind> kinds{kMean, kLast, kMax};
  const Activation all = Pooling("p", kinds, 6, 2).forward(tape, packing, y);
  REQUIRE(all.columns == 18);
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const Activation one = Pooling("p", {kinds[k]}, 6, 2).forward(tape, packing, y);
    for (Index b = 0; b < 4; ++b)
      for (Index j = 0; j < 6; ++j) CHECK(all.value[b * 18 + static_cast<Index>(k) * 6 + j] == one.value[b * 6 + j]);
  }
}

TEST_CASE("convolution: the sums of each window, cut at zero, and their gradients, for odd and even widths") {
  const std::vector<std::int32_t> lengths{2, 5, 0, 1, 5};
  const Packing packing(lengths);
  const Index C = 3, F = 4;
  for (const std::vector<Index>& widths : {std::vector<Index>{1}, {2}, {3, 4}, {5, 2, 7}}) {
    const ConvolutionOptions options{widths, F, false};
    Convolution layer("convolution", options, C);
    layer.initialise(Initialiser::kUniform, 1);
    std::vector<Parameter*> parameters;
    layer.visit([&](Parameter& p) { parameters.push_back(&p); });
    REQUIRE(parameters.size() == 2 * widths.size());
    double weights = 0;
    for (const Parameter* p : parameters) weights += static_cast<double>(p->size());
    CHECK(convolution_parameters(options, C) == weights);
    std::vector<float> values = random_values(packing.tokens() * C, 2);
    ThreadPool pool(1);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    layer.prepare(pool);
    const Activation y = std::as_const(layer).forward(tape, packing, {values.data(), nullptr, packing.tokens(), C});
    REQUIRE(y.columns == options.output());
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index t = 0; t < packing.length(b); ++t)
        for (std::size_t k = 0; k < widths.size(); ++k)
          for (Index f = 0; f < F; ++f) {
            const Index w = widths[k];
            auto sum = static_cast<double>(parameters[2 * k + 1]->value[f]);
            for (Index i = 0; i < w; ++i)
              if (const Index s = t + i - w / 2; s >= 0 && s < packing.length(b))
                for (Index j = 0; j < C; ++j)
                  sum += static_cast<double>(parameters[2 * k]->value[f * w * C + i * C + j]) *
                         static_cast<double>(values[packing.row(b, s) * C + j]);
            CHECK(std::abs(static_cast<double>(y.value[packing.row(b, t) * y.columns + static_cast<Index>(k) * F + f]) -
                           std::max(0.0, sum)) < 1e-5);
          }
    // Away from 0, where the slope jumps: half of the filters are always cut.
    for (std::size_t k = 1; k < parameters.size(); k += 2)
      for (Index f = 0; f < F; ++f) parameters[k]->value[f] = f % 2 == 0 ? 9.0f : -9.0f;
    layer.weights_changed();
    Bench bench(values, packing.tokens(), C, [&](Tape& on, const Activation& x) {
      layer.prepare(on);
      return std::as_const(layer).forward(on, packing, x);
    });
    CHECK(bench.input_error() < kTolerance);
    for (Parameter* p : parameters) CHECK(bench.parameter_error(*p, [&] { layer.weights_changed(); }) < kTolerance);
  }
}

TEST_CASE("self-attention: gradients of input and weights, with a memory of earlier steps and without") {
  constexpr Index kColumns = 6;
  const std::vector<std::int32_t> lengths{3, 0, 21, 1};
  const Packing packing(lengths);
  auto past = random_values(4 * 7 * kColumns, 9);
  std::vector<float> seen{7, 2, 0, 7};
  for (const Index memory : {0, 7})
    for (const bool variational : {false, true}) {
      INFO("memory " << memory << (variational ? ", variational" : ""));
      SelfAttention block("block", kColumns, {1, memory, 9, 0.3f});
      block.initialise(Initialiser::kGlorot, 1);
      std::uint64_t stream = 50;
      block.visit([&](Parameter& p) {
        const auto noise = random_values(p.size(), stream++);
        for (Index i = 0; i < p.size(); ++i) p.value[i] += 0.3f * noise[i];
      });
      AttentionMemory before;
      if (memory > 0) before = {{past.data(), nullptr, 4 * memory, kColumns}, {seen.data(), nullptr, 4, 1}};
      Bench bench(random_values(packing.tokens() * kColumns, 1), packing.tokens(), kColumns,
                  [&](Tape& tape, const Activation& x) {
                    block.prepare(tape);
                    return block.forward(tape, packing, x, before, 0, variational).y;
                  });
      CHECK(bench.input_error(1e-2, 2) < 1e-3);
      block.visit([&](Parameter& p) {
        INFO(p.name);
        CHECK(bench.parameter_error(
                  p, [&] { block.weights_changed(); }, 1e-2, 2) < 1e-3);
      });
    }
}

TEST_CASE("dropout: gradient through the mask, ordinary and variational") {
  const std::vector<std::int32_t> lengths{3, 1, 4};
  const Packing packing(lengths);
  for (const Packing* shared : {static_cast<const Packing*>(nullptr), &packing}) {
    Bench bench(random_values(packing.tokens() * 5, 3), packing.tokens(), 5,
                [&](Tape& tape, const Activation& x) { return dropout(tape, x, 0.4f, 1, shared); });
    CHECK(bench.input_error() < kTolerance);
  }
}

namespace {

// Gradients of input, parameters and initial states of two layers on ragged sequences, including an empty one. The loss
// includes all outputs and both final states.
void check_recurrent(const RecurrentOptions& options) {
  const std::vector<std::int32_t> lengths{3, 0, 5, 1};
  const Packing packing(lengths);
  Recurrent layer("rnn", options);
  layer.initialise(1);
  // Own vectors and learned states are initialised with constants, at which a gradient may vanish.
  std::uint64_t stream = 50;
  layer.visit([&](Parameter& p) {
    const auto noise = random_values(p.size(), stream++);
    for (Index i = 0; i < p.size(); ++i) p.value[i] += 0.2f * noise[i];
  });
  const Index rows = options.layers * layer.directions() * packing.sequences(), I = options.input;
  const bool given = !options.learned_initial, cell_state = cell_traits(options.cell).cell_state;
  auto h0 = random_values(rows * options.output(), 4), c0 = random_values(rows * options.hidden, 5);
  std::vector<float> dh0(h0.size()), dc0(c0.size());
  Bench bench(random_values(packing.tokens() * I, 6), packing.tokens(), I, [&](Tape& tape, const Activation& x) {
    std::fill(dh0.begin(), dh0.end(), 0.0f);
    std::fill(dc0.begin(), dc0.end(), 0.0f);
    RecurrentState initial{{h0.data(), dh0.data(), rows, options.output()}, {}};
    if (cell_state) initial.c = {c0.data(), dc0.data(), rows, options.hidden};
    const auto out = layer.forward(tape, packing, x, given ? &initial : nullptr);
    Activation all = tape.allocate(1, out.y.size() + out.final.h.size() + out.final.c.size());
    const std::vector<Activation> parts{out.y, out.final.h, out.final.c};
    Index at = 0;
    for (const Activation& part : parts) {
      std::copy_n(part.value, part.size(), all.value + at);
      at += part.size();
    }
    tape.record([parts, all] {
      Index from = 0;
      for (const Activation& part : parts) {
        for (Index i = 0; i < part.size(); ++i) part.gradient[i] += all.gradient[from + i];
        from += part.size();
      }
    });
    return all;
  });
  // Shorter steps where the loss bends (large initial weights), and a larger tolerance for their loss of precision
  // where it has kinks (a sum that passes zero, a gate that meets its cap) or bends sharply (a norm over few units).
  const bool rough = is_rough(options.cell);
  const double step = 1e-2, tolerance = rough ? 5e-3 : 5e-4;
  const int shorter = rough ? 3 : cell_traits(options.cell).input_spread.empty() ? 0 : 1;
  CHECK(bench.input_error(step, shorter) < tolerance);
  layer.visit([&](Parameter& p) {
    INFO(p.name);
    CHECK(bench.parameter_error(
              p, [&] { layer.weights_changed(); }, step, shorter) < tolerance);
  });
  if (!given) return;
  bench.loss(true);
  const auto gradient_h = dh0, gradient_c = dc0;
  const auto loss = [&] { return bench.loss(); };
  CHECK(gradient_error(h0.data(), gradient_h.data(), std::ssize(h0), loss, step, shorter) < tolerance);
  if (!cell_state) return;
  CHECK(gradient_error(c0.data(), gradient_c.data(), std::ssize(c0), loss, step, shorter) < tolerance);
}

RecurrentOptions small_layers(CellKind cell, bool bidirectional) {
  return {.cell = cell,
          .input = 4,
          .hidden = cell == CellKind::kNormLstm ? 6 : 3,
          .layers = 2,
          .bidirectional = bidirectional,
          .layer_dropout = 0.3f,
          .variational = bidirectional};
}

}  // namespace

TEST_CASE("self-attention between and after recurrent layers: gradients of input, parameters and initial states") {
  for (const Index layer : {1, 2})
    for (const bool bidirectional : {false, true}) {
      INFO("after layer " << layer << (bidirectional ? ", both directions" : ""));
      RecurrentOptions options = small_layers(CellKind::kLstm, bidirectional);
      options.hidden = 4;
      options.attention = {layer, bidirectional ? 0 : 2, 5, 0.2f};
      options.residual = layer == 1 ? Residual::kHighway : Residual::kNone;
      check_recurrent(options);
    }
}

TEST_CASE("every cell: gradients of input, parameters and initial states, ragged and with an empty sequence") {
  for (CellKind cell : all_cells())
    for (bool bidirectional : {false, true}) {
      INFO(cell_traits(cell).name << (bidirectional ? ", both directions" : ""));
      check_recurrent(small_layers(cell, bidirectional));
    }
}

TEST_CASE(
    "projection, dropout of states and weights, zoneout, learned state, residual, highway, sum and "
    "mogrifier, and their gradients") {
  for (CellKind cell : all_cells())
    for (int option = 0; option < 16; ++option) {
      RecurrentOptions o = small_layers(cell, option % 2 == 1);
      if (option == 0) o.projection = 2;
      if (option == 1) o.state_dropout = 0.4f;
      if (option == 2) o.weight_dropout = 0.4f;
      if (option == 3) o.zoneout_h = 0.4f;
      if (option == 4) o.zoneout_h = o.zoneout_c = 0.4f;
      if (option == 5) o.learned_initial = true;
      if (option == 6) o.residual = Residual::kAdd;
      if (option == 7) o.residual = Residual::kHighway;
      if (option == 8 || option == 9) o.sum_layers = true;
      if (option == 9) o.residual = Residual::kAdd;
      if (option >= 10) o.mogrifier = {option - 9, 2};
      if (option == 12) o.learned_initial = true;
      if (option == 13) o.state_dropout = 0.4f;
      if (option == 14) o.zoneout_h = o.zoneout_c = 0.4f;
      if (option == 15) o.projection = 2;
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(cell).name << ", option " << option);
      check_recurrent(o);
    }
}

TEST_CASE("losses: gradients of the logits, with class weights and smoothing") {
  const std::vector<std::int32_t> labels{2, 0, 1, 2};
  const std::vector<float> targets{1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0}, weights{0.5f, 2.0f, 1.0f};
  for (float smoothing : {0.0f, 0.2f})
    for (const auto& class_weights : {std::vector<float>(), weights})
      for (bool several : {false, true}) {
        auto logits = random_values(12, 8);
        std::vector<float> gradient(12, 0.0f);
        const auto loss = [&](float* to) {
          const Activation a{logits.data(), to, 4, 3};
          return several ? sigmoid_cross_entropy(a, targets, class_weights, smoothing)
                         : softmax_cross_entropy(a, labels, class_weights, smoothing);
        };
        loss(gradient.data());
        CHECK(gradient_error(
                  logits.data(), gradient.data(), 12, [&] { return loss(nullptr); }, 1e-3) < 1e-3);
      }
}

TEST_CASE("softmax output: the reference's loss, gradients of input, weights and bias, own and tied, smoothed or not") {
  constexpr Index kIn = 5, kClasses = 7, kRows = 9;
  const std::vector<std::int32_t> targets{2, 0, 6, 2, 2, 5, 0, 1, 6};
  for (const auto& [tied, smoothing] : {std::pair{false, 0.0}, {true, 0.0}, {false, 0.1}, {true, 0.3}}) {
    INFO("smoothing " << smoothing);
    Parameter table("table.weight", {kClasses, kIn});
    SoftmaxOutput layer("output", kIn, kClasses, tied ? &table : nullptr);
    layer.set_smoothing(smoothing);
    const auto first = random_values(kClasses * kIn, 3);
    layer.initialise(Initialiser::kUniform, 1);
    std::copy(first.begin(), first.end(), layer.weight().value.data());
    auto x = random_values(kRows * kIn, 4);
    std::vector<float> dx(x.size());
    ThreadPool pool(2);
    Arena arena;
    const auto loss = [&](bool training) {
      arena.reset();
      Tape tape(pool, arena, training ? Tape::Mode::kTraining : Tape::Mode::kInference);
      return layer.loss(tape, {x.data(), dx.data(), kRows, kIn}, targets);
    };
    // The scores in double precision, and the reference's loss.
    std::vector<double> logits;
    for (Index r = 0; r < kRows; ++r)
      for (Index k = 0; k < kClasses; ++k) {
        double sum = static_cast<double>(layer.bias.value[k]);
        for (Index i = 0; i < kIn; ++i)
          sum += static_cast<double>(x[r * kIn + i]) * static_cast<double>(layer.weight().value[k * kIn + i]);
        logits.push_back(sum);
      }
    const auto expected = [&](double s) {
      return reference::softmax_cross_entropy(logits, {targets.begin(), targets.end()}, {}, kClasses, s).loss;
    };
    CHECK(loss(false) == Approx(expected(0)).epsilon(1e-6));  // only training smooths
    layer.bias.clear_gradient();
    layer.weight().clear_gradient();
    CHECK(loss(true) == Approx(expected(smoothing)).epsilon(1e-6));
    const auto error = [&](float* values, const float* gradient, Index count) {
      const std::vector<float> found(gradient, gradient + count);
      return gradient_error(
          values, found.data(), count, [&] { return loss(true); }, kStep);
    };
    const auto dx_found = dx;
    const std::vector<float> db(layer.bias.gradient.data(), layer.bias.gradient.data() + kClasses),
        dw(layer.weight().gradient.data(), layer.weight().gradient.data() + kClasses * kIn);
    CHECK(error(x.data(), dx_found.data(), std::ssize(x)) < kTolerance);
    CHECK(error(layer.bias.value.data(), db.data(), kClasses) < kTolerance);
    CHECK(error(layer.weight().value.data(), dw.data(), kClasses * kIn) < kTolerance);
    int visited = 0;
    layer.visit([&](Parameter&) { ++visited; });
    CHECK(visited == (tied ? 1 : 2));
  }
}

TEST_CASE("adaptive softmax: probabilities as defined, which sum to 1, and gradients of input and weights") {
  constexpr Index kIn = 8, kClasses = 15, kRows = 11;
  const std::vector<Index> cutoffs{4, 9};
  const std::vector<std::int32_t> targets{2, 0, 6, 14, 9, 5, 0, 1, 13, 4, 8};
  AdaptiveSoftmax layer("output", kIn, kClasses, cutoffs);
  layer.initialise(Initialiser::kUniform, 1);
  auto x = random_values(kRows * kIn, 4);
  std::vector<float> dx(x.size());
  ThreadPool pool(2);
  Arena arena;
  const auto loss = [&](bool training) {
    arena.reset();
    Tape tape(pool, arena, training ? Tape::Mode::kTraining : Tape::Mode::kInference);
    const double out = layer.loss(tape, {x.data(), dx.data(), kRows, kIn}, targets);
    if (training) tape.backward();
    return out;
  };
  std::map<std::string, Parameter*> p;
  layer.visit([&](Parameter& one) { p[one.name] = &one; });
  CHECK(p.at("output.tail.0.weight")->shape == std::vector<Index>{5, 2});
  CHECK(p.at("output.tail.1.weight")->shape == std::vector<Index>{6, 1});
  // W v + b in double precision.
  const auto dense = [&](const std::string& name, const std::vector<double>& v) {
    const Parameter &w = *p.at(name + ".weight"), &b = *p.at(name + ".bias");
    std::vector<double> out;
    for (Index k = 0; k < w.rows(); ++k) {
      out.push_back(static_cast<double>(b.value[k]));
      for (Index i = 0; i < w.row_size(); ++i)
        out.back() += static_cast<double>(w.value[k * w.row_size() + i]) * v[static_cast<std::size_t>(i)];
    }
    return out;
  };
  double expected = 0;
  std::vector<double> log_p(kRows);
  layer.prepare(pool);
  Arena room;
  layer.log_probabilities(pool, room, x.data(), targets, log_p.data());
  layer.prepare_scores(pool);
  for (Index r = 0; r < kRows; ++r) {
    const std::vector<double> row(x.begin() + r * kIn, x.begin() + (r + 1) * kIn);
    const auto head = reference::log_softmax(dense("output.head", row), 6);
    std::vector<double> all(head.begin(), head.begin() + 4);
    for (const auto& [tail, size] : {std::pair{0, 5}, {1, 6}}) {
      const std::string name = "output.tail." + std::to_string(tail);
      for (const double one :
           reference::log_softmax(dense(name, dense(name + ".projection", row)), static_cast<std::size_t>(size)))
        all.push_back(one + head[static_cast<std::size_t>(4 + tail)]);
    }
    expected -= all[static_cast<std::size_t>(targets[static_cast<std::size_t>(r)])] / kRows;
    CHECK(log_p[static_cast<std::size_t>(r)] ==
          Approx(all[static_cast<std::size_t>(targets[static_cast<std::size_t>(r)])]).epsilon(1e-5));
    std::vector<float> scores(kClasses);
    layer.scores(1, x.data() + r * kIn, scores.data());
    double sum = 0;
    for (Index k = 0; k < kClasses; ++k) {
      CHECK(scores[static_cast<std::size_t>(k)] == Approx(all[static_cast<std::size_t>(k)]).epsilon(1e-4));
      sum += std::exp(static_cast<double>(scores[static_cast<std::size_t>(k)]));
    }
    CHECK(sum == Approx(1.0).epsilon(1e-5));
  }
  CHECK(loss(false) == Approx(expected).epsilon(1e-6));
  for (auto& [name, one] : p) one->clear_gradient();
  CHECK(loss(true) == Approx(expected).epsilon(1e-6));
  const auto changed_loss = [&] {
    layer.weights_changed();
    return loss(false);
  };
  const std::vector<float> found_dx = dx;
  CHECK(gradient_error(x.data(), found_dx.data(), std::ssize(x), changed_loss, kStep) < kTolerance);
  for (auto& [name, one] : p) {
    INFO(name);
    const std::vector<float> found(one->gradient.data(), one->gradient.data() + one->size());
    CHECK(gradient_error(one->value.data(), found.data(), one->size(), changed_loss, kStep) < kTolerance);
  }
}

TEST_CASE("softmax output: many rows and classes in chunks, the same bits for any threads, scores of inference") {
  constexpr Index kIn = 20, kClasses = 50000;  // chunks of 128 rows
  constexpr Index kRows = 300;
  SoftmaxOutput layer("output", kIn, kClasses);
  layer.initialise(Initialiser::kUniform, 2);
  auto x = random_values(kRows * kIn, 5);
  std::vector<std::int32_t> targets;
  RandomStream random(7, Purpose::kTest, 6);
  for (Index r = 0; r < kRows; ++r) targets.push_back(static_cast<std::int32_t>(random.below(kClasses)));
  std::vector<float> kept_dx, kept_dw;
  double kept_loss = 0;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining);
    std::vector<float> dx(x.size());
    layer.visit([](Parameter& p) { p.clear_gradient(); });
    const double loss = layer.loss(tape, {x.data(), dx.data(), kRows, kIn}, targets);
    const std::vector<float> dw(layer.weight().gradient.data(), layer.weight().gradient.data() + kClasses * kIn);
    if (threads > 1) {
      CHECK(loss == kept_loss);
      CHECK(dx == kept_dx);
      CHECK(dw == kept_dw);
    }
    kept_loss = loss;
    kept_dx = dx;
    kept_dw = dw;
  }
  // Each row's own logarithm from the scores that inference computes.
  ThreadPool pool(2);
  std::vector<double> log_p(kRows);
  Arena room;
  layer.log_probabilities(pool, room, x.data(), targets, log_p.data());
  CHECK(-std::accumulate(log_p.begin(), log_p.end(), 0.0) / kRows == Approx(kept_loss).epsilon(1e-9));
  layer.prepare_scores(pool);
  std::vector<float> scores(kClasses);
  const auto check = [&] {
    for (const Index r : {Index{0}, Index{150}, kRows - 1}) {
      layer.scores(1, x.data() + r * kIn, scores.data());
      const auto exact = reference::log_softmax({scores.begin(), scores.end()}, kClasses);
      CHECK(log_p[r] == Approx(exact[targets[r]]).epsilon(1e-5));
    }
  };
  check();
  // Targets that are almost impossible: their scores are unusable as shifts of the exponentials.
  layer.bias.value[7] = 300.0f;
  layer.log_probabilities(pool, room, x.data(), targets, log_p.data());
  CHECK(log_p[0] < -250);
  check();
  // A row's result does not depend on the others.
  layer.bias.value[7] = 0.0f;
  std::vector<double> apart(2), together(2);
  std::vector<float> beside(2 * kIn, 40.0f);
  std::copy_n(x.data(), kIn, beside.data());
  layer.log_probabilities(pool, room, beside.data(), std::span(targets).first(1), apart.data());
  layer.log_probabilities(pool, room, beside.data(), std::span(targets).first(2), together.data());
  CHECK(together[1] < -30);
  CHECK(together[0] == apart[0]);
  layer.bias.value[7] = 300.0f;
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining);
  std::vector<float> dx(x.size());
  layer.visit([](Parameter& p) { p.clear_gradient(); });
  const double loss = layer.loss(tape, {x.data(), dx.data(), kRows, kIn}, targets);
  CHECK(loss == Approx(-std::accumulate(log_p.begin(), log_p.end(), 0.0) / kRows).epsilon(1e-9));
  // Class 7 has all of the probability.
  CHECK(layer.bias.gradient[7] == Approx(1.0).epsilon(1e-6));
  for (Index i = 0; i < kIn; ++i) {
    const double exact =
        static_cast<double>(layer.weight().value[7 * kIn + i] - layer.weight().value[targets[0] * kIn + i]) / kRows;
    CHECK(static_cast<double>(dx[i]) == Approx(exact).epsilon(1e-4).margin(1e-7));
  }
}

TEST_CASE("crf: gradients of scores and weights, with forbidden transitions, and the same bits for any threads") {
  constexpr Index kTags = 4;
  AllowedTransitions allowed(kTags);
  allowed.begin[3] = 0;
  allowed.next[0 * kTags + 2] = allowed.next[3 * kTags + 1] = 0;
  allowed.end[1] = 0;
  Crf crf("crf", allowed);
  Index stream = 50;
  crf.visit([&](Parameter& p) {
    const auto values = random_values(p.size(), stream++);
    std::copy(values.begin(), values.end(), p.value.data());
  });
  const std::vector<std::int32_t> lengths{3, 1, 0, 5, 2, 4};
  const Packing packing(lengths);
  auto scores = random_values(packing.tokens() * kTags, 60);
  // Tag 0 throughout, which is allowed everywhere.
  const std::vector<std::int32_t> gold(packing.tokens(), 0);
  std::vector<float> gradient(scores.size()), first;
  const auto loss = [&](float* to, int threads) {
    ThreadPool pool(threads);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining);
    return crf.loss(tape, packing, {scores.data(), to, packing.tokens(), kTags}, gold);
  };
  for (int threads : {1, 3}) {
    crf.visit([](Parameter& p) { p.clear_gradient(); });
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    loss(gradient.data(), threads);
    std::vector<float> all = gradient;
    crf.visit([&](Parameter& p) { all.insert(all.end(), p.gradient.data(), p.gradient.data() + p.size()); });
    if (threads > 1) CHECK(all == first);
    first = all;
  }
  const auto error = [&](float* values, const float* found, Index count) {
    return gradient_error(
        values, found, count, [&] { return loss(nullptr, 1); }, 2e-2);
  };
  CHECK(error(scores.data(), gradient.data(), std::ssize(scores)) < 1e-5);
  crf.visit([&](Parameter& p) {
    INFO(p.name);
    CHECK(error(p.value.data(), p.gradient.data(), p.size()) < 1e-5);
  });
  const std::vector<std::int32_t> forbidden(packing.tokens(), 3);
  ThreadPool pool(1);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining);
  CHECK_THROWS_WITH(crf.loss(tape, packing, {scores.data(), nullptr, packing.tokens(), kTags}, forbidden),
                    contains_text("not a sequence that the scheme allows"));
}

TEST_CASE("classifier: gradients of all parameters through the whole model, with convolutions and without") {
  const auto convolution =
      GENERATE(ConvolutionOptions{}, ConvolutionOptions{{2, 3}, 2, false}, ConvolutionOptions{{3}, 2, true});
  using enum PoolingKind;
  Classifier model({.table_rows = 7,
                    .embedding = 4,
                    .classes = 3,
                    .recurrent = {.hidden = 3, .layers = 1, .bidirectional = true},
                    .pooling = convolution.before ? std::vector{kMean, kLast} : std::vector{kMean},
                    .convolution = convolution,
                    .dropout = 0.2f,
                    .embedding_dropout = 0.2f});
  model.initialise(1);
  const std::vector<std::int32_t> lengths{2, 3};
  const Packing packing(lengths);
  Bags bags;
  for (std::int32_t row : {1, 4, 1, 6, 2}) {
    bags.rows.push_back(row);
    bags.weights.push_back(1.0f);
    bags.starts.push_back(static_cast<std::int32_t>(bags.rows.size()));
  }
  Bench bench({}, 0, 0, [&](Tape& tape, const Activation&) {
    model.prepare(tape);
    return model.forward(tape, packing, bags);
  });
  model.visit([&](Parameter& p) {
    INFO(p.name);
    CHECK(bench.parameter_error(p, [&] { model.weights_changed(); }) < kTolerance);
  });
}

namespace {

// Two sentences and an empty one, with five words spelled with three characters.
TaggerBatch tagger_batch() {
  TaggerBatch out;
  const std::vector<std::int32_t> lengths{3, 0, 4}, word_lengths{2, 1, 4, 3, 1};
  out.packing = Packing(lengths);
  out.letters_packing = Packing(word_lengths);
  const auto fill = [](Bags& bags, Index count, std::int32_t rows) {
    for (Index n = 0; n < count; ++n) {
      bags.rows.push_back(static_cast<std::int32_t>((n * 7 + n / 3) % rows));
      bags.weights.push_back(1.0f);
      bags.starts.push_back(static_cast<std::int32_t>(n + 1));
    }
  };
  fill(out.words, out.packing.tokens(), 6);
  fill(out.letters, out.letters_packing.tokens(), 3);
  fill(out.shapes, out.packing.tokens(), 2);
  out.word = {4, 0, 2, 2, 1, 3, 0};
  return out;
}

}  // namespace

TEST_CASE("tagger: gradients of all parameters through the whole model, CRF and softmax, both character encoders") {
  const TaggerBatch batch = tagger_batch();
  const std::vector<std::vector<std::int32_t>> gold{{0, 1, 2, 0, 1, 0, 2}, {0, 0, 1, 0, 1, 1, 0}};
  for (const auto kind : {CharEncoderKind::kNone, CharEncoderKind::kCnn, CharEncoderKind::kBilstm})
    for (const bool crf : {false, true}) {
      INFO("characters " << static_cast<int>(kind) << ", crf " << crf);
      Tagger model(
          {.table_rows = 6,
           .embedding = 4,
           .chars = {.kind = kind, .rows = 3, .embedding = 3, .hidden = 2, .dropout = 0.2f},
           .shapes = 2,
           .shape_embedding = 2,
           .recurrent = {.hidden = 3, .bidirectional = true},
           .convolution = kind == CharEncoderKind::kNone ? ConvolutionOptions{} : ConvolutionOptions{{3}, 2, crf},
           .columns = {AllowedTransitions(3), AllowedTransitions(2)},
           .crf = crf,
           .dropout = 0.2f,
           .embedding_dropout = 0.2f});
      model.initialise(3);
      ThreadPool pool(2);
      Arena arena;
      const auto loss = [&](bool backward) {
        arena.reset();
        Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
        model.weights_changed();
        model.prepare(tape);
        const auto scores = model.forward(tape, batch);
        const double value = model.loss(tape, batch.packing, scores, gold, 0.1f);
        if (backward) tape.backward();
        return value;
      };
      model.visit([](Parameter& p) { p.clear_gradient(); });
      loss(true);
      std::vector<std::pair<Parameter*, std::vector<float>>> found;
      model.visit([&](Parameter& p) {
        std::vector<float> gradient(p.size());
        for (std::size_t i = 0; p.sparse && i < p.touched.size(); ++i)
          std::copy_n(p.gradient.data() + static_cast<Index>(i) * p.row_size(), p.row_size(),
                      gradient.data() + p.touched[i] * p.row_size());
        if (!p.sparse) std::copy_n(p.gradient.data(), p.size(), gradient.data());
        found.emplace_back(&p, gradient);
      });
      CHECK(found.size() >= 8);
      for (auto& [p, gradient] : found) {
        INFO(p->name);
        // The maximum over time has kinks.
        CHECK(gradient_error(
                  p->value.data(), gradient.data(), p->size(), [&] { return loss(false); }, 1e-2, 2) < 1e-3);
      }
    }
}

TEST_CASE(
    "language model: gradients of all parameters, tied and not, layers summed and not, with "
    "penalties and a state carried in") {
  const std::vector<std::int32_t> lengths{3, 2}, ids{1, 4, 0, 1, 2}, targets{0, 1, 5, 2, 2};
  struct Outputs {
    bool tied, sum_layers;
  };
  for (const Outputs& outputs : {Outputs{false, false}, {true, false}, {true, true}}) {
    const bool tied = outputs.tied, sum_layers = outputs.sum_layers;
    LanguageModel model({.units = 6,
                         .embedding = 4,
                         .recurrent = {.hidden = 4, .layers = 2, .sum_layers = sum_layers},
                         .tied = tied,
                         .activation_penalty = 0.7f,
                         .slowness_penalty = 0.4f,
                         .embedding_deviation = 0.5f});
    model.initialise(1);
    const Packing packing(lengths);
    auto h = random_values(4 * 4, 1), c = random_values(4 * 4, 2);
    const RecurrentState initial{{h.data(), nullptr, 4, 4}, {c.data(), nullptr, 4, 4}};
    ThreadPool pool(2);
    Arena arena;
    const auto loss = [&](bool backward) {
      arena.reset();
      Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
      const auto batch = model.batch(packing, ids, targets, true, 3, 5);
      model.prepare(tape);
      const auto output = model.forward(tape, batch, &initial);
      double sum = model.loss(tape, batch, output.y), size = 0, change = 0;
      const auto y = [&](Index b, Index t, Index k) {
        return static_cast<double>(output.y.value[packing.row(b, t) * 4 + k]);
      };
      for (Index b = 0; b < 2; ++b)
        for (Index t = 0; t < packing.length(b); ++t)
          for (Index k = 0; k < 4; ++k) {
            size += y(b, t, k) * y(b, t, k);
            if (t > 0) change += (y(b, t, k) - y(b, t - 1, k)) * (y(b, t, k) - y(b, t - 1, k));
          }
      sum += static_cast<double>(0.7f) * size / (5 * 4) + static_cast<double>(0.4f) * change / (3 * 4);
      if (backward) tape.backward();
      return sum;
    };
    model.visit([](Parameter& p) { p.clear_gradient(); });
    loss(true);
    // Every loss adds to the output's gradients.
    std::vector<std::vector<float>> gradients;
    model.visit([&](Parameter& p) {
      CHECK(p.sparse == (p.name == "embedding.weight" && !tied));
      auto& gradient = gradients.emplace_back(p.size());
      for (std::size_t i = 0; p.sparse && i < p.touched.size(); ++i)
        std::copy_n(p.gradient.data() + static_cast<Index>(i) * 4, 4, gradient.data() + p.touched[i] * 4);
      if (!p.sparse) std::copy_n(p.gradient.data(), p.size(), gradient.data());
    });
    std::size_t next = 0;
    model.visit([&](Parameter& p) {
      INFO(p.name << (tied ? ", tied" : "") << (sum_layers ? ", summed" : ""));
      CHECK(gradient_error(p.value.data(), gradients[next++].data(), p.size(), [&] {
              model.weights_changed();
              return loss(false);
            }) < kTolerance);
    });
  }
}

TEST_CASE("language model: dropped units are zero for a whole batch, the others scaled") {
  LanguageModel model({.units = 200, .embedding = 2, .recurrent = {.hidden = 2}, .unit_dropout = 0.25f});
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 400; ++i) ids.push_back(i % 200);
  const std::vector<std::int32_t> lengths{400};
  const auto batch = model.batch(Packing(lengths), ids, ids, true, 1, 7);
  Index dropped = 0;
  for (Index i = 0; i < 200; ++i) {
    CHECK(batch.units.weights[i] == batch.units.weights[i + 200]);
    CHECK((batch.units.weights[i] == 0.0f || batch.units.weights[i] == static_cast<float>(1.0 / 0.75)));
    dropped += batch.units.weights[i] == 0.0f ? 1 : 0;
  }
  CHECK(dropped > 30);
  CHECK(dropped < 70);
  CHECK(model.batch(Packing(lengths), ids, ids, true, 1, 8).units.weights != batch.units.weights);
  CHECK(model.batch(Packing(lengths), ids, ids, false, 1, 7).units.weights == std::vector<float>(400, 1.0f));
}

TEST_CASE("an incomplete batch of steps is an error, and gives no gradients of uninitialised memory") {
  Recurrent layer("rnn", {.input = 2, .hidden = 3});
  layer.initialise(1);
  const std::vector<std::int32_t> lengths{3, 2};
  const Packing packing(lengths);
  ThreadPool pool(1);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining);
  layer.prepare(tape);
  RecurrentSteps steps(layer, tape, packing);
  auto x = random_values(4, 1);
  steps.step({x.data(), nullptr, 2, 2});
  CHECK_THROWS_WITH(steps.final(), contains_text("1 of 3 steps"));
  CHECK_THROWS_WITH(tape.backward(), contains_text("1 of 3 steps"));
}

TEST_CASE("an initial h without an initial c means that c is zero, and vice versa") {
  const std::vector<std::int32_t> lengths{3, 2};
  const Packing packing(lengths);
  const auto x = random_values(packing.tokens() * 2, 1), given = random_values(2 * 3, 2);
  for (const bool h_given : {false, true}) {
    std::vector<float> found[2];
    for (const bool both : {false, true}) {
      Recurrent layer("rnn", {.input = 2, .hidden = 3});
      layer.initialise(1);
      ThreadPool pool(1);
      Arena arena;
      Tape tape(pool, arena, Tape::Mode::kTraining);
      RecurrentState initial;
      Activation &one = h_given ? initial.h : initial.c, &other = h_given ? initial.c : initial.h;
      one = tape.allocate(2, 3);
      std::copy(given.begin(), given.end(), one.value);
      if (both) {
        other = tape.allocate(2, 3);
        std::fill_n(other.value, 6, 0.0f);
      }
      auto in = x;
      const Activation y = layer.forward(tape, packing, {in.data(), nullptr, packing.tokens(), 2}, &initial).y;
      std::fill_n(y.gradient, y.size(), 1.0f);
      tape.backward();
      found[both ? 1 : 0].assign(one.gradient, one.gradient + 6);
    }
    CHECK(found[0] == found[1]);
    CHECK(std::any_of(found[0].begin(), found[0].end(), [](float g) { return g != 0.0f; }));
  }
}

TEST_CASE("zoneout in inference mixes in the previous value at its rate") {
  const std::vector<std::int32_t> lengths{1, 1};
  const Packing packing(lengths);
  auto x = random_values(2 * 2, 1);
  std::vector<float> y[2];
  for (const bool zoneout : {false, true}) {
    Recurrent layer("rnn", {.cell = CellKind::kGru, .input = 2, .hidden = 3, .zoneout_h = zoneout ? 0.25f : 0.0f});
    layer.initialise(1);
    ThreadPool pool(1);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    const Activation out = layer.forward(tape, packing, {x.data(), nullptr, 2, 2}).y;
    y[zoneout ? 1 : 0].assign(out.value, out.value + out.size());
  }
  // The initial state is zero.
  for (std::size_t i = 0; i < y[0].size(); ++i) CHECK(y[1][i] == Approx(0.75f * y[0][i]));
}

TEST_CASE("initialisation: the forget gate's bias if a cell has one, the highway's, and masks of weights that differ") {
  const auto biases = [](CellKind cell, const char* name) {
    RecurrentOptions options{.cell = cell, .input = 3, .hidden = 2, .layers = 2, .forget_bias = 1.5f};
    options.residual = Residual::kHighway;
    Recurrent layer("rnn", options);
    layer.initialise(1);
    std::vector<float> out;
    layer.visit([&](Parameter& p) {
      if (p.name.find(name) != std::string::npos && p.shape.size() == 1)
        out.insert(out.end(), p.value.data(), p.value.data() + p.size());
    });
    return out;
  };
  CHECK(biases(CellKind::kLstm, "bias_ih_l0") == std::vector<float>{0, 0, 1.5f, 1.5f, 0, 0, 0, 0});
  // Coupled gates: only the input gate's bias, as the forget gate is 1 minus it.
  CHECK(biases(CellKind::kCifgLstm, "bias_ih_l0") == std::vector<float>{-1.5f, -1.5f, 0, 0, 0, 0});
  CHECK(biases(CellKind::kGru, "bias_ih_l0") == std::vector<float>(6, 0.0f));
  CHECK(biases(CellKind::kMinLstm, "bias_ih_l0") == std::vector<float>{1.5f, 1.5f, 0, 0, 0, 0});
  // Its z lets new values in.
  CHECK(biases(CellKind::kMinGru, "bias_ih_l0") == std::vector<float>{-1.5f, -1.5f, 0, 0});
  // That of Lei et al. 2018 has none, and no bias but those of its two gates.
  CHECK(biases(CellKind::kSru, "bias_ih_l0") == std::vector<float>(4, 0.0f));
  CHECK(biases(CellKind::kLstm, "highway") == std::vector<float>{-1, -1});

  // With one mask for all layers and directions the same weights would be dropped in each, and have no gradient
  // anywhere.
  Recurrent layer("rnn", {.input = 8, .hidden = 4, .layers = 2, .bidirectional = true, .weight_dropout = 0.5f});
  layer.initialise(1);
  layer.visit([](Parameter& p) { p.clear_gradient(); });
  const std::vector<std::int32_t> lengths{5, 5};
  const Packing packing(lengths);
  auto x = random_values(packing.tokens() * 8, 1);
  ThreadPool pool(1);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
  const Activation y = layer.forward(tape, packing, {x.data(), nullptr, packing.tokens(), 8}).y;
  std::fill_n(y.gradient, y.size(), 1.0f);
  tape.backward();
  std::vector<std::vector<bool>> dropped;
  layer.visit([&](Parameter& p) {
    if (p.name.find("weight_hh") == std::string::npos) return;
    dropped.emplace_back();
    for (Index i = 0; i < p.size(); ++i) dropped.back().push_back(p.gradient[i] == 0.0f);
  });
  REQUIRE(dropped.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(std::count(dropped[i].begin(), dropped[i].end(), true) > 16);
    for (std::size_t j = 0; j < i; ++j) CHECK(dropped[i] != dropped[j]);
  }
}

TEST_CASE("orthogonal initialisation: each gate's recurrent matrix is orthogonal, the inputs' are in Glorot's bound") {
  Recurrent layer("rnn", {.input = 5, .hidden = 6});
  layer.initialise(1);
  layer.visit([](Parameter& p) {
    if (p.name == "rnn.weight_ih_l0") {
      const float bound = std::sqrt(6.0f / (5 + 6));
      float largest = 0;
      for (Index i = 0; i < p.size(); ++i) largest = std::max(largest, std::abs(p.value[i]));
      CHECK(largest <= bound);
      CHECK(largest > 0.9f * bound);
    }
    if (p.name != "rnn.weight_hh_l0") return;
    for (Index gate = 0; gate < 4; ++gate)
      for (Index a = 0; a < 6; ++a)
        for (Index b = 0; b < 6; ++b) {
          double dot = 0;
          for (Index k = 0; k < 6; ++k)
            dot += double{p.value[(gate * 6 + a) * 6 + k]} * double{p.value[(gate * 6 + b) * 6 + k]};
          CHECK(dot == Approx(a == b ? 1.0 : 0.0).margin(1e-6));
        }
  });
}

TEST_CASE("a step is an error if another use of its layers packed other weights") {
  Recurrent layer("rnn", {.input = 2, .hidden = 3, .weight_dropout = 0.5f});
  layer.initialise(1);
  const std::vector<std::int32_t> lengths{3, 3};
  const Packing packing(lengths);
  ThreadPool pool(1);
  Arena arena, other;
  Tape tape(pool, arena, Tape::Mode::kTraining), peek(pool, other, Tape::Mode::kInference);
  layer.prepare(tape);
  RecurrentSteps steps(layer, tape, packing);
  auto x = random_values(packing.tokens() * 2, 1);
  steps.step({x.data(), nullptr, 2, 2});
  layer.forward(peek, packing, {x.data(), nullptr, packing.tokens(), 2});
  CHECK_THROWS_WITH(steps.step({x.data() + 4, nullptr, 2, 2}), contains_text("packed again"));
}

TEST_CASE("very long words are encoded in turns, with the bits of each word alone") {
  ThreadPool pool(2);
  for (const auto kind : {CharEncoderKind::kCnn, CharEncoderKind::kBilstm}) {
    CharEncoder encoder("chars", {.kind = kind, .rows = 5, .embedding = 2, .hidden = 3});
    encoder.initialise(Initialiser::kUniform, 1);
    encoder.prepare(pool);
    const std::vector<std::int32_t> lengths{150000, 7, 130000, 1};
    const auto letter = [](Index word, Index t) { return static_cast<std::int32_t>((word + t * t) % 5); };
    const auto read = [&](const std::vector<std::int32_t>& some, const std::vector<Index>& words) {
      const Packing packing(some);
      Bags letters;
      for (Index t = 0; t < packing.steps(); ++t)
        for (Index b = 0; b < packing.rows_at(t); ++b) {
          letters.rows.push_back(letter(words[packing.original(b)], t));
          letters.weights.push_back(1.0f);
          letters.starts.push_back(static_cast<std::int32_t>(letters.rows.size()));
        }
      Arena arena;
      Tape tape(pool, arena, Tape::Mode::kInference);
      const Activation y = encoder.forward(tape, packing, letters);
      return std::vector<float>(y.value, y.value + y.size());
    };
    const auto together = read(lengths, {0, 1, 2, 3});
    for (Index word = 0; word < 4; ++word) {
      const auto alone = read({lengths[word]}, {word});
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + word * std::ssize(alone)));
    }
  }
}
