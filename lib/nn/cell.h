// The recurrent cells: the layout of a row of gates, the products that fill it, the kernels that process it.
//
// A new cell needs a pair of kernels, a value of `CellKind`, and an entry in the table of cell.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/index.h"
#include "kernels/cell.h"

namespace mnemo {

enum class CellKind {
  kLstm,
  kPeepholeLstm,
  kCifgLstm,
  kCappedLstm,
  kNormLstm,
  kGru,
  kGruBefore,
  kRnnTanh,
  kRnnRelu,
  kMinLstm,
  kMinGru,
  kSru,
  kSruProjected,
};

/// All of them, for tests and benchmarks.
const std::vector<CellKind>& all_cells();

/// Variants that a cell's name does not determine.
struct CellForm {
  bool layer_norm = false;  ///< lstm
  bool reset_after = true;  ///< gru
  bool relu = false;        ///< rnn
};

/// The cell names of the configuration.
const std::vector<std::string>& cell_names();

/// The cell of one of those names in this form; settings for other cells are ignored. Throws Error for an unknown name.
CellKind cell_kind(std::string_view name, const CellForm& form);
/// Of those names the one that a cell has in any form.
std::string_view cell_name(CellKind kind);

/// A vector of weights that only this cell has, [blocks * H]; initially `initial`, or uniform within +-spread.
struct OwnVector {
  const char* name;
  Index blocks;
  float initial;
  float spread = 0.0f;
};

/// A value of each unit at each step, by the name that the equations in the headers of the kernels give it, and where a
/// forward pass that keeps all rows leaves it.
struct CellValue {
  enum class Source { kGate, kRestOfGate, kKept, kCell, kOutput };  // kRestOfGate: 1 - gate

  const char* name;
  Source source;
  Index block = 0;    // of the row of gates, or of what is kept
  bool gate = false;  // from 0, closed, to 1, open
};

struct CellTraits {
  using Forward = void (*)(const kernels::CellForward&);
  using Backward = void (*)(const kernels::CellBackward&);

  CellKind kind;
  const char* name;
  Index gates;                       // G: weight_ih is [G H, I]
  Index hidden_gates;                // weight_hh is [hidden_gates H, P]; 0: no recurrent product
  Index blocks;                      // a row of gates is [blocks H]
  std::vector<Index> input_order;    // block k holds the input's gate input_order[k]; these are the first blocks
  Index hidden_first = 0;            // the block that holds the first recurrent gate; the others follow
  Index kept = 0, kept_scalars = 0;  // kept is [kept H + kept_scalars]
  bool bias = true;                  // both products have a bias
  Index unbiased = 0;                // the last gates of the input's product, which have none
  bool cell_state = false;           // c beside h
  bool direct = false;               // h_prev also reaches h directly, bypassing the products
  // For a cell that passes the layer's input on: the one that layers have whose input is not as wide as their output.
  std::optional<CellKind> otherwise = std::nullopt;
  bool kept_in_inference = false;
  Forward forward = nullptr;
  Backward backward = nullptr;
  Forward reset = nullptr;  // between the recurrent products and that of the last gate, which takes its output
  Backward reset_backward = nullptr;
  std::vector<OwnVector> own = {};
  // The gate on which it depends how long the cell remembers.
  struct ForgetGate {
    Index gate;
    float sign;                // of the bias that makes the cell remember
    Index input = -1;          // the input gate, where it is one of its own
    bool has_constant = true;  // whether RecurrentOptions::forget_bias is added to the bias
  };
  std::optional<ForgetGate> forget = std::nullopt;
  std::vector<CellValue> values = {};  // what a trace shows: gates, then states
  Index own_bias = -1;                 // where the gates' bias is one of the own vectors: its first block
  // Where the cell's authors give one: of each gate the bound of its uniform initial weights, for one input; for I
  // inputs over sqrt(I).
  std::vector<float> input_spread = {};

  /// Recurrent gates of the first product: all, or all but the last if there is a `reset`.
  Index first_product_gates() const { return hidden_gates - (reset ? 1 : 0); }
  /// Blocks of a row after the input's, which hold recurrent sums alone.
  Index recurrent_blocks() const { return blocks - static_cast<Index>(input_order.size()); }
  /// Whether layers of the cell can have a mogrifier.
  bool takes_mogrifier() const { return cell_state && hidden_gates > 0; }
  Index own_blocks() const {
    Index sum = 0;
    for (const OwnVector& v : own) sum += v.blocks;
    return sum;
  }
};

const CellTraits& cell_traits(CellKind kind);

}  // namespace mnemo
