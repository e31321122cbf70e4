// Attention, the bridge and the whole translator: values against double precision, gradients against central
// differences, the same bits for any number of threads.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "models/translator.h"
#include "nn/attention.h"
#include "nn/bridge.h"
#include "tests/catch.h"
#include "tests/reference/numerical_gradient.h"

using namespace mnemo;
using reference::gradient_error;

namespace {

constexpr double kMost = 3e-4;

std::vector<float> normal_values(Index count, std::uint64_t stream, double deviation = 1.0) {
  RandomStream random(11, Purpose::kTest, stream);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(deviation * random.normal());
  return out;
}

std::vector<float> dense_gradient(const Parameter& p) {
  std::vector<float> out(p.size());
  for (std::size_t i = 0; p.sparse && i < p.touched.size(); ++i)
    std::copy_n(p.gradient.data() + static_cast<Index>(i) * p.row_size(), p.row_size(),
                out.data() + p.touched[i] * p.row_size());
  if (!p.sparse) std::copy_n(p.gradient.data(), p.size(), out.data());
  return out;
}

// Attention of seven queries to three sequences, one of them empty.
struct AttentionCase {
  AttentionCase(AttentionKind kind, Index heads, int threads)
      : layer("attention", {.kind = kind, .query = 8, .memory = kind == AttentionKind::kDot ? 8 : 4, .heads = heads}),
        pool(threads) {
    layer.initialise(Initialiser::kUniform, 1);
    const Index C = layer.options().memory;
    values = normal_values(packing.tokens() * C, 1);
    queries = normal_values(std::ssize(sequences) * 8, 2);
    dvalues.resize(values.size());
    dqueries.resize(queries.size());
    weights = normal_values(std::ssize(sequences) * C, 3);
  }

  double loss(bool backward = false) {
    const Index C = layer.options().memory;
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kTraining);
    layer.weights_changed();
    layer.prepare(tape);
    std::ranges::fill(dvalues, 0.0f);
    std::ranges::fill(dqueries, 0.0f);
    const auto memory = layer.remember(tape, packing, {values.data(), dvalues.data(), packing.tokens(), C});
    const auto out = layer.attend(tape, memory, {queries.data(), dqueries.data(), std::ssize(sequences), 8}, sequences);
    context.assign(out.context.value, out.context.value + out.context.size());
    shares.assign(out.shares, out.shares + out.starts.back() + layer.options().heads * memory->length(1));
    double sum = 0;
    for (Index i = 0; i < out.context.size(); ++i)
      sum += static_cast<double>(weights[i]) * static_cast<double>(out.context.value[i]);
    if (backward) {
      std::ranges::copy(weights, out.context.gradient);
      tape.backward();
    }
    return sum;
  }

  Attention layer;
  std::vector<std::int32_t> lengths{2, 0, 5}, sequences{0, 1, 0, 2, 1, 0, 1};  // in sorted order: 5, 2, 0
  Packing packing{lengths};
  ThreadPool pool;
  Arena arena;
  std::vector<float> values, queries, dvalues, dqueries, weights, context, shares;
};

double at(const std::vector<float>& v, Index i) { return static_cast<double>(v[i]); }

// The context of query i in double precision, by the equations of the header.
std::vector<double> expected_context(AttentionCase& c, Index i) {
  const AttentionOptions& o = c.layer.options();
  std::vector<const Parameter*> p;
  c.layer.visit([&](Parameter& one) { p.push_back(&one); });
  const Index s = c.sequences[i], n = c.packing.length(s), K = o.query / o.heads, M = o.memory / o.heads;
  const auto product = [](const Parameter& w, Index row, const auto& x) {
    double sum = 0;
    for (Index j = 0; j < w.row_size(); ++j) sum += static_cast<double>(w.value[row * w.row_size() + j]) * x(j);
    return sum;
  };
  std::vector<double> out(o.memory, 0.0);
  for (Index a = 0; a < o.heads; ++a) {
    std::vector<double> score(n, 0.0);
    for (Index t = 0; t < n; ++t) {
      const auto m = [&](Index j) { return at(c.values, c.packing.row(s, t) * o.memory + j); };
      const auto q = [&](Index j) { return at(c.queries, i * o.query + j); };
      for (Index k = a * K; k < (a + 1) * K; ++k) {
        if (o.kind == AttentionKind::kDot) score[t] += q(k) * m(k);
        if (o.kind == AttentionKind::kGeneral) score[t] += q(k) * product(*p[0], k, m);
        if (o.kind == AttentionKind::kAdditive)
          score[t] += static_cast<double>(p[2]->value[k]) * std::tanh(product(*p[1], k, q) + product(*p[0], k, m));
      }
      if (o.kind != AttentionKind::kAdditive && o.heads > 1) score[t] /= std::sqrt(static_cast<double>(K));
    }
    double sum = 0;
    for (double& one : score) sum += one = std::exp(one);
    for (Index t = 0; t < n; ++t)
      for (Index j = a * M; j < (a + 1) * M; ++j)
        out[j] += score[t] / sum * at(c.values, c.packing.row(s, t) * o.memory + j);
  }
  return out;
}

}  // namespace

TEST_CASE("attention: every kind as defined, gradients, one query alone and any number of threads") {
  for (const AttentionKind kind : {AttentionKind::kDot, AttentionKind::kGeneral, AttentionKind::kAdditive})
    for (const Index heads : {1, 2}) {
      INFO("kind " << static_cast<int>(kind) << ", heads " << heads);
      AttentionCase c(kind, heads, 1);
      const Index C = c.layer.options().memory;
      c.layer.visit([](Parameter& p) { p.clear_gradient(); });
      c.loss(true);
      for (Index i = 0; i < std::ssize(c.sequences); ++i) {
        const auto exact = expected_context(c, i);
        for (Index j = 0; j < C; ++j) CHECK(at(c.context, i * C + j) == Approx(exact[j]).margin(1e-5));
      }
      const auto dvalues = c.dvalues, dqueries = c.dqueries, context = c.context, shares = c.shares;
      std::vector<std::vector<float>> gradients;
      c.layer.visit([&](Parameter& p) { gradients.push_back(dense_gradient(p)); });
      for (const int threads : {2, 3, 7}) {
        AttentionCase other(kind, heads, threads);
        other.layer.visit([](Parameter& p) { p.clear_gradient(); });
        other.loss(true);
        CHECK(other.context == context);
        CHECK(other.dvalues == dvalues);
        CHECK(other.dqueries == dqueries);
        std::size_t next = 0;
        other.layer.visit([&](Parameter& p) { CHECK(dense_gradient(p) == gradients[next++]); });
      }
      const auto loss = [&] { return c.loss(); };
      CHECK(gradient_error(c.values.data(), dvalues.data(), std::ssize(dvalues), loss) < kMost);
      CHECK(gradient_error(c.queries.data(), dqueries.data(), std::ssize(dqueries), loss) < kMost);
      std::size_t next = 0;
      c.layer.visit([&](Parameter& p) {
        INFO(p.name);
        CHECK(gradient_error(p.value.data(), gradients[next++].data(), p.size(), loss) < kMost);
      });
      // A query alone, without a tape.
      c.arena.reset();
      c.layer.weights_changed();
      c.layer.prepare(c.pool);
      Tape tape(c.pool, c.arena, Tape::Mode::kInference);
      const auto memory = c.layer.remember(tape, c.packing, {c.values.data(), nullptr, c.packing.tokens(), C});
      std::vector<float> scratch(8), one(C), part(heads * 5);
      const Index start = 0;
      for (Index i = 0; i < std::ssize(c.sequences); ++i) {
        c.layer.attend_rows(1, c.queries.data() + i * 8, *memory, &c.sequences[i], &start, scratch.data(), one.data(),
                            part.data());
        CHECK(std::equal(one.begin(), one.end(), context.begin() + i * C));
      }
    }
}

TEST_CASE("attention refuses sizes that do not fit its kind or heads") {
  CHECK(attention_conflicts({.kind = AttentionKind::kDot, .query = 4, .memory = 8}).size() == 1);
  CHECK(attention_conflicts({.query = 6, .memory = 8, .heads = 4}).size() == 1);
  CHECK(attention_conflicts({.query = 4, .memory = 8, .heads = 4}).empty());
  CHECK_THROWS(Attention("a", {.kind = AttentionKind::kDot, .query = 4, .memory = 8}));
}

namespace {

struct Pairs {
  std::vector<std::vector<std::int32_t>> sources{{1, 2, 3}, {}, {4, 2}, {5}},
      targets{{2, 0}, {3, 0}, {4, 5, 1, 2, 0}, {1, 1, 0}};

  static std::vector<std::span<const std::int32_t>> spans(const std::vector<std::vector<std::int32_t>>& of) {
    return {of.begin(), of.end()};
  }
};

// The loss of a batch, and a run of backward if wanted.
double translator_loss(Translator& model, ThreadPool& pool, bool backward) {
  const Pairs pairs;
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
  const auto batch = model.batch(Pairs::spans(pairs.sources), Pairs::spans(pairs.targets), 0, true, 3, 5);
  model.prepare(tape);
  const double loss = model.loss(tape, batch, model.forward(tape, batch));
  if (backward) tape.backward();
  return loss;
}

std::vector<std::pair<std::string, TranslatorOptions>> translator_kinds() {
  const TranslatorOptions plain{.source_units = 6,
                                .target_units = 6,
                                .embedding = 4,
                                .encoder = {.hidden = 3, .bidirectional = true},
                                .decoder = {.hidden = 4, .layers = 2},
                                .embedding_deviation = 0.5f};
  std::vector<std::pair<std::string, TranslatorOptions>> out{{"plain", plain}};
  const auto add = [&](const char* name, const auto& change) { change(out.emplace_back(name, plain).second); };
  add("one layer, additive", [](auto& o) {
    o.decoder.layers = 1;
    o.attention = AttentionKind::kAdditive;
  });
  add("input feeding", [](auto& o) { o.input_feeding = true; });
  add("input feeding with dropout, one layer", [](auto& o) {
    o.input_feeding = true;
    o.decoder.layers = 1;
    o.dropout = o.context_dropout = o.embedding_dropout = 0.3f;
  });
  add("dropout and smoothing", [](auto& o) {
    o.dropout = o.context_dropout = o.embedding_dropout = o.decoder.layer_dropout = 0.3f;
    o.source_unit_dropout = o.target_unit_dropout = 0.2f;
    o.label_smoothing = 0.1f;
  });
  add("joint, mean, GRU", [](auto& o) {
    o.joint = true;
    o.bridge = BridgeKind::kMean;
    o.encoder.cell = o.decoder.cell = CellKind::kGru;
  });
  add("not tied, GRU to LSTM, two encoder layers, heads, variational", [](auto& o) {
    o.tied = false;
    o.encoder.cell = CellKind::kGru;
    o.encoder.layers = 2;
    o.encoder.hidden = 2;
    o.heads = 2;
    o.encoder.variational = o.decoder.variational = true;
    o.dropout = o.embedding_dropout = o.decoder.state_dropout = 0.2f;
  });
  add("dot, mean, layer normalisation", [](auto& o) {
    o.attention = AttentionKind::kDot;
    o.bridge = BridgeKind::kMean;
    o.encoder.cell = o.decoder.cell = CellKind::kNormLstm;
    o.decoder.hidden = 6;
    // Biases of zero would let the empty source begin where normalisation is singular.
    o.encoder.initialiser = Initialiser::kUniform;
  });
  return out;
}

}  // namespace

TEST_CASE("translator: gradients of all parameters, and the same bits for any number of threads") {
  for (const auto& [name, options] : translator_kinds()) {
    INFO(name);
    std::vector<std::vector<float>> gradients;
    double first = 0;
    for (const int threads : {1, 2, 3, 7}) {
      Translator model(options);
      model.initialise(1);
      ThreadPool pool(threads);
      model.visit([](Parameter& p) { p.clear_gradient(); });
      const double loss = translator_loss(model, pool, true);
      std::size_t next = 0;
      if (threads == 1) first = loss;
      CHECK(loss == first);
      model.visit([&](Parameter& p) {
        INFO(p.name);
        if (threads == 1)
          gradients.push_back(dense_gradient(p));
        else
          CHECK(dense_gradient(p) == gradients[next++]);
      });
    }
    Translator model(options);
    model.initialise(1);
    ThreadPool pool(1);
    std::size_t next = 0;
    // Layer normalisation of few units is steep.
    const int shorter = options.encoder.cell == CellKind::kNormLstm ? 3 : 0;
    model.visit([&, shorter](Parameter& p) {
      INFO(p.name);
      const auto& gradient = gradients[next++];
      CHECK(std::ranges::any_of(gradient, [](float value) { return value != 0.0f; }));
      const auto again = [&] {
        model.weights_changed();
        return translator_loss(model, pool, false);
      };
      CHECK(gradient_error(p.value.data(), gradient.data(), p.size(), again, 2e-2, shorter) < kMost);
    });
  }
}
