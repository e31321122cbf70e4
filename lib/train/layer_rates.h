// Learning rates that differ by layer, and layers that join one by one: how a network that starts from another one
// keeps what that one knew (Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification",
// sections 3.2 and 3.3).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "config/config.h"
#include "nn/parameter.h"

namespace mnemo {

/// With L recurrent layers a parameter lies d layers below the output: 0 for the output itself and everything that is
/// not named below, 1 for recurrent layer L, 2 for layer L - 1, ..., L + 1 for what layer 1 reads: embeddings,
/// character encoders, and convolutions with model.convolution.place before. A table that is the output's weight, too,
/// is part of the output. The layers of a translator are those of its encoder and, above them, those of its decoder,
/// whose first one has the attention and the bridge. The rate of a parameter is
///   training.layer_rate^d times that of the optimiser,
/// and 0 in the first d * training.unfreeze epochs.
class LayerRates {
 public:
  /// `visit` gives the parameters; their memory must stay where it is. Their present factors are kept and multiplied.
  LayerRates(const Config& config, const std::function<void(const ParameterVisitor&)>& visit);

  /// The epoch, counted from 0, from which on all layers are trained.
  std::int64_t last_joins() const;
  /// Whether `epoch`, counted from 0, has other rates than the one before it: the optimiser must bring rows of sparse
  /// parameters up to date before they are set.
  bool change_with(std::int64_t epoch) const;
  void set(std::int64_t epoch);

 private:
  struct Layer {
    Parameter* parameter;
    std::int64_t depth;
    float full;  // factor once it is trained
  };

  bool trained(const Layer& layer, std::int64_t epoch) const { return epoch >= layer.depth * unfreeze_; }

  std::vector<Layer> layers_;
  std::int64_t unfreeze_;
};

}  // namespace mnemo
