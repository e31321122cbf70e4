#include "pipeline/adaptation.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "config/options.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr int kUnits = 150;

struct Fixture {
  explicit Fixture(const std::string& more = "")
      : config(parse_config(R"({"task": "generate", "model": {"hidden": 12, "embedding": 8, "layers": 2, "dropout": 0,
 "embedding_dropout": 0, "layer_dropout": 0)" +
                                more + "}}",
                            "test")) {
    Vocabulary vocabulary;
    for (const char* text : {"a", "b", "c", "d", "\n"}) vocabulary.add(text);
    model = std::make_unique<TextLanguageModel>(config, vocabulary);
    model->prepare(pool);
    RandomStream random(3, Purpose::kTest);
    for (int i = 0; i < kUnits; ++i) units.push_back(static_cast<std::int32_t>(1 + random.below(5)));
  }

  ReadUnits reader() const {
    return [this](std::int64_t first, std::span<std::int32_t> out) {
      std::copy_n(units.begin() + first, out.size(), out.begin());
    };
  }
  std::vector<double> measure(const AdaptationOptions& options) {
    std::vector<double> out(units.size());
    AdaptiveLoss(*model, options, pool)
        .measure(reader(), {0, 0, std::ssize(units)},
                 [&](std::int32_t, std::int64_t place, double log_p) { out[static_cast<std::size_t>(place)] = log_p; });
    return out;
  }

  ThreadPool pool{2};
  Config config;
  std::unique_ptr<TextLanguageModel> model;
  std::vector<std::int32_t> units;
};

}  // namespace

TEST_CASE("a cache mixes in the units that followed similar states") {
  Fixture f;
  const std::vector<double> plain = f.model->log_probabilities(f.units, f.pool);
  // The outputs, all at once.
  const auto length = static_cast<std::int32_t>(f.units.size());
  std::vector<std::int32_t> ids{f.model->text_end()};
  ids.insert(ids.end(), f.units.begin(), f.units.end() - 1);
  Arena arena;
  Tape tape(f.pool, arena, Tape::Mode::kInference);
  const auto batch = f.model->network().batch(Packing({&length, 1}), ids, {}, false, 0, 0);
  const Activation y = f.model->network().forward(tape, batch, nullptr).y;
  for (const auto& [size, flatness] : {std::pair<int, double>{40, 3.0}, {1000, 0.5}, {7, 0.0}}) {
    const AdaptationOptions options{.cache = size, .flatness = flatness, .share = 0.3};
    const std::vector<double> found = f.measure(options);
    for (int t = 0; t < kUnits; ++t) {
      double same = 0, sum = 0;
      for (int i = std::max(0, t - size); i < t; ++i) {
        double dot = 0;
        for (Index h = 0; h < y.columns; ++h)
          dot += static_cast<double>(y.value[t * y.columns + h]) * static_cast<double>(y.value[i * y.columns + h]);
        const double weight = std::exp(flatness * dot);
        sum += weight;
        same += f.units[i] == f.units[t] ? weight : 0;
      }
      const double expected = t == 0 ? std::exp(plain[0]) : 0.7 * std::exp(plain[t]) + 0.3 * same / sum;
      CHECK(std::exp(found[t]) == Approx(expected).epsilon(1e-5));
    }
  }
}

TEST_CASE("dynamic evaluation measures before it learns, and learns text that is repeated") {
  Fixture f;
  for (int i = 0; i < kUnits; ++i) f.units[i] = 1 + i % 3;
  const std::vector<double> plain = f.model->log_probabilities(f.units, f.pool);
  const std::vector<double> adapted = f.measure({.rate = 0.5, .steps = 10});
  for (int t = 0; t < 10; ++t) CHECK(adapted[t] == Approx(plain[t]).epsilon(1e-5));
  double before = 0, after = 0;
  for (int t = 100; t < kUnits; ++t) {
    before += plain[t];
    after += adapted[t];
  }
  CHECK(after > before + 20);
}

TEST_CASE("dynamic evaluation adapts a copy without dropout, leaves the model unchanged and refuses zoneout") {
  Fixture f(R"(, "weight_dropout": 0.5, "unit_dropout": 0.5, "state_dropout": 0.5)");
  f.units.resize(20);
  const std::vector<double> plain = f.model->log_probabilities(f.units, f.pool);
  // A step so small that it changes nothing: the loss measured after it is the model's own.
  const std::vector<double> adapted = f.measure({.rate = 1e-20, .steps = 5});
  for (std::size_t t = 0; t < plain.size(); ++t) CHECK(adapted[t] == Approx(plain[t]).epsilon(1e-5));
  CHECK(f.measure({.rate = 0.5, .steps = 5}) != plain);
  CHECK(f.model->log_probabilities(f.units, f.pool) == plain);
  CHECK_THROWS_AS(Fixture(R"(, "zoneout_h": 0.1)").measure({.rate = 0.5}), Error);
}
