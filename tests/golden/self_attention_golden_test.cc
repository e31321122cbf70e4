// Networks with a block of self-attention compared with PyTorch: a language model over several pieces of its texts,
// with the memory carried from piece to piece, and a classifier and a tagger whose block sees whole texts. Scores,
// losses and the gradients of all parameters, on every instruction set and for several numbers of threads.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "kernels/targets.h"
#include "models/classifier.h"
#include "models/language_model.h"
#include "models/tagger.h"
#include "nn/loss.h"
#include "pipeline/stream_loss.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;

namespace {

// Relative to the largest value of a tensor. Norms over a few columns magnify the rounding of float32.
constexpr double kAttentionTolerance = 1e-4;

class AttentionCase {
 public:
  AttentionCase(const SafetensorsFile& file, int number)
      : options(parse_json(file.metadata().at("case" + std::to_string(number)))),
        file_(file),
        prefix_("case" + std::to_string(number) + ".") {}

  const TensorView& tensor(const std::string& name) const {
    const TensorView* found = file_.find(prefix_ + name);
    INFO(prefix_ + name);
    REQUIRE(found != nullptr);
    return *found;
  }
  // Of a piece of the texts.
  std::vector<std::int32_t> integers(const std::string& name, int piece) const {
    const TensorView& found = tensor(name + std::to_string(piece));
    REQUIRE(found.dtype == DType::kI32);
    const auto* values = static_cast<const std::int32_t*>(found.data);
    return {values, values + found.elements()};
  }
  std::set<std::string> weights() const {
    std::set<std::string> out;
    const std::string start = prefix_ + "weights.";
    for (const TensorView& one : file_.tensors())
      if (one.name.starts_with(start)) out.insert(one.name.substr(start.size()));
    return out;
  }

  Index size(const char* key) const { return options.at(key).get<Index>(); }
  std::string network() const { return options.at("network").get<std::string>(); }
  RecurrentOptions recurrent() const {
    return {.cell = options.at("cell") == "gru" ? CellKind::kGru : CellKind::kLstm,
            .hidden = size("hidden"),
            .layers = size("layers"),
            .bidirectional = network() != "generate",
            .sum_layers = options.at("sum_layers").get<bool>(),
            .attention = {size("layer"), size("memory"), size("feed_forward")}};
  }

  const Json options;

 private:
  const SafetensorsFile& file_;
  std::string prefix_;
};

struct AttentionRun {
  std::vector<float> scores;                            // in the order of the file; none of a language model
  std::vector<double> losses;                           // of each piece
  std::map<std::string, std::vector<float>> gradients;  // of the sum of the losses
};

// A batch in the packing's order.
struct PackedPiece {
  PackedPiece(const AttentionCase& c, int piece) : lengths(c.integers("lengths", piece)), packing(lengths) {
    const auto given = c.integers("units", piece);
    std::vector<std::int32_t> starts{0};
    for (const std::int32_t length : lengths) starts.push_back(starts.back() + length);
    for (Index t = 0; t < packing.steps(); ++t)
      for (Index b = 0; b < packing.rows_at(t); ++b) places.push_back(starts[packing.original(b)] + t);
    for (const Index place : places) units.push_back(given[place]);
    for (const std::int32_t unit : units) {
      bags.rows.push_back(unit);
      bags.weights.push_back(1.0f);
      bags.starts.push_back(static_cast<std::int32_t>(bags.rows.size()));
    }
  }

  std::vector<std::int32_t> packed(const std::vector<std::int32_t>& given) const {
    std::vector<std::int32_t> out;
    for (const Index place : places) out.push_back(given[place]);
    return out;
  }
  // Rows in the packing's order, as the file has them.
  std::vector<float> unpacked(const Activation& rows) const {
    std::vector<float> out(rows.size());
    for (std::size_t i = 0; i < places.size(); ++i)
      std::copy_n(rows.value + static_cast<Index>(i) * rows.columns, rows.columns,
                  out.data() + places[i] * rows.columns);
    return out;
  }

  std::vector<std::int32_t> lengths;
  Packing packing;
  std::vector<Index> places;  // [N] of the packing's rows in the file
  std::vector<std::int32_t> units;
  Bags bags;
};

// The weights of a file's case in a network of the same parameters.
void fill_weights(const AttentionCase& c, Network& model) {
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

// Adds what a pass left in the parameters' gradients.
void take_gradients(Network& model, AttentionRun& out) {
  model.visit([&](Parameter& p) {
    std::vector<float>& sum = out.gradients[p.name];
    sum.resize(p.size());
    const Index width = p.row_size();
    const Index rows = p.sparse ? std::ssize(p.touched) : p.size() / width;
    for (Index row = 0; row < rows; ++row)
      for (Index j = 0; j < width; ++j)
        sum[(p.sparse ? p.touched[row] : row) * width + j] += p.gradient[row * width + j];
    p.clear_gradient();
  });
}

void run_language(const AttentionCase& c, ThreadPool& pool, Tape::Mode mode, AttentionRun& out) {
  LanguageModel model({.units = c.size("units"), .embedding = c.size("embedding"), .recurrent = c.recurrent()});
  fill_weights(c, model);
  CarriedState carried(c.recurrent(), std::ssize(c.integers("lengths", 0)));
  const RecurrentState before = carried.view();
  for (int piece = 0; piece < c.size("pieces"); ++piece) {
    const PackedPiece given(c, piece);
    Arena arena;
    Tape tape(pool, arena, mode);
    const bool training = mode == Tape::Mode::kTraining;
    const auto batch = model.batch(given.packing, given.units, given.packed(c.integers("gold", piece)), training, 0, 0);
    model.prepare(tape);
    const Recurrent::Output after = model.forward(tape, batch, &before);
    out.losses.push_back(model.loss(tape, batch, after.y));
    if (training) {
      tape.backward();
      take_gradients(model, out);
    }
    carried.take(after.final);
  }
}

void run_classifier(const AttentionCase& c, ThreadPool& pool, Tape::Mode mode, AttentionRun& out) {
  ClassifierOptions options;
  options.table_rows = c.size("units");
  options.embedding = c.size("embedding");
  options.classes = c.size("classes");
  options.recurrent = c.recurrent();
  options.pooling.clear();
  for (const Json& kind : c.options.at("pooling"))
    options.pooling.push_back(kind == "last"  ? PoolingKind::kLast
                              : kind == "max" ? PoolingKind::kMax
                                              : PoolingKind::kMean);
  Classifier model(options);
  fill_weights(c, model);
  const PackedPiece given(c, 0);
  Arena arena;
  Tape tape(pool, arena, mode);
  model.prepare(tape);
  const Activation logits = model.forward(tape, given.packing, given.bags);
  out.scores.assign(logits.value, logits.value + logits.size());
  out.losses.push_back(softmax_cross_entropy(logits, c.integers("gold", 0), {}, 0.0f));
  if (mode != Tape::Mode::kTraining) return;
  tape.backward();
  take_gradients(model, out);
}

void run_tagger(const AttentionCase& c, ThreadPool& pool, Tape::Mode mode, AttentionRun& out) {
  TaggerOptions options;
  options.table_rows = c.size("units");
  options.embedding = c.size("embedding");
  options.recurrent = c.recurrent();
  options.columns.emplace_back(c.size("classes"));
  options.crf = false;
  Tagger model(options);
  fill_weights(c, model);
  const PackedPiece given(c, 0);
  TaggerBatch batch;
  batch.packing = given.packing;
  batch.words = given.bags;
  Arena arena;
  Tape tape(pool, arena, mode);
  model.prepare(tape);
  const auto scores = model.forward(tape, batch);
  out.scores = given.unpacked(scores[0]);
  const std::vector<std::vector<std::int32_t>> gold{given.packed(c.integers("gold", 0))};
  out.losses.push_back(model.loss(tape, batch.packing, scores, gold, 0.0f));
  if (mode != Tape::Mode::kTraining) return;
  tape.backward();
  take_gradients(model, out);
}

AttentionRun run_network(const AttentionCase& c, int threads, Tape::Mode mode) {
  ThreadPool pool(threads);
  AttentionRun out;
  if (c.network() == "generate") run_language(c, pool, mode, out);
  if (c.network() == "classify") run_classifier(c, pool, mode, out);
  if (c.network() == "tag") run_tagger(c, pool, mode, out);
  return out;
}

// In units of the largest expected value: some gradients are small throughout.
double attention_difference(std::span<const float> expected, std::span<const float> found) {
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

void check_network(const AttentionCase& c, const AttentionRun& found) {
  REQUIRE(std::ssize(found.losses) == c.size("pieces"));
  for (std::size_t piece = 0; piece < found.losses.size(); ++piece) {
    INFO("piece " << piece);
    const auto loss = static_cast<float>(found.losses[piece]);
    CHECK(attention_difference(c.tensor("loss" + std::to_string(piece)).floats(), {&loss, 1}) < kAttentionTolerance);
  }
  if (c.network() != "generate")
    CHECK(attention_difference(c.tensor("scores").floats(), found.scores) < kAttentionTolerance);
  for (const auto& [name, gradient] : found.gradients) {
    INFO("gradient of " << name);
    CHECK(attention_difference(c.tensor("grad." + name).floats(), gradient) < kAttentionTolerance);
  }
}

}  // namespace

TEST_CASE("networks with self-attention agree with PyTorch, forward and backward, with a carried memory and without") {
  const auto file = SafetensorsFile::read(source_folder() + "/tests/golden/self_attention.safetensors");
  const int cases = std::stoi(file.metadata().at("cases"));
  REQUIRE(cases > 0);
  for (const std::string& target : kernels::available_targets()) {
    kernels::use_target(target);
    for (int number = 0; number < cases; ++number) {
      INFO("instruction set " << target << ", case " << number << ", "
                              << file.metadata().at("case" + std::to_string(number)));
      const AttentionCase c(file, number);
      AttentionRun first;
      for (const int threads : {1, 2, 3}) {
        const AttentionRun training = run_network(c, threads, Tape::Mode::kTraining);
        REQUIRE(training.gradients.size() == c.weights().size());
        check_network(c, training);
        const AttentionRun inference = run_network(c, threads, Tape::Mode::kInference);
        CHECK(inference.losses == training.losses);
        CHECK(inference.scores == training.scores);
        if (threads == 1) first = training;
        CHECK(training.gradients == first.gradients);
        CHECK(training.losses == first.losses);
      }
    }
  }
  kernels::use_target(kernels::available_targets().front());
}
