// From an encoder to a decoder's initial state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/recurrent.h"

namespace mnemo {

/// What the state is made from: the last layer's final states of all directions (Sutskever et al. 2014; Bahdanau et al.
/// 2015), or the mean of its outputs over the source (as Nematus does, Sennrich et al. 2017).
enum class BridgeKind { kLast, kMean };

/// h = tanh(A x + a) and, for decoders with a cell state, c = tanh(B x' + b), with rows of A and B for each layer of
/// the decoder. x is the encoder's h or the mean; x' its c or, where it has none or the mean is taken, x.
class Bridge {
 public:
  Bridge(const std::string& name, BridgeKind kind, const RecurrentOptions& encoder, const RecurrentOptions& decoder);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_matrices(const ParameterVisitor& visitor);
  void weights_changed();
  void set_precision(kernels::Precision precision);
  void prepare(Tape& tape);
  void prepare(ThreadPool& pool);

  /// The decoder's initial states, layer by layer as `Recurrent` takes them, of its B sequences: sequence b goes on
  /// from sequence order[b] of the encoder, in the sorted order of `packing`.
  RecurrentState forward(Tape& tape, const Packing& packing, const Recurrent::Output& encoded,
                         std::span<const std::int32_t> order) const;

 private:
  Activation gathered(Tape& tape, const Packing& packing, const Activation& state,
                      std::span<const std::int32_t> order) const;

  BridgeKind kind_;
  Index directions_, layers_, encoder_layers_;
  Pooling mean_;
  Linear h_;
  std::optional<Linear> c_;
};

}  // namespace mnemo
