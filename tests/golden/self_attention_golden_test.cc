// Networks with a block of self-attention compared with PyTorch: a language model over several pieces of its texts,
// with the memory carried from piece to piece, and a classifier and a tagger whose block sees whole texts. Scores,
// losses and the gradients of all parameters, on every instruction set and for several numbers of threads.
#include <algorithm>
#include <string>
#include <vector>

#include "models/classifier.h"
#include "models/language_model.h"
#include "models/tagger.h"
#include "nn/loss.h"
#include "pipeline/stream_loss.h"
#include "tests/catch.h"
#include "tests/golden/golden_case.h"

using namespace mnemo;

namespace {

// Relative to the largest value of a tensor. Norms over a few columns magnify the rounding of float32.
constexpr double kAttentionTolerance = 1e-4;

class AttentionCase : public GoldenCase {
 public:
  using GoldenCase::GoldenCase;

  // Of a piece of the texts.
  std::vector<std::int32_t> integers_of(const std::string& name, int piece) const {
    return integers(name + std::to_string(piece));
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
};

struct AttentionRun {
  std::vector<float> scores;   // in the order of the file; none of a language model
  std::vector<double> losses;  // of each piece
  GoldenGradients gradients;   // of the sum of the losses
};

// A batch in the packing's order.
struct PackedPiece {
  PackedPiece(const AttentionCase& c, int piece) : lengths(c.integers_of("lengths", piece)), packing(lengths) {
    const auto given = c.integers_of("units", piece);
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

void run_language(const AttentionCase& c, ThreadPool& pool, Tape::Mode mode, AttentionRun& out) {
  LanguageModel model({.units = c.size("units"), .embedding = c.size("embedding"), .recurrent = c.recurrent()});
  fill_weights(c, model);
  CarriedState carried(c.recurrent(), std::ssize(c.integers_of("lengths", 0)));
  const RecurrentState before = carried.view();
  for (int piece = 0; piece < c.size("pieces"); ++piece) {
    const PackedPiece given(c, piece);
    Arena arena;
    Tape tape(pool, arena, mode);
    const bool training = mode == Tape::Mode::kTraining;
    const auto batch =
        model.batch(given.packing, given.units, given.packed(c.integers_of("gold", piece)), training, 0, 0);
    model.prepare(tape);
    const Recurrent::Output after = model.forward(tape, batch, &before);
    out.losses.push_back(model.loss(tape, batch, after.y));
    if (training) {
      tape.backward();
      take_gradients(model, out.gradients);
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
  out.losses.push_back(softmax_cross_entropy(logits, c.integers_of("gold", 0), {}, 0.0f));
  if (mode != Tape::Mode::kTraining) return;
  tape.backward();
  take_gradients(model, out.gradients);
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
  const std::vector<std::vector<std::int32_t>> gold{given.packed(c.integers_of("gold", 0))};
  out.losses.push_back(model.loss(tape, batch.packing, scores, gold, 0.0f));
  if (mode != Tape::Mode::kTraining) return;
  tape.backward();
  take_gradients(model, out.gradients);
}

AttentionRun run_network(const AttentionCase& c, int threads, Tape::Mode mode) {
  ThreadPool pool(threads);
  AttentionRun out;
  if (c.network() == "generate") run_language(c, pool, mode, out);
  if (c.network() == "classify") run_classifier(c, pool, mode, out);
  if (c.network() == "tag") run_tagger(c, pool, mode, out);
  return out;
}

void check_network(const AttentionCase& c, const AttentionRun& found) {
  REQUIRE(std::ssize(found.losses) == c.size("pieces"));
  for (std::size_t piece = 0; piece < found.losses.size(); ++piece) {
    INFO("piece " << piece);
    const auto loss = static_cast<float>(found.losses[piece]);
    CHECK(relative_difference(c.tensor("loss" + std::to_string(piece)).floats(), {&loss, 1}) < kAttentionTolerance);
  }
  if (c.network() != "generate")
    CHECK(relative_difference(c.tensor("scores").floats(), found.scores) < kAttentionTolerance);
}

}  // namespace

TEST_CASE("networks with self-attention agree with PyTorch, forward and backward, with a carried memory and without") {
  for_golden_cases("self_attention.safetensors", [](const SafetensorsFile& file, int number) {
    const AttentionCase c(file, number);
    AttentionRun first;
    for (const int threads : {1, 2, 3}) {
      const AttentionRun training = run_network(c, threads, Tape::Mode::kTraining);
      check_network(c, training);
      check_gradients(c, training.gradients, kAttentionTolerance);
      const AttentionRun inference = run_network(c, threads, Tape::Mode::kInference);
      CHECK(inference.losses == training.losses);
      CHECK(inference.scores == training.scores);
      if (threads == 1) first = training;
      CHECK(training.gradients == first.gradients);
      CHECK(training.losses == first.losses);
    }
  });
}
