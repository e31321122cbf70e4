// LSTM layers over packed sequences: one or two directions, any depth, state in and state out, gradients to both.
//
// Letters: N tokens, B sequences (in the packing's sorted order), I inputs, H hidden units of one direction, D
// directions, L layers. Equations in kernels/lstm_cell.h; weights have PyTorch's names, shapes and gate order (i, f, g,
// o).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/product.h"
#include "nn/initialise.h"
#include "nn/packing.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

struct LstmOptions {
  Index input = 0, hidden = 0, layers = 1;
  bool bidirectional = false;
  Initialiser initialiser = Initialiser::kOrthogonal;
  float forget_bias = 1.0f;    ///< added to the forget gate's first bias (Gers et al. 2000; Jozefowicz et al. 2015)
  float layer_dropout = 0.0f;  ///< on the input of each layer but the first
  bool variational = false;    ///< one dropout mask for all steps of a sequence (Gal & Ghahramani 2016)
};

/// h and c [L * D * B, H]: layer by layer, direction by direction, as PyTorch orders them.
struct LstmState {
  Activation h, c;
};

/// Weights of one direction of one layer, and their packed forms for the products.
class LstmDirection {
 public:
  LstmDirection(const std::string& prefix, const std::string& suffix, Index input, Index hidden);

  void initialise(const LstmOptions& options, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);

  /// Packs what `forward`, and if `training`, `backward` multiply by.
  void pack(ThreadPool& pool, bool training);

  Parameter weight_ih;  // [4H, I]
  Parameter weight_hh;  // [4H, H]
  Parameter bias_ih;    // [4H]
  Parameter bias_hh;    // [4H]

  kernels::PackedMatrix input_panels;           // W_ih^T [I, 4H]
  kernels::PackedMatrix recurrent_panels;       // W_hh^T [H, 4H]
  kernels::PackedMatrix input_back_panels;      // W_ih [4H, I]
  kernels::PackedMatrix recurrent_back_panels;  // W_hh [4H, H]
  AlignedVector bias;                           // [4H] b_ih + b_hh
};

class Lstm {
 public:
  Lstm(const std::string& name, const LstmOptions& options);

  void initialise(std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);

  /// To be called after the weights changed: they are packed anew at the next use.
  void weights_changed() { packed_ = Packed::kNo; }

  struct Output {
    Activation y;     // [N, D * H]
    LstmState final;  // the state after each sequence's last step (its first, for the backward direction)
  };

  /// x is [N, I]. Without `initial` the state begins as zero. A sequence of length 0 ends in its initial state.
  Output forward(Tape& tape, const Packing& packing, const Activation& x, const LstmState* initial = nullptr);

  const LstmOptions& options() const { return options_; }
  Index directions() const { return options_.bidirectional ? 2 : 1; }

 private:
  enum class Packed { kNo, kForInference, kForTraining };

  LstmOptions options_;
  std::vector<std::unique_ptr<LstmDirection>> directions_;  // [L * D]
  Packed packed_ = Packed::kNo;
  AlignedVector scratch_;
};

}  // namespace mnemo
