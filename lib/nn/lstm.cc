#include "nn/lstm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/elementwise.h"
#include "kernels/lstm_cell.h"
#include "nn/dropout.h"

namespace mnemo {
namespace {

using kernels::Start;

// Everything that the two passes over one layer share. Arrays of both directions: [D].
struct LayerRun {
  const Packing* packing;
  Index hidden, directions;
  LstmDirection* weights[2];
  Activation x;             // [N, I]
  Activation y;             // [N, D * H]
  const float* h0[2] = {};  // [B, H] or null: zero
  const float* c0[2] = {};
  float* hn[2] = {};  // [B, H]
  float* cn[2] = {};
  float* gates[2] = {};         // training: [N, 4H]; inference: [rows of a chunk, 4H]
  float* c[2] = {};             // training: [N, H]; inference: [B, H]
  float* tanh_c[2] = {};        // training: [N, H]; inference: null
  const float* zero = nullptr;  // [H]

  bool training() const { return tanh_c[0] != nullptr; }
  Index output_stride() const { return directions * hidden; }
  float* y_row(Index d, Index row) const { return y.value + row * output_stride() + d * hidden; }
};

// A tile of the recurrence: sequences first, first + step, first + 2 step, ... of one direction. Taking every
// step-th one gives each tile the same share of long and short sequences.
struct Tile {
  Index direction, first, step;
  Index rows(Index running) const { return running > first ? (running - first + step - 1) / step : 0; }
};

std::vector<Tile> make_tiles(const LayerRun& run, int threads) {
  const Index per_direction = std::clamp<Index>((threads + run.directions - 1) / run.directions, 1,
                                                std::max<Index>(1, run.packing->rows_at(0)));
  std::vector<Tile> tiles;
  for (Index s = 0; s < per_direction; ++s)
    for (Index d = 0; d < run.directions; ++d) tiles.push_back({d, s, per_direction});
  return tiles;
}

// Where the state before step t lies for the tile's rows: `continuing` of them have one computed at the step before,
// the others begin here.
struct Before {
  Index continuing, step;
};

Before before(const Packing& packing, Index direction, Index t) {
  if (direction == 0) return {t == 0 ? 0 : packing.rows_at(t), t - 1};
  return {packing.rows_at(t + 1), t + 1};
}

// One step of rows [from, to) of a tile; h_prev and c_prev are the first row's, null for zero.
struct StepRows {
  const float* h_prev;
  Index h_stride;
  const float* c_prev;
  Index c_stride;
};

void forward_rows(const LayerRun& run, const Tile& tile, Index t, Index first_row, Index from, Index to,
                  const StepRows& prev) {
  if (from == to) return;
  const Index H = run.hidden, d = tile.direction, b = tile.first + from * tile.step;
  const Index row = run.packing->offset(t) + b, rows = to - from;
  float* gates = run.gates[d] + (row - first_row) * 4 * H;
  const auto& panels = run.weights[d]->recurrent_panels;
  if (prev.h_prev)
    kernels::multiply_rows(rows, prev.h_prev, prev.h_stride, panels, 0, panels.panels(), Start::kResult, nullptr, gates,
                           tile.step * 4 * H);
  const Index c_row = run.training() ? row : b;
  kernels::lstm_cell_forward({.rows = rows,
                              .hidden = H,
                              .gates = gates,
                              .gates_stride = tile.step * 4 * H,
                              .c_prev = prev.c_prev ? prev.c_prev : run.zero,
                              .c_prev_stride = prev.c_prev ? prev.c_stride : 0,
                              .c = run.c[d] + c_row * H,
                              .c_stride = tile.step * H,
                              .tanh_c = run.training() ? run.tanh_c[d] + row * H : nullptr,
                              .tanh_c_stride = tile.step * H,
                              .h = run.y_row(d, row),
                              .h_stride = tile.step * run.output_stride()});
}

void forward_step(const LayerRun& run, const Tile& tile, Index t, Index first_row) {
  const Index H = run.hidden, d = tile.direction;
  const Before past = before(*run.packing, d, t);
  const Index rows = tile.rows(run.packing->rows_at(t)), continuing = tile.rows(past.continuing);
  if (continuing > 0) {
    const Index row = run.packing->offset(past.step) + tile.first;
    forward_rows(run, tile, t, first_row, 0, continuing,
                 {run.y_row(d, row), tile.step * run.output_stride(),
                  run.c[d] + (run.training() ? row : tile.first) * H, tile.step * H});
  }
  const Index b = tile.first + continuing * tile.step;
  forward_rows(
      run, tile, t, first_row, continuing, rows,
      {run.h0[d] ? run.h0[d] + b * H : nullptr, tile.step * H, run.c0[d] ? run.c0[d] + b * H : nullptr, tile.step * H});
}

// Steps [begin, end) of time, in the direction's own order.
struct Chunk {
  Index begin, end;
};

// gates = x W_ih^T + b_ih + b_hh for each direction's chunk.
void project_inputs(Tape& tape, const LayerRun& run, const Chunk (&chunks)[2]) {
  kernels::Product products[2];
  for (Index d = 0; d < run.directions; ++d) {
    const Index begin = run.packing->offset(chunks[d].begin), end = run.packing->offset(chunks[d].end);
    products[d] = {end - begin,  run.x.value + begin * run.x.columns, run.x.columns, &run.weights[d]->input_panels,
                   Start::kBias, run.weights[d]->bias.data(),         run.gates[d],  4 * run.hidden};
  }
  kernels::multiply(tape.pool, {products, static_cast<std::size_t>(run.directions)});
}

void run_chunks(Tape& tape, const LayerRun& run, const Chunk (&chunks)[2]) {
  project_inputs(tape, run, chunks);
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t i) {
    const Chunk& chunk = chunks[tiles[i].direction];
    const Index first_row = run.packing->offset(chunk.begin);
    for (Index s = 0; s < chunk.end - chunk.begin; ++s)
      forward_step(run, tiles[i], tiles[i].direction == 0 ? chunk.begin + s : chunk.end - 1 - s, first_row);
  });
}

// The first chunk's end such that it has about `rows` rows, and at least one step.
std::vector<Index> chunk_bounds(const Packing& packing, Index rows) {
  std::vector<Index> bounds{0};
  for (Index t = 1; t <= packing.steps(); ++t)
    if (t == packing.steps() || packing.offset(t + 1) - packing.offset(bounds.back()) > rows) bounds.push_back(t);
  return bounds;
}

// Rows of gates that inference keeps at a time: enough for full tiles in the input's product, few enough for the
// caches.
constexpr Index kInferenceRows = 512;

void copy_final_state(const LayerRun& run, Index d) {
  const Index H = run.hidden;
  for (Index b = 0; b < run.packing->sequences(); ++b) {
    const Index length = run.packing->length(b);
    const Index row = length == 0 ? 0 : run.packing->row(b, d == 0 ? length - 1 : 0);
    const float* h = length > 0 ? run.y_row(d, row) : run.h0[d] ? run.h0[d] + b * H : run.zero;
    const float* c =
        length > 0 ? run.c[d] + (run.training() ? row : b) * H : (run.c0[d] ? run.c0[d] + b * H : run.zero);
    std::copy_n(h, H, run.hn[d] + b * H);
    std::copy_n(c, H, run.cn[d] + b * H);
  }
}

void forward_layer(Tape& tape, LayerRun& run) {
  const Packing& packing = *run.packing;
  const Index H = run.hidden, T = packing.steps();
  const auto bounds = chunk_bounds(packing, tape.training() ? packing.tokens() : kInferenceRows);
  const Index chunks = static_cast<Index>(bounds.size()) - 1;
  Index most = 0;
  for (Index k = 0; k < chunks; ++k) most = std::max(most, packing.offset(bounds[k + 1]) - packing.offset(bounds[k]));
  for (Index d = 0; d < run.directions; ++d) {
    run.gates[d] = tape.arena.allocate(most * 4 * H);
    run.c[d] = tape.arena.allocate((tape.training() ? packing.tokens() : packing.sequences()) * H);
    if (tape.training()) run.tanh_c[d] = tape.arena.allocate(packing.tokens() * H);
  }
  for (Index k = 0; k < chunks && T > 0; ++k)
    run_chunks(tape, run, {{bounds[k], bounds[k + 1]}, {bounds[chunks - 1 - k], bounds[chunks - k]}});
  for (Index d = 0; d < run.directions; ++d) copy_final_state(run, d);
}

// Gradients that flow through a layer's state, [D].
struct StateGradients {
  float* dh[2];  // [B, H] in: of hn; out: of h0
  float* dc[2];  // [B, H] in: of cn; out: of c0
  bool initial_wanted;
};

// Inverts forward_step: the cell, then gates = ... + h_prev W_hh^T.
void backward_step(const LayerRun& run, const StateGradients& state, const Tile& tile, Index t) {
  const Index H = run.hidden, d = tile.direction, D = run.directions;
  const Before past = before(*run.packing, d, t);
  const Index rows = tile.rows(run.packing->rows_at(t)), continuing = tile.rows(past.continuing);
  if (rows == 0) return;
  const Index row = run.packing->offset(t) + tile.first;
  kernels::LstmCellBackward cell{.rows = continuing,
                                 .hidden = H,
                                 .gates = run.gates[d] + row * 4 * H,
                                 .gates_stride = tile.step * 4 * H,
                                 .c_prev = nullptr,
                                 .c_prev_stride = tile.step * H,
                                 .tanh_c = run.tanh_c[d] + row * H,
                                 .tanh_c_stride = tile.step * H,
                                 .dh = run.y.gradient + row * D * H + d * H,
                                 .dh_stride = tile.step * D * H,
                                 .dh_next = state.dh[d] + tile.first * H,
                                 .dh_next_stride = tile.step * H,
                                 .dc = state.dc[d] + tile.first * H,
                                 .dc_stride = tile.step * H};
  if (continuing > 0) {
    cell.c_prev = run.c[d] + (run.packing->offset(past.step) + tile.first) * H;
    kernels::lstm_cell_backward(cell);
  }
  if (rows > continuing) {
    cell.rows = rows - continuing;
    cell.gates += continuing * cell.gates_stride;
    cell.tanh_c += continuing * cell.tanh_c_stride;
    cell.dh += continuing * cell.dh_stride;
    cell.dh_next += continuing * cell.dh_next_stride;
    cell.dc += continuing * cell.dc_stride;
    cell.c_prev = run.c0[d] ? run.c0[d] + (tile.first + continuing * tile.step) * H : run.zero;
    if (!run.c0[d]) cell.c_prev_stride = 0;
    kernels::lstm_cell_backward(cell);
  }
  const Index wanted = state.initial_wanted ? rows : continuing;
  const auto& panels = run.weights[d]->recurrent_back_panels;
  if (wanted > 0)
    kernels::multiply_rows(wanted, run.gates[d] + row * 4 * H, tile.step * 4 * H, panels, 0, panels.panels(),
                           Start::kZero, nullptr, state.dh[d] + tile.first * H, tile.step * H);
}

// Row by row of the packing, h before that row's step: what the gradient of W_hh multiplies by.
void previous_outputs(const LayerRun& run, Index d, std::vector<const float*>& rows) {
  rows.resize(run.packing->tokens());
  for (Index t = 0; t < run.packing->steps(); ++t) {
    const Before past = before(*run.packing, d, t);
    for (Index b = 0; b < run.packing->rows_at(t); ++b) {
      const float* h = run.h0[d] ? run.h0[d] + b * run.hidden : run.zero;
      rows[run.packing->row(b, t)] = b < past.continuing ? run.y_row(d, run.packing->row(b, past.step)) : h;
    }
  }
}

// gates = x W_ih^T + h_prev W_hh^T + b_ih + b_hh, so every parameter's gradient is a product with those of the gates.
void parameter_gradients(Tape& tape, const LayerRun& run, AlignedVector& scratch) {
  const Index N = run.packing->tokens(), H = run.hidden, I = run.x.columns;
  std::vector<kernels::TransposedProduct> products;
  std::vector<const float*> rows[2];
  float* bias[2] = {};
  for (Index d = 0; d < run.directions; ++d) {
    LstmDirection& w = *run.weights[d];
    bias[d] = tape.arena.allocate(4 * H);
    std::fill_n(bias[d], 4 * H, 0.0f);
    previous_outputs(run, d, rows[d]);
    products.push_back({.rows = N,
                        .m = 4 * H,
                        .n = I,
                        .a = run.gates[d],
                        .lda = 4 * H,
                        .b = run.x.value,
                        .ldb = I,
                        .b_rows = nullptr,
                        .c = w.weight_ih.gradient.data(),
                        .ldc = I,
                        .a_sum = bias[d]});
    products.push_back({.rows = N,
                        .m = 4 * H,
                        .n = H,
                        .a = run.gates[d],
                        .lda = 4 * H,
                        .b = nullptr,
                        .ldb = 0,
                        .b_rows = rows[d].data(),
                        .c = w.weight_hh.gradient.data(),
                        .ldc = H,
                        .a_sum = nullptr});
  }
  kernels::multiply_transposed(tape.pool, products, scratch);
  for (Index d = 0; d < run.directions; ++d) {
    kernels::add_scaled(1.0f, bias[d], run.weights[d]->bias_ih.gradient.data(), 4 * H);
    kernels::add_scaled(1.0f, bias[d], run.weights[d]->bias_hh.gradient.data(), 4 * H);
  }
}

// dx += dgates W_ih, one direction after the other for each row.
void input_gradients(Tape& tape, const LayerRun& run) {
  const Index G = 4 * run.hidden, I = run.x.columns;
  kernels::for_row_groups(tape.pool, run.packing->tokens(), [&](Index first, Index rows) {
    for (Index d = 0; d < run.directions; ++d) {
      const auto& panels = run.weights[d]->input_back_panels;
      kernels::multiply_rows(rows, run.gates[d] + first * G, G, panels, 0, panels.panels(), Start::kResult, nullptr,
                             run.x.gradient + first * I, I);
    }
  });
}

void backward_layer(Tape& tape, const LayerRun& run, const StateGradients& state, AlignedVector& scratch) {
  const Index T = run.packing->steps();
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t i) {
    for (Index s = 0; s < T; ++s) backward_step(run, state, tiles[i], tiles[i].direction == 0 ? T - 1 - s : s);
  });
  parameter_gradients(tape, run, scratch);
  if (run.x.gradient) input_gradients(tape, run);
}

}  // namespace

LstmDirection::LstmDirection(const std::string& prefix, const std::string& suffix, Index input, Index hidden)
    : weight_ih(prefix + "weight_ih" + suffix, {4 * hidden, input}),
      weight_hh(prefix + "weight_hh" + suffix, {4 * hidden, hidden}),
      bias_ih(prefix + "bias_ih" + suffix, {4 * hidden}),
      bias_hh(prefix + "bias_hh" + suffix, {4 * hidden}) {
  bias.resize(4 * hidden);
}

void LstmDirection::initialise(const LstmOptions& options, std::uint64_t seed) {
  const Index H = weight_hh.row_size();
  if (options.initialiser == Initialiser::kUniform) {
    visit([&](Parameter& p) { initialise_uniform(p, 1.0f / std::sqrt(static_cast<float>(H)), seed); });
  } else {
    for (Index gate = 0; gate < 4; ++gate) {
      initialise_glorot(weight_ih, gate * H, H, seed);
      if (options.initialiser == Initialiser::kGlorot)
        initialise_glorot(weight_hh, gate * H, H, seed);
      else
        initialise_orthogonal(weight_hh, gate * H, seed);
    }
    std::fill_n(bias_ih.value.data(), 4 * H, 0.0f);
    std::fill_n(bias_hh.value.data(), 4 * H, 0.0f);
  }
  for (Index j = H; j < 2 * H; ++j) bias_ih.value[j] += options.forget_bias;
}

void LstmDirection::visit(const ParameterVisitor& visitor) {
  visitor(weight_ih);
  visitor(weight_hh);
  visitor(bias_ih);
  visitor(bias_hh);
}

void LstmDirection::pack(ThreadPool& pool, bool training) {
  const Index I = weight_ih.row_size(), H = weight_hh.row_size();
  kernels::pack(pool, weight_ih.value.data(), I, true, I, 4 * H, input_panels);
  kernels::pack(pool, weight_hh.value.data(), H, true, H, 4 * H, recurrent_panels);
  for (Index i = 0; i < 4 * H; ++i) bias[i] = bias_ih.value[i] + bias_hh.value[i];
  if (!training) return;
  kernels::pack(pool, weight_ih.value.data(), I, false, 4 * H, I, input_back_panels);
  kernels::pack(pool, weight_hh.value.data(), H, false, 4 * H, H, recurrent_back_panels);
}

Lstm::Lstm(const std::string& name, const LstmOptions& options) : options_(options) {
  for (Index l = 0; l < options.layers; ++l)
    for (Index d = 0; d < directions(); ++d)
      directions_.push_back(
          std::make_unique<LstmDirection>(name + ".", "_l" + std::to_string(l) + (d == 1 ? "_reverse" : ""),
                                          l == 0 ? options.input : directions() * options.hidden, options.hidden));
}

void Lstm::initialise(std::uint64_t seed) {
  for (auto& direction : directions_) direction->initialise(options_, seed);
  weights_changed();
}

void Lstm::visit(const ParameterVisitor& visitor) {
  for (auto& direction : directions_) direction->visit(visitor);
}

Lstm::Output Lstm::forward(Tape& tape, const Packing& packing, const Activation& x, const LstmState* initial) {
  const Index H = options_.hidden, D = directions(), B = packing.sequences();
  const Packed wanted = tape.training() ? Packed::kForTraining : Packed::kForInference;
  if (packed_ < wanted) {
    for (auto& direction : directions_) direction->pack(tape.pool, tape.training());
    packed_ = wanted;
  }
  float* zero = tape.arena.allocate(H);
  std::fill_n(zero, H, 0.0f);
  Output out;
  out.final = {tape.allocate(options_.layers * D * B, H), tape.allocate(options_.layers * D * B, H)};
  Activation input = x;
  for (Index l = 0; l < options_.layers; ++l) {
    if (l > 0)
      input = dropout(tape, input, options_.layer_dropout, static_cast<std::uint32_t>(l),
                      options_.variational ? &packing : nullptr);
    LayerRun run{.packing = &packing,
                 .hidden = H,
                 .directions = D,
                 .weights = {},
                 .x = input,
                 .y = tape.allocate(packing.tokens(), D * H),
                 .zero = zero};
    for (Index d = 0; d < D; ++d) {
      const Index at = (l * D + d) * B * H;
      run.weights[d] = directions_[l * D + d].get();
      if (initial) {
        run.h0[d] = initial->h.value + at;
        run.c0[d] = initial->c.value + at;
      }
      run.hn[d] = out.final.h.value + at;
      run.cn[d] = out.final.c.value + at;
    }
    forward_layer(tape, run);
    const LstmState first = initial ? *initial : LstmState{};
    tape.record([this, &tape, run, l, final = out.final, first] {
      const Index h = run.hidden, sequences = run.packing->sequences();
      StateGradients state{{}, {}, first.h.gradient != nullptr};
      for (Index d = 0; d < run.directions; ++d) {
        const Index at = (l * run.directions + d) * sequences * h;
        state.dh[d] = final.h.gradient + at;
        state.dc[d] = final.c.gradient + at;
      }
      backward_layer(tape, run, state, scratch_);
      for (Index d = 0; d < run.directions && state.initial_wanted; ++d) {
        const Index at = (l * run.directions + d) * sequences * h;
        kernels::add_scaled(1.0f, state.dh[d], first.h.gradient + at, sequences * h);
        kernels::add_scaled(1.0f, state.dc[d], first.c.gradient + at, sequences * h);
      }
    });
    input = run.y;
  }
  out.y = input;
  return out;
}

}  // namespace mnemo
