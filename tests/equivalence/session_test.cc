// Sessions: one step at a time gives the bits of whole sequences and allocates nothing, and the state can be saved and
// restored.
#include "nn/session.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>

#include "base/random.h"
#include "tests/catch.h"

namespace {
std::atomic<long> allocations{0};
}

// Counts this program's allocations by new; those of libraries by malloc show in mallinfo2. The sanitizers bring their
// own new, so nothing is counted under them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MNEMO_OWN_NEW 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MNEMO_OWN_NEW 0
#endif
#ifndef MNEMO_OWN_NEW
#define MNEMO_OWN_NEW 1
#endif

#if MNEMO_OWN_NEW
// Not inlined: the compiler would take a lone free of what new returned for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

using namespace mnemo;

namespace {

constexpr Index kSteps = 7, kSequences = 2, kInput = 5;

std::vector<float> inputs() {
  RandomStream random(7, Purpose::kTest);
  std::vector<float> x(kSteps * kSequences * kInput);
  for (float& value : x) value = static_cast<float>(random.normal());
  return x;
}

RecurrentOptions options_of(CellKind cell, int variant, Index hidden = 9) {
  RecurrentOptions o{.cell = cell, .input = kInput, .hidden = hidden, .layers = 3};
  if (variant == 1) o.projection = 4;
  if (variant == 2) o.residual = Residual::kAdd;
  if (variant == 3) o.residual = Residual::kHighway;
  if (variant == 4) o.zoneout_h = 0.2f;
  if (variant == 5) o.zoneout_c = 0.3f;
  if (variant == 6) o.learned_initial = true;
  if (variant == 7) o.sum_layers = true;
  if (variant == 8) {
    o.sum_layers = true;
    o.residual = Residual::kHighway;
  }
  if (variant >= 9 && variant <= 11) o.mogrifier = {variant - 8, 3};
  if (variant == 11) o.projection = 4;
  if (variant == 12) o.attention = {2, 3, 11};
  if (variant == 13) {
    o.attention = {3, 2, 0};
    o.sum_layers = true;
    o.residual = Residual::kAdd;
  }
  return o;
}

// All sequences are equally long, so the packed rows are those of the steps, one after the other.
std::vector<float> whole(Recurrent& layers, ThreadPool& pool, std::vector<float> x) {
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kInference);
  const std::vector<std::int32_t> lengths(kSequences, kSteps);
  const Packing packing(lengths);
  const Activation y = layers.forward(tape, packing, {x.data(), nullptr, packing.tokens(), kInput}).y;
  return {y.value, y.value + y.size()};
}

}  // namespace

TEST_CASE("a session gives the bits of the whole sequence, for every cell and the options around it") {
  ThreadPool pool(2);
  const auto x = inputs();
  const Index hidden = GENERATE(Index{9}, Index{64});  // 64: whole panels for each of two threads
  for (const CellKind cell : all_cells())
    for (int variant = 0; variant < 14; ++variant) {
      const RecurrentOptions o = options_of(cell, variant, hidden);
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(cell).name << ", variant " << variant << ", " << hidden << " units");
      Recurrent layers("rnn", o);
      layers.initialise(3);
      // Learned states are initialised with zero.
      std::uint64_t stream = 40;
      layers.visit([&](Parameter& p) {
        RandomStream random(7, Purpose::kTest, stream++);
        for (Index i = 0; i < p.size(); ++i) p.value[i] += 0.1f * static_cast<float>(random.normal());
      });
      layers.weights_changed();
      const auto expected = whole(layers, pool, x);
      layers.prepare(pool);
      RecurrentSession session(layers, kSequences);
      const Index size = kSequences * o.output();
      SessionState half;
      for (int round = 0; round < 2; ++round) {
        bool same = true;
        for (Index t = 0; t < kSteps; ++t) {
          if (t == 3) half = session.state();
          const float* y = session.step(x.data() + t * kSequences * kInput);
          same = same && std::equal(y, y + size, expected.begin() + t * size);
        }
        CHECK(same);
        session.reset();
      }
      session.set_state(half);
      const float* y = session.step(x.data() + 3 * kSequences * kInput);
      CHECK(std::equal(y, y + size, expected.begin() + 3 * size));
    }
}

TEST_CASE("a session gives the bits of the whole sequence in lower precision too, and they are near float32's") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const CellKind cell : all_cells())
    for (const int variant : {0, 1, 3, 8, 10, 12}) {
      RecurrentOptions o = options_of(cell, variant);
      if (!recurrent_conflicts(o).empty()) continue;
      Recurrent layers("rnn", o);
      layers.initialise(3);
      const auto exact = whole(layers, pool, x);
      for (const kernels::Precision precision : {kernels::Precision::kBfloat16Weights, kernels::Precision::kInt8}) {
        INFO(cell_traits(cell).name << ", variant " << variant << ", " << kernels::precision_name(precision));
        layers.set_precision(precision);
        const auto expected = whole(layers, pool, x);
        CHECK_FALSE(expected == exact);
        float difference = 0.0f;
        for (std::size_t i = 0; i < exact.size(); ++i)
          difference = std::max(difference, std::abs(expected[i] - exact[i]));
        // A norm makes the small outputs of a layer, and their errors, larger.
        CHECK(difference < (o.attention.layer > 0 ? 0.2f : 0.1f));
        layers.prepare(pool);
        RecurrentSession session(layers, kSequences);
        const Index size = kSequences * o.output();
        bool same = true;
        for (Index t = 0; t < kSteps; ++t) {
          const float* y = session.step(x.data() + t * kSequences * kInput);
          same = same && std::equal(y, y + size, expected.begin() + t * size);
        }
        CHECK(same);
      }
    }
}

// Low-precision kernels keep their memory from the first step on.
TEST_CASE("steps allocate nothing") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const CellKind cell : all_cells())
    for (const kernels::Precision precision :
         {kernels::Precision::kFloat32, kernels::Precision::kBfloat16Weights, kernels::Precision::kInt8}) {
      INFO(cell_traits(cell).name << ", " << kernels::precision_name(precision));
      RecurrentOptions options = options_of(cell, 8);
      options.precision = precision;
      Recurrent layers("rnn", options);
      layers.initialise(3);
      layers.prepare(pool);
      RecurrentSession session(layers, kSequences);
      session.step(x.data());
      const long before = allocations;
      const std::size_t heap = mallinfo2().uordblks;
      for (Index t = 0; t < kSteps; ++t) session.step(x.data() + t * kSequences * kInput);
      CHECK(allocations == before);
#if MNEMO_OWN_NEW
      CHECK(before > 0);
#endif
      CHECK(mallinfo2().uordblks == heap);
    }
}

TEST_CASE("steps with a mogrifier or self-attention allocate nothing") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const int variant : {10, 12}) {
    Recurrent layers("rnn", options_of(CellKind::kLstm, variant));
    layers.initialise(3);
    layers.prepare(pool);
    RecurrentSession session(layers, kSequences);
    session.step(x.data());
    const long before = allocations;
    for (Index t = 0; t < kSteps; ++t) session.step(x.data() + t * kSequences * kInput);
    CHECK(allocations == before);
  }
}

TEST_CASE("a session refuses weights that are packed for training, and goes on once they are prepared again") {
  ThreadPool pool(1);
  const auto x = inputs();
  RecurrentOptions options = options_of(CellKind::kLstm, 3);
  options.weight_dropout = 0.5f;
  Recurrent layers("rnn", options);
  layers.initialise(3);
  const auto expected = whole(layers, pool, x);
  layers.prepare(pool);
  RecurrentSession session(layers, kSequences);
  const Index size = kSequences * options.output();
  bool same = true;
  for (Index t = 0; t < kSteps; ++t) {
    const float* y = session.step(x.data() + t * kSequences * kInput);
    same = same && std::equal(y, y + size, expected.begin() + t * size);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining, 1, static_cast<std::uint64_t>(t));
    const std::vector<std::int32_t> lengths{2};
    const Packing packing(lengths);
    auto in = x;
    layers.forward(tape, packing, {in.data(), nullptr, 2, kInput});
    CHECK_THROWS_WITH(session.step(x.data()), contains_text("prepared"));
    layers.prepare(pool);
  }
  CHECK(same);
}

TEST_CASE("inference over many chunks of time gives the bits of training's forward pass, in both directions") {
  const std::vector<std::int32_t> lengths{700, 33, 256, 0, 512, 1, 257};
  const Packing packing(lengths);
  RandomStream random(7, Purpose::kTest, 9);
  std::vector<float> x(packing.tokens() * kInput);
  for (float& value : x) value = static_cast<float>(random.normal());
  // 64 units of two directions are whole panels for each of two threads, 160 for each of five.
  const Index hidden = GENERATE(Index{9}, Index{64}, Index{160});
  for (const CellKind cell : all_cells()) {
    INFO(cell_traits(cell).name << ", " << hidden << " units");
    Recurrent layers("rnn", {.cell = cell, .input = kInput, .hidden = hidden, .layers = 2, .bidirectional = true});
    layers.initialise(3);
    std::vector<float> y, state;
    for (const auto mode : {Tape::Mode::kTraining, Tape::Mode::kInference})
      for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        Arena arena;
        Tape tape(pool, arena, mode);
        const auto out = layers.forward(tape, packing, {x.data(), nullptr, packing.tokens(), kInput});
        const std::vector<float> now(out.y.value, out.y.value + out.y.size());
        const std::vector<float> now_state(out.final.h.value, out.final.h.value + out.final.h.size());
        if (y.empty()) {
          y = now;
          state = now_state;
        }
        // In brackets, as half a million values that differ would take minutes to print.
        CHECK((y == now));
        CHECK((state == now_state));
      }
  }
}

// Rows of a big layer's matrix are those of four small ones, which see the same input.
TEST_CASE("units of cells without a recurrent product do not depend on the tile that they are in") {
  constexpr Index kParts = 4;
  // Four parts of 48 units are whole panels of 32 for each of two threads, one is not.
  const Index part_size = GENERATE(Index{50}, Index{48});
  const std::vector<std::int32_t> lengths{9, 4, 1};
  const Packing packing(lengths);
  RandomStream random(7, Purpose::kTest, 10);
  std::vector<float> x(packing.tokens() * kInput);
  for (float& value : x) value = static_cast<float>(random.normal());
  for (const CellKind cell : {CellKind::kMinLstm, CellKind::kMinGru})
    for (const float zoneout : {0.0f, 0.3f}) {
      INFO(cell_traits(cell).name << ", zoneout " << zoneout);
      const auto options = [&](Index hidden) {
        return RecurrentOptions{.cell = cell, .input = kInput, .hidden = hidden, .zoneout_h = zoneout};
      };
      // y, dx and the weights' gradients; zoneout's choices in training differ between sizes, so only y is compared.
      const auto run = [&](Recurrent& layer, std::vector<float>& dx) {
        ThreadPool pool(2);
        Arena arena;
        Tape tape(pool, arena, zoneout > 0 ? Tape::Mode::kInference : Tape::Mode::kTraining);
        dx.assign(x.size(), 0.0f);
        layer.visit([](Parameter& p) { p.clear_gradient(); });
        const Activation y = layer.forward(tape, packing, {x.data(), dx.data(), packing.tokens(), kInput}).y;
        if (zoneout == 0.0f) {
          std::fill_n(y.gradient, y.size(), 1.0f);
          tape.backward();
        }
        return std::vector<float>(y.value, y.value + y.size());
      };
      Recurrent big("rnn", options(part_size * kParts));
      big.initialise(3);
      std::vector<float> dx, sum(x.size());
      const auto y = run(big, dx);
      std::vector<std::pair<std::string, std::vector<float>>> gradients;
      big.visit([&](Parameter& p) {
        gradients.emplace_back(p.name, std::vector<float>(p.gradient.data(), p.gradient.data() + p.size()));
      });
      for (Index part = 0; part < kParts; ++part) {
        Recurrent small("rnn", options(part_size));
        small.initialise(1);
        std::vector<Parameter*> from;
        big.visit([&](Parameter& p) { from.push_back(&p); });
        std::size_t k = 0;
        const Index gates = cell_traits(cell).gates;
        small.visit([&](Parameter& p) {
          const Index size = p.size() / gates;
          for (Index g = 0; g < gates; ++g)
            std::copy_n(from[k]->value.data() + (g * kParts + part) * size, size, p.value.data() + g * size);
          ++k;
        });
        small.weights_changed();
        std::vector<float> part_dx;
        const auto part_y = run(small, part_dx);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part_dx[i];
        bool same = true;
        for (Index n = 0; n < packing.tokens(); ++n)
          same = same && std::equal(part_y.begin() + n * part_size, part_y.begin() + (n + 1) * part_size,
                                    y.begin() + n * part_size * kParts + part * part_size);
        CHECK(same);
        k = 0;
        small.visit([&](Parameter& p) {
          const Index size = p.size() / gates;
          double worst = 0;
          for (Index g = 0; g < gates; ++g)
            for (Index i = 0; i < size; ++i)
              worst = std::max(worst, std::abs(double{p.gradient[g * size + i]} -
                                               double{gradients[k].second[(g * kParts + part) * size + i]}));
          CHECK(worst < 1e-5);
          ++k;
        });
      }
      double worst = 0;
      for (std::size_t i = 0; i < sum.size(); ++i) worst = std::max(worst, std::abs(double{sum[i]} - double{dx[i]}));
      CHECK(worst < 1e-5);
    }
}

TEST_CASE("gradients of a cell's own vectors beyond a thousand elements match central differences") {
  constexpr Index kHidden = 300;
  const std::vector<std::int32_t> lengths{3, 2};
  const Packing packing(lengths);
  Recurrent layer("rnn", {.cell = CellKind::kNormLstm, .input = kInput, .hidden = kHidden});
  layer.initialise(3);
  RandomStream random(7, Purpose::kTest, 12);
  std::vector<float> x(packing.tokens() * kInput);
  for (float& value : x) value = static_cast<float>(random.normal());
  ThreadPool pool(2);
  Arena arena;
  const auto loss = [&](bool backward) {
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kTraining);
    layer.weights_changed();
    const Activation y = layer.forward(tape, packing, {x.data(), nullptr, packing.tokens(), kInput}).y;
    double sum = 0;
    for (Index i = 0; i < y.size(); ++i) sum += double{y.value[i]} * double(i % 7 + 1);
    for (Index i = 0; i < y.size() && backward; ++i) y.gradient[i] = static_cast<float>(i % 7 + 1);
    if (backward) tape.backward();
    return sum;
  };
  layer.visit([](Parameter& p) { p.clear_gradient(); });
  loss(true);
  int long_ones = 0;
  layer.visit([&](Parameter& p) {
    if (p.shape.size() != 1) return;
    long_ones += p.size() > 1024 ? 1 : 0;
    INFO(p.name);
    for (const Index at : {Index{0}, Index{7}, std::min<Index>(1023, p.size() - 2), std::min<Index>(1024, p.size() - 3),
                           std::min<Index>(1100, p.size() - 4), p.size() - 1}) {
      const float kept = p.value[at], step = 0.05f;
      p.value[at] = kept + step;
      const double above = loss(false);
      p.value[at] = kept - step;
      const double below = loss(false);
      p.value[at] = kept;
      const double expected = (above - below) / (2.0 * double{step});
      CHECK(std::abs(double{p.gradient[at]} - expected) < 0.02 * std::max(1.0, std::abs(expected)));
    }
    CHECK(std::any_of(p.gradient.data() + p.size() - 50, p.gradient.data() + p.size(),
                      [](float g) { return g != 0.0f; }));
  });
  CHECK(long_ones >= 2);
}

TEST_CASE("a highway's own product has the layers' precision") {
  ThreadPool pool(1);
  const auto x = inputs();
  Recurrent layers("rnn", options_of(CellKind::kLstm, 3));
  layers.initialise(3);
  // All other matrices are zero, and so are the same in every precision.
  layers.visit([](Parameter& p) {
    if (p.name.find("weight_") != std::string::npos) std::fill_n(p.value.data(), p.size(), 0.0f);
    const bool first = p.name.find("bias_ih_l0") != std::string::npos;
    if (p.name.find("bias_ih") != std::string::npos) std::fill_n(p.value.data(), p.size(), first ? 0.3f : -0.5f);
  });
  layers.weights_changed();
  const auto exact = whole(layers, pool, x);
  for (const kernels::Precision precision : {kernels::Precision::kBfloat16Weights, kernels::Precision::kInt8}) {
    layers.set_precision(precision);
    CHECK_FALSE(whole(layers, pool, x) == exact);
  }
}

TEST_CASE("a session refuses two directions and a state of another shape") {
  ThreadPool pool(1);
  Recurrent both("rnn", {.input = 3, .hidden = 4, .bidirectional = true});
  both.initialise(1);
  CHECK_THROWS_WITH(RecurrentSession(both), contains_text("one direction"));
  Recurrent one("rnn", {.input = 3, .hidden = 4});
  one.initialise(1);
  CHECK_THROWS_WITH(RecurrentSession(one), contains_text("prepared"));
  one.prepare(pool);
  RecurrentSession session(one);
  CHECK_THROWS_WITH(session.set_state({{1.0f, 2.0f}, {}}), contains_text("expected 4 and 4"));
}
