// The stack of layers: parameters and their packed forms, residual connections, initial and final states. Weights are
// packed once per change and precision, not per step; packings are counted, so that steps of a batch can notice when
// another use of the layers replaced them. recurrent_layer.cc runs the layers.
#include "nn/recurrent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/activations.h"
#include "kernels/elementwise.h"
#include "nn/cell_step.h"
#include "nn/cell_trace.h"
#include "nn/dropout.h"
#include "nn/gradient_trace.h"
#include "nn/input_trace.h"
#include "nn/mask_streams.h"
#include "nn/recurrent_layer.h"

namespace mnemo {
namespace {

// The gates' rows of `from` [G H, columns] in the order of a row of gates: `from` itself if it has that order.
const float* ordered_gates(const CellTraits& cell, Index H, Index columns, const float* from, AlignedVector& room) {
  if (std::is_sorted(cell.input_order.begin(), cell.input_order.end())) return from;
  room.resize(cell.gates * H * columns);
  for (Index block = 0; block < cell.gates; ++block)
    std::copy_n(from + cell.input_order[block] * H * columns, H * columns, room.data() + block * H * columns);
  return room.data();
}

}  // namespace

RecurrentOptions with_input(RecurrentOptions options, Index input) {
  options.input = input;
  return options;
}

std::vector<std::string> recurrent_conflicts(const RecurrentOptions& o) {
  const CellTraits& cell = cell_traits(o.cell);
  const bool zoneout = o.zoneout_h > 0.0f || o.zoneout_c > 0.0f;
  std::vector<std::string> out;
  const auto when = [&](bool wrong, const std::string& text) {
    if (wrong) out.push_back(text);
  };
  when(o.projection > 0 && o.cell != CellKind::kLstm, "projection: only the plain lstm supports it");
  when(o.projection > 0 && o.projection >= o.hidden,
       fmt::format("projection: {} outputs must be fewer than {} hidden units", o.projection, o.hidden));
  when(o.projection > 0 && zoneout, "projection: cannot be combined with zoneout");
  when(o.state_dropout > 0.0f && cell.reset,
       "state_dropout: a gru supports it only with the reset gate after the product");
  when(o.state_dropout > 0.0f && cell.hidden_gates == 0, "state_dropout: this cell has no recurrent weights");
  when(o.weight_dropout > 0.0f && cell.hidden_gates == 0, "weight_dropout: this cell has no recurrent weights");
  when(o.mogrifier.rounds > 0 && !cell.takes_mogrifier(),
       "mogrifier.rounds: only for an lstm and its variants, whose gates see the state");
  when(o.attention.layer > o.layers,
       fmt::format("self_attention.layer: {}, above the number of recurrent layers, {}", o.attention.layer, o.layers));
  when(o.zoneout_c > 0.0f && !cell.cell_state, "zoneout_c: this cell has no cell state");
  when(o.forget_range > 0.0 && !cell.forget,
       "forget_bias: chrono needs a forget or an update gate, which this cell does not have");
  return out;
}

const CellTraits& layer_cell(const RecurrentOptions& options, Index input) {
  const CellTraits& cell = cell_traits(options.cell);
  const bool as_wide = input == options.directions() * options.output();
  return cell.otherwise && !as_wide ? cell_traits(*cell.otherwise) : cell;
}

double recurrent_parameters(const RecurrentOptions& o) {
  const auto number = [](Index n) { return static_cast<double>(n); };
  const double H = number(o.hidden), P = number(o.output()), D = number(o.directions()), L = number(o.layers);
  const CellTraits& cell = cell_traits(o.cell);
  const auto each = [&](Index input) {
    const CellTraits& its_cell = layer_cell(o, input);
    const double G = number(its_cell.gates) * H;
    const double biases = its_cell.bias ? number(its_cell.gates - its_cell.unbiased + its_cell.hidden_gates) * H : 0;
    return (its_cell.hidden_gates > 0 ? G * P : 0) + biases + number(its_cell.own_blocks()) * H +
           (o.projection > 0 ? P * H : 0) + G * number(input) + mogrifier_parameters(o.mogrifier, input, o.output());
  };
  double sum = D * (each(o.input) + (L - 1) * each(o.directions() * o.output()));
  if (o.residual == Residual::kHighway) sum += (L - 1) * D * P * (D * P + 1);
  sum += self_attention_parameters(o.attention, o.directions() * o.output());
  if (o.learned_initial) sum += L * D * (P + (cell.cell_state ? H : 0));
  return sum;
}

RecurrentDirection::RecurrentDirection(const std::string& prefix, const std::string& suffix, Index input, Index number,
                                       const RecurrentOptions& options)
    : through_column(number * options.hidden),
      cell(layer_cell(options, input)),
      weight_ih(prefix + "weight_ih" + suffix, {cell.gates * options.hidden, input}) {
  const Index H = options.hidden, P = options.output(), G = cell.gates * H;
  if (cell.hidden_gates > 0) weight_hh.emplace(prefix + "weight_hh" + suffix, std::vector<Index>{G, P});
  if (cell.bias) bias_ih.emplace(prefix + "bias_ih" + suffix, std::vector<Index>{G - cell.unbiased * H});
  if (cell.bias && cell.hidden_gates > 0) bias_hh.emplace(prefix + "bias_hh" + suffix, std::vector<Index>{G});
  for (const OwnVector& v : cell.own)
    own.emplace_back(fmt::format("{}{}{}", prefix, v.name, suffix), std::vector<Index>{v.blocks * H});
  if (options.projection > 0) weight_hr.emplace(prefix + "weight_hr" + suffix, std::vector<Index>{P, H});
  if (options.mogrifier.rounds > 0) mogrifier.emplace(prefix, suffix, input, P, options.mogrifier);
  bias.resize(cell.blocks * H);
  own_values.resize(cell.own_blocks() * H);
}

void RecurrentDirection::initialise(const RecurrentOptions& options, std::uint64_t seed) {
  const Index H = options.hidden;
  if (options.initialiser == Initialiser::kUniform) {
    visit([&](Parameter& p) { initialise_uniform(p, 1.0f / std::sqrt(static_cast<float>(H)), seed); });
  } else {
    initialise_input(H, seed);
    for (Index gate = 0; gate < cell.gates; ++gate) {
      if (!weight_hh) continue;
      if (options.initialiser == Initialiser::kGlorot || options.projection > 0)
        initialise_glorot(*weight_hh, gate * H, H, seed);
      else
        initialise_orthogonal(*weight_hh, gate * H, seed);
    }
    for (auto* b : {&bias_ih, &bias_hh})
      if (*b) std::fill_n((*b)->value.data(), (*b)->size(), 0.0f);
    if (weight_hr) initialise_glorot(*weight_hr, 0, weight_hr->rows(), seed);
  }
  for (std::size_t v = 0; v < own.size(); ++v) {
    if (cell.own[v].spread > 0.0f)
      initialise_uniform(own[v], cell.own[v].spread, seed);
    else
      std::fill_n(own[v].value.data(), own[v].size(), cell.own[v].initial);
  }
  if (cell.forget) initialise_forget_gate(options, seed);
  if (mogrifier) mogrifier->initialise(options.initialiser, seed);
}

void RecurrentDirection::initialise_input(Index H, std::uint64_t seed) {
  if (cell.input_spread.empty()) {
    for (Index gate = 0; gate < cell.gates; ++gate) initialise_glorot(weight_ih, gate * H, H, seed);
    return;
  }
  const Index I = weight_ih.row_size();
  initialise_uniform(weight_ih, 1.0f / std::sqrt(static_cast<float>(I)), seed);
  for (Index k = 0; k < weight_ih.size(); ++k) weight_ih.value[k] *= cell.input_spread[k / (H * I)];
}

Parameter& RecurrentDirection::gate_bias() {
  if (cell.bias) return *bias_ih;
  Index block = 0;
  std::size_t v = 0;
  while (block < cell.own_bias) block += cell.own[v++].blocks;
  return own[v];
}

void RecurrentDirection::initialise_forget_gate(const RecurrentOptions& options, std::uint64_t seed) {
  const Index H = options.hidden, gate = cell.forget->gate * H;
  Parameter& biases = gate_bias();
  if (options.forget_range <= 0.0) {
    if (!cell.forget->has_constant) return;
    for (Index j = gate; j < gate + H; ++j) biases.value[j] += cell.forget->sign * options.forget_bias;
    return;
  }
  initialise_chrono(biases, gate, H, options.forget_range, seed);
  for (Index j = gate; j < gate + H; ++j) biases.value[j] *= cell.forget->sign;
  if (cell.forget->input >= 0)
    for (Index j = 0; j < H; ++j) biases.value[cell.forget->input * H + j] = -biases.value[gate + j];
  // The time constants are those of the sums of both biases.
  if (!bias_hh) return;
  for (const Index other : {cell.forget->gate, cell.forget->input})
    if (other >= 0) std::fill_n(bias_hh->value.data() + other * H, H, 0.0f);
}

void RecurrentDirection::visit(const ParameterVisitor& visitor) {
  visitor(weight_ih);
  for (auto* p : {&weight_hh, &bias_ih, &bias_hh})
    if (*p) visitor(**p);
  for (Parameter& p : own) visitor(p);
  if (weight_hr) visitor(*weight_hr);
  if (mogrifier) mogrifier->visit(visitor);
}

void RecurrentDirection::visit_factors(const ParameterVisitor& visitor) {
  visitor(weight_ih);
  for (auto* p : {&weight_hh, &weight_hr})
    if (*p) visitor(**p);
  if (mogrifier) mogrifier->visit_factors(visitor);
}

void RecurrentDirection::pack(ThreadPool& pool, bool training, kernels::Precision precision, const float* mask) {
  const Index I = weight_ih.row_size(), H = weight_ih.rows() / cell.gates, G = cell.gates * H;
  const float* ordered = ordered_gates(cell, H, I, weight_ih.value.data(), ordered_);
  kernels::pack(pool, ordered, I, true, I, G, input_panels, precision);
  if (training) kernels::pack(pool, ordered, I, false, G, I, input_back_panels, precision);
  std::fill_n(bias.data(), bias.size(), 0.0f);
  for (Index block = 0; bias_ih && block < cell.gates - cell.unbiased; ++block)
    std::copy_n(bias_ih->value.data() + cell.input_order[block] * H, H, bias.data() + block * H);
  if (bias_hh)
    kernels::add_scaled(1.0f, bias_hh->value.data(), bias.data() + cell.hidden_first * H, cell.hidden_gates * H);
  float* to = own_values.data();
  for (const Parameter& p : own) to = std::copy_n(p.value.data(), p.size(), to);
  if (mogrifier) mogrifier->pack(pool, training, precision);
  if (weight_hh) {
    const Index P = weight_hh->row_size(), first = cell.first_product_gates() * H;
    const float* from = weight_hh->value.data();
    if (mask) {
      masked_.resize(G * P);
      for (Index k = 0; k < G * P; ++k) masked_[k] = from[k] * mask[k];
      from = masked_.data();
    }
    kernels::pack(pool, from, P, true, P, first, recurrent_panels, precision);
    if (training) kernels::pack(pool, from, P, false, first, P, recurrent_back_panels, precision);
    if (cell.reset) {
      kernels::pack(pool, from + first * P, P, true, P, H, last_panels, precision);
      if (training) kernels::pack(pool, from + first * P, P, false, H, P, last_back_panels, precision);
    }
  }
  if (weight_hr) {
    const Index P = weight_hr->rows();
    kernels::pack(pool, weight_hr->value.data(), H, true, H, P, projection_panels, precision);
    if (training) kernels::pack(pool, weight_hr->value.data(), H, false, P, H, projection_back_panels, precision);
  }
}

Recurrent::Recurrent(const std::string& name, const RecurrentOptions& options) : name_(name), options_(options) {
  if (const auto conflicts = recurrent_conflicts(options); !conflicts.empty()) fail("{}", fmt::join(conflicts, "; "));
  const Index D = directions(), P = options.output();
  for (Index l = 0; l < options.layers; ++l)
    for (Index d = 0; d < D; ++d)
      directions_.push_back(std::make_unique<RecurrentDirection>(name + ".",
                                                                 "_l" + std::to_string(l) + (d == 1 ? "_reverse" : ""),
                                                                 l == 0 ? options.input : D * P, d, options));
  for (Index l = 1; l < options.layers && options.residual == Residual::kHighway; ++l) {
    carries_.push_back(std::make_unique<Linear>(fmt::format("{}.highway_l{}", name, l), D * P, D * P));
    carries_.back()->set_precision(options.precision);
  }
  if (options.attention.layer > 0) {
    attention_ = std::make_unique<SelfAttention>(fmt::format("{}.attention_l{}", name, options.attention.layer - 1),
                                                 D * P, options.attention);
    attention_->set_precision(options.precision);
    attention_->set_training_precision(options.training_precision);
  }
  if (!options.learned_initial) return;
  initial_.emplace_back(name + ".initial_h", std::vector<Index>{options.layers * D, P});
  if (cell_traits(options.cell).cell_state)
    initial_.emplace_back(name + ".initial_c", std::vector<Index>{options.layers * D, options.hidden});
}

void Recurrent::initialise(std::uint64_t seed) {
  for (auto& direction : directions_) direction->initialise(options_, seed);
  for (auto& carry : carries_) {
    carry->initialise(options_.initialiser, seed);
    // Initially, layers pass on most of their input.
    for (Index j = 0; j < carry->bias.size(); ++j) carry->bias.value[j] -= 1.0f;
  }
  if (attention_) attention_->initialise(options_.initialiser, seed);
  for (Parameter& p : initial_) std::fill_n(p.value.data(), p.size(), 0.0f);
  weights_changed();
}

void Recurrent::visit(const ParameterVisitor& visitor) {
  for (auto& direction : directions_) direction->visit(visitor);
  for (auto& carry : carries_) carry->visit(visitor);
  if (attention_) attention_->visit(visitor);
  for (Parameter& p : initial_) visitor(p);
}

void Recurrent::weights_changed() {
  packed_ = Packed::kNo;
  for (auto& carry : carries_) carry->weights_changed();
  if (attention_) attention_->weights_changed();
}

void Recurrent::visit_factors(const ParameterVisitor& visitor) {
  for (auto& direction : directions_) direction->visit_factors(visitor);
  for (auto& carry : carries_) visitor(carry->weight);
  if (attention_) attention_->visit_matrices(visitor);
}

void Recurrent::set_precision(kernels::Precision precision) {
  options_.precision = precision;
  for (auto& carry : carries_) carry->set_precision(precision);
  if (attention_) attention_->set_precision(precision);
  weights_changed();
}

bool Recurrent::is_packed(Packed wanted) const {
  return packed_ == wanted || (packed_ == Packed::kForTraining && options_.precision == options_.training_precision);
}

void Recurrent::prepare(Tape& tape) {
  if (!tape.training()) return prepare(tape.pool);
  const bool dropping = options_.weight_dropout > 0.0f;
  for (auto& carry : carries_) carry->prepare(tape);
  if (attention_) attention_->prepare(tape);
  weight_masks_.assign(dropping ? directions_.size() : 0, nullptr);
  if (is_packed(Packed::kForTraining) && !dropping) return;
  for (Index i = 0; i < std::ssize(directions_); ++i) {
    if (dropping)
      weight_masks_[i] = draw_mask(tape, options_.weight_dropout,
                                   mask_streams::kWeights + stream_of(options_, i / directions(), i % directions()),
                                   directions_[i]->weight_hh->size());
    directions_[i]->pack(tape.pool, true, options_.training_precision, dropping ? weight_masks_[i] : nullptr);
  }
  ++packings_;
  // Masked weights are valid for one batch only.
  packed_ = dropping ? Packed::kNo : Packed::kForTraining;
}

Activation Recurrent::connect(Tape& tape, Index layer, const Activation& x, const Activation& y) const {
  if (options_.residual == Residual::kNone || layer == 0) return y;
  const Activation out = tape.allocate(y.rows, y.columns);
  if (options_.residual == Residual::kAdd) {
    connect_values(out.size(), x.value, y.value, nullptr, out.value);
    tape.record([out, x, y] {
      kernels::add_scaled(1.0f, out.gradient, x.gradient, out.size());
      kernels::add_scaled(1.0f, out.gradient, y.gradient, out.size());
    });
    return out;
  }
  const Activation gate = std::as_const(*carries_[layer - 1]).forward(tape, x);
  kernels::logistic_values(gate.value, gate.value, gate.size());
  connect_values(out.size(), x.value, y.value, gate.value, out.value);
  tape.record([out, gate, x, y] {
    for (Index i = 0; i < out.size(); ++i) {
      const float d = out.gradient[i], t = gate.value[i];
      y.gradient[i] += d * t;
      x.gradient[i] += d * (1.0f - t);
      gate.gradient[i] += d * (y.value[i] - x.value[i]) * t * (1.0f - t);
    }
  });
  return out;
}

Activation Recurrent::attend(Tape& tape, const Packing& packing, Index layer, const Activation& y, const Start& start,
                             AttentionMemory& after) const {
  const SelfAttention* block = attention(layer);
  if (!block) return y;
  const SelfAttention::Output out =
      block->forward(tape, packing, y, start.initial.memory, options_.stream, options_.variational);
  after = out.after;
  return out.y;
}

Activation Recurrent::stack_output(Tape& tape, Index layer, const Activation& below, const Activation& y) const {
  if (!options_.sum_layers || layer == 0) return y;
  const Activation out = tape.allocate(y.rows, y.columns);
  connect_values(out.size(), below.value, y.value, nullptr, out.value);
  tape.record([out, below, y] {
    kernels::add_scaled(1.0f, out.gradient, below.gradient, out.size());
    kernels::add_scaled(1.0f, out.gradient, y.gradient, out.size());
  });
  return out;
}

void Recurrent::check_prepared() const {
  if (!is_packed(Packed::kForInference)) fail("recurrent layers must be prepared before inference");
}

void Recurrent::prepare(ThreadPool& pool) {
  weight_masks_.clear();
  if (!is_packed(Packed::kForInference)) {
    for (auto& direction : directions_) direction->pack(pool, false, options_.precision, nullptr);
    packed_ = Packed::kForInference;
    ++packings_;
  }
  for (auto& carry : carries_) carry->prepare(pool);
  if (attention_) attention_->prepare(pool);
}

// The learned initial state, once for each sequence.
RecurrentState Recurrent::learned_state(Tape& tape, Index sequences) const {
  RecurrentState out;
  Activation* const parts[] = {&out.h, &out.c};
  for (std::size_t k = 0; k < initial_.size(); ++k) {
    Parameter& p = Tape::trained(initial_[k]);
    const Activation a = *parts[k] = tape.allocate(p.rows() * sequences, p.row_size());
    const Index size = p.row_size();
    for (Index row = 0; row < a.rows; ++row)
      std::copy_n(p.value.data() + row / sequences * size, size, a.value + row * size);
    tape.record([&p, a, size, sequences] {
      for (Index row = 0; row < a.rows; ++row)
        kernels::add_scaled(1.0f, a.gradient + row * size, p.gradient.data() + row / sequences * size, size);
    });
  }
  return out;
}

Recurrent::Start Recurrent::begin(Tape& tape, const Packing& packing, const RecurrentState* initial) const {
  const CellTraits& cell = cell_traits(options_.cell);
  const Index H = options_.hidden, P = options_.output(), states = options_.layers * directions() * packing.sequences();
  if (!tape.training()) check_prepared();
  Start out;
  out.zero = tape.arena.allocate(std::max(H, P));
  std::fill_n(out.zero, std::max(H, P), 0.0f);
  if (initial)
    out.initial = *initial;
  else if (!initial_.empty())
    out.initial = learned_state(tape, packing.sequences());
  out.final.h = tape.allocate(states, P);
  if (cell.cell_state) out.final.c = tape.allocate(states, H);
  return out;
}

LayerRun Recurrent::layer_run(Tape& tape, const Packing& packing, Index layer, const Activation& x,
                              const Start& start) const {
  const CellTraits& cell = direction(layer, 0).cell;
  const Index H = options_.hidden, P = options_.output(), D = directions();
  LayerRun run{.packing = &packing,
               .options = &options_,
               .cell = &cell,
               .x = x,
               .y = tape.allocate(packing.tokens(), D * P),
               .direction = {},
               .training = tape.training(),
               .keeps_rows = tape.training() || tape.trace,
               .zero = start.zero};
  for (Index i = 0; i < D; ++i) {
    DirectionRun& d = run.direction[i];
    const Index at = (layer * D + i) * packing.sequences();
    d.weights = directions_[layer * D + i].get();
    d.weight_mask = weight_masks_.empty() ? nullptr : weight_masks_[layer * D + i];
    d.h0 = start.initial.h.value ? start.initial.h.value + at * P : nullptr;
    d.c0 = start.initial.c.value ? start.initial.c.value + at * H : nullptr;
    d.hn = start.final.h.value + at * P;
    d.cn = cell.cell_state ? start.final.c.value + at * H : nullptr;
  }
  draw_masks(tape, run, layer);
  return run;
}

LayerGradients Recurrent::layer_gradients(const LayerRun& run, Index layer, const Start& start) {
  LayerGradients out{{}, start.initial.h.gradient != nullptr || start.initial.c.gradient != nullptr};
  for (Index i = 0; i < run.directions(); ++i) {
    const Index at = (layer * run.directions() + i) * run.packing->sequences();
    out.direction[i].dh = start.final.h.gradient + at * run.output();
    if (start.final.c.gradient) out.direction[i].dc = start.final.c.gradient + at * run.hidden();
  }
  return out;
}

void Recurrent::add_initial_gradients(const LayerRun& run, Index layer, const LayerGradients& state,
                                      const Start& start) {
  const Index sequences = run.packing->sequences(), h = run.hidden(), p = run.output();
  for (Index i = 0; i < run.directions() && state.initial_wanted; ++i) {
    const Index at = (layer * run.directions() + i) * sequences;
    if (start.initial.h.gradient)
      kernels::add_scaled(1.0f, state.direction[i].dh, start.initial.h.gradient + at * p, sequences * p);
    if (start.initial.c.gradient)
      kernels::add_scaled(1.0f, state.direction[i].dc, start.initial.c.gradient + at * h, sequences * h);
  }
}

Recurrent::Output Recurrent::forward(Tape& tape, const Packing& packing, const Activation& x,
                                     const RecurrentState* initial) const {
  const Start start = begin(tape, packing, initial);
  AttentionMemory memory;
  Activation given = traced_input(tape, name_, x), output = given, first;
  for (Index l = 0; l < options_.layers; ++l) {
    Activation input = given;
    if (l > 0)
      input = dropout(tape, given, options_.layer_dropout, options_.stream + static_cast<std::uint32_t>(l),
                      options_.variational ? &packing : nullptr);
    LayerRun run = layer_run(tape, packing, l, input, start);
    forward_layer(tape, run);
    if (tape.trace) trace_cells(run, name_, l, *tape.trace);
    tape.record([this, &tape, run, l, start]() mutable {
      const LayerGradients state = layer_gradients(run, l, start);
      backward_layer(tape, run, state);
      if (tape.gradient_trace) trace_gradients(run, name_, l, *tape.gradient_trace);
      add_initial_gradients(run, l, state, start);
    });
    if (l == 0) first = run.y;
    given = attend(tape, packing, l, connect(tape, l, given, run.y), start, memory);
    output = stack_output(tape, l, output, given);
  }
  if (tape.gradient_trace) tape.record([&packing, output, D = directions()] { keep_last_steps(packing, D, output); });
  RecurrentState final = start.final;
  final.memory = memory;
  return {output, final, first};
}

}  // namespace mnemo
