#include "train/layer_rates.h"

#include <algorithm>
#include <deque>

#include "tests/catch.h"

using namespace mnemo;

namespace {

// A tagger of two layers in both directions.
struct Layers {
  Layers() {
    for (const char* name : {"embedding.weight", "chars.rnn.weight_ih_l0", "shapes.weight", "convolution.w3.weight",
                             "rnn.weight_ih_l0", "rnn.bias_hh_l0_reverse", "rnn.initial_h", "rnn.weight_hh_l1",
                             "rnn.highway_l1.weight", "output.weight", "crf.start"})
      parameters.emplace_back(name, std::vector<Index>{2});
  }

  void visit(const ParameterVisitor& visitor) {
    for (Parameter& p : parameters) visitor(p);
  }

  std::vector<float> rates() const {
    std::vector<float> out;
    for (const Parameter& p : parameters) out.push_back(p.rate);
    return out;
  }

  std::deque<Parameter> parameters;
};

LayerRates rates_of(Layers& layers, double layer_rate, std::int64_t unfreeze, const char* place = "beside") {
  Config config;
  config.training.layer_rate = layer_rate;
  config.training.unfreeze = unfreeze;
  config.model.convolution.place = place;
  return {config, [&](const ParameterVisitor& v) { layers.visit(v); }};
}

}  // namespace

TEST_CASE("a layer's rate is a fraction of that of the layer above it") {
  Layers layers;
  layers.parameters[0].rate = 0.5f;  // a factor of its own stays
  LayerRates rates = rates_of(layers, 0.5, 0);
  rates.set(0);
  CHECK(layers.rates() == std::vector<float>{0.0625f, 0.125f, 0.125f, 1, 0.25f, 0.25f, 0.25f, 0.5f, 0.5f, 1, 1});
  for (std::int64_t epoch : {1, 2, 10}) CHECK_FALSE(rates.change_with(epoch));
}

TEST_CASE("layers join from the output down") {
  Layers layers;
  LayerRates rates = rates_of(layers, 1.0, 2);
  const std::vector<std::vector<float>> expected{{0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1},
                                                 {0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1},
                                                 {0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
                                                 {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
    INFO("epoch " << epoch);
    CHECK(rates.change_with(epoch) == (epoch % 2 == 0 && epoch <= 6));
    rates.set(epoch);
    CHECK(layers.rates() == expected[std::min<std::size_t>(3, static_cast<std::size_t>(epoch / 2))]);
  }
  CHECK(rates.last_joins() == 6);
}

TEST_CASE("a convolution before the recurrent layers lies below them") {
  Layers layers;
  LayerRates rates = rates_of(layers, 0.5, 1, "before");
  rates.set(2);
  CHECK(layers.parameters[3].rate == 0);
  rates.set(3);
  CHECK(layers.parameters[3].rate == 0.125f);
}

TEST_CASE("without layer_rate and unfreeze all factors stay as they are") {
  Layers layers;
  layers.parameters[4].rate = 0.25f;
  LayerRates rates = rates_of(layers, 1.0, 0);
  rates.set(3);
  CHECK(layers.rates() == std::vector<float>{1, 1, 1, 1, 0.25f, 1, 1, 1, 1, 1, 1});
  CHECK_FALSE(rates.change_with(0));
}
