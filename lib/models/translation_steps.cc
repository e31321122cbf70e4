#include "models/translation_steps.h"

#include <algorithm>

#include "kernels/activations.h"

namespace mnemo {
namespace {

SessionState session_state(const RecurrentState& state, Index first_layer, Index layers, Index all_layers) {
  SessionState out;
  const auto take = [&](const Activation& from, std::vector<float>& to) {
    if (!from.value) return;
    const Index size = from.size() / all_layers;
    to.assign(from.value + first_layer * size, from.value + (first_layer + layers) * size);
  };
  take(state.h, out.h);
  take(state.c, out.c);
  return out;
}

// Copies row from[b] of `all` to row b of `to`.
void gather_rows(const AlignedVector& all, std::span<const Index> from, Index columns, AlignedVector& to) {
  to.resize(from.size() * static_cast<std::size_t>(columns));
  for (std::size_t b = 0; b < from.size(); ++b)
    std::copy_n(all.data() + from[b] * columns, columns, to.data() + static_cast<Index>(b) * columns);
}

}  // namespace

TranslationSteps::TranslationSteps(const Translator& model, Tape& tape,
                                   std::span<const std::span<const std::int32_t>> sources)
    : model_(model), first_(model.first(), static_cast<Index>(sources.size())) {
  const auto batch = model.batch(sources, std::vector<std::span<const std::int32_t>>(sources.size()), 0, false, 0, 0);
  sequence_ = batch.sources;
  const Translator::Encoded encoded = model.encode(tape, batch.source, batch.source_units, sequence_);
  memory_ = encoded.memory;
  const Index layers = model.options().decoder.layers, B = hypotheses(), E = model.options().embedding;
  first_.set_state(session_state(encoded.initial, 0, 1, layers));
  if (model.further()) {
    further_.emplace(*model.further(), B);
    further_->set_state(session_state(encoded.initial, 1, layers - 1, layers));
  }
  v_.resize(B * E);
  std::fill_n(v_.data(), B * E, 0.0f);
}

void TranslationSteps::step(std::span<const std::int32_t> units) {
  const TranslatorOptions& o = model_.options();
  const Index B = hypotheses(), E = o.embedding, width = o.input_feeding ? 2 * E : E, P = o.decoder.output(),
              C = o.attention_options().memory;
  const float* table = model_.target_embedding().weight.value.data();
  input_.resize(B * width);
  for (Index b = 0; b < B; ++b) {
    std::copy_n(table + units[b] * E, E, input_.data() + b * width);
    if (o.input_feeding) std::copy_n(v_.data() + b * E, E, input_.data() + b * width + E);
  }
  const float* h = first_.step(input_.data());
  starts_.clear();
  Index total = 0;
  for (Index b = 0; b < B; ++b) {
    starts_.push_back(total);
    total += o.heads * source_length(b);
  }
  asked_.resize(B * P);
  context_.resize(B * C);
  shares_.resize(total);
  model_.attention().attend_rows(B, h, *memory_, sequence_.data(), starts_.data(), asked_.data(), context_.data(),
                                 shares_.data());
  if (further_) {
    upper_.resize(B * (P + C));
    for (Index b = 0; b < B; ++b) {
      std::copy_n(h + b * P, P, upper_.data() + b * (P + C));
      std::copy_n(context_.data() + b * C, C, upper_.data() + b * (P + C) + P);
    }
    h = further_->step(upper_.data());
  }
  upper_.resize(B * (P + C));
  for (Index b = 0; b < B; ++b) {
    std::copy_n(context_.data() + b * C, C, upper_.data() + b * (P + C));
    std::copy_n(h + b * P, P, upper_.data() + b * (P + C) + C);
  }
  v_.resize(B * E);
  model_.combine().apply(B, upper_.data(), v_.data());
  kernels::tanh_values(v_.data(), v_.data(), B * E);
  has_scores_ = false;
}

std::span<const float> TranslationSteps::scores(Index b) {
  const Index V = model_.options().target_units;
  if (!has_scores_) {
    scores_.resize(hypotheses() * V);
    model_.output().scores(hypotheses(), v_.data(), scores_.data());
    has_scores_ = true;
  }
  return {scores_.data() + b * V, static_cast<std::size_t>(V)};
}

std::vector<float> TranslationSteps::shares(Index b) const {
  const Index n = source_length(b), heads = model_.options().heads;
  std::vector<float> out(n, 0.0f);
  for (Index a = 0; a < heads; ++a)
    for (Index j = 0; j < n; ++j) out[j] += shares_[starts_[b] + a * n + j] / static_cast<float>(heads);
  return out;
}

void TranslationSteps::select(std::span<const Index> from) {
  first_.select(from);
  if (further_) further_->select(from);
  gather_rows(v_, from, model_.options().embedding, other_v_);
  std::swap(v_, other_v_);
  std::vector<std::int32_t> sequences;
  for (const Index b : from) sequences.push_back(sequence_[b]);
  sequence_ = std::move(sequences);
  has_scores_ = false;
}

}  // namespace mnemo
