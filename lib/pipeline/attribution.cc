#include "pipeline/attribution.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/random.h"
#include "nn/input_trace.h"

namespace mnemo {
namespace {

using Factors = std::vector<float>;  // [T] of one copy of the text

// Tokens of a batch of copies.
constexpr std::int64_t kBatchTokens = 8192;

class Runner {
 public:
  Runner(Attributed& attributed, ThreadPool& pool)
      : attributed_(attributed), pool_(pool), units_(std::ssize(attributed.units())) {}

  // F for each of the copies. `use`, unless null, gets the number of a copy, a unit and dF/dx_t x_t, x_t being whole.
  using Use = std::function<void(std::int64_t copy, std::int64_t unit, double product)>;
  std::vector<double> run(std::span<const Factors> copies, const Use& use = nullptr) {
    std::vector<double> out;
    const std::int64_t most = std::max<std::int64_t>(1, kBatchTokens / units_);
    for (std::int64_t first = 0; first < std::ssize(copies); first += most) {
      const auto some = copies.subspan(first, std::min(most, std::ssize(copies) - first));
      for (const double value : run_batch(some, first, use)) out.push_back(value);
    }
    return out;
  }

  double run_one(const Factors& factors) { return run({&factors, 1}).front(); }

 private:
  std::vector<double> run_batch(std::span<const Factors> copies, std::int64_t first, const Use& use) {
    const std::int64_t count = std::ssize(copies);
    InputTrace trace;
    trace.network = attributed_.network();
    // Copies are equally long, so that each step has a row of each.
    for (std::int64_t t = 0; t < units_; ++t)
      for (const Factors& factors : copies) trace.factors.push_back(factors[t]);
    arena_.reset();
    Tape tape(pool_, arena_, use ? Tape::Mode::kTraining : Tape::Mode::kInference);
    tape.input_trace = &trace;
    std::vector<double> out = attributed_.forward(tape, count);
    if (!use) return out;
    tape.backward();
    const Index I = trace.given.columns;
    for (std::int64_t t = 0; t < units_; ++t)
      for (std::int64_t k = 0; k < count; ++k) {
        double product = 0;
        for (Index j = 0; j < I; ++j) {
          const Index at = (t * count + k) * I + j;
          product += static_cast<double>(trace.scaled.gradient[at]) * static_cast<double>(trace.given.value[at]);
        }
        use(first + k, t, product);
      }
    return out;
  }

  Attributed& attributed_;
  ThreadPool& pool_;
  std::int64_t units_;
  Arena arena_;
};

std::vector<double> weights_of(Runner& runner, std::size_t units, const AttributionOptions& options, double value) {
  std::vector<double> out(units, 0.0);
  const Factors whole(units, 1.0f);
  if (options.method == AttributionMethod::kOcclusion) {
    std::vector<Factors> copies(units, whole);
    for (std::size_t t = 0; t < units; ++t) copies[t][t] = 0.0f;
    const std::vector<double> left = runner.run(copies);
    for (std::size_t t = 0; t < units; ++t) out[t] = value - left[t];
    return out;
  }
  std::vector<std::pair<double, double>> nodes{{1.0, 1.0}};
  if (options.method == AttributionMethod::kIntegrated) nodes = gauss_legendre(options.steps);
  std::vector<Factors> copies;
  copies.reserve(nodes.size());
  for (const auto& node : nodes) copies.emplace_back(units, static_cast<float>(node.first));
  runner.run(copies, [&](std::int64_t copy, std::int64_t unit, double product) {
    out[static_cast<std::size_t>(unit)] += nodes[static_cast<std::size_t>(copy)].second * product;
  });
  return out;
}

// F as more and more of the units in an order are left out.
std::vector<double> deletion(Runner& runner, std::span<const std::size_t> order, std::span<const std::size_t> counts) {
  std::vector<Factors> copies;
  for (const std::size_t count : counts) {
    Factors& left = copies.emplace_back(order.size(), 1.0f);
    for (std::size_t k = 0; k < count; ++k) left[order[k]] = 0.0f;
  }
  return runner.run(copies);
}

void add_deletion(Runner& runner, Attribution& out) {
  constexpr std::size_t kPoints = 20;
  constexpr std::uint64_t kSeed = 1;
  const std::size_t units = out.units.size(), points = std::min(kPoints, units);
  std::vector<std::size_t> counts, order(units);
  for (std::size_t k = 0; k <= points; ++k) {
    counts.push_back(k * units / points);
    out.deleted.push_back(static_cast<double>(counts.back()) / static_cast<double>(units));
  }
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return out.weights[a] > out.weights[b]; });
  out.by_weight = deletion(runner, order, counts);
  out.at_random.assign(counts.size(), 0.0);
  RandomStream random(kSeed, Purpose::kAttribution);
  for (int draw = 0; draw < kRandomOrders; ++draw) {
    random.shuffle(order);
    const std::vector<double> values = deletion(runner, order, counts);
    for (std::size_t k = 0; k < values.size(); ++k) out.at_random[k] += values[k] / kRandomOrders;
  }
}

}  // namespace

std::optional<AttributionMethod> attribution_method(const std::string& name) {
  if (name == "gradient") return AttributionMethod::kGradient;
  if (name == "integrated") return AttributionMethod::kIntegrated;
  if (name == "occlusion") return AttributionMethod::kOcclusion;
  return std::nullopt;
}

// The roots of the Legendre polynomial by Newton's method, from the usual first guesses.
std::vector<std::pair<double, double>> gauss_legendre(int n) {
  std::vector<std::pair<double, double>> out;
  for (int k = 0; k < n; ++k) {
    double x = std::cos(std::numbers::pi * (k + 0.75) / (n + 0.5)), slope = 1;
    for (int round = 0; round < 100; ++round) {
      double before = 1, value = x;
      for (int j = 2; j <= n; ++j) {
        const double next = ((2 * j - 1) * x * value - (j - 1) * before) / j;
        before = value;
        value = next;
      }
      slope = n * (x * value - before) / (x * x - 1);
      const double step = value / slope;
      x -= step;
      if (std::abs(step) < 1e-15) break;
    }
    out.emplace_back((1 - x) / 2, 1 / ((1 - x * x) * slope * slope));
  }
  return out;
}

Attribution attribute(Attributed& attributed, const AttributionOptions& options, ThreadPool& pool) {
  Attribution out;
  out.name = attributed.name();
  out.units = attributed.units();
  Runner runner(attributed, pool);
  out.value = runner.run_one(Factors(out.units.size(), 1.0f));
  out.baseline = runner.run_one(Factors(out.units.size(), 0.0f));
  out.weights = weights_of(runner, out.units.size(), options, out.value);
  if (options.deletion) add_deletion(runner, out);
  return out;
}

}  // namespace mnemo
