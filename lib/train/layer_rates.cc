#include "train/layer_rates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace mnemo {
namespace {

constexpr std::int64_t kOutput = -1;

std::string_view first_part(std::string_view name) { return name.substr(0, name.find('.')); }

// From 1; initial states have no number, and belong to the first layer.
std::int64_t number_in_stack(std::string_view name) {
  const std::size_t mark = name.find("_l", first_part(name).size());
  std::int64_t layer = 0;
  if (mark != std::string_view::npos) std::from_chars(name.data() + mark + 2, name.data() + name.size(), layer);
  return layer + 1;
}

// Where the parameters of a network lie, by their names.
class Stack {
 public:
  Stack(const Config& config, const std::function<void(const ParameterVisitor&)>& visit)
      : convolutions_below_(config.model.convolution.place == "before") {
    bool weight = false, target = false;
    visit([&](Parameter& p) {
      const std::string_view part = first_part(p.name);
      if (part == "encoder") encoder_layers_ = std::max(encoder_layers_, number_in_stack(p.name));
      weight = weight || (part.starts_with("output") && p.name.ends_with("weight"));
      target = target || part == "target";
    });
    if (!weight) tied_ = target ? "target" : "embedding";
  }

  // Number of the recurrent layer that a parameter belongs to, from 1; 0: what these read; kOutput: anything else.
  std::int64_t layer(std::string_view name) const {
    const std::string_view part = first_part(name);
    if (part == tied_) return kOutput;
    if (part == "embedding" || part == "source" || part == "target" || part == "chars" || part == "shapes") return 0;
    if (part.starts_with("convolution") && convolutions_below_) return 0;
    if (part == "rnn" || part == "encoder") return number_in_stack(name);
    if (name.starts_with("decoder.further.")) return encoder_layers_ + 1 + number_in_stack(name);
    // What the decoder's first layer begins with, and what asks the encoder.
    const bool translates = encoder_layers_ > 0;
    if (part == "decoder" || (translates && (part == "bridge" || part == "attention"))) return encoder_layers_ + 1;
    return kOutput;
  }

 private:
  bool convolutions_below_;
  std::int64_t encoder_layers_ = 0;
  std::string_view tied_;  // the table that is the output's weight, too
};

}  // namespace

LayerRates::LayerRates(const Config& config, const std::function<void(const ParameterVisitor&)>& visit)
    : unfreeze_(config.training.unfreeze) {
  const double rate = config.training.layer_rate;
  if (rate == 1.0 && unfreeze_ == 0) return;
  const Stack stack(config, visit);
  std::int64_t top = 0;
  visit([&](Parameter& p) {
    layers_.push_back({&p, stack.layer(p.name), p.rate});
    top = std::max(top, layers_.back().depth + 1);
  });
  for (Layer& layer : layers_) {
    layer.depth = layer.depth == kOutput ? 0 : top - layer.depth;
    layer.full *= static_cast<float>(std::pow(rate, static_cast<double>(layer.depth)));
  }
}

std::int64_t LayerRates::last_joins() const {
  std::int64_t out = 0;
  for (const Layer& layer : layers_) out = std::max(out, layer.depth * unfreeze_);
  return out;
}

bool LayerRates::change_with(std::int64_t epoch) const {
  return std::ranges::any_of(layers_,
                             [&](const Layer& layer) { return trained(layer, epoch) != trained(layer, epoch - 1); });
}

void LayerRates::set(std::int64_t epoch) {
  for (const Layer& layer : layers_) layer.parameter->rate = trained(layer, epoch) ? layer.full : 0.0f;
}

}  // namespace mnemo
