#include "train/layer_rates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace mnemo {
namespace {

constexpr std::int64_t kOutput = -1;

// Number of the recurrent layer that a parameter belongs to, from 1; 0: what these read; kOutput: anything else.
std::int64_t layer_number(std::string_view name, bool convolution_before) {
  const std::string_view part = name.substr(0, name.find('.'));
  if (part == "embedding" || part == "target" || part == "chars" || part == "shapes") return 0;
  if (part == "convolution" && convolution_before) return 0;
  if (part != "rnn" && part != "encoder" && part != "decoder") return kOutput;
  const std::size_t mark = name.find("_l", part.size());
  std::int64_t layer = 0;  // initial states have no number, and belong to the first layer
  if (mark != std::string_view::npos) std::from_chars(name.data() + mark + 2, name.data() + name.size(), layer);
  return layer + 1;
}

}  // namespace

LayerRates::LayerRates(const Config& config, const std::function<void(const ParameterVisitor&)>& visit)
    : unfreeze_(config.training.unfreeze) {
  const double rate = config.training.layer_rate;
  if (rate == 1.0 && unfreeze_ == 0) return;
  const bool before = config.model.convolution.place == "before";
  std::int64_t top = 0;
  visit([&](Parameter& p) {
    layers_.push_back({&p, layer_number(p.name, before), p.rate});
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
