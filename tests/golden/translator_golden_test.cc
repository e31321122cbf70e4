// The translator compared with the same network in PyTorch: attentional vectors, loss and the gradients of all
// parameters, on every instruction set and for several numbers of threads.
#include <algorithm>
#include <string>
#include <vector>

#include "models/translator.h"
#include "tests/catch.h"
#include "tests/golden/golden_case.h"

using namespace mnemo;

namespace {

constexpr double kTranslatorTolerance = 1e-5;  // relative to the largest value of a tensor

AttentionKind golden_attention(const std::string& name) {
  if (name == "dot") return AttentionKind::kDot;
  if (name == "additive") return AttentionKind::kAdditive;
  REQUIRE(name == "general");
  return AttentionKind::kGeneral;
}

BridgeKind golden_bridge(const std::string& name) {
  if (name == "mean") return BridgeKind::kMean;
  REQUIRE(name == "last");
  return BridgeKind::kLast;
}

RecurrentOptions golden_recurrent(const Json& config, const std::string& side) {
  const auto size = [&](const char* what) { return config.at(side + what).get<Index>(); };
  RecurrentOptions out{.hidden = size("_hidden"), .layers = size("_layers"), .projection = size("_projection")};
  const auto name = config.at(side).get<std::string>();
  const auto cell = std::ranges::find(all_cells(), name, [](CellKind kind) { return cell_traits(kind).name; });
  REQUIRE(cell != all_cells().end());
  out.cell = *cell;
  return out;
}

TranslatorOptions golden_options(const Json& config) {
  TranslatorOptions out{.target_units = config.at("target_units").get<Index>(),
                        .embedding = config.at("embedding").get<Index>(),
                        .encoder = golden_recurrent(config, "encoder"),
                        .decoder = golden_recurrent(config, "decoder"),
                        .attention = golden_attention(config.at("attention").get<std::string>()),
                        .heads = config.at("heads").get<Index>(),
                        .bridge = golden_bridge(config.at("bridge").get<std::string>()),
                        .input_feeding = config.at("input_feeding").get<bool>(),
                        .joint = config.at("joint").get<bool>(),
                        .tied = config.at("tied").get<bool>(),
                        .label_smoothing = config.at("smoothing").get<float>()};
  out.source_units = out.joint ? out.target_units : config.at("source_units").get<Index>();
  out.encoder.bidirectional = config.at("bidirectional").get<bool>();
  return out;
}

class TranslatorCase : public GoldenCase {
 public:
  using Sequences = std::vector<std::vector<std::int32_t>>;

  TranslatorCase(const SafetensorsFile& file, int number)
      : GoldenCase(file, number),
        network(golden_options(options)),
        sources(sequences("source")),
        targets(sequences("target")),
        begin(std::stoi(file.metadata().at("begin"))) {}

  const TranslatorOptions network;
  const Sequences sources, targets;
  const std::int32_t begin;

 private:
  Sequences sequences(const std::string& side) const {
    Sequences out;
    const auto units = integers(side);
    auto from = units.begin();
    for (const std::int32_t length : integers(side + "_lengths")) {
      out.emplace_back(from, from + length);
      from += length;
    }
    REQUIRE(from == units.end());
    return out;
  }
};

struct TranslatorRun {
  std::vector<float> v;  // [Q, E], one target after the other in the order of the batch
  double loss = 0;
  GoldenGradients gradients;
};

TranslatorRun run_translator(const TranslatorCase& c, int threads, Tape::Mode mode) {
  const bool training = mode == Tape::Mode::kTraining;
  Translator model(c.network);
  fill_weights(c, model);
  ThreadPool pool(threads);
  Arena arena;
  Tape tape(pool, arena, mode);
  const std::vector<std::span<const std::int32_t>> sources(c.sources.begin(), c.sources.end()),
      targets(c.targets.begin(), c.targets.end());
  const auto batch = model.batch(sources, targets, c.begin, training, 0, 0);
  model.prepare(tape);
  const Activation v = model.forward(tape, batch);
  TranslatorRun out;
  std::vector<Index> places(targets.size());
  for (Index b = 0; b < batch.target.sequences(); ++b) places[batch.target.original(b)] = b;
  for (const Index b : places)
    for (Index t = 0; t < batch.target.length(b); ++t) {
      const float* row = v.value + batch.target.row(b, t) * v.columns;
      out.v.insert(out.v.end(), row, row + v.columns);
    }
  out.loss = model.loss(tape, batch, v);
  if (!training) return out;
  tape.backward();
  take_gradients(model, out.gradients);
  return out;
}

void check_translator(const TranslatorCase& c, const TranslatorRun& found, const std::string& loss) {
  CHECK(relative_difference(c.tensor("v").floats(), found.v) < kTranslatorTolerance);
  const auto found_loss = static_cast<float>(found.loss);
  CHECK(relative_difference(c.tensor(loss).floats(), {&found_loss, 1}) < kTranslatorTolerance);
}

}  // namespace

TEST_CASE("the translator agrees with PyTorch, forward and backward, in training and inference") {
  for_golden_cases("translator.safetensors", [](const SafetensorsFile& file, int number) {
    const TranslatorCase c(file, number);
    for (const int threads : {1, 3}) {
      const TranslatorRun training = run_translator(c, threads, Tape::Mode::kTraining);
      check_translator(c, training, "loss");
      check_gradients(c, training.gradients, kTranslatorTolerance);
      // Only training smooths.
      const TranslatorRun inference = run_translator(c, threads, Tape::Mode::kInference);
      check_translator(c, inference, "plain_loss");
      CHECK(inference.v == training.v);
    }
  });
}
