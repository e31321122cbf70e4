#include "train/layer_rates.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "models/classifier.h"
#include "models/language_model.h"
#include "models/tagger.h"
#include "models/translator.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

using Rates = std::map<std::string, float>;

RecurrentOptions two_layers() {
  RecurrentOptions out;
  out.hidden = 4;
  out.layers = 2;
  return out;
}

ConvolutionOptions two_widths(bool before) {
  ConvolutionOptions out;
  out.widths = {2, 3};
  out.filters = 4;
  out.before = before;
  return out;
}

std::unique_ptr<Network> tagger(bool before = false) {
  TaggerOptions options;
  options.table_rows = 5;
  options.embedding = 4;
  options.chars.kind = CharEncoderKind::kBilstm;
  options.chars.rows = 5;
  options.chars.embedding = options.chars.hidden = 4;
  options.shapes = 3;
  options.shape_embedding = 2;
  options.recurrent = two_layers();
  options.recurrent.bidirectional = options.recurrent.learned_initial = true;
  options.recurrent.residual = Residual::kHighway;
  options.convolution = two_widths(before);
  options.columns.emplace_back(3);
  return std::make_unique<Tagger>(options);
}

std::unique_ptr<Network> classifier(bool before) {
  ClassifierOptions options;
  options.table_rows = 5;
  options.embedding = 4;
  options.classes = 2;
  options.recurrent = two_layers();
  options.pooling = {PoolingKind::kAttention};
  options.convolution = two_widths(before);
  return std::make_unique<Classifier>(options);
}

std::unique_ptr<Network> language_model(bool tied) {
  LanguageModelOptions options;
  options.units = 6;
  options.embedding = 4;
  options.tied = tied;
  options.recurrent = two_layers();
  options.recurrent.mogrifier = {.rounds = 2, .rank = 2};
  options.recurrent.attention = {.layer = 2, .memory = 3};
  return std::make_unique<LanguageModel>(options);
}

std::unique_ptr<Network> translator(bool joint, bool tied) {
  TranslatorOptions options;
  options.source_units = options.target_units = 6;
  options.embedding = 4;
  options.encoder = options.decoder = two_layers();
  options.decoder.layers = 3;
  options.joint = joint;
  options.tied = tied;
  return std::make_unique<Translator>(options);
}

LayerRates rates_of(Network& network, double layer_rate, std::int64_t unfreeze, const char* place = "beside") {
  Config config;
  config.training.layer_rate = layer_rate;
  config.training.unfreeze = unfreeze;
  config.model.convolution.place = place;
  return {config, [&](const ParameterVisitor& v) { network.visit(v); }};
}

// By the parameters' names, cut before the first dot, or after a layer's number; all of one have one rate.
Rates rates(Network& network) {
  Rates out;
  network.visit([&](Parameter& p) {
    const std::size_t layer = p.name.find("_l", p.name.find('.'));
    const std::string head = p.name.substr(0, p.name.find('.', p.name.starts_with("decoder.further") ? 8 : 0));
    const bool numbered = layer != std::string::npos && !p.name.starts_with("chars");
    const std::string key = numbered ? head + p.name.substr(layer, 3) : head;
    INFO(p.name);
    const auto [at, fresh] = out.emplace(key, p.rate);
    CHECK(at->second == p.rate);
  });
  return out;
}

Rates halved(Network& network, const char* place = "beside") {
  LayerRates rates_by_layer = rates_of(network, 0.5, 0, place);
  rates_by_layer.set(0);
  for (std::int64_t epoch : {1, 2, 10}) CHECK_FALSE(rates_by_layer.change_with(epoch));
  return rates(network);
}

}  // namespace

TEST_CASE("a layer's rate is a fraction of that of the layer above it") {
  const auto network = tagger();
  network->visit([](Parameter& p) {
    if (p.name == "embedding.weight") p.rate = 0.5f;  // a factor of its own stays
  });
  CHECK(halved(*network) == Rates{{"embedding", 0.0625f},
                                  {"chars", 0.125f},
                                  {"shapes", 0.125f},
                                  {"convolution0", 1},
                                  {"convolution1", 1},
                                  {"rnn", 0.25f},
                                  {"rnn_l0", 0.25f},
                                  {"rnn_l1", 0.5f},
                                  {"output0", 1},
                                  {"crf0", 1}});
}

TEST_CASE("convolutions lie below the recurrent layers or beside them") {
  const auto below = classifier(true);
  CHECK(halved(*below, "before") == Rates{{"embedding", 0.125f},
                                          {"convolution0", 0.125f},
                                          {"convolution1", 0.125f},
                                          {"rnn_l0", 0.25f},
                                          {"rnn_l1", 0.5f},
                                          {"attention", 1},
                                          {"output", 1}});
  const auto beside = classifier(false);
  CHECK(halved(*beside).at("convolution1") == 1);
  const auto of_tagger = tagger(true);
  CHECK(halved(*of_tagger, "before").at("convolution1") == 0.125f);
}

TEST_CASE("a table that is the output's weight, too, has the output's rate") {
  const auto apart = language_model(false);
  CHECK(halved(*apart) == Rates{{"embedding", 0.125f}, {"rnn_l0", 0.25f}, {"rnn_l1", 0.5f}, {"output", 1}});
  const auto tied = language_model(true);
  CHECK(halved(*tied) == Rates{{"embedding", 1}, {"rnn_l0", 0.25f}, {"rnn_l1", 0.5f}, {"output", 1}});
}

TEST_CASE("a translator's decoder lies above its encoder") {
  const Rates layers{{"encoder_l0", 0.03125f}, {"encoder_l1", 0.0625f},      {"bridge", 0.125f},
                     {"attention", 0.125f},    {"decoder_l0", 0.125f},       {"decoder.further_l0", 0.25f},
                     {"combine", 1},           {"decoder.further_l1", 0.5f}, {"output", 1}};
  Rates expected = layers;
  expected.insert({{"source", 0.015625f}, {"target", 0.015625f}});
  CHECK(halved(*translator(false, false)) == expected);
  expected["target"] = 1;
  CHECK(halved(*translator(false, true)) == expected);
  expected.erase("source");
  CHECK(halved(*translator(true, true)) == expected);
}

TEST_CASE("layers join from the output down") {
  const auto network = tagger();
  LayerRates by_epoch = rates_of(*network, 1.0, 2);
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) {
    INFO("epoch " << epoch);
    CHECK(by_epoch.change_with(epoch) == (epoch % 2 == 0 && epoch <= 6));
    by_epoch.set(epoch);
    const Rates found = rates(*network);
    CHECK(found.at("output0") == 1);
    CHECK(found.at("convolution0") == 1);
    CHECK(found.at("rnn_l1") == (epoch >= 2 ? 1 : 0));
    CHECK(found.at("rnn_l0") == (epoch >= 4 ? 1 : 0));
    CHECK(found.at("embedding") == (epoch >= 6 ? 1 : 0));
  }
  CHECK(by_epoch.last_joins() == 6);
}

TEST_CASE("without layer_rate and unfreeze all factors stay as they are") {
  const auto network = classifier(false);
  const auto is_first = [](const Parameter& p) { return p.name == "rnn.weight_ih_l0"; };
  network->visit([&](Parameter& p) {
    if (is_first(p)) p.rate = 0.25f;
  });
  LayerRates none = rates_of(*network, 1.0, 0);
  none.set(3);
  network->visit([&](Parameter& p) { CHECK(p.rate == (is_first(p) ? 0.25f : 1.0f)); });
  CHECK_FALSE(none.change_with(0));
}
