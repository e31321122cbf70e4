// One recurrent layer over a packed batch, forward and backward: all steps at once, or one after the other for layers
// whose next input is not known yet. Internal to this folder; `Recurrent` and `RecurrentSteps` are built on it.
//
// Letters as in nn/recurrent.h.
#pragma once

#include "nn/recurrent.h"

namespace mnemo {

// What nn/mask_streams.h adds to the streams of masks inside a layer.
inline std::uint32_t stream_of(const RecurrentOptions& options, Index layer, Index direction) {
  return options.stream + static_cast<std::uint32_t>(2 * layer + direction);
}

// Working arrays of one direction of a layer. Those marked [rows] are [N, ...] where all rows are kept, else [B, ...].
struct DirectionRun {
  RecurrentDirection* weights;
  const float* h0 = nullptr;           // [B, P] or null: zero
  const float* fed0 = nullptr;         // [B, P] or null: h0 as the recurrent product takes it
  const float* c0 = nullptr;           // [B, H] or null: zero
  float* hn = nullptr;                 // [B, P]
  float* cn = nullptr;                 // [B, H]
  float* gates = nullptr;              // all rows kept: [N, blocks H]; else [rows of a chunk, blocks H]
  float* c = nullptr;                  // [rows, H]
  float* kept = nullptr;               // [rows, kept_size]; null unless rows are kept, except for cells that need it
  float* c_before = nullptr;           // [B, H] with zoneout, where c is overwritten by a step: c before it
  float* raw = nullptr;                // [rows, H] h before the projection
  float* dprojected = nullptr;         // [N, P] gradient of the projection's output
  float* fed = nullptr;                // [N, P] h as the next step's product takes it, if state dropout changes it
  const float* state_mask = nullptr;   // [B, P]
  float* mogrified = nullptr;          // [rows, Mogrifier::room()]
  float* dx = nullptr;                 // [N, I] gradient of x by way of a mogrifier
  const float* zone_h = nullptr;       // [N, P] 1 where the previous value is kept
  const float* zone_c = nullptr;       // [N, H]
  const float* weight_mask = nullptr;  // [hidden_gates H, P]
  float* total_dh = nullptr;           // [N, P] for a trace of gradients: that of each step's h
  float* carried_dc = nullptr;         // [N, H] and of its c by way of the next step
};

// Everything that forward and backward of one layer share.
struct LayerRun {
  const Packing* packing;
  const RecurrentOptions* options;
  const CellTraits* cell;
  Activation x;               // [N, I]
  Activation y;               // [N, D * P]
  DirectionRun direction[2];  // [D]
  bool training;
  bool keeps_rows;              // of all steps: in training, and where a trace is taken
  const float* zero = nullptr;  // [max(H, P)]

  Index hidden() const { return options->hidden; }
  Index output() const { return options->output(); }
  Index directions() const { return options->directions(); }
  Index gates_stride() const { return cell->blocks * hidden(); }
  Index kept_size() const { return cell->kept * hidden() + cell->kept_scalars; }
  Index output_stride() const { return directions() * output(); }
  float* y_row(Index d, Index row) const { return y.value + row * output_stride() + d * output(); }
  bool mogrifies() const { return options->mogrifier.rounds > 0; }
  const kernels::PackedMatrix& input_panels(Index d) const { return direction[d].weights->input_panels; }
  bool zoneout() const { return options->zoneout_h > 0.0f || options->zoneout_c > 0.0f; }
};

// Gradients that flow through one direction's state, and room for a step of all rows.
struct StateGradients {
  float* dh = nullptr;        // [B, P] in: of hn; out: of h0
  float* dc = nullptr;        // [B, H] in: of cn; out: of c0
  float* cell_dh = nullptr;   // [B, H] gradient of the cell's h, where it is not simply dy + dh
  float* bypass_h = nullptr;  // [B, P] gradient that reaches h_prev bypassing the cell
  float* bypass_c = nullptr;  // [B, H]
  float* product = nullptr;   // [B, P]
  float* own = nullptr;       // [own_parts, own_blocks H] parts of the own vectors' gradients
};

struct LayerGradients {
  StateGradients direction[2];
  bool initial_wanted;
};

// Draws the random masks of a layer's recurrence.
void draw_masks(Tape& tape, LayerRun& run, Index layer);

// All steps: fills run.y and the final states; then adds all gradients.
void forward_layer(Tape& tape, LayerRun& run);
void backward_layer(Tape& tape, LayerRun& run, LayerGradients state);

// The same in pieces, for one direction: memory, then step after step (in inference later steps of run.x may still
// change), then the final states.
void begin_steps(Tape& tape, LayerRun& run);
void forward_step(Tape& tape, const LayerRun& run, Index t);
void end_steps(const LayerRun& run);
// Backward likewise, last step first. The gradient of the step's input is added to `dx` [rows of the step, I], unless
// null.
void begin_backward(Tape& tape, LayerRun& run, LayerGradients& state);
void backward_step(Tape& tape, const LayerRun& run, const LayerGradients& state, Index t, float* dx);
void end_backward(Tape& tape, const LayerRun& run, const LayerGradients& state);

}  // namespace mnemo
