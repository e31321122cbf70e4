// Chrono initialisation of every cell that has a gate for it.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "nn/recurrent.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr Index kUnits = 400;
constexpr double kRange = 50;

std::map<std::string, std::vector<float>> chrono_parameters(CellKind cell, Initialiser initialiser,
                                                            std::uint64_t seed) {
  Recurrent layer("rnn", {.cell = cell,
                          .input = 2,
                          .hidden = kUnits,
                          .initialiser = initialiser,
                          .forget_bias = 7.0f,
                          .forget_range = kRange});
  layer.initialise(seed);
  std::map<std::string, std::vector<float>> out;
  layer.visit([&](Parameter& p) { out[p.name] = {p.value.data(), p.value.data() + p.size()}; });
  return out;
}

// The sum of a gate's biases.
std::vector<float> gate_sums(const std::map<std::string, std::vector<float>>& parameters, const CellTraits& cell,
                             Index gate) {
  std::vector<float> out(kUnits, 0.0f);
  for (const char* name : {"rnn.bias_ih_l0", "rnn.bias_hh_l0", "rnn.bias_l0"})
    if (const auto found = parameters.find(name); found != parameters.end())
      for (Index j = 0; j < kUnits; ++j) out[static_cast<std::size_t>(j)] += found->second.at(gate * kUnits + j);
  CHECK(cell.gates > gate);
  return out;
}

}  // namespace

TEST_CASE("chrono initialisation: time constants uniform up to the longest range, the input gate the opposite") {
  for (const CellKind kind : all_cells()) {
    const CellTraits& cell = cell_traits(kind);
    INFO(cell.name);
    if (kind == CellKind::kRnnTanh || kind == CellKind::kRnnRelu) {
      CHECK_FALSE(cell.forget.has_value());
      const std::vector<std::string> conflicts = recurrent_conflicts({.cell = kind, .hidden = 2, .forget_range = 10});
      REQUIRE(conflicts.size() == 1);
      CHECK_THAT(conflicts.front(), contains_text("chrono needs a forget or an update gate"));
      continue;
    }
    REQUIRE(cell.forget.has_value());
    for (const Initialiser initialiser : {Initialiser::kGlorot, Initialiser::kUniform}) {
      const auto parameters = chrono_parameters(kind, initialiser, 1);
      const std::vector<float> biases = gate_sums(parameters, cell, cell.forget->gate);
      std::vector<double> u;
      for (const float bias : biases) u.push_back(std::exp(static_cast<double>(cell.forget->sign * bias)));
      std::ranges::sort(u);
      CHECK(u.front() >= 1.0 - 1e-6);
      CHECK(u.front() < 2.0);
      CHECK(u.back() <= kRange - 1 + 1e-3);
      CHECK(u.back() > kRange - 3);
      // Quartiles of a uniform distribution, with four standard deviations of 400 draws.
      for (const int quarter : {1, 2, 3})
        CHECK(u[static_cast<std::size_t>(quarter) * kUnits / 4] == Approx(1 + quarter * (kRange - 2) / 4).margin(5));
      if (cell.forget->input >= 0) {
        const std::vector<float> input = gate_sums(parameters, cell, cell.forget->input);
        for (std::size_t j = 0; j < input.size(); ++j) CHECK(input[j] == -biases[j]);
      }
      CHECK(chrono_parameters(kind, initialiser, 1) == parameters);
      CHECK(gate_sums(chrono_parameters(kind, initialiser, 2), cell, cell.forget->gate) != biases);
    }
  }
}

TEST_CASE("chrono initialisation: which gates it sets") {
  const auto gates_of = [](CellKind kind) {
    const CellTraits::ForgetGate& forget = *cell_traits(kind).forget;
    return std::array<double, 3>{static_cast<double>(forget.gate), static_cast<double>(forget.sign),
                                 static_cast<double>(forget.input)};
  };
  using Gates = std::array<double, 3>;
  // i, f, g, o.
  CHECK(gates_of(CellKind::kLstm) == Gates{1, 1, 0});
  CHECK(gates_of(CellKind::kPeepholeLstm) == Gates{1, 1, 0});
  CHECK(gates_of(CellKind::kCappedLstm) == Gates{1, 1, 0});
  CHECK(gates_of(CellKind::kNormLstm) == Gates{1, 1, 0});
  // The forget gate is 1 - i.
  CHECK(gates_of(CellKind::kCifgLstm) == Gates{0, -1, -1});
  // r, z, n: h = (1 - z) n + z h_prev.
  CHECK(gates_of(CellKind::kGru) == Gates{1, 1, -1});
  CHECK(gates_of(CellKind::kGruBefore) == Gates{1, 1, -1});
  // f, i, h.
  CHECK(gates_of(CellKind::kMinLstm) == Gates{0, 1, 1});
  // z, h: h = (1 - z) h_prev + z a_h.
  CHECK(gates_of(CellKind::kMinGru) == Gates{0, -1, -1});
}
