// What a trace shows of every cell, against the equations of the kernels' headers in double precision.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/min_cell.h"
#include "kernels/norm_lstm_cell.h"
#include "nn/cell_trace.h"
#include "nn/recurrent.h"
#include "nn/recurrent_steps.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

using Values = std::vector<double>;
using Named = std::map<std::string, Values>;

constexpr Index kTraceInput = 5, kTraceHidden = 18, kTraceSteps = 9;  // 18: a vector and a part of one

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// W v, with W a parameter's rows.
Values times(const Parameter& w, const Values& v) {
  Values out(static_cast<std::size_t>(w.rows()), 0.0);
  for (Index row = 0; row < w.rows(); ++row)
    for (Index j = 0; j < w.row_size(); ++j) out[row] += static_cast<double>(w.value[row * w.row_size() + j]) * v[j];
  return out;
}

Values plus(Values a, const std::optional<Parameter>& bias) {
  for (Index j = 0; bias && j < bias->size(); ++j) a[j] += static_cast<double>(bias->value[j]);
  return a;
}

Values normalised(const Values& v, std::size_t first, std::size_t count) {
  double mean = 0, variance = 0;
  for (std::size_t j = 0; j < count; ++j) mean += v[first + j] / static_cast<double>(count);
  for (std::size_t j = 0; j < count; ++j)
    variance += (v[first + j] - mean) * (v[first + j] - mean) / static_cast<double>(count);
  Values out;
  for (std::size_t j = 0; j < count; ++j)
    out.push_back((v[first + j] - mean) / std::sqrt(variance + static_cast<double>(kernels::kNormEpsilon)));
  return out;
}

// One direction of a layer in double precision.
struct CellTwin {
  const RecurrentDirection& w;
  Values h = Values(static_cast<std::size_t>(w.hidden()), 0.0), c = h;

  double own(std::size_t which, Index j) const { return static_cast<double>(w.own[which].value[j]); }

  Named step(const Values& x) {
    const Index H = w.hidden();
    const Values a = plus(times(w.weight_ih, x), w.bias_ih);
    const Values u = w.weight_hh ? plus(times(*w.weight_hh, h), w.bias_hh) : Values(a.size(), 0.0);
    Named out;
    const auto note = [&](const char* name, double value) { out[name].push_back(value); };
    const Values before = h;
    for (Index j = 0; j < H; ++j) {
      const auto sum = [&](Index gate) { return a[gate * H + j] + u[gate * H + j]; };
      switch (w.cell.kind) {
        case CellKind::kLstm:
        case CellKind::kCappedLstm:
        case CellKind::kPeepholeLstm: {
          const bool peeps = w.cell.kind == CellKind::kPeepholeLstm;
          const double f = logistic(sum(1) + (peeps ? own(1, j) * c[j] : 0.0)), g = std::tanh(sum(2)),
                       most = w.cell.kind == CellKind::kCappedLstm ? 1 - f : 1,
                       i = std::min(most, logistic(sum(0) + (peeps ? own(0, j) * c[j] : 0.0)));
          c[j] = f * c[j] + i * g;
          const double o = logistic(sum(3) + (peeps ? own(2, j) * c[j] : 0.0));
          note_lstm(out, {i, f, g, o}, j);
          break;
        }
        case CellKind::kCifgLstm: {
          const double i = logistic(sum(0)), g = std::tanh(sum(1));
          c[j] = (1 - i) * c[j] + i * g;
          note_lstm(out, {i, 1 - i, g, logistic(sum(2))}, j);
          break;
        }
        case CellKind::kNormLstm:
          break;  // all units at once, below
        case CellKind::kGru:
        case CellKind::kGruBefore: {
          const double r = logistic(sum(0)), z = logistic(sum(1));
          const double inside = w.cell.kind == CellKind::kGru ? r * u[2 * H + j] : reset_product(before, a, u, j);
          const double n = std::tanh(a[2 * H + j] + inside);
          h[j] = (1 - z) * n + z * before[j];
          note("r", r), note("z", z), note("n", n), note("h", h[j]);
          break;
        }
        case CellKind::kRnnTanh:
        case CellKind::kRnnRelu:
          h[j] = w.cell.kind == CellKind::kRnnTanh ? std::tanh(sum(0)) : std::max(0.0, sum(0));
          note("h", h[j]);
          break;
        case CellKind::kMinLstm: {
          const double f = logistic(a[j]), i = logistic(a[H + j]), g = a[2 * H + j], k = f / (f + i);
          h[j] = k * before[j] + (1 - k) * g;
          note("f", f), note("i", i), note("g", g), note("h", h[j]);
          break;
        }
        case CellKind::kMinGru: {
          const double z = logistic(a[j]), g = a[H + j];
          h[j] = (1 - z) * before[j] + z * g;
          note("z", z), note("g", g), note("h", h[j]);
          break;
        }
        case CellKind::kSru:
        case CellKind::kSruProjected: {
          const double f = logistic(a[j] + own(0, j) * c[j]), r = logistic(a[H + j] + own(0, H + j) * c[j]);
          const double g = a[2 * H + j];
          const double passed = w.weight_ih.rows() == 4 * H ? a[3 * H + j] : std::sqrt(3.0) * x[w.through_column + j];
          c[j] = f * c[j] + (1 - f) * g;
          h[j] = r * c[j] + (1 - r) * passed;
          note("f", f), note("r", r), note("g", g), note("c", c[j]), note("h", h[j]);
          break;
        }
      }
    }
    if (w.cell.kind == CellKind::kNormLstm) norm_step(out, a, u);
    return out;
  }

 private:
  void note_lstm(Named& out, const Values& gates, Index j) {
    h[j] = gates[3] * std::tanh(c[j]);
    for (std::size_t k = 0; k < 4; ++k) out[std::string(1, "ifgo"[k])].push_back(gates[k]);
    out["c"].push_back(c[j]), out["tanh(c)"].push_back(std::tanh(c[j])), out["h"].push_back(h[j]);
  }

  // Row j of the last gate's recurrent product of r h, with the bias.
  double reset_product(const Values& before, const Values& a, const Values& u, Index j) const {
    const Index H = w.hidden();
    double sum = static_cast<double>(w.bias_hh->value[2 * H + j]);
    for (Index k = 0; k < H; ++k)
      sum += static_cast<double>(w.weight_hh->value[(2 * H + j) * H + k]) * logistic(a[k] + u[k]) * before[k];
    return sum;
  }

  void norm_step(Named& out, const Values& a, const Values& u) {
    const auto H = static_cast<std::size_t>(w.hidden());
    const Values x = normalised(a, 0, 4 * H), r = normalised(u, 0, 4 * H);
    Values gates[4];
    for (std::size_t j = 0; j < 4 * H; ++j) {
      const auto k = static_cast<Index>(j);
      const double sum = own(0, k) * x[j] + own(1, k) * r[j] + own(2, k);
      gates[j / H].push_back(j / H == 2 ? std::tanh(sum) : logistic(sum));
    }
    for (std::size_t j = 0; j < H; ++j) c[j] = gates[1][j] * c[j] + gates[0][j] * gates[2][j];
    const Values n = normalised(c, 0, H);
    for (std::size_t j = 0; j < H; ++j) {
      const auto k = static_cast<Index>(j);
      const double squashed = std::tanh(own(3, k) * n[j] + own(4, k));
      h[j] = gates[3][j] * squashed;
      out["tanh(N(c))"].push_back(squashed);
    }
    for (std::size_t k = 0; k < 4; ++k) out[std::string(1, "ifgo"[k])] = gates[k];
    out["c"] = c, out["h"] = h;
  }
};

// Layers whose weights, biases and own vectors are all random, a text of one sequence, and what was traced of it.
struct TracedLayers {
  explicit TracedLayers(const RecurrentOptions& options) : layers("rnn", options) {
    layers.initialise(3);
    RandomStream random(5, Purpose::kTest, 1);
    layers.visit([&](Parameter& p) {
      for (Index i = 0; i < p.size(); ++i) p.value[i] += static_cast<float>(0.3 * random.normal());
    });
    layers.weights_changed();
    for (Index i = 0; i < kTraceSteps * kTraceInput; ++i) x.push_back(static_cast<float>(random.normal()));
  }

  std::vector<float> run(CellTrace* trace, bool stepwise = false) {
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    tape.trace = trace;
    const std::vector<std::int32_t> lengths{kTraceSteps};
    const Packing packing(lengths);
    const Activation input{x.data(), nullptr, kTraceSteps, kTraceInput};
    if (!stepwise) {
      const Activation y = layers.forward(tape, packing, input).y;
      return {y.value, y.value + y.size()};
    }
    layers.prepare(tape);
    RecurrentSteps steps(layers, tape, packing);
    std::vector<float> out;
    for (Index t = 0; t < kTraceSteps; ++t) {
      const Activation y = steps.step({x.data() + t * kTraceInput, nullptr, 1, kTraceInput});
      out.insert(out.end(), y.value, y.value + y.size());
    }
    return out;
  }

  Recurrent layers;
  std::vector<float> x;
  ThreadPool pool{2};
};

const CellTrace::Series* series_of(const CellTrace::Layer& layer, const std::string& name) {
  for (const auto& series : layer.series)
    if (series.name == name) return &series;
  return nullptr;
}

}  // namespace

TEST_CASE("a trace shows every cell's gates and states as its equations have them, in all layers and directions") {
  for (const CellKind kind : all_cells()) {
    INFO(cell_traits(kind).name);
    TracedLayers f({.cell = kind, .input = kTraceInput, .hidden = kTraceHidden, .layers = 2, .bidirectional = true});
    CellTrace trace;
    const std::vector<float> plain = f.run(nullptr), y = f.run(&trace);
    // To the bit what inference computes without a trace.
    REQUIRE(y == plain);
    REQUIRE(trace.layers.size() == 4);
    std::vector<Values> below(kTraceSteps);
    for (Index t = 0; t < kTraceSteps; ++t)
      below[t].assign(f.x.begin() + t * kTraceInput, f.x.begin() + (t + 1) * kTraceInput);
    for (Index l = 0; l < 2; ++l) {
      std::vector<Values> above(kTraceSteps);
      for (Index d = 0; d < 2; ++d) {
        const CellTrace::Layer& traced = trace.layers[2 * l + d];
        CHECK(traced.network == "rnn");
        CHECK(traced.layer == l);
        CHECK(traced.direction == d);
        CellTwin twin{f.layers.direction(l, d)};
        for (Index s = 0; s < kTraceSteps; ++s) {
          const Index t = d == 0 ? s : kTraceSteps - 1 - s;
          const Named exact = twin.step(below[t]);
          REQUIRE(exact.size() == traced.series.size());
          for (const auto& [name, values] : exact) {
            INFO("layer " << l << ", direction " << d << ", step " << t << ", " << name);
            const CellTrace::Series* series = series_of(traced, name);
            REQUIRE(series);
            REQUIRE(series->units == kTraceHidden);
            CHECK(series->gate == (std::string("ifozr").find(name) != std::string::npos));
            REQUIRE(std::ssize(series->values) == kTraceSteps * kTraceHidden);
            // A sum rounds by its largest terms, which rnn_relu does not bound.
            double scale = 1.0;
            for (const double value : values) scale = std::max(scale, std::abs(value));
            for (Index j = 0; j < kTraceHidden; ++j)
              REQUIRE(std::abs(static_cast<double>(series->values[t * kTraceHidden + j]) - values[j]) < 1e-5 * scale);
          }
        }
        const CellTrace::Series& h = *series_of(traced, "h");
        for (Index t = 0; t < kTraceSteps; ++t)
          above[t].insert(above[t].end(), h.values.begin() + t * kTraceHidden,
                          h.values.begin() + (t + 1) * kTraceHidden);
      }
      below = above;
    }
    for (Index t = 0; t < kTraceSteps; ++t)
      for (Index j = 0; j < 2 * kTraceHidden; ++j)
        REQUIRE(static_cast<double>(y[t * 2 * kTraceHidden + j]) == below[t][j]);
  }
}

TEST_CASE("a trace of single steps is that of the whole sequence, and a projection's output has its own width") {
  for (const Index projection : {0, 7}) {
    for (const CellKind kind : all_cells()) {
      const RecurrentOptions o{.cell = kind,
                               .input = kTraceInput,
                               .hidden = kTraceHidden,
                               .layers = 2,
                               .projection = projection,
                               .zoneout_h = projection > 0 ? 0.0f : 0.2f};
      if (!recurrent_conflicts(o).empty()) continue;
      INFO(cell_traits(kind).name);
      TracedLayers f(o);
      CellTrace whole, stepwise;
      const std::vector<float> plain = f.run(nullptr);
      REQUIRE(f.run(&whole) == plain);
      REQUIRE(f.run(&stepwise, true) == plain);
      REQUIRE(whole.layers.size() == 2);
      REQUIRE(stepwise.layers.size() == 2);
      for (std::size_t l = 0; l < 2; ++l) {
        REQUIRE(stepwise.layers[l].series.size() == whole.layers[l].series.size());
        for (std::size_t k = 0; k < whole.layers[l].series.size(); ++k)
          CHECK(stepwise.layers[l].series[k].values == whole.layers[l].series[k].values);
      }
      CHECK(series_of(whole.layers[1], "h")->units == o.output());
      CHECK(series_of(whole.layers[1], "h")->values == plain);
    }
  }
}
