// One step at a time gives the bits of whole sequences, allocates nothing, and its state can be kept.
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

// Counts what this program allocates by new; what the libraries take from malloc shows in mallinfo2. The sanitizers
// bring their own new, and there nothing is counted.
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
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
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

RecurrentOptions options_of(CellKind cell, int variant) {
  RecurrentOptions o{.cell = cell, .input = kInput, .hidden = 9, .layers = 3};
  if (variant == 1) o.projection = 4;
  if (variant == 2) o.residual = Residual::kAdd;
  if (variant == 3) o.residual = Residual::kHighway;
  if (variant == 4) o.zoneout_h = 0.2f;
  if (variant == 5) o.zoneout_c = 0.3f;
  if (variant == 6) o.learned_initial = true;
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

TEST_CASE("a session gives the bits of the whole sequence, for every cell and what stands around it") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const CellKind cell : all_cells())
    for (int variant = 0; variant < 7; ++variant) {
      const RecurrentOptions o = options_of(cell, variant);
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(cell).name << ", variant " << variant);
      Recurrent layers("rnn", o);
      layers.initialise(3);
      // Learned states begin as zero.
      std::uint64_t stream = 40;
      layers.visit([&](Parameter& p) {
        RandomStream random(7, Purpose::kTest, stream++);
        for (Index i = 0; i < p.size(); ++i) p.value[i] += 0.1f * static_cast<float>(random.normal());
      });
      layers.weights_changed();
      const auto expected = whole(layers, pool, x);
      RecurrentSession session(layers, pool, kSequences);
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

TEST_CASE("a session gives the bits of the whole sequence in narrower numbers too, and they are near float32's") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const CellKind cell : all_cells())
    for (const int variant : {0, 1, 3}) {
      RecurrentOptions o = options_of(cell, variant);
      if (!recurrent_conflicts(o).empty()) continue;
      Recurrent layers("rnn", o);
      layers.initialise(3);
      const auto exact = whole(layers, pool, x);
      for (const kernels::Numbers numbers : {kernels::Numbers::kBfloat16Weights, kernels::Numbers::kInt8}) {
        INFO(cell_traits(cell).name << ", variant " << variant << ", " << kernels::numbers_name(numbers));
        layers.set_numbers(numbers);
        const auto expected = whole(layers, pool, x);
        CHECK_FALSE(expected == exact);
        float difference = 0.0f;
        for (std::size_t i = 0; i < exact.size(); ++i)
          difference = std::max(difference, std::abs(expected[i] - exact[i]));
        CHECK(difference < 0.1f);
        RecurrentSession session(layers, pool, kSequences);
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

// Kernels of narrow numbers keep room from the first step on.
TEST_CASE("steps allocate nothing") {
  ThreadPool pool(1);
  const auto x = inputs();
  for (const CellKind cell : all_cells())
    for (const kernels::Numbers numbers :
         {kernels::Numbers::kFloat32, kernels::Numbers::kBfloat16Weights, kernels::Numbers::kInt8}) {
      INFO(cell_traits(cell).name << ", " << kernels::numbers_name(numbers));
      RecurrentOptions options = options_of(cell, 3);
      options.numbers = numbers;
      Recurrent layers("rnn", options);
      layers.initialise(3);
      RecurrentSession session(layers, pool, kSequences);
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

TEST_CASE("a session refuses two directions and a state of another shape") {
  ThreadPool pool(1);
  Recurrent both("rnn", {.input = 3, .hidden = 4, .bidirectional = true});
  both.initialise(1);
  CHECK_THROWS_WITH(RecurrentSession(both, pool), contains_text("one direction"));
  Recurrent one("rnn", {.input = 3, .hidden = 4});
  one.initialise(1);
  RecurrentSession session(one, pool);
  CHECK_THROWS_WITH(session.set_state({{1.0f, 2.0f}, {}}), contains_text("expected 4 and 4"));
}
