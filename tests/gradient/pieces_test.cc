// Texts that a classifier reads in pieces: the bits of texts that are read as a whole; in training, gradients that are
// cut between pieces and complete within them.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "base/random.h"
#include "models/classifier.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr Index kRows = 11;

struct Texts {
  explicit Texts(std::vector<std::int32_t> lengths) : packing(lengths) {
    RandomStream random(5, Purpose::kTest);
    for (Index n = 0; n < packing.tokens(); ++n) {
      for (std::uint64_t k = random.below(2); k < 2; ++k) {
        bags.rows.push_back(static_cast<std::int32_t>(random.below(kRows)));
        bags.weights.push_back(k == 1 ? 1.0f : 0.5f);
      }
      bags.starts.push_back(static_cast<std::int32_t>(bags.rows.size()));
    }
  }

  Packing packing;
  Bags bags;
};

ClassifierOptions piece_options(CellKind cell, std::vector<PoolingKind> pooling) {
  ClassifierOptions out;
  out.table_rows = kRows;
  out.embedding = 5;
  out.classes = 3;
  out.recurrent.cell = cell;
  out.recurrent.hidden = 7;
  out.recurrent.layers = 2;
  out.pooling = std::move(pooling);
  return out;
}

std::vector<float> logits_of_texts(ClassifierOptions options, Index piece, const Texts& texts, int threads) {
  options.inference_piece = piece;
  Classifier model(options);
  model.initialise(3);
  ThreadPool pool(threads);
  model.prepare(pool);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kInference);
  const Activation out = model.forward(tape, texts.packing, texts.bags);
  return {out.value, out.value + out.size()};
}

struct Gradients {
  std::vector<float> logits;
  std::map<std::string, std::vector<float>> of;
};

// Of the sum of the logits, each times another number.
Gradients gradients_of_texts(
    ClassifierOptions options, Index piece, const Texts& texts,
    const std::function<void(Parameter&)>& change = [](Parameter&) {}) {
  options.training_piece = piece;
  Classifier model(options);
  model.initialise(3);
  model.visit(change);
  model.weights_changed();
  ThreadPool pool(2);
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining, 1, 1);
  model.prepare(tape);
  const Activation out = model.forward(tape, texts.packing, texts.bags);
  Gradients found{{out.value, out.value + out.size()}, {}};
  for (Index i = 0; i < out.size(); ++i) out.gradient[i] = 1.0f + 0.25f * static_cast<float>(i % 5);
  tape.backward();
  model.visit([&](Parameter& p) {
    const Index size = p.sparse ? std::ssize(p.touched) * p.row_size() : p.size();
    found.of[p.name].assign(p.gradient.data(), p.gradient.data() + size);
  });
  return found;
}

// No path leads from one step of an LSTM to the next: forget gates are closed, and no gate reads the previous output.
void without_memory(Parameter& p) {
  const Index H = 7;
  if (p.name.find("weight_hh") != std::string::npos) std::fill_n(p.value.data(), p.size(), 0.0f);
  if (p.name.find("bias_hh") != std::string::npos) std::fill_n(p.value.data() + H, H, -80.0f);
}

double largest_difference_of(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

}  // namespace

TEST_CASE("a text's logits have the same bits in pieces of any length") {
  using enum PoolingKind;
  const Texts texts({37, 0, 5, 1, 64, 16, 17, 64});
  for (const CellKind cell : all_cells())
    for (const int variant : {0, 1, 2}) {
      ClassifierOptions options = piece_options(cell, {kMax, kLast, kMean});
      if (variant == 1) {
        options.recurrent.residual = Residual::kHighway;
        options.recurrent.learned_initial = true;
      }
      if (variant == 2) options.recurrent.sum_layers = true;
      if (!recurrent_conflicts(with_input(options.recurrent, 5)).empty()) continue;
      INFO(static_cast<int>(cell) << " " << variant);
      const std::vector<float> whole = logits_of_texts(options, 0, texts, 1);
      for (const Index piece : {1, 7, 16, 17, 63, 64, 200})
        for (const int threads : {1, 3}) CHECK(logits_of_texts(options, piece, texts, threads) == whole);
    }
}

TEST_CASE("networks that need a text as a whole read it so") {
  using enum PoolingKind;
  const Texts texts({9, 4});
  for (const int variant : {0, 1, 2, 3}) {
    ClassifierOptions options = piece_options(CellKind::kLstm, {kMax});
    if (variant == 0) options.recurrent.bidirectional = true;
    if (variant == 1) options.pooling = {kAttention};
    if (variant == 2) options.convolution = {{2}, 3, true};
    if (variant == 3) options.recurrent.attention.layer = 1;
    CHECK_FALSE(reads_in_pieces(options));
    CHECK(logits_of_texts(options, 2, texts, 1) == logits_of_texts(options, 0, texts, 1));
  }
}

TEST_CASE("training in pieces: the same logits, and gradients that no state passes on") {
  using enum PoolingKind;
  const Texts texts({19, 0, 5, 24, 8});
  for (const std::vector<PoolingKind>& pooling : {std::vector{kLast}, {kMean}, {kMax}, {kMean, kMax, kLast}}) {
    const ClassifierOptions options = piece_options(CellKind::kLstm, pooling);
    const Gradients whole = gradients_of_texts(options, 0, texts);
    const Gradients cut = gradients_of_texts(options, 8, texts), longer = gradients_of_texts(options, 24, texts);
    CHECK(cut.logits == whole.logits);
    CHECK(longer.of == whole.of);
    CHECK(cut.of.at("output.weight") == whole.of.at("output.weight"));
    CHECK(largest_difference_of(cut.of.at("rnn.weight_hh_l0"), whole.of.at("rnn.weight_hh_l0")) > 1e-3);
    const Gradients all = gradients_of_texts(options, 0, texts, without_memory);
    for (const Index piece : {1, 5, 8, 23}) {
      const Gradients pieces = gradients_of_texts(options, piece, texts, without_memory);
      CHECK(pieces.logits == all.logits);
      for (const auto& [name, gradient] : all.of) {
        INFO(name);
        CHECK(largest_difference_of(pieces.of.at(name), gradient) < 1e-5);
      }
    }
  }
}

TEST_CASE("dropout is drawn for each piece, and again the same when the piece is read for its gradient") {
  using enum PoolingKind;
  const Texts texts({40, 33});
  ClassifierOptions options = piece_options(CellKind::kLstm, {kMean});
  options.embedding_dropout = 0.5f;
  options.recurrent.layer_dropout = 0.3f;
  const Gradients once = gradients_of_texts(options, 10, texts), again = gradients_of_texts(options, 10, texts);
  CHECK(once.logits == again.logits);
  CHECK(once.of == again.of);
  // Each unit's output is that of its mask alone: with the masks of the first piece again, the second would not change
  // the mean.
  options.recurrent.layer_dropout = 0.0f;
  Texts one({10}), two({20});
  for (Bags* bags : {&one.bags, &two.bags}) {
    const Index units = bags->tokens();
    bags->rows.assign(static_cast<std::size_t>(units), 4);
    bags->weights.assign(static_cast<std::size_t>(units), 1.0f);
    for (Index n = 0; n <= units; ++n) bags->starts[static_cast<std::size_t>(n)] = static_cast<std::int32_t>(n);
  }
  const std::vector<float> first = gradients_of_texts(options, 10, one, without_memory).logits;
  CHECK(largest_difference_of(gradients_of_texts(options, 10, two, without_memory).logits, first) > 1e-3);
}
