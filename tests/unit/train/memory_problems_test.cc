// The memory problems: sequences against their definitions, baselines against what is drawn, and training.
#include "train/memory_problems.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "tests/catch.h"

using namespace mnemo;

namespace {

// A sequence of a batch, unpacked: its rows, and its answers.
struct Drawn {
  std::vector<std::vector<float>> rows;
  std::vector<std::int32_t> labels;
  float target = 0;

  // The place of the 1 in each row, which must be the only value that is not 0.
  std::vector<std::int32_t> symbols() const {
    std::vector<std::int32_t> out;
    for (const auto& row : rows) {
      CHECK(std::ranges::count(row, 1.0f) == 1);
      CHECK(std::ranges::count(row, 0.0f) == static_cast<std::ptrdiff_t>(row.size()) - 1);
      out.push_back(static_cast<std::int32_t>(std::ranges::find(row, 1.0f) - row.begin()));
    }
    return out;
  }
};

std::vector<Drawn> drawn_batch(MemoryProblem problem, Index length, Index sequences, std::uint64_t index = 0) {
  const MemoryBatch batch = memory_batch(problem, length, sequences, 3, index);
  const MemoryShape& shape = memory_shape(problem);
  std::vector<Drawn> out(static_cast<std::size_t>(sequences));
  for (Index b = 0; b < sequences; ++b) {
    Drawn& one = out[static_cast<std::size_t>(batch.packing.original(b))];
    for (Index t = 0; t < batch.packing.length(b); ++t) {
      const Index n = batch.packing.row(b, t);
      one.rows.emplace_back(batch.x.begin() + n * shape.inputs, batch.x.begin() + (n + 1) * shape.inputs);
      if (shape.every_step) one.labels.push_back(batch.labels[static_cast<std::size_t>(n)]);
    }
    if (!batch.targets.empty()) one.target = batch.targets[static_cast<std::size_t>(b)];
    if (!shape.every_step && !batch.labels.empty()) one.labels = {batch.labels[static_cast<std::size_t>(b)]};
  }
  return out;
}

MemorySettings easy_settings() {
  MemorySettings out;
  out.length = 10;
  out.layer = {.hidden = 16};
  out.steps = 1500;
  return out;
}

}  // namespace

TEST_CASE("memory problems: temporal order as in experiment 6a of 1997") {
  std::map<std::int32_t, int> classes;
  std::map<std::size_t, int> lengths;
  std::array<int, 4> others{};
  std::size_t first_low = 1000, first_high = 0, second_low = 1000, second_high = 0;
  for (const Drawn& one : drawn_batch(MemoryProblem::kOrder, 100, 4000)) {
    const std::vector<std::int32_t> symbols = one.symbols();
    ++lengths[symbols.size()];
    CHECK(symbols.front() == 6);
    CHECK(symbols.back() == 7);
    std::vector<std::size_t> places;
    for (std::size_t t = 1; t + 1 < symbols.size(); ++t)
      if (symbols[t] >= 4)
        places.push_back(t);
      else
        ++others[static_cast<std::size_t>(symbols[t])];
    REQUIRE(places.size() == 2);
    first_low = std::min(first_low, places[0]), first_high = std::max(first_high, places[0]);
    second_low = std::min(second_low, places[1]), second_high = std::max(second_high, places[1]);
    const bool y1 = symbols[places[0]] == 5, y2 = symbols[places[1]] == 5;
    CHECK(one.labels == std::vector<std::int32_t>{y1 ? (y2 ? 3 : 2) : (y2 ? 1 : 0)});
    ++classes[one.labels.front()];
  }
  CHECK(lengths.begin()->first == 100);
  CHECK(lengths.rbegin()->first == 110);
  CHECK(lengths.size() == 11);
  CHECK(std::array{first_low, first_high, second_low, second_high} == std::array<std::size_t, 4>{10, 20, 50, 60});
  // Of 4000 draws, five standard deviations are 137.
  REQUIRE(classes.size() == 4);
  for (const auto& [label, count] : classes) CHECK(std::abs(count - 1000) < 137);
  const int all = others[0] + others[1] + others[2] + others[3];
  for (const int count : others) CHECK(std::abs(count - all / 4) < all / 100);
}

TEST_CASE("memory problems: the sum of the marked numbers, whose mean is the best constant") {
  double sum = 0, squares = 0;
  std::array<int, 2> early{};  // marks in the first half of each half
  constexpr int kDrawn = 6000;
  for (const Drawn& one : drawn_batch(MemoryProblem::kAdding, 20, kDrawn)) {
    REQUIRE(one.rows.size() == 20);
    std::array<int, 2> marks{};
    double expected = 0;
    for (std::size_t t = 0; t < one.rows.size(); ++t) {
      CHECK((one.rows[t][0] >= 0.0f && one.rows[t][0] <= 1.0f));
      if (one.rows[t][1] == 0.0f) continue;
      CHECK(one.rows[t][1] == 1.0f);
      ++marks[t / 10];
      early[t / 10] += t % 10 < 5 ? 1 : 0;
      expected += static_cast<double>(one.rows[t][0]);
    }
    CHECK(marks == std::array{1, 1});
    CHECK(static_cast<double>(one.target) == Approx(expected));
    sum += expected;
    squares += (expected - 1.0) * (expected - 1.0);
  }
  CHECK(sum / kDrawn == Approx(1.0).margin(0.03));
  CHECK(squares / kDrawn == Approx(memory_baseline(MemoryProblem::kAdding, 20)).margin(0.01));
  for (const int count : early) CHECK(std::abs(count - kDrawn / 2) < 200);
}

TEST_CASE("memory problems: ten symbols are answered after the delimiter, blanks before") {
  std::array<int, 8> counts{};
  constexpr int kDrawn = 500, kPause = 7;
  for (const Drawn& one : drawn_batch(MemoryProblem::kCopy, kPause, kDrawn)) {
    const std::vector<std::int32_t> symbols = one.symbols();
    REQUIRE(symbols.size() == kPause + 20);
    REQUIRE(one.labels.size() == kPause + 20);
    for (std::size_t t = 0; t < symbols.size(); ++t) {
      if (t < 10)
        ++counts.at(static_cast<std::size_t>(symbols[t]));
      else
        CHECK(symbols[t] == (t == 10 + kPause - 1 ? 9 : 8));
      CHECK(one.labels[t] == (t < 10 + kPause ? 8 : symbols[t - 10 - kPause]));
    }
  }
  double entropy = 0;
  for (const int count : counts) {
    const double share = count / (10.0 * kDrawn);
    entropy -= share * std::log(share);
  }
  CHECK(10 * entropy / (kPause + 20) == Approx(memory_baseline(MemoryProblem::kCopy, kPause)).epsilon(0.002));
}

TEST_CASE("memory problems: parity of the ones") {
  int odd = 0;
  for (const Drawn& one : drawn_batch(MemoryProblem::kParity, 9, 2000)) {
    const std::vector<std::int32_t> symbols = one.symbols();
    REQUIRE(symbols.size() == 9);
    CHECK(one.labels == std::vector<std::int32_t>{static_cast<std::int32_t>(std::ranges::count(symbols, 1) % 2)});
    odd += one.labels.front();
  }
  CHECK(std::abs(odd - 1000) < 112);
}

TEST_CASE("memory problems: a batch depends on seed and number alone, and checks are never trained on") {
  for (const std::string& name : memory_problem_names()) {
    const MemoryProblem problem = memory_problem(name);
    CHECK(memory_problem_names()[static_cast<std::size_t>(problem)] == name);
    const std::vector<float> x = memory_batch(problem, 12, 5, 1, 0).x;
    CHECK(memory_batch(problem, 12, 5, 1, 0).x == x);
    CHECK(memory_batch(problem, 12, 5, 2, 0).x != x);
    CHECK(memory_batch(problem, 12, 5, 1, 1).x != x);
    CHECK(memory_batch(problem, 12, 5, 1, 0, true).x != x);
    const Index shortest = memory_shape(problem).shortest;
    CHECK_NOTHROW(memory_batch(problem, shortest, 5, 1, 0));
    CHECK_THROWS_WITH(memory_batch(problem, shortest - 1, 5, 1, 0), contains_text("expected a length of at least"));
  }
  CHECK_THROWS_WITH(memory_problem("chess"), contains_text("unknown problem chess"));
  CHECK(memory_baseline(MemoryProblem::kOrder, 100) == Approx(1.386294));
  CHECK(memory_baseline(MemoryProblem::kParity, 100) == Approx(0.693147));
  CHECK(memory_baseline(MemoryProblem::kAdding, 100) == Approx(0.166667));
  CHECK(memory_baseline(MemoryProblem::kCopy, 100) == Approx(20.794415 / 120));
}

TEST_CASE("memory problems: an lstm solves temporal order over ten steps, and the same run has the same result") {
  const MemoryRun run = run_memory_problem(easy_settings());
  REQUIRE(run.solved.has_value());
  CHECK(run.steps == *run.solved);
  // 2000 sequences are a hundred batches of twenty.
  CHECK(*run.solved >= 100);
  CHECK(run.right > 0.99);
  CHECK(run.loss < 0.1);
  CHECK_FALSE(run.diverged);
  REQUIRE(run.curve.size() > 3);
  CHECK(run.curve.front().second == Approx(1.0).margin(0.3));
  CHECK(run.curve.back().first == static_cast<double>(run.steps));
  CHECK(run.curve.back().second < 0.1);
  const MemoryRun again = run_memory_problem(easy_settings());
  CHECK(again.solved == run.solved);
  CHECK(again.curve == run.curve);
  CHECK(again.loss == run.loss);
}

TEST_CASE("memory problems: runs that are short, stopped, or diverge") {
  MemorySettings settings = easy_settings();
  settings.length = 30;
  settings.steps = 20;
  settings.curve_points = 5;
  for (const std::string& name : memory_problem_names()) {
    INFO(name);
    settings.problem = memory_problem(name);
    const MemoryRun run = run_memory_problem(settings);
    CHECK_FALSE(run.solved.has_value());
    CHECK(run.steps == 20);
    CHECK(run.curve.size() == 5);
    // Nothing is learnt yet, but for the blanks of copy; the first answers to adding are near 0 instead of 1.
    CHECK(run.loss > 0.7);
    CHECK(run.right < 0.7);
  }
  settings.problem = MemoryProblem::kOrder;
  const MemoryRun stopped = run_memory_problem(settings, [](std::int64_t step) { return step < 7; });
  CHECK(stopped.steps == 7);
  settings.problem = MemoryProblem::kAdding;
  settings.layer.cell = CellKind::kRnnRelu;
  settings.learning_rate = 1e30;
  settings.clip_norm = 0;
  const MemoryRun diverged = run_memory_problem(settings);
  CHECK(diverged.diverged);
  CHECK(std::isnan(diverged.loss));
  CHECK(diverged.steps < 20);
}
