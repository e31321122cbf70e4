#include "nn/self_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "tests/catch.h"
#include "tests/reference/every_target.h"
#include "tests/reference/self_attention.h"

using namespace mnemo;

namespace {

std::vector<float> some_values(Index count, std::uint64_t stream, float scale = 1.0f) {
  RandomStream random(7, Purpose::kTest, stream);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& value : out) value = scale * static_cast<float>(random.normal());
  return out;
}

// Weights as after some training: nothing is zero or one.
void fill(SelfAttention& block) {
  std::uint64_t stream = 70;
  block.visit([&](Parameter& p) {
    const float scale = p.shape.size() > 1 ? 1.0f / std::sqrt(static_cast<float>(p.row_size())) : 0.3f;
    const auto values = some_values(p.size(), stream++, scale);
    const bool gain = p.name.ends_with("norm.weight");
    for (Index i = 0; i < p.size(); ++i) p.value[i] = values[static_cast<std::size_t>(i)] + (gain ? 1.0f : 0.0f);
  });
  block.weights_changed();
}

// y of each sequence, step after step, for h in the same order.
std::vector<float> run(SelfAttention& block, ThreadPool& pool, const std::vector<std::int32_t>& lengths,
                       std::vector<float> h, Tape::Mode mode, AttentionMemory before = {},
                       std::vector<float>* memory = nullptr) {
  const Packing packing(lengths);
  const Index C = block.columns();
  std::vector<Index> starts(lengths.size(), 0);
  std::partial_sum(lengths.begin(), lengths.end() - 1, starts.begin() + 1);
  std::vector<float> packed(h.size()), gradient(h.size());
  const auto copy = [&](const float* from, float* to, bool pack) {
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index t = 0; t < packing.length(b); ++t) {
        const Index own = (starts[static_cast<std::size_t>(packing.original(b))] + t) * C,
                    there = packing.row(b, t) * C;
        std::copy_n(from + (pack ? own : there), C, to + (pack ? there : own));
      }
  };
  copy(h.data(), packed.data(), true);
  Arena arena;
  Tape tape(pool, arena, mode, 3, 5);
  block.prepare(tape);
  const auto out =
      block.forward(tape, packing, {packed.data(), gradient.data(), packing.tokens(), C}, before, 0, false);
  copy(out.y.value, h.data(), false);
  if (memory) {
    memory->assign(out.after.rows.value, out.after.rows.value + out.after.rows.size());
    memory->insert(memory->end(), out.after.seen.value, out.after.seen.value + out.after.seen.size());
  }
  return h;
}

}  // namespace

TEST_CASE("self-attention agrees with its reference, in training and inference, whatever sequences are beside it") {
  ThreadPool pool(2);
  const std::vector<std::int32_t> lengths{5, 40, 1, 0, 17};
  for (const auto& [columns, memory, feed] :
       {std::tuple{7, 0, 0}, {16, 0, 33}, {17, 6, 20}, {50, 100, 0}, {64, 1, 9}, {1, 3, 1}}) {
    INFO(columns << " columns, memory " << memory << ", feed-forward " << feed);
    const Index C = columns;
    SelfAttention block("block", C, {1, memory, feed});
    fill(block);
    double weights = 0;
    block.visit([&](Parameter& p) { weights += static_cast<double>(p.size()); });
    CHECK(weights == self_attention_parameters(block.options(), C));
    const auto h = some_values(63 * C, 1);
    on_every_target([&] {
      block.weights_changed();
      const auto y = run(block, pool, lengths, h, Tape::Mode::kInference);
      CHECK(y == run(block, pool, lengths, h, Tape::Mode::kTraining));
      double worst = 0;
      std::size_t at = 0;
      for (const std::int32_t length : lengths) {
        std::vector<std::vector<double>> rows;
        for (std::int32_t t = 0; t < length; ++t)
          rows.emplace_back(h.begin() + static_cast<Index>(at) + t * C,
                            h.begin() + static_cast<Index>(at) + (t + 1) * C);
        const std::size_t size = static_cast<std::size_t>(length * C);
        const std::vector<float> own(h.begin() + static_cast<Index>(at), h.begin() + static_cast<Index>(at + size));
        const auto alone = run(block, pool, {length}, own, Tape::Mode::kInference);
        CHECK(std::equal(alone.begin(), alone.end(), y.begin() + static_cast<Index>(at)));
        for (const auto& row : reference::SelfAttentionBlock(block)(rows))
          for (const double exact : row) worst = std::max(worst, std::abs(exact - static_cast<double>(y[at++])));
      }
      CHECK(worst < kSelfAttentionError);
    });
  }
}

TEST_CASE("self-attention with a memory: pieces, and single steps, give the bits of the whole text") {
  constexpr Index C = 21, kSteps = 60, kMemory = 8;
  for (const Index feed : {0, 30})
    for (const auto precision :
         {kernels::Precision::kFloat32, kernels::Precision::kBfloat16Weights, kernels::Precision::kInt8}) {
      INFO(kernels::precision_name(precision) << ", feed-forward " << feed);
      ThreadPool pool(3);
      SelfAttention block("block", C, {1, kMemory, feed});
      fill(block);
      block.set_precision(precision);
      const std::vector<float> both = some_values(2 * kSteps * C, 2);
      const auto whole = run(block, pool, {kSteps, kSteps}, both, Tape::Mode::kInference);
      const auto of = [&](const std::vector<float>& all, Index b, Index from, Index count) {
        return std::vector<float>(all.begin() + (b * kSteps + from) * C, all.begin() + (b * kSteps + from + count) * C);
      };
      // Pieces, the first of them shorter than the memory.
      std::vector<float> memory;
      Index at = 0;
      for (const Index count : {3, 2, 40, 15}) {
        std::vector<float> h = of(both, 0, at, count);
        const auto other = of(both, 1, at, count);
        h.insert(h.end(), other.begin(), other.end());
        auto kept = memory;
        const AttentionMemory before = kept.empty() ? AttentionMemory()
                                                    : AttentionMemory{{kept.data(), nullptr, 2 * kMemory, C},
                                                                      {kept.data() + 2 * kMemory * C, nullptr, 2, 1}};
        const auto length = static_cast<std::int32_t>(count);
        const auto y = run(block, pool, {length, length}, h, Tape::Mode::kInference, before, &memory);
        CHECK(std::equal(y.begin(), y.begin() + count * C, whole.begin() + at * C));
        CHECK(std::equal(y.begin() + count * C, y.end(), whole.begin() + (kSteps + at) * C));
        at += count;
      }
      block.prepare(pool);
      SelfAttentionSteps steps(block, 2);
      for (const int round : {0, 1}) {
        bool same = true;
        for (Index t = 0; t < kSteps; ++t) {
          if (t == 30) {
            // Into other memory and back, and with the sequences exchanged and back.
            std::vector<float> rows, seen;
            steps.save(rows, seen);
            steps.reset();
            steps.load(rows, seen);
            steps.select(std::vector<Index>{1, 0, 1});
            steps.select(std::vector<Index>{1, 2});
          }
          std::vector<float> h = of(both, 0, t, 1);
          const auto other = of(both, 1, t, 1);
          h.insert(h.end(), other.begin(), other.end());
          const float* y = steps.step(h.data());
          same = same && std::equal(y, y + C, whole.begin() + t * C) &&
                 std::equal(y + C, y + 2 * C, whole.begin() + (kSteps + t) * C);
        }
        INFO("round " << round);
        CHECK(same);
        steps.reset();
      }
    }
}

TEST_CASE("self-attention: a step sees only as far back as its memory, and no later step") {
  ThreadPool pool(1);
  constexpr Index C = 5, kMemory = 3, kSteps = 20;
  SelfAttention block("block", C, {1, kMemory, 0});
  fill(block);
  const auto h = some_values(kSteps * C, 3);
  const auto y = run(block, pool, {kSteps}, h, Tape::Mode::kInference);
  for (Index changed = 0; changed < kSteps; ++changed) {
    auto other = h;
    other[static_cast<std::size_t>(changed * C)] += 1.0f;
    const auto now = run(block, pool, {kSteps}, other, Tape::Mode::kInference);
    for (Index t = 0; t < kSteps; ++t) {
      const bool same = std::equal(now.begin() + t * C, now.begin() + (t + 1) * C, y.begin() + t * C);
      CHECK(same == (t < changed || t > changed + kMemory));
    }
  }
}

TEST_CASE("self-attention: output and gradients do not depend on the number of threads") {
  constexpr Index C = 24;
  const std::vector<std::int32_t> lengths{70, 33, 1, 70, 5};
  const Packing packing(lengths);
  SelfAttention block("block", C, {1, 20, 40, 0.2f});
  fill(block);
  auto h = some_values(packing.tokens() * C, 4);
  const auto weights = some_values(packing.tokens() * C, 5);
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 7}) {
    INFO(threads << " threads");
    ThreadPool pool(threads);
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
    std::vector<float> dh(h.size());
    block.visit([](Parameter& p) { p.clear_gradient(); });
    block.prepare(tape);
    const Activation y = block.forward(tape, packing, {h.data(), dh.data(), packing.tokens(), C}, {}, 0, false).y;
    std::copy(weights.begin(), weights.end(), y.gradient);
    std::vector<float> found(y.value, y.value + y.size());
    tape.backward();
    found.insert(found.end(), dh.begin(), dh.end());
    block.visit([&](Parameter& p) { found.insert(found.end(), p.gradient.data(), p.gradient.data() + p.size()); });
    if (expected.empty()) expected = found;
    CHECK(found == expected);
  }
}

TEST_CASE("a memory of a number of steps that cannot be is refused") {
  SelfAttention block("block", 4, {.layer = 1, .memory = 3});
  SelfAttentionSteps steps(block, 2);
  const std::vector<float> rows(2 * 3 * 4, 0.5f);
  CHECK_NOTHROW(steps.load(rows, {0, 3}));
  for (const float seen : {-1.0f, 4.0f, 1e30f, std::numeric_limits<float>::quiet_NaN()})
    CHECK_THROWS_WITH(steps.load(rows, {0, seen}), contains_text("not 0 to 3"));
  CHECK_THROWS_WITH(steps.load(rows, {0}), contains_text("expected 24 of 2"));
}

TEST_CASE("single steps through self-attention that sees later ones are refused") {
  SelfAttention block("block", 4, {1, 0, 0});
  CHECK_THROWS_WITH(SelfAttentionSteps(block, 1), contains_text("later"));
}
