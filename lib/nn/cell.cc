// The table of cell traits. Layers, sessions and parameters read sizes, block orders and kernels from it, so no other
// source has a case for a single cell.
#include "nn/cell.h"

#include "base/error.h"
#include "kernels/gru_cell.h"
#include "kernels/lstm_cell.h"
#include "kernels/min_cell.h"
#include "kernels/norm_lstm_cell.h"
#include "kernels/rnn_cell.h"

namespace mnemo {
namespace {

using namespace kernels;
using Forget = CellTraits::ForgetGate;
using enum CellValue::Source;

const CellValue kStateC{"c", kCell}, kStateH{"h", kOutput};

// Of the cells whose row of gates is i, f, g, o.
std::vector<CellValue> lstm_values() {
  return {{"i", kGate, 0, true},
          {"f", kGate, 1, true},
          {"g", kGate, 2},
          {"o", kGate, 3, true},
          kStateC,
          {"tanh(c)", kKept, 0},
          kStateH};
}

// Uniform weights of variance 1, which the gates' inputs and states share (Lei et al. 2018 and their code).
constexpr float kSruSpread = 1.7320508f, kSruGateSpread = 1.2247449f;

// With all four gates: the last one is the projection of the input that the highway passes on.
CellTraits sru_projected() {
  return {.kind = CellKind::kSruProjected,
          .name = "sru",
          .gates = 4,
          .hidden_gates = 0,
          .blocks = 4,
          .input_order = {0, 1, 2, 3},
          .unbiased = 2,
          .cell_state = true,
          .forward = sru_cell_forward,
          .backward = sru_cell_backward,
          .own = {{"weight_c", 2, 0.0f, kSruGateSpread}},
          .forget = Forget{0, 1.0f, -1, false},
          .values = {{"f", kGate, 0, true}, {"r", kGate, 1, true}, {"g", kGate, 2}, kStateC, kStateH},
          .input_spread = {kSruGateSpread, kSruGateSpread, kSruSpread, kSruFactor * kSruSpread}};
}

CellTraits sru() {
  CellTraits out = sru_projected();
  out.kind = CellKind::kSru;
  out.gates = out.blocks = 3;
  out.input_order = {0, 1, 2};
  out.unbiased = 1;
  out.otherwise = CellKind::kSruProjected;
  out.input_spread.pop_back();
  return out;
}

// Long because it is a table: one entry per cell, in the order of the enum.
std::vector<CellTraits> make_traits() {
  using enum CellKind;
  return {
      {.kind = kLstm,
       .name = "lstm",
       .gates = 4,
       .hidden_gates = 4,
       .blocks = 4,
       .input_order = {0, 1, 2, 3},
       .kept = 1,
       .cell_state = true,
       .forward = lstm_cell_forward,
       .backward = lstm_cell_backward,
       .forget = Forget{1, 1.0f, 0},
       .values = lstm_values()},
      {.kind = kPeepholeLstm,
       .name = "peephole_lstm",
       .gates = 4,
       .hidden_gates = 4,
       .blocks = 4,
       .input_order = {0, 1, 2, 3},
       .kept = 2,
       .cell_state = true,
       .forward = peephole_lstm_cell_forward,
       .backward = peephole_lstm_cell_backward,
       .own = {{"peephole_i", 1, 0.0f}, {"peephole_f", 1, 0.0f}, {"peephole_o", 1, 0.0f}},
       .forget = Forget{1, 1.0f, 0},
       .values = lstm_values()},
      {.kind = kCifgLstm,
       .name = "cifg_lstm",
       .gates = 3,
       .hidden_gates = 3,
       .blocks = 3,
       .input_order = {0, 1, 2},
       .kept = 1,
       .cell_state = true,
       .forward = cifg_lstm_cell_forward,
       .backward = cifg_lstm_cell_backward,
       .forget = Forget{0, -1.0f},
       .values = {{"i", kGate, 0, true},
                  {"f", kRestOfGate, 0, true},
                  {"g", kGate, 1},
                  {"o", kGate, 2, true},
                  kStateC,
                  {"tanh(c)", kKept, 0},
                  kStateH}},
      {.kind = kCappedLstm,
       .name = "capped_lstm",
       .gates = 4,
       .hidden_gates = 4,
       .blocks = 4,
       .input_order = {0, 1, 2, 3},
       .kept = 1,
       .cell_state = true,
       .forward = capped_lstm_cell_forward,
       .backward = capped_lstm_cell_backward,
       .forget = Forget{1, 1.0f, 0},
       .values = lstm_values()},
      {.kind = kNormLstm,
       .name = "norm_lstm",
       .gates = 4,
       .hidden_gates = 4,
       .blocks = 8,
       .input_order = {0, 1, 2, 3},
       .hidden_first = 4,
       .kept = 6,
       .kept_scalars = 3,
       .bias = false,
       .cell_state = true,
       .kept_in_inference = true,
       .forward = norm_lstm_cell_forward,
       .backward = norm_lstm_cell_backward,
       .own = {{"gain_ih", 4, 1.0f}, {"gain_hh", 4, 1.0f}, {"bias", 4, 0.0f}, {"gain_c", 1, 1.0f}, {"bias_c", 1, 0.0f}},
       .forget = Forget{1, 1.0f, 0},
       .values = {{"i", kKept, 0, true},
                  {"f", kKept, 1, true},
                  {"g", kKept, 2},
                  {"o", kKept, 3, true},
                  kStateC,
                  {"tanh(N(c))", kKept, 5},
                  kStateH},
       .own_bias = 8},
      {.kind = kGru,
       .name = "gru",
       .gates = 3,
       .hidden_gates = 3,
       .blocks = 4,
       .input_order = {2, 0, 1},
       .hidden_first = 1,
       .direct = true,
       .forward = gru_cell_forward,
       .backward = gru_cell_backward,
       .forget = Forget{1, 1.0f, -1, false},
       .values = {{"r", kGate, 1, true}, {"z", kGate, 2, true}, {"n", kGate, 0}, kStateH}},
      {.kind = kGruBefore,
       .name = "gru_before",
       .gates = 3,
       .hidden_gates = 3,
       .blocks = 3,
       .input_order = {0, 1, 2},
       .kept = 2,
       .direct = true,
       .kept_in_inference = true,
       .forward = gru_before_cell_forward,
       .backward = gru_before_cell_backward,
       .reset = gru_before_cell_reset,
       .reset_backward = gru_before_cell_reset_backward,
       .forget = Forget{1, 1.0f, -1, false},
       .values = {{"r", kGate, 0, true}, {"z", kGate, 1, true}, {"n", kGate, 2}, kStateH}},
      {.kind = kRnnTanh,
       .name = "rnn_tanh",
       .gates = 1,
       .hidden_gates = 1,
       .blocks = 1,
       .input_order = {0},
       .forward = rnn_tanh_cell_forward,
       .backward = rnn_tanh_cell_backward,
       .values = {kStateH}},
      {.kind = kRnnRelu,
       .name = "rnn_relu",
       .gates = 1,
       .hidden_gates = 1,
       .blocks = 1,
       .input_order = {0},
       .forward = rnn_relu_cell_forward,
       .backward = rnn_relu_cell_backward,
       .values = {kStateH}},
      {.kind = kMinLstm,
       .name = "min_lstm",
       .gates = 3,
       .hidden_gates = 0,
       .blocks = 3,
       .input_order = {0, 1, 2},
       .direct = true,
       .forward = min_lstm_cell_forward,
       .backward = min_lstm_cell_backward,
       .forget = Forget{0, 1.0f, 1},
       .values = {{"f", kGate, 0, true}, {"i", kGate, 1, true}, {"g", kGate, 2}, kStateH}},
      {.kind = kMinGru,
       .name = "min_gru",
       .gates = 2,
       .hidden_gates = 0,
       .blocks = 2,
       .input_order = {0, 1},
       .direct = true,
       .forward = min_gru_cell_forward,
       .backward = min_gru_cell_backward,
       .forget = Forget{0, -1.0f},
       .values = {{"z", kGate, 0, true}, {"g", kGate, 1}, kStateH}},
      sru(),
      sru_projected(),
  };
}

const std::vector<CellTraits>& all_traits() {
  static const std::vector<CellTraits> traits = make_traits();
  return traits;
}

}  // namespace

const std::vector<CellKind>& all_cells() {
  static const std::vector<CellKind> cells = [] {
    std::vector<CellKind> out;
    for (const CellTraits& t : all_traits()) out.push_back(t.kind);
    return out;
  }();
  return cells;
}

const std::vector<std::string>& cell_names() {
  static const std::vector<std::string> names{"lstm",     "gru",     "rnn", "peephole_lstm", "cifg_lstm", "capped_lstm",
                                              "min_lstm", "min_gru", "sru"};
  return names;
}

CellKind cell_kind(std::string_view name, const CellForm& form) {
  if (name == "lstm") return form.layer_norm ? CellKind::kNormLstm : CellKind::kLstm;
  if (name == "gru") return form.reset_after ? CellKind::kGru : CellKind::kGruBefore;
  if (name == "rnn") return form.relu ? CellKind::kRnnRelu : CellKind::kRnnTanh;
  for (const CellTraits& traits : all_traits())
    if (name == traits.name) return traits.kind;
  fail("unknown cell {}", name);
}

std::string_view cell_name(CellKind kind) {
  switch (kind) {
    case CellKind::kNormLstm:
      return "lstm";
    case CellKind::kGruBefore:
      return "gru";
    case CellKind::kRnnTanh:
    case CellKind::kRnnRelu:
      return "rnn";
    default:
      return cell_traits(kind).name;
  }
}

const CellTraits& cell_traits(CellKind kind) {
  const CellTraits& traits = all_traits()[static_cast<std::size_t>(kind)];
  if (traits.kind != kind) fail("the entries of cell traits are not in the order of CellKind");
  return traits;
}

}  // namespace mnemo
