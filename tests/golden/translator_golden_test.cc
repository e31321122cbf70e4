// The translator compared with the same network in PyTorch: attentional vectors, loss and the gradients of all
// parameters, on every instruction set and for several numbers of threads.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "kernels/targets.h"
#include "models/translator.h"
#include "tests/catch.h"
#include "tests/places.h"

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

class TranslatorCase {
 public:
  using Sequences = std::vector<std::vector<std::int32_t>>;

  TranslatorCase(const SafetensorsFile& file, int number)
      : file_(file), prefix_("case" + std::to_string(number) + ".") {
    options = golden_options(parse_json(file.metadata().at("case" + std::to_string(number))));
    sources = sequences("source");
    targets = sequences("target");
    begin = std::stoi(file.metadata().at("begin"));
  }

  const TensorView& tensor(const std::string& name) const {
    const TensorView* found = file_.find(prefix_ + name);
    INFO(prefix_ + name);
    REQUIRE(found != nullptr);
    return *found;
  }

  std::set<std::string> weights() const {
    std::set<std::string> out;
    const std::string start = prefix_ + "weights.";
    for (const TensorView& one : file_.tensors())
      if (one.name.starts_with(start)) out.insert(one.name.substr(start.size()));
    return out;
  }

  TranslatorOptions options;
  Sequences sources, targets;
  std::int32_t begin = 0;

 private:
  std::vector<std::int32_t> integers(const std::string& name) const {
    const TensorView& found = tensor(name);
    REQUIRE(found.dtype == DType::kI32);
    const auto* values = static_cast<const std::int32_t*>(found.data);
    return {values, values + found.elements()};
  }

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

  const SafetensorsFile& file_;
  std::string prefix_;
};

struct TranslatorRun {
  std::vector<float> v;  // [Q, E], one target after the other in the order of the batch
  double loss = 0;
  std::map<std::string, std::vector<float>> gradients;
};

// All rows of a gradient, also of a sparse one.
std::vector<float> golden_gradient(const Parameter& p) {
  if (!p.sparse) return {p.gradient.data(), p.gradient.data() + p.size()};
  std::vector<float> out(p.size(), 0.0f);
  for (std::size_t i = 0; i < p.touched.size(); ++i)
    std::copy_n(p.gradient.data() + static_cast<Index>(i) * p.row_size(), p.row_size(),
                out.data() + p.touched[i] * p.row_size());
  return out;
}

void fill_weights(const TranslatorCase& c, Translator& model) {
  std::set<std::string> names;
  model.visit([&](Parameter& p) {
    const TensorView& given = c.tensor("weights." + p.name);
    INFO(p.name);
    REQUIRE(given.shape == std::vector<std::int64_t>(p.shape.begin(), p.shape.end()));
    std::ranges::copy(given.floats(), p.value.data());
    p.clear_gradient();
    names.insert(p.name);
  });
  REQUIRE(names == c.weights());
  model.weights_changed();
}

TranslatorRun run_translator(const TranslatorCase& c, int threads, Tape::Mode mode) {
  const bool training = mode == Tape::Mode::kTraining;
  Translator model(c.options);
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
  model.visit([&](Parameter& p) { out.gradients[p.name] = golden_gradient(p); });
  return out;
}

// The largest difference in units of the largest expected value: some gradients are small throughout.
double translator_difference(std::span<const float> expected, std::span<const float> found) {
  REQUIRE(expected.size() == found.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    REQUIRE(std::isfinite(found[i]));
    worst = std::max(worst, std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i])));
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  REQUIRE(largest > 0);
  return worst / largest;
}

void check_translator(const TranslatorCase& c, const TranslatorRun& found, const std::string& loss) {
  CHECK(translator_difference(c.tensor("v").floats(), found.v) < kTranslatorTolerance);
  const auto found_loss = static_cast<float>(found.loss);
  CHECK(translator_difference(c.tensor(loss).floats(), {&found_loss, 1}) < kTranslatorTolerance);
  for (const auto& [name, gradient] : found.gradients) {
    INFO("gradient of " << name);
    CHECK(translator_difference(c.tensor("grad." + name).floats(), gradient) < kTranslatorTolerance);
  }
}

}  // namespace

TEST_CASE("the translator agrees with PyTorch, forward and backward, in training and inference") {
  const auto file = SafetensorsFile::read(source_folder() + "/tests/golden/translator.safetensors");
  const int cases = std::stoi(file.metadata().at("cases"));
  REQUIRE(cases > 0);
  for (const std::string& target : kernels::available_targets()) {
    kernels::use_target(target);
    for (int number = 0; number < cases; ++number) {
      INFO("instruction set " << target << ", case " << number << ", "
                              << file.metadata().at("case" + std::to_string(number)));
      const TranslatorCase c(file, number);
      for (const int threads : {1, 3}) {
        const TranslatorRun training = run_translator(c, threads, Tape::Mode::kTraining);
        REQUIRE(training.gradients.size() == c.weights().size());
        check_translator(c, training, "loss");
        // Only training smooths.
        const TranslatorRun inference = run_translator(c, threads, Tape::Mode::kInference);
        check_translator(c, inference, "plain_loss");
        CHECK(inference.v == training.v);
      }
    }
  }
  kernels::use_target(kernels::available_targets().front());
}
