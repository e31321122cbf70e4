// Each problem is a row of a table: its sizes, its baseline, and how one sequence is drawn. A batch draws its sequences
// one after the other from one stream, and packs them.
#include "train/memory_problems.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "nn/linear.h"
#include "nn/loss.h"
#include "nn/optimizer.h"

namespace mnemo {
namespace {

// Symbols of order.
enum : std::int32_t { kX = 4, kY = 5, kBegin = 6, kEnd = 7 };
constexpr Index kCopied = 10, kCopySymbols = 8;
constexpr std::int32_t kBlank = 8, kDelimiter = 9;

// One sequence, not packed.
struct MemorySequence {
  std::vector<float> x;              // [T, I]
  std::vector<std::int32_t> labels;  // one, or one per step
  float target = 0;

  void add_symbol(std::int32_t symbol, Index inputs) {
    x.resize(x.size() + inputs, 0.0f);
    x[x.size() - inputs + symbol] = 1.0f;
  }
};

// A whole number from `low` to `high`.
Index drawn(RandomStream& random, Index low, Index high) {
  return low + static_cast<Index>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

std::int32_t drawn_symbol(RandomStream& random, std::uint64_t kinds) {
  return static_cast<std::int32_t>(random.below(kinds));
}

MemorySequence order_sequence(Index T, RandomStream& random) {
  MemorySequence out;
  const Index length = drawn(random, T, T + T / 10), first = drawn(random, T / 10, T / 5),
              second = drawn(random, T / 2, T / 2 + T / 10);
  std::int32_t label = 0;
  for (Index t = 0; t < length; ++t) {
    std::int32_t symbol = t == 0 ? kBegin : t == length - 1 ? kEnd : drawn_symbol(random, kX);
    if (t == first || t == second) {
      symbol = kX + drawn_symbol(random, 2);
      label = 2 * label + (symbol - kX);
    }
    out.add_symbol(symbol, 8);
  }
  out.labels = {label};
  return out;
}

MemorySequence adding_sequence(Index T, RandomStream& random) {
  MemorySequence out;
  const Index first = drawn(random, 0, T / 2 - 1), second = drawn(random, T / 2, T - 1);
  for (Index t = 0; t < T; ++t) {
    const bool marked = t == first || t == second;
    const auto value = static_cast<float>(random.uniform());
    out.x.push_back(value);
    out.x.push_back(marked ? 1.0f : 0.0f);
    if (marked) out.target += value;
  }
  return out;
}

MemorySequence copy_sequence(Index T, RandomStream& random) {
  MemorySequence out;
  out.labels.assign(T + kCopied, kBlank);
  for (Index t = 0; t < T + 2 * kCopied; ++t) {
    const std::int32_t symbol = t < kCopied            ? drawn_symbol(random, kCopySymbols)
                                : t == T + kCopied - 1 ? kDelimiter
                                                       : kBlank;
    out.add_symbol(symbol, kCopySymbols + 2);
    if (t < kCopied) out.labels.push_back(symbol);
  }
  return out;
}

MemorySequence parity_sequence(Index T, RandomStream& random) {
  MemorySequence out;
  out.labels = {0};
  for (Index t = 0; t < T; ++t) {
    const std::int32_t bit = drawn_symbol(random, 2);
    out.add_symbol(bit, 2);
    out.labels[0] ^= bit;
  }
  return out;
}

struct ProblemRow {
  const char* name;
  MemoryShape shape;
  double (*baseline)(double T);
  MemorySequence (*sequence)(Index T, RandomStream& random);
};

// In the order of the enum.
const std::array<ProblemRow, 4>& problem_rows() {
  static const std::array<ProblemRow, 4> rows{{
      {"order", {8, 4, 10, false}, [](double) { return std::log(4.0); }, order_sequence},
      // The variance of the sum of two numbers, 1/12 each.
      {"adding", {2, 1, 2, false}, [](double) { return 1.0 / 6.0; }, adding_sequence},
      {"copy",
       {kCopySymbols + 2, kCopySymbols + 1, 1, true},
       [](double T) { return 10.0 * std::log(8.0) / (T + 20.0); },
       copy_sequence},
      {"parity", {2, 2, 1, false}, [](double) { return std::log(2.0); }, parity_sequence},
  }};
  return rows;
}

const ProblemRow& problem_row(MemoryProblem problem) { return problem_rows()[static_cast<std::size_t>(problem)]; }

// The mean squared error of outputs [B, 1], whose gradient is added to theirs.
double squared_error(const Activation& outputs, const std::vector<float>& targets) {
  double sum = 0;
  for (Index b = 0; b < outputs.rows; ++b) {
    const float error = outputs.value[b] - targets[b];
    sum += static_cast<double>(error) * static_cast<double>(error);
    if (outputs.gradient) outputs.gradient[b] += 2.0f * error / static_cast<float>(outputs.rows);
  }
  return sum / static_cast<double>(outputs.rows);
}

class MemoryNetwork {
 public:
  explicit MemoryNetwork(const MemorySettings& settings)
      : problem_(settings.problem),
        shape_(memory_shape(settings.problem)),
        initialiser_(settings.layer.initialiser),
        layer_("rnn", with_input(settings.layer, shape_.inputs)),
        output_("output", settings.layer.directions() * settings.layer.output(), shape_.outputs) {
    layer_.initialise(settings.seed);
    output_.initialise(initialiser_, settings.seed);
  }

  void visit(const ParameterVisitor& visitor) {
    layer_.visit(visitor);
    output_.visit(visitor);
  }

  void weights_changed() {
    layer_.weights_changed();
    output_.weights_changed();
  }

  // The loss; `right` [B], in the order in which the sequences were drawn, gets which ones were answered right.
  double forward(Tape& tape, MemoryBatch& batch, std::vector<char>& right) {
    Activation x{batch.x.data(), nullptr, batch.packing.tokens(), shape_.inputs};
    const Recurrent::Output out = layer_.forward(tape, batch.packing, x);
    const Activation answers = output_.forward(tape, shape_.every_step ? out.y : last_state(out, batch.packing));
    judge(answers, batch, right);
    if (problem_ == MemoryProblem::kAdding) return squared_error(answers, batch.targets);
    return softmax_cross_entropy(answers, batch.labels, {}, 0.0f);
  }

 private:
  // [B, P] of the last layer.
  static Activation last_state(const Recurrent::Output& out, const Packing& packing) {
    const Index B = packing.sequences(), at = (out.final.h.rows - B) * out.final.h.columns;
    return {out.final.h.value + at, out.final.h.gradient ? out.final.h.gradient + at : nullptr, B, out.final.h.columns};
  }

  void judge(const Activation& answers, const MemoryBatch& batch, std::vector<char>& right) const {
    const Packing& packing = batch.packing;
    right.assign(static_cast<std::size_t>(packing.sequences()), 1);
    for (Index b = 0; b < packing.sequences(); ++b)
      for (Index t = 0; t < (shape_.every_step ? packing.length(b) : 1); ++t)
        if (!is_right(answers, batch, shape_.every_step ? packing.row(b, t) : b)) right[packing.original(b)] = 0;
  }

  bool is_right(const Activation& answers, const MemoryBatch& batch, Index row) const {
    const float* const answer = answers.value + row * answers.columns;
    if (problem_ == MemoryProblem::kAdding) return std::abs(*answer - batch.targets[row]) < kAddingTolerance;
    return std::max_element(answer, answer + answers.columns) - answer == batch.labels[row];
  }

  MemoryProblem problem_;
  MemoryShape shape_;
  Initialiser initialiser_;
  Recurrent layer_;
  Linear output_;
};

class MemoryTraining {
 public:
  explicit MemoryTraining(const MemorySettings& settings)
      : settings_(settings),
        baseline_(memory_baseline(settings.problem, settings.length)),
        pool_(1),
        network_(settings),
        optimizer_({}, [&](const ParameterVisitor& visitor) { network_.visit(visitor); }) {}

  MemoryRun run(const std::function<bool(std::int64_t)>& go_on) {
    const std::int64_t every =
        std::max<std::int64_t>(1, settings_.steps / std::max<std::int64_t>(1, settings_.curve_points));
    while (run_.steps < settings_.steps && !run_.solved) {
      if (!step()) {
        run_.diverged = true;
        run_.loss = NAN;
        return run_;
      }
      if (run_.steps % every == 0 || run_.solved) add_point();
      if (go_on && !go_on(run_.steps)) return run_;
    }
    check();
    return run_;
  }

 private:
  bool step() {
    MemoryBatch batch = memory_batch(settings_.problem, settings_.length, settings_.batch, settings_.seed,
                                     static_cast<std::uint64_t>(run_.steps));
    arena_.reset();
    Tape tape(pool_, arena_, Tape::Mode::kTraining, settings_.seed, static_cast<std::uint64_t>(run_.steps));
    const double loss = network_.forward(tape, batch, right_);
    tape.backward();
    const double norm = optimizer_.gradient_norm(pool_);
    if (!std::isfinite(loss) || !std::isfinite(norm)) return false;
    const bool clipped = settings_.clip_norm > 0 && norm > settings_.clip_norm;
    optimizer_.step(settings_.learning_rate, clipped ? settings_.clip_norm / norm : 1.0, pool_);
    network_.weights_changed();
    ++run_.steps;
    since_point_ += loss;
    ++steps_since_point_;
    for (const char right : right_) in_a_row_ = right ? in_a_row_ + 1 : 0;
    if (in_a_row_ >= kSolvedAfter) run_.solved = run_.steps;
    return true;
  }

  void add_point() {
    if (steps_since_point_ == 0) return;
    run_.curve.emplace_back(static_cast<double>(run_.steps),
                            since_point_ / static_cast<double>(steps_since_point_) / baseline_);
    since_point_ = 0;
    steps_since_point_ = 0;
  }

  void check() {
    constexpr Index kBatch = 256;
    double loss = 0, right = 0;
    for (Index i = 0; i < kCheckSequences / kBatch; ++i) {
      MemoryBatch batch = memory_batch(settings_.problem, settings_.length, kBatch, settings_.seed,
                                       static_cast<std::uint64_t>(i), true);
      arena_.reset();
      Tape tape(pool_, arena_, Tape::Mode::kInference);
      loss += network_.forward(tape, batch, right_) * static_cast<double>(kBatch);
      right += static_cast<double>(std::ranges::count(right_, 1));
    }
    run_.loss = loss / static_cast<double>(kCheckSequences) / baseline_;
    run_.right = right / static_cast<double>(kCheckSequences);
  }

  const MemorySettings& settings_;
  double baseline_;
  ThreadPool pool_;
  Arena arena_;
  MemoryNetwork network_;
  Optimizer optimizer_;
  MemoryRun run_;
  std::vector<char> right_;
  std::int64_t in_a_row_ = 0, steps_since_point_ = 0;
  double since_point_ = 0;
};

}  // namespace

const std::vector<std::string>& memory_problem_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const ProblemRow& row : problem_rows()) out.emplace_back(row.name);
    return out;
  }();
  return names;
}

MemoryProblem memory_problem(std::string_view name) {
  for (std::size_t i = 0; i < problem_rows().size(); ++i)
    if (name == problem_rows()[i].name) return static_cast<MemoryProblem>(i);
  fail("unknown problem {}", name);
}

const MemoryShape& memory_shape(MemoryProblem problem) { return problem_row(problem).shape; }

double memory_baseline(MemoryProblem problem, Index length) {
  return problem_row(problem).baseline(static_cast<double>(length));
}

MemoryBatch memory_batch(MemoryProblem problem, Index length, Index sequences, std::uint64_t seed, std::uint64_t index,
                         bool check) {
  const ProblemRow& row = problem_row(problem);
  if (length < row.shape.shortest)
    fail("{}: expected a length of at least {}, found {}", row.name, row.shape.shortest, length);
  RandomStream random(seed, Purpose::kMemory, index, check ? 1 : 0);
  const Index inputs = row.shape.inputs;
  std::vector<MemorySequence> drawn_sequences;
  std::vector<std::int32_t> lengths;
  for (Index i = 0; i < sequences; ++i) {
    drawn_sequences.push_back(row.sequence(length, random));
    lengths.push_back(static_cast<std::int32_t>(drawn_sequences.back().x.size() / inputs));
  }
  MemoryBatch out{.packing = Packing(lengths), .x = {}, .labels = {}, .targets = {}};
  out.x.resize(out.packing.tokens() * inputs);
  if (row.shape.every_step) out.labels.resize(out.packing.tokens());
  for (Index b = 0; b < sequences; ++b) {
    const MemorySequence& sequence = drawn_sequences[out.packing.original(b)];
    for (Index t = 0; t < out.packing.length(b); ++t) {
      const Index n = out.packing.row(b, t);
      std::copy_n(sequence.x.data() + t * inputs, inputs, out.x.data() + n * inputs);
      if (row.shape.every_step) out.labels[n] = sequence.labels[t];
    }
    if (problem == MemoryProblem::kAdding)
      out.targets.push_back(sequence.target);
    else if (!row.shape.every_step)
      out.labels.push_back(sequence.labels.front());
  }
  return out;
}

MemoryRun run_memory_problem(const MemorySettings& settings, const std::function<bool(std::int64_t)>& go_on) {
  return MemoryTraining(settings).run(go_on);
}

}  // namespace mnemo
