#include "models/language_model.h"

#include <algorithm>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "nn/adaptive_softmax.h"
#include "nn/dropout.h"
#include "nn/mask_streams.h"
#include "nn/softmax_output.h"

namespace mnemo {
namespace {

// Adds the gradient of weight * mean(y^2) to y's.
void penalise_size(Tape& tape, const Activation& y, float weight) {
  if (!tape.training() || weight <= 0 || y.size() == 0) return;
  kernels::add_scaled(2.0f * weight / static_cast<float>(y.size()), y.value, y.gradient, y.size());
}

// Adds the gradient of weight * mean((y_t+1 - y_t)^2), over the steps of all sequences, to y's.
void penalise_changes(Tape& tape, const Packing& packing, const Activation& y, float weight) {
  if (!tape.training() || weight <= 0 || packing.steps() < 2) return;
  const Index C = y.columns, changes = packing.tokens() - packing.rows_at(0);
  const float factor = 2.0f * weight / static_cast<float>(changes * C);
  std::vector<float> change(C);
  for (Index t = 0; t + 1 < packing.steps(); ++t)
    for (Index b = 0; b < packing.rows_at(t + 1); ++b) {
      const Index from = packing.row(b, t) * C, to = packing.row(b, t + 1) * C;
      std::copy_n(y.value + to, C, change.data());
      kernels::add_scaled(-1.0f, y.value + from, change.data(), C);
      kernels::add_scaled(factor, change.data(), y.gradient + to, C);
      kernels::add_scaled(-factor, change.data(), y.gradient + from, C);
    }
}

std::unique_ptr<OutputLayer> make_output(const LanguageModelOptions& options, Parameter& table) {
  const Index in = options.recurrent.output();
  if (!options.cutoffs.empty()) return std::make_unique<AdaptiveSoftmax>("output", in, options.units, options.cutoffs);
  return std::make_unique<SoftmaxOutput>("output", in, options.units, options.tied ? &table : nullptr);
}

}  // namespace

LanguageModel::LanguageModel(const LanguageModelOptions& options)
    : options_(options),
      embedding_("embedding", options.units, options.embedding, options.tied),
      rnn_("rnn", with_input(options.recurrent, options.embedding)),
      output_(make_output(options, embedding_.weight)) {
  output_->set_training_precision(options.recurrent.training_precision);
  output_->set_precision(options.recurrent.precision);
}

void LanguageModel::initialise(std::uint64_t seed) {
  embedding_.initialise(options_.embedding_deviation, seed);
  rnn_.initialise(seed);
  output_->initialise(options_.recurrent.initialiser, seed);
}

void LanguageModel::visit(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  rnn_.visit(visitor);
  output_->visit(visitor);
}

void LanguageModel::visit_matrices(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  rnn_.visit_factors(visitor);
  output_->visit_matrices(visitor);
}

void LanguageModel::weights_changed() {
  rnn_.weights_changed();
  output_->weights_changed();
}

void LanguageModel::set_precision(kernels::Precision precision) {
  rnn_.set_precision(precision);
  output_->set_precision(precision);
}

LanguageModel::Batch LanguageModel::batch(Packing packing, std::span<const std::int32_t> ids,
                                          std::vector<std::int32_t> targets, bool training, std::uint64_t seed,
                                          std::uint64_t step) const {
  Batch out{std::move(packing), {}, std::move(targets)};
  std::vector<float> kept;
  if (const auto rate = static_cast<double>(options_.unit_dropout); training && rate > 0) {
    RandomStream random(seed, Purpose::kDropout, step, mask_streams::kUnits);
    for (Index v = 0; v < options_.units; ++v)
      kept.push_back(random.uniform() < rate ? 0.0f : static_cast<float>(1.0 / (1.0 - rate)));
  }
  for (const std::int32_t id : ids) {
    out.units.rows.push_back(id);
    out.units.weights.push_back(kept.empty() ? 1.0f : kept[id]);
    out.units.starts.push_back(static_cast<std::int32_t>(out.units.rows.size()));
  }
  return out;
}

void LanguageModel::prepare(ThreadPool& pool) {
  rnn_.prepare(pool);
  output_->prepare(pool);
}

void LanguageModel::prepare(Tape& tape) {
  rnn_.prepare(tape);
  if (!tape.training()) output_->prepare(tape.pool);
}

Recurrent::Output LanguageModel::forward(Tape& tape, const Batch& batch, const RecurrentState* initial) const {
  const Packing* shared = options_.recurrent.variational ? &batch.packing : nullptr;
  Activation x = embedding_.forward(tape, batch.units);
  tape.watch("embedding", x);
  x = dropout(tape, x, options_.embedding_dropout, mask_streams::kInput, shared);
  Recurrent::Output out = rnn_.forward(tape, batch.packing, x, initial);
  tape.watch("rnn", out.y);
  return out;
}

double LanguageModel::loss(Tape& tape, const Batch& batch, const Activation& y) {
  const Packing* shared = options_.recurrent.variational ? &batch.packing : nullptr;
  penalise_changes(tape, batch.packing, y, options_.slowness_penalty);
  const Activation dropped = dropout(tape, y, options_.dropout, mask_streams::kOutput, shared);
  penalise_size(tape, dropped, options_.activation_penalty);
  return output_->loss(tape, dropped, batch.targets);
}

}  // namespace mnemo
