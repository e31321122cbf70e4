#include "pipeline/attribution.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "nn/input_trace.h"

namespace mnemo {
namespace {

using Factors = std::vector<float>;  // [T] of one copy of the text

// Tokens of a batch of copies.
constexpr std::int64_t kBatchTokens = 8192;

class Runner {
 public:
  // Sets the factors, which are 1, of a copy by its number.
  using Fill = std::function<void(std::size_t copy, Factors& factors)>;
  // Gets the number of a copy, a unit and dF/dx_t x_t, x_t being whole.
  using Use = std::function<void(std::size_t copy, std::size_t unit, double product)>;

  Runner(Attributed& attributed, ThreadPool& pool)
      : attributed_(attributed), pool_(pool), units_(attributed.units().size()) {}

  std::size_t units() const { return units_; }

  // F for each of the copies, of which only a batch is held at a time. `use` may be null.
  std::vector<double> run(std::size_t count, const Fill& fill, const Use& use = nullptr) {
    std::vector<double> out;
    const std::size_t most = std::max<std::size_t>(1, kBatchTokens / units_);
    for (std::size_t first = 0; first < count; first += most) {
      std::vector<Factors> copies(std::min(most, count - first), Factors(units_, 1.0f));
      for (std::size_t k = 0; k < copies.size(); ++k) fill(first + k, copies[k]);
      for (const double value : run_batch(copies, first, use)) out.push_back(value);
    }
    return out;
  }

  // F at a share of the way from no input to the text.
  double at(double share) {
    return run(1, [&](std::size_t, Factors& factors) { std::ranges::fill(factors, static_cast<float>(share)); })
        .front();
  }

 private:
  std::vector<double> run_batch(std::span<const Factors> copies, std::size_t first, const Use& use) {
    InputTrace trace;
    trace.network = attributed_.network();
    // Copies are equally long, so that each step has a row of each.
    for (std::size_t t = 0; t < units_; ++t)
      for (const Factors& factors : copies) trace.factors.push_back(factors[t]);
    arena_.reset();
    Tape tape(pool_, arena_, use ? Tape::Mode::kTraining : Tape::Mode::kInference);
    tape.input_trace = &trace;
    std::vector<double> out = attributed_.forward(tape, std::ssize(copies));
    if (!use) return out;
    tape.backward();
    const Index I = trace.given.columns;
    for (std::size_t t = 0; t < units_; ++t)
      for (std::size_t k = 0; k < copies.size(); ++k) {
        double product = 0;
        for (Index j = 0; j < I; ++j) {
          const Index at = static_cast<Index>(t * copies.size() + k) * I + j;
          product += static_cast<double>(trace.scaled.gradient[at]) * static_cast<double>(trace.given.value[at]);
        }
        use(first + k, t, product);
      }
    return out;
  }

  Attributed& attributed_;
  ThreadPool& pool_;
  std::size_t units_;
  Arena arena_;
};

// A part of the straight way from no input to the text, with each unit's share of F's change over it.
struct Stretch {
  double from = 0, to = 1;           // shares of the way
  double at_from = 0, at_to = 0;     // F there
  std::vector<double> weights = {};  // [T]
  double error = 0;                  // of the quadrature: F's change less the sum of the weights

  double middle() const { return (from + to) / 2; }
};

void integrate(Runner& runner, int steps, Stretch& stretch) {
  const auto nodes = gauss_legendre(steps);
  const double length = stretch.to - stretch.from;
  stretch.weights.assign(runner.units(), 0.0);
  runner.run(
      nodes.size(),
      [&](std::size_t copy, Factors& factors) {
        std::ranges::fill(factors, static_cast<float>(stretch.from + length * nodes[copy].first));
      },
      [&](std::size_t copy, std::size_t unit, double product) {
        stretch.weights[unit] += length * nodes[copy].second * product;
      });
  stretch.error =
      stretch.at_to - stretch.at_from - std::accumulate(stretch.weights.begin(), stretch.weights.end(), 0.0);
}

// Most networks are smooth enough for one quadrature of the whole way. Layer norm takes nearly any share of the input
// for the whole, so that F changes in a narrow stretch beside no input, and pooling by the maximum has kinks: there the
// stretch with the largest error is halved, as the error of each is known from F at its ends.
std::vector<double> integrated_gradients(Runner& runner, int steps, double value, double baseline) {
  constexpr double kTolerance = 0.002, kNoise = 1e-6;
  constexpr int kStepsOfHalf = 16;
  // Units that may be read in all, some seconds of work, but enough splits for a long text too.
  constexpr std::size_t kUnits = 4'000'000, kFewest = 60, kMost = 2000;
  const std::size_t splits = std::clamp(kUnits / (2 * kStepsOfHalf * runner.units()), kFewest, kMost);
  const double tolerated = kTolerance * std::abs(value - baseline) + kNoise;
  std::vector<Stretch> way{{.at_from = baseline, .at_to = value}};
  integrate(runner, steps, way.front());
  const auto size_of_error = [](const Stretch& one) { return std::abs(one.error); };
  for (std::size_t done = 0; done < splits; ++done) {
    double error = 0;
    for (const Stretch& one : way) error += size_of_error(one);
    if (error <= tolerated) break;
    Stretch& worst = *std::ranges::max_element(way, {}, size_of_error);
    Stretch second = worst;
    worst.to = second.from = worst.middle();
    worst.at_to = second.at_from = runner.at(worst.to);
    integrate(runner, kStepsOfHalf, worst);
    integrate(runner, kStepsOfHalf, second);
    way.push_back(std::move(second));
  }
  std::vector<double> out(runner.units(), 0.0);
  for (const Stretch& one : way)
    for (std::size_t t = 0; t < out.size(); ++t) out[t] += one.weights[t];
  return out;
}

std::vector<double> gradients(Runner& runner) {
  std::vector<double> out(runner.units());
  runner.run(
      1, [](std::size_t, Factors&) {}, [&](std::size_t, std::size_t unit, double product) { out[unit] = product; });
  return out;
}

// A run of units.
struct Run {
  std::size_t begin = 0, end = 0;
  double weight = 0;  // F(x) - F(x without the run)
};

void leave_out(Runner& runner, double value, std::vector<Run>& runs) {
  const std::vector<double> left = runner.run(runs.size(), [&](std::size_t copy, Factors& factors) {
    for (std::size_t t = runs[copy].begin; t < runs[copy].end; ++t) factors[t] = 0.0f;
  });
  for (std::size_t k = 0; k < runs.size(); ++k) runs[k].weight = value - left[k];
}

std::vector<Run> split(const Run& whole, std::size_t parts) {
  std::vector<Run> out;
  const std::size_t units = whole.end - whole.begin;
  parts = std::min(parts, units);
  for (std::size_t k = 0; k < parts; ++k)
    out.push_back({whole.begin + k * units / parts, whole.begin + (k + 1) * units / parts});
  return out;
}

// A pass of the network for each unit. A text of more than `most` is left out by a hundred runs first, the tenth of the
// runs that weighs most is split into tenths, and so on, so that time hardly grows faster than the text; units of runs
// that were not split have no weight.
std::vector<double> occlusion(Runner& runner, double value, std::size_t most) {
  constexpr std::size_t kFirstRuns = 100, kParts = 10;
  std::vector<Run> runs = split({0, runner.units()}, runner.units() > most ? kFirstRuns : runner.units());
  leave_out(runner, value, runs);
  const auto is_long = [](const Run& run) { return run.end - run.begin > 1; };
  while (std::ranges::any_of(runs, is_long)) {
    std::ranges::stable_sort(runs, std::greater<>(), &Run::weight);
    runs.resize(std::max<std::size_t>(1, runs.size() / kParts));
    std::vector<Run> parts;
    for (const Run& run : runs)
      for (const Run& part : split(run, kParts)) parts.push_back(part);
    leave_out(runner, value, parts);
    runs = std::move(parts);
  }
  std::vector<double> out(runner.units(), 0.0);
  for (const Run& run : runs) out[run.begin] = run.weight;
  return out;
}

std::vector<double> weights_of(Runner& runner, const AttributionOptions& options, double value, double baseline) {
  switch (options.method) {
    case AttributionMethod::kGradient:
      return gradients(runner);
    case AttributionMethod::kIntegrated:
      return integrated_gradients(runner, options.steps, value, baseline);
    case AttributionMethod::kOcclusion:
      return occlusion(runner, value, options.most_occluded);
  }
  fail("no such method of attribution");
}

// F as more and more of the units in an order are left out.
std::vector<double> deletion(Runner& runner, std::span<const std::size_t> order, std::span<const std::size_t> counts) {
  return runner.run(counts.size(), [&](std::size_t copy, Factors& factors) {
    for (std::size_t k = 0; k < counts[copy]; ++k) factors[order[k]] = 0.0f;
  });
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
  out.value = runner.at(1);
  out.baseline = runner.at(0);
  out.weights = weights_of(runner, options, out.value, out.baseline);
  if (options.deletion) add_deletion(runner, out);
  return out;
}

}  // namespace mnemo
