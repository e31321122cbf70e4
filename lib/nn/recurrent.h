// Recurrent layers over packed sequences: any cell, one or two directions, any depth, state in and state out, gradients
// to both.
//
// Letters: N tokens, B sequences (in the packing's sorted order), I inputs, H hidden units of one direction, P outputs
// of one direction (H without a projection), D directions, L layers, G gates. Equations are in the headers of the
// cells' kernels; weights have PyTorch's names, shapes and gate order where PyTorch has the cell.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/product.h"
#include "nn/cell.h"
#include "nn/initialise.h"
#include "nn/linear.h"
#include "nn/mogrifier.h"
#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/self_attention.h"
#include "nn/tape.h"

namespace mnemo {

/// The output of each layer but the first, from its input x (before dropout) and the recurrence's output y:
///   none     y
///   add      x + y (He et al. 2016)
///   highway  t y + (1 - t) x, with t = s(W x + b) (Srivastava et al. 2015)
enum class Residual { kNone, kAdd, kHighway };

struct RecurrentOptions {
  CellKind cell = CellKind::kLstm;
  Index input = 0, hidden = 0, layers = 1;
  bool bidirectional = false;
  Index projection = 0;  ///< P for an LSTM whose output is W_hr o tanh(c) (Sak et al. 2014); 0: none
  Initialiser initialiser = Initialiser::kOrthogonal;
  float forget_bias = 1.0f;  ///< added to the forget gate's first bias (Gers et al. 2000; Jozefowicz et al. 2015)
  /// Above 0, in place of forget_bias: chrono initialisation (nn/initialise.h) with this longest range in steps, at
  /// least 2. The forget gate's bias is log(u), the input gate's -log(u); of a gru, the update gate's is log(u).
  double forget_range = 0.0;
  float layer_dropout = 0.0f;  ///< on the input of each layer but the first
  bool variational = false;    ///< one dropout mask for all steps of a sequence (Gal & Ghahramani 2016)
  Residual residual = Residual::kNone;
  /// The output is the sum of all layers' outputs, as they are before dropout and after `residual`, not the last one's
  /// (Melis et al. 2020). The widths are the same for all layers.
  bool sum_layers = false;
  MogrifierOptions mogrifier = {};  ///< for LSTMs
  /// A block over the output of one of the layers, as it is after `residual`: the next layer reads what the block
  /// gives.
  SelfAttentionOptions attention = {};
  float state_dropout = 0.0f;   ///< on h before the recurrent product, one mask per sequence (Gal & Ghahramani 2016)
  float weight_dropout = 0.0f;  ///< on the elements of weight_hh, one mask per batch (DropConnect, Merity et al. 2017)
  float zoneout_h = 0.0f;       ///< probability that a unit of h keeps its previous value (Krueger et al. 2016)
  float zoneout_c = 0.0f;       ///< the same for c
  /// Precision of the products in inference (kFloat32, kBfloat16Weights or kInt8) and in training (kFloat32 or
  /// kBfloat16).
  kernels::Precision precision = kernels::Precision::kFloat32, training_precision = kernels::Precision::kFloat32;
  std::uint32_t stream = 0;      ///< where the streams of its masks start: nn/mask_streams.h
  bool learned_initial = false;  ///< learn the initial state of sequences that are given none

  Index output() const { return projection > 0 ? projection : hidden; }
  Index directions() const { return bidirectional ? 2 : 1; }
};

/// The options with this input size.
RecurrentOptions with_input(RecurrentOptions options, Index input);

/// All conflicts between the options; empty if there are none.
std::vector<std::string> recurrent_conflicts(const RecurrentOptions& options);

/// The cell of a layer with this many inputs.
const CellTraits& layer_cell(const RecurrentOptions& options, Index input);

/// The number of weights of a `Recurrent`; a double, as the options of a damaged file may be anything.
double recurrent_parameters(const RecurrentOptions& options);

/// h [L * D * B, P] and, for cells with a cell state, c [L * D * B, H]: layer by layer, direction by direction, as in
/// PyTorch.
struct RecurrentState {
  Activation h, c;
  AttentionMemory memory = {};  ///< of a causal block of self-attention
};

/// Weights of one direction of one layer, and their packed forms for the products.
class RecurrentDirection {
 public:
  /// `number`: 0 for the forward direction, 1 for the backward one.
  RecurrentDirection(const std::string& prefix, const std::string& suffix, Index input, Index number,
                     const RecurrentOptions& options);

  void initialise(const RecurrentOptions& options, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  /// The matrices of products, which lower precision rounds.
  void visit_factors(const ParameterVisitor& visitor);

  /// Packs the operands of `forward` and, if `training`, of `backward`. `mask` [hidden_gates H, P], unless null,
  /// multiplies weight_hh.
  void pack(ThreadPool& pool, bool training, kernels::Precision precision, const float* mask);

  Index hidden() const { return weight_ih.rows() / cell.gates; }

  /// The part of the layer's input that this direction's cell passes through.
  const Index through_column;
  const CellTraits& cell;
  Parameter weight_ih;                        // [G H, I]
  std::optional<Parameter> weight_hh;         // [G H, P]; none for cells without a recurrent product
  std::optional<Parameter> bias_ih, bias_hh;  // [G H], of bias_ih without the unbiased gates
  std::vector<Parameter> own;                 // as the cell says
  std::optional<Parameter> weight_hr;         // [P, H]
  std::optional<Mogrifier> mogrifier;

  kernels::PackedMatrix input_panels;           // W_ih^T [I, G H], blocks in the order of a row of gates
  kernels::PackedMatrix recurrent_panels;       // W_hh^T [P, first product's gates * H]
  kernels::PackedMatrix last_panels;            // W_hh^T [P, H] of the last gate, where it has a product of its own
  kernels::PackedMatrix projection_panels;      // W_hr^T [H, P]
  kernels::PackedMatrix input_back_panels;      // W_ih [G H, I], rows as the columns of input_panels
  kernels::PackedMatrix recurrent_back_panels;  // W_hh
  kernels::PackedMatrix last_back_panels;
  kernels::PackedMatrix projection_back_panels;  // W_hr [P, H]
  AlignedVector bias;                            // [blocks H], the initial values of the sums of a row of gates
  AlignedVector own_values;                      // all own vectors

 private:
  // The parameter that holds the gates' biases, or the first of two.
  Parameter& gate_bias();
  void initialise_input(Index H, std::uint64_t seed);
  void initialise_forget_gate(const RecurrentOptions& options, std::uint64_t seed);

  AlignedVector ordered_, masked_;
};

struct LayerRun;
struct LayerGradients;

class Recurrent {
 public:
  Recurrent(const std::string& name, const RecurrentOptions& options);

  void initialise(std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_factors(const ParameterVisitor& visitor);

  /// To be called after the weights changed: they are packed again at the next use.
  void weights_changed();

  /// Changes RecurrentOptions::precision; weights are packed again.
  void set_precision(kernels::Precision precision);

  struct Output {
    Activation y;          // [N, D * P] of the last layer, or with sum_layers of all
    RecurrentState final;  // the state after each sequence's last step (its first, for the backward direction)
    Activation first;      // [N, D * P] of the first layer's recurrence: each direction has read its own side alone
  };

  /// Packs the weights for the tape's mode, or for inference, if they changed. In training also draws the batch's
  /// weight masks.
  void prepare(Tape& tape);
  void prepare(ThreadPool& pool);

  /// x is [N, I]. Without `initial` the initial state is zero, or the learned one. A sequence of length 0 ends in its
  /// initial state. Call after `prepare`; in inference several threads may call it at once.
  Output forward(Tape& tape, const Packing& packing, const Activation& x,
                 const RecurrentState* initial = nullptr) const;
  Output forward(Tape& tape, const Packing& packing, const Activation& x, const RecurrentState* initial = nullptr) {
    prepare(tape);
    return std::as_const(*this).forward(tape, packing, x, initial);
  }

  /// The packed weights of a layer's direction, and the layer's highway gate (null if none). For single steps.
  const RecurrentDirection& direction(Index layer, Index d) const { return *directions_[layer * directions() + d]; }
  const Linear* highway(Index layer) const {
    return layer > 0 && !carries_.empty() ? carries_[layer - 1].get() : nullptr;
  }
  /// The block that follows this layer; null if none does.
  const SelfAttention* attention(Index layer) const {
    return attention_ && layer == options_.attention.layer - 1 ? attention_.get() : nullptr;
  }
  /// Throws Error unless the weights are packed for inference.
  void check_prepared() const;
  /// The learned initial states, h [L * D, P] and c [L * D, H]; empty if none is learned.
  const std::vector<Parameter>& initial() const { return initial_; }

  const RecurrentOptions& options() const { return options_; }
  Index directions() const { return options_.directions(); }

 private:
  friend class RecurrentSteps;

  // Shared by all layers of a batch.
  struct Start {
    RecurrentState initial, final;  // `initial` is empty if it is zero
    float* zero = nullptr;          // [max(H, P)]
  };

  enum class Packed { kNo, kForInference, kForTraining };

  // Whether the packed weights can be used.
  bool is_packed(Packed wanted) const;
  // What the block makes of the layer's output, if it follows that layer; `after` is then its memory.
  Activation attend(Tape& tape, const Packing& packing, Index layer, const Activation& y, const Start& start,
                    AttentionMemory& after) const;
  Activation connect(Tape& tape, Index layer, const Activation& x, const Activation& y) const;
  // What the stack gives once this layer's output is `y`: `y` itself or, with sum_layers, its sum with `below`, what
  // the layers below it gave.
  Activation stack_output(Tape& tape, Index layer, const Activation& below, const Activation& y) const;
  RecurrentState learned_state(Tape& tape, Index sequences) const;
  Start begin(Tape& tape, const Packing& packing, const RecurrentState* initial) const;
  LayerRun layer_run(Tape& tape, const Packing& packing, Index layer, const Activation& x, const Start& start) const;
  // The gradients of a layer's final state, and those passed on to its initial state.
  static LayerGradients layer_gradients(const LayerRun& run, Index layer, const Start& start);
  static void add_initial_gradients(const LayerRun& run, Index layer, const LayerGradients& state, const Start& start);

  std::string name_;
  RecurrentOptions options_;
  std::vector<std::unique_ptr<RecurrentDirection>> directions_;  // [L * D]
  std::vector<std::unique_ptr<Linear>> carries_;                 // highway: of layer 1 on
  std::unique_ptr<SelfAttention> attention_;                     // null: none
  std::vector<Parameter> initial_;                               // h [L * D, P], and c [L * D, H]
  std::vector<float*> weight_masks_;                             // [L * D] of the batch in training; or empty
  Packed packed_ = Packed::kNo;
  std::int64_t packings_ = 0;  // how often weights were packed
};

}  // namespace mnemo
