// Training keeps everything that backward needs, and computes the input product of all steps at once; inference, and
// training of cells without a recurrent product, run in chunks of steps whose gates stay in the caches. Within a chunk
// a task takes some sequences of one direction (or, without a recurrent product, some units) through all steps, so
// threads do not meet at every step; where units need nothing from each other, a task takes them through all chunks.
// Backward turns gates into their gradients; those of the parameters are products over all rows at the end.
#include "nn/recurrent_layer.h"

#include <algorithm>
#include <functional>
#include <list>
#include <utility>

#include "kernels/elementwise.h"
#include "nn/cell_step.h"
#include "nn/dropout.h"
#include "nn/mask_streams.h"

namespace mnemo {
namespace {

using kernels::Start;

// A tile of the recurrence: sequences first, first + step, first + 2 step, ... of one direction, or, for cells without
// a recurrent product, units [begin, end) of all sequences. Taking every step-th sequence gives each tile the same mix
// of long and short ones.
struct Tile {
  Index direction, first, step, begin, end;
  Index rows(Index running) const { return running > first ? (running - first + step - 1) / step : 0; }
};

constexpr Index kLine = 16, kUnits = 128;  // tiles share no cache lines, and have at most so many units

// Tiles of units of every direction, for cells without a recurrent product.
std::vector<Tile> unit_tiles(const LayerRun& run, Index units) {
  std::vector<Tile> tiles;
  for (Index begin = 0; begin < run.hidden(); begin += units)
    for (Index d = 0; d < run.directions(); ++d)
      tiles.push_back({d, 0, 1, begin, std::min(run.hidden(), begin + units)});
  return tiles;
}

std::vector<Tile> make_tiles(const LayerRun& run, int threads) {
  const Index H = run.hidden(), D = run.directions();
  if (run.cell->hidden_gates == 0) {
    // Wide, for rows that are read in long runs, but with a tile for each thread.
    const Index share = (D * H + threads - 1) / threads;
    return unit_tiles(run, std::clamp((share + kLine - 1) / kLine * kLine, kLine, kUnits));
  }
  std::vector<Tile> tiles;
  const Index per_direction = std::clamp<Index>((threads + D - 1) / D, 1, std::max<Index>(1, run.packing->rows_at(0)));
  for (Index s = 0; s < per_direction; ++s)
    for (Index d = 0; d < D; ++d) tiles.push_back({d, s, per_direction, 0, H});
  return tiles;
}

// Tiles that need nothing from each other, as each has whole panels of the input product, and of which each thread gets
// as many; none if there is no such division. In lower precision each product rounds all of x first, so that there
// should be few of them; and one thread has nobody to wait for.
std::vector<Tile> independent_tiles(const LayerRun& run, int threads) {
  const kernels::PackedMatrix& panels = run.input_panels(0);
  if (run.cell->hidden_gates > 0 || panels.precision != kernels::Precision::kFloat32 || threads == 1) return {};
  const Index whole = std::max(kLine, panels.width);
  for (Index units = kUnits / whole * whole; units > 0; units -= whole)
    if (run.hidden() % units == 0 && run.directions() * run.hidden() / units % threads == 0)
      return unit_tiles(run, units);
  return {};
}

// Where the state before step t is for the tile's rows: for `continuing` of them the previous step computed it, the
// others begin here.
struct Before {
  Index continuing, step;
};

Before before(const Packing& packing, Index direction, Index t) {
  if (direction == 0) return {t == 0 ? 0 : packing.rows_at(t), t - 1};
  return {packing.rows_at(t + 1), t + 1};
}

// The state that `step` left, from the tile's first row on.
Previous previous_state(const LayerRun& run, const Tile& tile, Index step) {
  const DirectionRun& d = run.direction[tile.direction];
  const Index row = run.packing->offset(step) + tile.first, state = run.keeps_rows ? row : tile.first;
  const Rows h{run.y_row(tile.direction, row), tile.step * run.output_stride()};
  return {h,
          d.fed ? Rows{d.fed + row * run.output(), tile.step * run.output()} : h,
          {d.c ? d.c + state * run.hidden() : run.zero, d.c ? tile.step * run.hidden() : 0}};
}

Previous initial_state(const LayerRun& run, const Tile& tile, Index b) {
  const DirectionRun& d = run.direction[tile.direction];
  const Index P = run.output(), H = run.hidden();
  const auto rows = [&](const float* from, Index size) {
    return from ? Rows{from + b * size, tile.step * size} : Rows{run.zero, 0};
  };
  return {rows(d.h0, P), rows(d.fed0, P), rows(d.c0, H), d.h0 == nullptr};
}

// One step of rows [from, to) of a tile; `prev` is the state before the first of them.
void forward_rows(const LayerRun& run, const Tile& tile, Index t, Index first_row, Index from, Index to,
                  const Previous& prev) {
  if (from == to) return;
  const DirectionRun& d = run.direction[tile.direction];
  const Index H = run.hidden(), P = run.output(), b = tile.first + from * tile.step;
  const Index row = run.packing->offset(t) + b, rows = to - from, state = run.keeps_rows ? row : b;
  const CellStep step{.rows = rows,
                      .x = run.x.value + row * run.x.columns,
                      .x_stride = tile.step * run.x.columns,
                      .begin = tile.begin,
                      .end = tile.end,
                      .gates = d.gates + (row - first_row) * run.gates_stride(),
                      .gates_stride = tile.step * run.gates_stride(),
                      .c = d.c ? d.c + state * H : nullptr,
                      .c_stride = tile.step * H,
                      .kept = d.kept ? d.kept + state * run.kept_size() : nullptr,
                      .kept_stride = tile.step * run.kept_size(),
                      .raw = d.raw ? d.raw + state * H : nullptr,
                      .raw_stride = tile.step * H,
                      .y = run.y_row(tile.direction, row),
                      .y_stride = tile.step * run.output_stride()};
  for (Index r = 0; r < rows && d.c_before; ++r)
    std::copy_n(prev.c.at + r * prev.c.stride + tile.begin, tile.end - tile.begin,
                d.c_before + (b + r * tile.step) * H + tile.begin);
  if (run.mogrifies()) {
    const Index room = d.weights->mogrifier->room();
    run_cell(*d.weights, step, mogrify(*d.weights, step, prev, d.mogrified + state * room, tile.step * room));
  } else {
    run_cell(*d.weights, step, prev);
  }
  if (run.zoneout()) {
    const Index u = tile.begin;
    zoneout_rows(rows, tile.end - u, d.zone_h ? d.zone_h + row * P + u : nullptr, tile.step * P, run.options->zoneout_h,
                 prev.h.from(u), step.y + u, step.y_stride);
    if (d.c)
      zoneout_rows(rows, tile.end - u, d.zone_c ? d.zone_c + row * H + u : nullptr, tile.step * H,
                   run.options->zoneout_c, (d.c_before ? Rows{d.c_before + b * H, tile.step * H} : prev.c).from(u),
                   step.c + u, step.c_stride);
  }
  if (d.fed)
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < P; ++j)
        d.fed[(row + r * tile.step) * P + j] =
            step.y[r * step.y_stride + j] * d.state_mask[(b + r * tile.step) * P + j];
}

void forward_tile(const LayerRun& run, const Tile& tile, Index t, Index first_row) {
  const Before previous = before(*run.packing, tile.direction, t);
  const Index rows = tile.rows(run.packing->rows_at(t)), continuing = tile.rows(previous.continuing);
  if (continuing > 0) forward_rows(run, tile, t, first_row, 0, continuing, previous_state(run, tile, previous.step));
  forward_rows(run, tile, t, first_row, continuing, rows,
               initial_state(run, tile, tile.first + continuing * tile.step));
}

// Steps [begin, end) of time, in the direction's own order.
struct Chunk {
  Index begin, end;
};

// The row whose gates stand first in memory, for a chunk that begins with `row`.
Index first_gates(const LayerRun& run, Index row) { return run.keeps_rows ? 0 : row; }

// The input's blocks of gates = x W_ih^T + biases for each direction's chunk. A mogrifier's x is known only step by
// step.
void project_inputs(Tape& tape, const LayerRun& run, const Chunk (&chunks)[2]) {
  if (run.mogrifies()) return;
  kernels::Product products[2];
  for (Index i = 0; i < run.directions(); ++i) {
    const DirectionRun& d = run.direction[i];
    const Index begin = run.packing->offset(chunks[i].begin), end = run.packing->offset(chunks[i].end);
    products[i] = {end - begin,
                   run.x.value + begin * run.x.columns,
                   run.x.columns,
                   &d.weights->input_panels,
                   Start::kBias,
                   d.weights->bias.data(),
                   d.gates + (begin - first_gates(run, begin)) * run.gates_stride(),
                   run.gates_stride()};
  }
  kernels::multiply(tape.pool, {products, static_cast<std::size_t>(run.directions())});
}

// The steps of a chunk for one tile.
void run_tile(const LayerRun& run, const Tile& tile, const Chunk& chunk) {
  const Index first_row = first_gates(run, run.packing->offset(chunk.begin));
  for (Index s = 0; s < chunk.end - chunk.begin; ++s)
    forward_tile(run, tile, tile.direction == 0 ? chunk.begin + s : chunk.end - 1 - s, first_row);
}

void run_chunks(Tape& tape, const LayerRun& run, const Chunk (&chunks)[2]) {
  project_inputs(tape, run, chunks);
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()),
                         [&](std::int64_t i) { run_tile(run, tiles[i], chunks[tiles[i].direction]); });
}

// Gates = x W_ih^T + biases of a tile's own units.
void project_units(const LayerRun& run, const Tile& tile, const Chunk& chunk) {
  const kernels::PackedMatrix& panels = run.input_panels(tile.direction);
  const DirectionRun& d = run.direction[tile.direction];
  const Index begin = run.packing->offset(chunk.begin), end = run.packing->offset(chunk.end), H = run.hidden();
  for (Index block = 0; block < run.cell->blocks; ++block)
    kernels::multiply_rows(end - begin, run.x.value + begin * run.x.columns, run.x.columns, panels,
                           (block * H + tile.begin) / panels.width, (block * H + tile.end) / panels.width, Start::kBias,
                           d.weights->bias.data(), d.gates + (begin - first_gates(run, begin)) * run.gates_stride(),
                           run.gates_stride());
}

// Bounds of chunks of steps of about `rows` rows, and at least one step, each.
std::vector<Index> chunk_bounds(const Packing& packing, Index rows) {
  std::vector<Index> bounds{0};
  for (Index t = 1; t <= packing.steps(); ++t)
    if (t == packing.steps() || packing.offset(t + 1) - packing.offset(bounds.back()) > rows) bounds.push_back(t);
  return bounds;
}

// Rows of gates of a chunk: enough for full tiles in the input's product, few enough for the caches. Where the cell has
// a product at every step, whose operands fill the caches anyway, training has one chunk.
Index chunk_rows(const LayerRun& run) {
  constexpr Index kRows = 256;
  return run.keeps_rows && run.cell->hidden_gates > 0 ? run.packing->tokens() : kRows;
}

void copy_final_state(const LayerRun& run, Index direction) {
  const DirectionRun& d = run.direction[direction];
  const Index H = run.hidden(), P = run.output();
  for (Index b = 0; b < run.packing->sequences(); ++b) {
    const Index length = run.packing->length(b);
    const Index row = length == 0 ? 0 : run.packing->row(b, direction == 0 ? length - 1 : 0);
    std::copy_n(length > 0 ? run.y_row(direction, row) : d.h0 ? d.h0 + b * P : run.zero, P, d.hn + b * P);
    if (!d.cn) continue;
    const float* c = length > 0 ? d.c + (run.keeps_rows ? row : b) * H : d.c0 ? d.c0 + b * H : run.zero;
    std::copy_n(c, H, d.cn + b * H);
  }
}

void allocate(Tape& tape, LayerRun& run, Index gate_rows) {
  const Index H = run.hidden(), N = run.packing->tokens(), rows = run.keeps_rows ? N : run.packing->sequences();
  for (Index i = 0; i < run.directions(); ++i) {
    DirectionRun& d = run.direction[i];
    d.gates = tape.arena.allocate(gate_rows * run.gates_stride());
    if (run.cell->cell_state) d.c = tape.arena.allocate(rows * H);
    // Even if nothing is kept: its presence tells the kernel that a gradient will be needed.
    if (run.keeps_rows || run.cell->kept_in_inference)
      d.kept = tape.arena.allocate(std::max<Index>(1, rows * run.kept_size()));
    if (d.c && !run.keeps_rows && run.zoneout()) d.c_before = tape.arena.allocate(rows * H);
    if (run.options->projection > 0) d.raw = tape.arena.allocate(rows * H);
    if (run.mogrifies()) d.mogrified = tape.arena.allocate(rows * d.weights->mogrifier->room());
  }
}

}  // namespace

// The random masks of a layer's recurrence, and h0 as the products take it.
void draw_masks(Tape& tape, LayerRun& run, Index layer) {
  const RecurrentOptions& o = *run.options;
  const Index P = run.output(), B = run.packing->sequences(), N = run.packing->tokens();
  for (Index i = 0; i < run.directions(); ++i) {
    DirectionRun& d = run.direction[i];
    d.fed0 = d.h0;
    if (!run.training) continue;
    const std::uint32_t stream = stream_of(o, layer, i);
    if (o.zoneout_h > 0.0f) d.zone_h = draw_choices(tape, o.zoneout_h, mask_streams::kZoneoutH + stream, N * P);
    if (o.zoneout_c > 0.0f && run.cell->cell_state)
      d.zone_c = draw_choices(tape, o.zoneout_c, mask_streams::kZoneoutC + stream, N * run.hidden());
    if (o.state_dropout == 0.0f || run.cell->hidden_gates == 0) continue;
    const float* mask = draw_mask(tape, o.state_dropout, mask_streams::kState + stream, B * P);
    float* sorted = tape.arena.allocate(B * P);
    for (Index b = 0; b < B; ++b) std::copy_n(mask + run.packing->original(b) * P, P, sorted + b * P);
    d.state_mask = sorted;
    d.fed = tape.arena.allocate(N * P);
    if (!d.h0) continue;
    float* fed0 = tape.arena.allocate(B * P);
    for (Index k = 0; k < B * P; ++k) fed0[k] = d.h0[k] * sorted[k];
    d.fed0 = fed0;
  }
}

void forward_layer(Tape& tape, LayerRun& run) {
  const Packing& packing = *run.packing;
  const auto bounds = chunk_bounds(packing, chunk_rows(run));
  const Index chunks = static_cast<Index>(bounds.size()) - 1;
  Index most = 0;
  for (Index k = 0; k < chunks; ++k) most = std::max(most, packing.offset(bounds[k + 1]) - packing.offset(bounds[k]));
  allocate(tape, run, run.keeps_rows ? packing.tokens() : most);
  const auto chunk = [&](Index direction, Index k) {
    const Index from = direction == 0 ? k : chunks - 1 - k;
    return Chunk{bounds[from], bounds[from + 1]};
  };
  const auto tiles = independent_tiles(run, tape.pool.threads());
  if (!tiles.empty()) {
    tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t i) {
      for (Index k = 0; k < chunks; ++k) {
        project_units(run, tiles[i], chunk(tiles[i].direction, k));
        run_tile(run, tiles[i], chunk(tiles[i].direction, k));
      }
    });
  } else {
    for (Index k = 0; k < chunks; ++k) run_chunks(tape, run, {chunk(0, k), chunk(1, k)});
  }
  for (Index d = 0; d < run.directions(); ++d) copy_final_state(run, d);
}

namespace {

// Backward of zoneout_rows: splits dy + dh_next and dc into the part for the cell and the part that bypasses it to the
// previous state.
void zoneout_backward(const LayerRun& run, const Tile& tile, Index row, Index b, Index rows, const StateGradients& s) {
  const DirectionRun& d = run.direction[tile.direction];
  const Index H = run.hidden();
  for (Index r = 0; r < rows; ++r) {
    const Index at_row = row + r * tile.step, at_b = b + r * tile.step;
    const float* dy = run.y.gradient + at_row * run.output_stride() + tile.direction * H;
    for (Index j = tile.begin; j < tile.end; ++j) {
      const float total = dy[j] + s.dh[at_b * H + j], keep = d.zone_h ? d.zone_h[at_row * H + j] : 0.0f;
      s.bypass_h[at_b * H + j] = total * keep;
      s.cell_dh[at_b * H + j] = total - total * keep;
      s.dh[at_b * H + j] = 0.0f;
      if (!d.zone_c) continue;
      float& dc = s.dc[at_b * H + j];
      s.bypass_c[at_b * H + j] = dc * d.zone_c[at_row * H + j];
      dc -= s.bypass_c[at_b * H + j];
    }
  }
}

// dh = (the part that bypasses the product, if any) + s.product, with the mask that was applied to h.
void add_product(const LayerRun& run, const Tile& tile, const StateGradients& s, Index b, Index rows, bool has_bypass) {
  const Index P = run.output();
  const float* mask = run.direction[tile.direction].state_mask;
  float *dh = s.dh + b * P, *product = s.product + b * P;
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < P; ++j) {
      const Index at = r * tile.step * P + j;
      dh[at] = (has_bypass ? dh[at] : 0.0f) + product[at] * (mask ? mask[b * P + at] : 1.0f);
    }
}

// dh = (the part that bypasses the product, if any) + dgates W_hh, with the mask that was applied to h.
void recurrent_gradients(const LayerRun& run, const Tile& tile, const StateGradients& s, Index row, Index b, Index rows,
                         bool has_bypass) {
  const CellTraits& cell = *run.cell;
  const DirectionRun& d = run.direction[tile.direction];
  const Index P = run.output(), stride = tile.step * run.gates_stride();
  const auto& panels = d.weights->recurrent_back_panels;
  const float* dgates = d.gates + row * run.gates_stride() + cell.hidden_first * run.hidden();
  float* dh = s.dh + b * P;
  if (!d.state_mask) {
    kernels::multiply_rows(rows, dgates, stride, panels, 0, panels.panels(), has_bypass ? Start::kResult : Start::kZero,
                           nullptr, dh, tile.step * P);
    return;
  }
  kernels::multiply_rows(rows, dgates, stride, panels, 0, panels.panels(), Start::kZero, nullptr, s.product + b * P,
                         tile.step * P);
  add_product(run, tile, s, b, rows, has_bypass);
}

// The same by way of a mogrifier, which also gives the gradient of x: dgates W_hh and dgates W_ih are those of what it
// gave to the products. `wanted`: that of h is needed.
void mogrifier_gradients(const LayerRun& run, const Tile& tile, const StateGradients& s, Index row, Index b, Index rows,
                         const Previous& prev, bool wanted, bool has_bypass) {
  const DirectionRun& d = run.direction[tile.direction];
  const RecurrentDirection& w = *d.weights;
  const Index I = run.x.columns, P = run.output(), stride = tile.step * run.gates_stride();
  const Index room = w.mogrifier->room();
  const float* dgates = d.gates + row * run.gates_stride();
  float *dx = d.dx + row * I, *dh = s.product + b * P;
  kernels::multiply_rows(rows, dgates, stride, w.input_back_panels, 0, w.input_back_panels.panels(), Start::kZero,
                         nullptr, dx, tile.step * I);
  kernels::multiply_rows(rows, dgates + run.cell->hidden_first * run.hidden(), stride, w.recurrent_back_panels, 0,
                         w.recurrent_back_panels.panels(), Start::kZero, nullptr, dh, tile.step * P);
  w.mogrifier->backward(rows, {{run.x.value + row * I, tile.step * I}, prev.fed}, d.mogrified + row * room,
                        tile.step * room, dx, tile.step * I, dh, tile.step * P);
  if (wanted) add_product(run, tile, s, b, rows, has_bypass);
}

// Parts of the gradient of the own vectors, which are added up at the end: one for each sequence, unless all sequences
// are in one tile and so are added in order.
Index own_parts(const LayerRun& run) { return run.cell->hidden_gates > 0 ? run.packing->sequences() : 1; }

// Notes for a trace what reaches a step's h in all and its c from the next step.
void note_gradients(const LayerRun& run, const Tile& tile, const StateGradients& s, Index row, Index b, Index rows) {
  const DirectionRun& d = run.direction[tile.direction];
  const Index H = run.hidden(), P = run.output();
  for (Index r = 0; r < rows; ++r) {
    const Index at_row = row + r * tile.step, at_b = b + r * tile.step;
    const float* dy = run.y.gradient + at_row * run.output_stride() + tile.direction * P;
    for (Index j = tile.begin; j < std::min(tile.end, P); ++j) d.total_dh[at_row * P + j] = dy[j] + s.dh[at_b * P + j];
    if (d.carried_dc)
      std::copy(s.dc + at_b * H + tile.begin, s.dc + at_b * H + tile.end, d.carried_dc + at_row * H + tile.begin);
  }
}

// Gradients through forward_rows, for rows [from, to) of a tile; `wanted`: the gradient of the previous h is needed;
// `dx`: where the gradient of the step's input is added, unless null.
// Long because it mirrors forward_rows, which fuses cell, dropout and zoneout of a step.
void backward_rows(const LayerRun& run, const Tile& tile, const StateGradients& s, Index t, Index from, Index to,
                   const Previous& prev, bool wanted, float* dx) {
  if (from == to) return;
  const CellTraits& cell = *run.cell;
  const DirectionRun& d = run.direction[tile.direction];
  const RecurrentDirection& w = *d.weights;
  const Index H = run.hidden(), P = run.output(), b = tile.first + from * tile.step, u = tile.begin;
  const Index row = run.packing->offset(t) + b, rows = to - from, stride = tile.step * run.gates_stride();
  const Index I = run.x.columns, own_stride = own_parts(run) > 1 ? tile.step * cell.own_blocks() * H : 0;
  const Index next = tile.direction == 0 ? t - 1 : t + 1;
  if (d.total_dh) note_gradients(run, tile, s, row, b, rows);
  kernels::CellBackward args{
      .rows = rows,
      .hidden = tile.end - u,
      .gates = d.gates + row * run.gates_stride() + u,
      .gates_stride = stride,
      .gates_block = H,
      .h_prev = prev.h.at + u,
      .h_prev_stride = prev.h.stride,
      .c_prev = prev.c.at + u,
      .c_prev_stride = prev.c.stride,
      .x = cell.otherwise ? run.x.value + row * I + w.through_column + u : nullptr,
      .x_stride = tile.step * I,
      .dx = cell.otherwise && dx ? dx + b * I + w.through_column + u : nullptr,
      .dx_stride = tile.step * I,
      .own = w.own_values.data() + u,
      .own_gradients = s.own ? s.own + (own_stride > 0 ? b * cell.own_blocks() * H : 0) + u : nullptr,
      .own_gradients_stride = own_stride,
      .kept = d.kept + row * run.kept_size(),
      .kept_stride = tile.step * run.kept_size(),
      .dh = run.y.gradient + row * run.output_stride() + tile.direction * P + u,
      .dh_stride = tile.step * run.output_stride(),
      .dh_next = s.dh + b * P + u,
      .dh_next_stride = tile.step * P,
      .dc = s.dc ? s.dc + b * H + u : nullptr,
      .dc_stride = tile.step * H,
      .ahead = next >= 0 && next < run.packing->steps() ? run.packing->offset(next) - run.packing->offset(t) : 0};
  if (d.raw) {
    // y = raw W_hr^T
    float* dprojected = d.dprojected + row * P;
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < P; ++j)
        dprojected[r * tile.step * P + j] = args.dh[r * args.dh_stride + j] + args.dh_next[r * tile.step * P + j];
    const auto& panels = w.projection_back_panels;
    kernels::multiply_rows(rows, dprojected, tile.step * P, panels, 0, panels.panels(), Start::kZero, nullptr,
                           s.cell_dh + b * H, tile.step * H);
    args.dh_next = s.bypass_h + b * H;  // zero: the whole gradient goes through the projection
    args.dh_next_stride = tile.step * H;
  }
  if (run.zoneout()) zoneout_backward(run, tile, row, b, rows, s);
  if (s.cell_dh) {
    args.dh = s.cell_dh + b * H + u;
    args.dh_stride = tile.step * H;
  }
  cell.backward(args);
  if (cell.reset) {
    const auto& panels = w.last_back_panels;
    kernels::multiply_rows(rows, d.gates + row * run.gates_stride() + (cell.blocks - 1) * H, stride, panels, 0,
                           panels.panels(), Start::kZero, nullptr, args.kept + H, args.kept_stride);
    cell.reset_backward(args);
  }
  if (run.zoneout()) {
    for (Index r = 0; r < rows; ++r)
      for (Index j = u; j < tile.end; ++j) {
        const Index at = (b + r * tile.step) * H + j;
        s.dh[at] += s.bypass_h[at];
        if (d.zone_c) s.dc[at] += s.bypass_c[at];
      }
  }
  const bool has_bypass = cell.direct || run.zoneout();
  if (run.mogrifies())
    mogrifier_gradients(run, tile, s, row, b, rows, prev, wanted, has_bypass);
  else if (wanted && cell.hidden_gates > 0)
    recurrent_gradients(run, tile, s, row, b, rows, has_bypass);
}

void backward_tile(const LayerRun& run, const LayerGradients& state, const Tile& tile, Index t, float* dx) {
  const Before previous = before(*run.packing, tile.direction, t);
  const Index rows = tile.rows(run.packing->rows_at(t)), continuing = tile.rows(previous.continuing);
  const StateGradients& s = state.direction[tile.direction];
  if (continuing > 0) backward_rows(run, tile, s, t, 0, continuing, previous_state(run, tile, previous.step), true, dx);
  backward_rows(run, tile, s, t, continuing, rows, initial_state(run, tile, tile.first + continuing * tile.step),
                state.initial_wanted, dx);
}

// For each row of the packing, h before that row's step as the recurrent product took it.
std::vector<const float*> previous_fed(const LayerRun& run, Index direction) {
  const DirectionRun& d = run.direction[direction];
  const Index P = run.output();
  std::vector<const float*> rows(run.packing->tokens());
  for (Index t = 0; t < run.packing->steps(); ++t) {
    const Before previous = before(*run.packing, direction, t);
    for (Index b = 0; b < run.packing->rows_at(t); ++b) {
      const float* initial = d.fed0 ? d.fed0 + b * P : run.zero;
      const Index row = b < previous.continuing ? run.packing->row(b, previous.step) : 0;
      const float* computed = d.fed ? d.fed + row * P : run.y_row(direction, row);
      rows[run.packing->row(b, t)] = b < previous.continuing ? computed : initial;
    }
  }
  return rows;
}

// gates = x W_ih^T + h_prev W_hh^T + biases, so the gradients of these parameters are products with those of the gates.
class ParameterGradients {
 public:
  ParameterGradients(Tape& tape, const LayerRun& run) : tape_(tape), run_(run) {}

  void add() {
    for (Index i = 0; i < run_.directions(); ++i) add_direction(i);
    kernels::multiply_transposed(tape_.pool, products_, tape_.arena.scratch(), run_.options->training_precision);
    for (const auto& later : later_) later();
  }

 private:
  // c [m, n] += a^T b; merged with another product of the same a, if there is one.
  void product(const float* a, Index lda, Index m, Index n, const float* b, const float* const* b_rows, float* c,
               float* a_sum) {
    const kernels::TransposedProduct::Right right{.n = n, .b = b, .ldb = n, .b_rows = b_rows, .c = c, .ldc = n};
    for (kernels::TransposedProduct& p : products_)
      if (p.a == a && p.m == m && p.right[1].n == 0 && !a_sum) {
        p.right[1] = right;
        return;
      }
    products_.push_back(
        {.rows = run_.packing->tokens(), .m = m, .a = a, .lda = lda, .right = {right, {}}, .a_sum = a_sum});
  }

  float* zeros(Index count) {
    float* out = tape_.arena.allocate(count);
    std::fill_n(out, count, 0.0f);
    return out;
  }

  const std::vector<const float*>& keep(std::vector<const float*> rows) { return rows_.emplace_back(std::move(rows)); }

  void add_direction(Index i) {
    const CellTraits& cell = *run_.cell;
    const DirectionRun& d = run_.direction[i];
    RecurrentDirection& w = *d.weights;
    const Index H = run_.hidden(), P = run_.output(), I = run_.x.columns, stride = run_.gates_stride();
    float* sums = zeros(cell.blocks * H);
    // Blocks that are adjacent in the weights too become one product.
    const auto inputs = static_cast<Index>(cell.input_order.size());
    for (Index block = 0; block < inputs;) {
      Index end = block + 1;
      while (end < inputs && cell.input_order[end] == cell.input_order[end - 1] + 1) ++end;
      product(d.gates + block * H, stride, (end - block) * H, I, run_.x.value, gated_input(i),
              w.weight_ih.gradient.data() + cell.input_order[block] * H * I, cell.bias ? sums + block * H : nullptr);
      block = end;
    }
    // The bias sums of the recurrence's own blocks come with its product.
    float* own_sums = cell.bias && cell.recurrent_blocks() > 0 ? zeros(cell.hidden_gates * H) : nullptr;
    if (cell.hidden_gates > 0) add_recurrent(i, own_sums);
    if (d.raw) product(d.dprojected, P, P, H, d.raw, nullptr, w.weight_hr->gradient.data(), nullptr);
    if (run_.mogrifies()) add_mogrifier(i);
    later_.push_back([this, i, sums, own_sums] { add_biases(i, sums, own_sums); });
  }

  // For each row, where `column` of the room of direction i's mogrifier begins.
  std::vector<const float*> room_rows(Index i, Index column) const {
    const DirectionRun& d = run_.direction[i];
    std::vector<const float*> rows(run_.packing->tokens());
    for (Index row = 0; row < run_.packing->tokens(); ++row)
      rows[row] = d.mogrified + row * d.weights->mogrifier->room() + column;
    return rows;
  }

  // The rows of x as the product took them; null for those of x itself.
  const float* const* gated_input(Index i) {
    if (!run_.mogrifies()) return nullptr;
    return keep(room_rows(i, run_.direction[i].weights->mogrifier->last_input_round().gated)).data();
  }

  // a = U (D v) + b in each round, so the gradients of its weights are products with those of a and of D v.
  void add_mogrifier(Index i) {
    const DirectionRun& d = run_.direction[i];
    Mogrifier& m = *d.weights->mogrifier;
    for (Index k = 0; k < m.rounds(); ++k) {
      Mogrifier::Round& w = m.round(k);
      const Index T = w.up.rows(), K = w.up.row_size(), F = w.down.row_size();
      const auto& read = keep(k == 0 ? previous_fed(run_, i) : room_rows(i, m.round(k - 1).gated));
      product(d.mogrified + w.inner_gradient, m.room(), K, F, nullptr, read.data(), w.down.gradient.data(), nullptr);
      product(d.mogrified + w.gate, m.room(), T, K, nullptr, keep(room_rows(i, w.inner)).data(), w.up.gradient.data(),
              w.bias.gradient.data());
    }
  }

  // The rows of h before each step as the product took them.
  std::vector<const float*> fed_rows(Index i) const {
    if (run_.options->mogrifier.rounds < 2) return previous_fed(run_, i);
    return room_rows(i, run_.direction[i].weights->mogrifier->last_state_round().gated);
  }

  void add_recurrent(Index i, float* own_sums) {
    const CellTraits& cell = *run_.cell;
    const DirectionRun& d = run_.direction[i];
    const Index H = run_.hidden(), P = run_.output(), stride = run_.gates_stride();
    float* to = d.weights->weight_hh->gradient.data();
    const Index size = cell.hidden_gates * H * P;
    float* masked = d.weight_mask ? zeros(size) : to;
    const auto& rows = keep(fed_rows(i));
    product(d.gates + cell.hidden_first * H, stride, cell.first_product_gates() * H, P, nullptr, rows.data(), masked,
            own_sums);
    if (cell.reset) {
      std::vector<const float*> reset(run_.packing->tokens());
      for (Index row = 0; row < run_.packing->tokens(); ++row) reset[row] = d.kept + row * run_.kept_size();
      product(d.gates + (cell.blocks - 1) * H, stride, H, P, nullptr, keep(std::move(reset)).data(),
              masked + cell.first_product_gates() * H * P, nullptr);
    }
    if (d.weight_mask)
      later_.push_back([=] {
        for (Index k = 0; k < size; ++k) to[k] += masked[k] * d.weight_mask[k];
      });
  }

  void add_biases(Index i, const float* sums, const float* own_sums) {
    const CellTraits& cell = *run_.cell;
    RecurrentDirection& w = *run_.direction[i].weights;
    const Index H = run_.hidden();
    if (!cell.bias) return;
    for (Index block = 0; block < std::ssize(cell.input_order) - cell.unbiased; ++block)
      kernels::add_scaled(1.0f, sums + block * H, w.bias_ih->gradient.data() + cell.input_order[block] * H, H);
    if (w.bias_hh)
      kernels::add_scaled(1.0f, own_sums ? own_sums : sums, w.bias_hh->gradient.data(), cell.hidden_gates * H);
  }

  Tape& tape_;
  const LayerRun& run_;
  std::vector<kernels::TransposedProduct> products_;
  std::list<std::vector<const float*>> rows_;  // products hold their addresses
  std::vector<std::function<void()>> later_;
};

// dx += dgates W_ih, one direction after the other for each row.
void input_gradients(Tape& tape, const LayerRun& run) {
  const Index G = run.gates_stride(), I = run.x.columns;
  kernels::for_row_groups(tape.pool, run.packing->tokens(), [&](Index first, Index rows) {
    for (Index i = 0; i < run.directions(); ++i) {
      if (run.mogrifies()) {
        kernels::add_scaled(1.0f, run.direction[i].dx + first * I, run.x.gradient + first * I, rows * I);
        continue;
      }
      const auto& panels = run.direction[i].weights->input_back_panels;
      kernels::multiply_rows(rows, run.direction[i].gates + first * G, G, panels, 0, panels.panels(), Start::kResult,
                             nullptr, run.x.gradient + first * I, I);
    }
  });
}

void allocate_gradients(Tape& tape, LayerRun& run, LayerGradients& state) {
  const Index H = run.hidden(), P = run.output(), N = run.packing->tokens(), B = run.packing->sequences();
  for (Index i = 0; i < run.directions(); ++i) {
    DirectionRun& d = run.direction[i];
    StateGradients& s = state.direction[i];
    if (tape.gradient_trace) {
      d.total_dh = tape.arena.allocate(N * P);
      if (run.cell->cell_state) d.carried_dc = tape.arena.allocate(N * H);
    }
    if (d.raw) d.dprojected = tape.arena.allocate(N * P);
    if (d.raw || run.zoneout()) {
      s.cell_dh = tape.arena.allocate(B * H);
      s.bypass_h = tape.arena.allocate(B * H);
      std::fill_n(s.bypass_h, B * H, 0.0f);
    }
    if (d.zone_c) s.bypass_c = tape.arena.allocate(B * H);
    if (d.state_mask || run.mogrifies()) s.product = tape.arena.allocate(B * P);
    if (run.mogrifies()) d.dx = tape.arena.allocate(N * run.x.columns);
    const Index own = own_parts(run) * run.cell->own_blocks() * H;
    if (own == 0) continue;
    s.own = tape.arena.allocate(own);
    std::fill_n(s.own, own, 0.0f);
  }
}

// Adds up the parts of the gradients of the own vectors, in order.
void own_gradients(Tape& tape, const LayerRun& run, const LayerGradients& state) {
  const Index own = run.cell->own_blocks() * run.hidden();
  constexpr Index kColumns = 1024;
  for (Index i = 0; i < run.directions() && own > 0; ++i) {
    Index first = 0;
    for (Parameter& p : run.direction[i].weights->own) {
      const float* parts = state.direction[i].own + first;
      tape.pool.parallel_for((p.size() + kColumns - 1) / kColumns, [&](std::int64_t task) {
        const Index begin = task * kColumns, count = std::min(kColumns, p.size() - begin);
        for (Index b = 0; b < own_parts(run); ++b)
          kernels::add_scaled(1.0f, parts + b * own + begin, p.gradient.data() + begin, count);
      });
      first += p.size();
    }
  }
}

}  // namespace

void begin_backward(Tape& tape, LayerRun& run, LayerGradients& state) { allocate_gradients(tape, run, state); }

void end_backward(Tape& tape, const LayerRun& run, const LayerGradients& state) {
  ParameterGradients(tape, run).add();
  own_gradients(tape, run, state);
}

void backward_layer(Tape& tape, LayerRun& run, LayerGradients state) {
  const Index T = run.packing->steps();
  begin_backward(tape, run, state);
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t i) {
    for (Index s = 0; s < T; ++s) {
      const Index t = tiles[i].direction == 0 ? T - 1 - s : s;
      float* dx = run.x.gradient ? run.x.gradient + run.packing->offset(t) * run.x.columns : nullptr;
      backward_tile(run, state, tiles[i], t, dx);
    }
  });
  end_backward(tape, run, state);
  if (run.x.gradient) input_gradients(tape, run);
}

void begin_steps(Tape& tape, LayerRun& run) {
  allocate(tape, run, run.keeps_rows ? run.packing->tokens() : run.packing->sequences());
}

void forward_step(Tape& tape, const LayerRun& run, Index t) {
  const DirectionRun& d = run.direction[0];
  const Index row = run.packing->offset(t), first_row = run.keeps_rows ? 0 : row, stride = run.gates_stride();
  const kernels::Product inputs{run.packing->rows_at(t),
                                run.x.value + row * run.x.columns,
                                run.x.columns,
                                &d.weights->input_panels,
                                Start::kBias,
                                d.weights->bias.data(),
                                d.gates + (row - first_row) * stride,
                                stride};
  if (!run.mogrifies()) kernels::multiply(tape.pool, {&inputs, 1});
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()),
                         [&](std::int64_t i) { forward_tile(run, tiles[i], t, first_row); });
}

void end_steps(const LayerRun& run) { copy_final_state(run, 0); }

void backward_step(Tape& tape, const LayerRun& run, const LayerGradients& state, Index t, float* dx) {
  const auto tiles = make_tiles(run, tape.pool.threads());
  tape.pool.parallel_for(static_cast<std::int64_t>(tiles.size()),
                         [&](std::int64_t i) { backward_tile(run, state, tiles[i], t, dx); });
  const Index G = run.gates_stride(), I = run.x.columns;
  const kernels::Product inputs{run.packing->rows_at(t),
                                run.direction[0].gates + run.packing->offset(t) * G,
                                G,
                                &run.direction[0].weights->input_back_panels,
                                Start::kResult,
                                nullptr,
                                dx,
                                I};
  if (dx && run.mogrifies())
    kernels::add_scaled(1.0f, run.direction[0].dx + run.packing->offset(t) * I, dx, run.packing->rows_at(t) * I);
  else if (dx)
    kernels::multiply(tape.pool, {&inputs, 1});
}

}  // namespace mnemo
