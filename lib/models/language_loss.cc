#include "models/language_loss.h"

#include <algorithm>
#include <vector>

#include "kernels/elementwise.h"
#include "nn/activation.h"

namespace mnemo {
namespace {

// The columns [first, first + P) of all tokens but the last of each sentence, or with `backward` the first: those that
// have a next word, or a previous one. Ordered by step, then by sentence.
Activation before_words(Tape& tape, const Packing& packing, const Activation& states, Index first, Index P,
                        bool backward) {
  const Activation out = tape.allocate(packing.tokens() - packing.rows_at(0), P);
  const auto for_rows = [&packing, backward](const auto& use) {
    Index row = 0;
    for (Index t = 0; t + 1 < packing.steps(); ++t)
      for (Index b = 0; b < packing.rows_at(t + 1); ++b) use(packing.row(b, backward ? t + 1 : t), row++);
  };
  for_rows(
      [&](Index from, Index to) { std::copy_n(states.value + from * states.columns + first, P, out.value + to * P); });
  tape.record([for_rows, states, out, first, P] {
    for_rows([&](Index from, Index to) {
      kernels::add_scaled(1.0f, out.gradient + to * P, states.gradient + from * states.columns + first, P);
    });
  });
  return out;
}

// The word that each of these tokens predicts.
std::vector<std::int32_t> predicted_words(const Packing& packing, std::span<const std::int32_t> words, bool backward) {
  std::vector<std::int32_t> out;
  for (Index t = 0; t + 1 < packing.steps(); ++t)
    for (Index b = 0; b < packing.rows_at(t + 1); ++b) out.push_back(words[packing.row(b, backward ? t : t + 1)]);
  return out;
}

}  // namespace

LanguageLoss::LanguageLoss(const std::string& name, Index outputs, Index directions, Index words) {
  for (Index d = 0; d < directions; ++d)
    directions_.emplace_back(name + (d == 0 ? ".forward" : ".backward"), outputs, words);
}

void LanguageLoss::initialise(Initialiser initialiser, std::uint64_t seed) {
  for (Direction& direction : directions_) {
    direction.hidden.initialise(initialiser, seed);
    direction.output.initialise(initialiser, seed);
  }
}

void LanguageLoss::visit(const ParameterVisitor& visitor) {
  for (Direction& direction : directions_) {
    direction.hidden.visit(visitor);
    direction.output.visit(visitor);
  }
}

void LanguageLoss::weights_changed() {
  for (Direction& direction : directions_) {
    direction.hidden.weights_changed();
    direction.output.weights_changed();
  }
}

void LanguageLoss::set_training_precision(kernels::Precision precision) {
  for (Direction& direction : directions_) direction.output.set_training_precision(precision);
}

double LanguageLoss::loss(Tape& tape, const Packing& packing, const Activation& states,
                          std::span<const std::int32_t> words, double divisor, double share) {
  const Index P = states.columns / std::ssize(directions_), predicted = packing.tokens() - packing.rows_at(0);
  if (predicted == 0) return 0;
  const double factor = static_cast<double>(predicted) / divisor;  // the output layers compute means
  double sum = 0;
  for (Index d = 0; d < std::ssize(directions_); ++d) {
    Direction& direction = directions_[static_cast<std::size_t>(d)];
    const bool backward = d == 1;
    const Activation m = direction.hidden.forward(tape, before_words(tape, packing, states, d * P, P, backward));
    tanh_in_place(tape, m);
    tape.watch("language_loss", m);
    sum += direction.output.loss(tape, m, predicted_words(packing, words, backward), share * factor);
  }
  return sum * factor;
}

}  // namespace mnemo
