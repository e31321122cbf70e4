// The auxiliary language-model loss of a tagger.
#include <cmath>
#include <vector>

#include "base/random.h"
#include "models/language_loss.h"
#include "models/tagger.h"
#include "tests/catch.h"
#include "tests/reference/numerical_gradient.h"
#include "tests/reference/softmax.h"

using namespace mnemo;

namespace {

// The words of some sentences.
struct Sentences {
  Packing packing;
  std::vector<std::int32_t> words;  // [N] packed
};

Sentences sentences_of(const std::vector<std::int32_t>& lengths, std::int32_t classes) {
  Sentences out{Packing(lengths), {}};
  for (Index n = 0; n < out.packing.tokens(); ++n)
    out.words.push_back(static_cast<std::int32_t>((n * 5 + n / 3) % classes));
  return out;
}

std::vector<float> random_outputs(Index count, std::uint64_t stream) {
  RandomStream random(11, Purpose::kTest, stream);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& value : out) value = static_cast<float>(random.normal());
  return out;
}

std::vector<std::pair<std::string, Parameter*>> parameters_of(LanguageLoss& loss) {
  std::vector<std::pair<std::string, Parameter*>> out;
  loss.visit([&](Parameter& p) { out.emplace_back(p.name, &p); });
  return out;
}

Parameter& parameter(LanguageLoss& loss, const std::string& name) {
  for (const auto& [own, p] : parameters_of(loss))
    if (own == name) return *p;
  throw std::runtime_error(name);
}

// -log p of `word` in double precision, from P values of a direction's output.
double reference_loss(LanguageLoss& loss, const std::string& direction, const float* h, Index P, std::int32_t word) {
  const auto value = [&](const char* name) { return parameter(loss, "loss." + direction + name).value.data(); };
  const Index V = parameter(loss, "loss." + direction + ".output.bias").size(), M = LanguageLoss::kHidden;
  std::vector<double> m, logits;
  for (Index i = 0; i < M; ++i) {
    double sum = static_cast<double>(value(".hidden.bias")[i]);
    for (Index j = 0; j < P; ++j)
      sum += static_cast<double>(value(".hidden.weight")[i * P + j]) * static_cast<double>(h[j]);
    m.push_back(std::tanh(sum));
  }
  for (Index v = 0; v < V; ++v) {
    double sum = static_cast<double>(value(".output.bias")[v]);
    for (Index i = 0; i < M; ++i)
      sum += static_cast<double>(value(".output.weight")[v * M + i]) * m[static_cast<std::size_t>(i)];
    logits.push_back(sum);
  }
  return -reference::log_softmax(logits, static_cast<std::size_t>(V))[static_cast<std::size_t>(word)];
}

TaggerOptions two_layers() {
  return {.table_rows = 6,
          .embedding = 4,
          .chars = {},
          .recurrent = {.hidden = 3,
                        .layers = 2,
                        .bidirectional = true,
                        .layer_dropout = 0.2f,
                        .attention = {.layer = 1, .feed_forward = 2}},
          .convolution = {{3}, 2, false},
          .columns = {AllowedTransitions(3)},
          .dropout = 0.2f};
}

TaggerBatch batch_of(const Sentences& sentences) {
  TaggerBatch out;
  out.packing = sentences.packing;
  for (const std::int32_t word : sentences.words) {
    out.words.rows.push_back(word);
    out.words.weights.push_back(1.0f);
    out.words.starts.push_back(static_cast<std::int32_t>(out.words.rows.size()));
  }
  return out;
}

}  // namespace

TEST_CASE("language loss: the next word of the forward direction and the previous one of the backward, as defined") {
  constexpr Index kOutputs = 3;
  constexpr std::int32_t kWords = 6;
  ThreadPool pool(2);
  Arena arena;
  for (const Index directions : {1, 2}) {
    LanguageLoss loss("loss", kOutputs, directions, kWords);
    loss.initialise(Initialiser::kUniform, 5);
    const Sentences s = sentences_of({3, 0, 1, 5, 2}, kWords);
    const Index columns = directions * kOutputs;
    auto states = random_outputs(s.packing.tokens() * columns, 1);
    double expected = 0;
    for (Index b = 0; b < s.packing.sequences(); ++b)
      for (Index t = 0; t < s.packing.length(b); ++t) {
        const float* h = states.data() + s.packing.row(b, t) * columns;
        if (t + 1 < s.packing.length(b))
          expected += reference_loss(loss, "forward", h, kOutputs, s.words[s.packing.row(b, t + 1)]);
        if (directions == 2 && t > 0)
          expected += reference_loss(loss, "backward", h + kOutputs, kOutputs, s.words[s.packing.row(b, t - 1)]);
      }
    Tape tape(pool, arena, Tape::Mode::kInference);
    const Activation y{states.data(), nullptr, s.packing.tokens(), columns};
    CHECK(loss.loss(tape, s.packing, y, s.words, 4.0, 1.0) == Approx(expected / 4.0).epsilon(1e-6));
    const Sentences lone = sentences_of({1, 1, 0}, kWords);
    CHECK(loss.loss(tape, lone.packing, {states.data(), nullptr, 2, columns}, lone.words, 2.0, 1.0) == 0.0);
  }
}

TEST_CASE("language loss: gradients of all parameters, those of the tagger's layers below it included") {
  constexpr std::int32_t kWords = 6;
  const Sentences s = sentences_of({3, 0, 4, 1}, kWords);
  const TaggerBatch batch = batch_of(s);
  const std::vector<std::vector<std::int32_t>> gold{{0, 1, 2, 0, 1, 0, 2, 1}};
  Tagger model(two_layers());
  model.initialise(3);
  LanguageLoss language("loss", 3, 2, kWords);
  language.initialise(Initialiser::kUniform, 3);
  ThreadPool pool(2);
  Arena arena;
  const auto loss = [&](bool backward) {
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kTraining, 3, 5);
    model.weights_changed();
    language.weights_changed();
    model.prepare(tape);
    Activation first;
    const auto scores = model.forward(tape, batch, &first);
    const double value = model.loss(tape, batch.packing, scores, gold, 0.0f) +
                         0.7 * language.loss(tape, batch.packing, first, s.words, 3.0, 0.7);
    if (backward) tape.backward();
    return value;
  };
  const auto visit = [&](const ParameterVisitor& visitor) {
    model.visit(visitor);
    language.visit(visitor);
  };
  visit([](Parameter& p) { p.clear_gradient(); });
  loss(true);
  std::vector<std::pair<Parameter*, std::vector<float>>> found;
  visit([&](Parameter& p) {
    std::vector<float> gradient(static_cast<std::size_t>(p.size()));
    for (std::size_t i = 0; p.sparse && i < p.touched.size(); ++i)
      std::copy_n(p.gradient.data() + static_cast<Index>(i) * p.row_size(), p.row_size(),
                  gradient.data() + p.touched[i] * p.row_size());
    if (!p.sparse) std::copy_n(p.gradient.data(), p.size(), gradient.data());
    found.emplace_back(&p, gradient);
  });
  for (auto& [p, gradient] : found) {
    INFO(p->name);
    CHECK(reference::gradient_error(
              p->value.data(), gradient.data(), p->size(), [&] { return loss(false); }, 1e-2, 2) < 1e-3);
  }
}

TEST_CASE("what a direction of the first layer gives does not depend on the words that it is to predict") {
  Tagger model(two_layers());
  model.initialise(3);
  ThreadPool pool(1);
  model.prepare(pool);
  Sentences s = sentences_of({6}, 6);
  const auto first_layer = [&] {
    Arena arena;
    Tape tape(pool, arena, Tape::Mode::kInference);
    Activation first;
    const TaggerBatch batch = batch_of(s);
    model.forward(tape, batch, &first);
    return std::vector<float>(first.value, first.value + first.size());
  };
  const std::vector<float> before = first_layer();
  constexpr Index kPlace = 3, kOutputs = 3;
  s.words[kPlace] = (s.words[kPlace] + 1) % 6;
  const std::vector<float> after = first_layer();
  for (Index t = 0; t < 6; ++t)
    for (Index j = 0; j < 2 * kOutputs; ++j) {
      INFO("token " << t << ", column " << j);
      const auto at = static_cast<std::size_t>(t * 2 * kOutputs + j);
      const bool reads_it = j < kOutputs ? t >= kPlace : t <= kPlace;
      CHECK((before[at] != after[at]) == reads_it);
    }
}
