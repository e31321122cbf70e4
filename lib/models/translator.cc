#include "models/translator.h"

#include <algorithm>

#include "base/random.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/mask_streams.h"
#include "nn/recurrent_steps.h"
#include "nn/rows.h"

namespace mnemo {
namespace {

RecurrentOptions encoder_options(const TranslatorOptions& o) {
  RecurrentOptions out = with_input(o.encoder, o.embedding);
  out.stream = 0;
  return out;
}

RecurrentOptions first_options(const TranslatorOptions& o) {
  RecurrentOptions out = with_input(o.decoder, o.embedding + (o.input_feeding ? o.embedding : 0));
  out.layers = 1;
  out.stream = mask_streams::kPerRecurrent;
  return out;
}

RecurrentOptions further_options(const TranslatorOptions& o) {
  RecurrentOptions out = with_input(o.decoder, o.decoder.output() + o.encoder.directions() * o.encoder.output());
  out.layers = o.decoder.layers - 1;
  out.stream = 2 * mask_streams::kPerRecurrent;
  return out;
}

// The units of sequences in the packing's order.
std::vector<std::int32_t> packed_units(const Packing& packing,
                                       std::span<const std::span<const std::int32_t>> sequences) {
  std::vector<std::int32_t> out(packing.tokens());
  for (Index b = 0; b < packing.sequences(); ++b)
    for (Index t = 0; t < packing.length(b); ++t) out[packing.row(b, t)] = sequences[packing.original(b)][t];
  return out;
}

// Bags of one row each in packed order; in training each unit is left out, as zeros, with probability `rate`.
Bags bags_of(const Packing& packing, std::span<const std::span<const std::int32_t>> sequences, float rate,
             RandomStream random) {
  Bags out;
  out.rows = packed_units(packing, sequences);
  out.weights.assign(packing.tokens(), 1.0f);
  for (Index n = 1; n <= packing.tokens(); ++n) out.starts.push_back(static_cast<std::int32_t>(n));
  for (Index b = 0; rate > 0.0f && b < packing.sequences(); ++b)
    for (Index t = 0; t < packing.length(b); ++t)
      out.weights[packing.row(b, t)] = random.uniform() < static_cast<double>(rate) ? 0.0f : 1.0f;
  return out;
}

std::vector<std::int32_t> lengths_of(std::span<const std::span<const std::int32_t>> sequences) {
  std::vector<std::int32_t> out;
  out.reserve(sequences.size());
  for (const auto& one : sequences) out.push_back(static_cast<std::int32_t>(one.size()));
  return out;
}

}  // namespace

AttentionOptions TranslatorOptions::attention_options() const {
  return {
      .kind = attention, .query = decoder.output(), .memory = encoder.directions() * encoder.output(), .heads = heads};
}

Translator::Translator(const TranslatorOptions& options)
    : options_(options),
      target_("target", options.target_units, options.embedding, options.tied),
      encoder_("encoder", encoder_options(options)),
      bridge_("bridge", options.bridge, options.encoder, options.decoder),
      first_("decoder", first_options(options)),
      attention_("attention", options.attention_options()),
      combine_("combine", options.attention_options().memory + options.decoder.output(), options.embedding, false),
      output_("output", options.embedding, options.target_units, options.tied ? &target_.weight : nullptr) {
  if (!options.joint) source_.emplace("source", options.source_units, options.embedding);
  if (options.decoder.layers > 1) further_.emplace("decoder.further", further_options(options));
  output_.set_smoothing(static_cast<double>(options.label_smoothing));
  const kernels::Precision training = options.decoder.training_precision;
  attention_.set_training_precision(training);
  combine_.set_training_precision(training);
  output_.set_training_precision(training);
  set_precision(options.encoder.precision);
}

void Translator::initialise(std::uint64_t seed) {
  if (source_) source_->initialise(options_.embedding_deviation, seed);
  target_.initialise(options_.embedding_deviation, seed);
  encoder_.initialise(seed);
  bridge_.initialise(options_.encoder.initialiser, seed);
  first_.initialise(seed);
  if (further_) further_->initialise(seed);
  attention_.initialise(options_.decoder.initialiser, seed);
  combine_.initialise(options_.decoder.initialiser, seed);
  output_.initialise(options_.decoder.initialiser, seed);
}

void Translator::visit(const ParameterVisitor& visitor) {
  if (source_) source_->visit(visitor);
  target_.visit(visitor);
  encoder_.visit(visitor);
  bridge_.visit(visitor);
  first_.visit(visitor);
  if (further_) further_->visit(visitor);
  attention_.visit(visitor);
  combine_.visit(visitor);
  output_.visit(visitor);
}

void Translator::visit_matrices(const ParameterVisitor& visitor) {
  if (source_) source_->visit(visitor);
  target_.visit(visitor);
  encoder_.visit_factors(visitor);
  bridge_.visit_matrices(visitor);
  first_.visit_factors(visitor);
  if (further_) further_->visit_factors(visitor);
  attention_.visit_matrices(visitor);
  visitor(combine_.weight);
  output_.visit_matrices(visitor);
}

void Translator::weights_changed() {
  encoder_.weights_changed();
  bridge_.weights_changed();
  first_.weights_changed();
  if (further_) further_->weights_changed();
  attention_.weights_changed();
  combine_.weights_changed();
  output_.weights_changed();
}

void Translator::set_precision(kernels::Precision precision) {
  encoder_.set_precision(precision);
  bridge_.set_precision(precision);
  first_.set_precision(precision);
  if (further_) further_->set_precision(precision);
  attention_.set_precision(precision);
  combine_.set_precision(precision);
  output_.set_precision(precision);
}

void Translator::prepare(ThreadPool& pool) {
  encoder_.prepare(pool);
  bridge_.prepare(pool);
  first_.prepare(pool);
  if (further_) further_->prepare(pool);
  attention_.prepare(pool);
  combine_.prepare(pool);
  output_.prepare(pool);
  output_.prepare_scores(pool);
}

void Translator::prepare(Tape& tape) {
  if (!tape.training()) return prepare(tape.pool);
  encoder_.prepare(tape);
  bridge_.prepare(tape);
  first_.prepare(tape);
  if (further_) further_->prepare(tape);
  attention_.prepare(tape);
  combine_.prepare(tape);
}

Translator::Batch Translator::batch(std::span<const std::span<const std::int32_t>> sources,
                                    std::span<const std::span<const std::int32_t>> targets, std::int32_t begin,
                                    bool training, std::uint64_t seed, std::uint64_t step) const {
  Batch out{Packing(lengths_of(sources)), Packing(lengths_of(targets)), {}, {}, {}, {}, {}};
  const auto drops = [&](std::uint32_t stream) { return RandomStream(seed, Purpose::kDropout, step, stream); };
  out.source_units =
      bags_of(out.source, sources, training ? options_.source_unit_dropout : 0.0f, drops(mask_streams::kUnits));
  std::vector<std::vector<std::int32_t>> read;
  for (const auto& target : targets) {
    read.emplace_back();
    if (!target.empty()) read.back().push_back(begin);
    for (std::size_t i = 0; i + 1 < target.size(); ++i) read.back().push_back(target[i]);
  }
  const std::vector<std::span<const std::int32_t>> read_spans(read.begin(), read.end());
  out.target_units = bags_of(out.target, read_spans, training ? options_.target_unit_dropout : 0.0f,
                             drops(mask_streams::kTargetUnits));
  out.targets = packed_units(out.target, targets);
  std::vector<std::int32_t> places(sources.size());
  for (Index b = 0; b < out.source.sequences(); ++b) places[out.source.original(b)] = static_cast<std::int32_t>(b);
  for (Index b = 0; b < out.target.sequences(); ++b) out.sources.push_back(places[out.target.original(b)]);
  for (Index t = 0; t < out.target.steps(); ++t)
    out.sources_of.insert(out.sources_of.end(), out.sources.begin(), out.sources.begin() + out.target.rows_at(t));
  return out;
}

Translator::Encoded Translator::encode(Tape& tape, const Packing& packing, const Bags& units,
                                       std::span<const std::int32_t> order) const {
  const Packing* shared = options_.encoder.variational ? &packing : nullptr;
  Activation x = source_embedding().forward(tape, units);
  tape.watch("source", x);
  x = dropout(tape, x, options_.embedding_dropout, mask_streams::kInput, shared);
  const Recurrent::Output encoded = encoder_.forward(tape, packing, x);
  tape.watch("encoder", encoded.y);
  return {attention_.remember(tape, packing, encoded.y), bridge_.forward(tape, packing, encoded, order)};
}

// Layers [first_layer, first_layer + layers) of the decoder.
RecurrentState Translator::part_of(const RecurrentState& state, Index first_layer, Index layers) const {
  const auto rows = [&](const Activation& all) {
    if (!all.value) return all;
    const Index count = all.rows / options_.decoder.layers, at = first_layer * count * all.columns;
    return Activation{all.value + at, all.gradient ? all.gradient + at : nullptr, layers * count, all.columns};
  };
  return {rows(state.h), rows(state.c)};
}

Activation Translator::combined(Tape& tape, const Activation& context, const Activation& h) const {
  const Activation v = combine_.forward(tape, side_by_side(tape, h.rows, {{context, {}}, {h, {}}}));
  tanh_in_place(tape, v);
  return v;
}

Activation Translator::all_steps(Tape& tape, const Batch& batch, const Activation& y, const Encoded& encoded) const {
  const Packing* shared = options_.decoder.variational ? &batch.target : nullptr;
  const RecurrentState initial = part_of(encoded.initial, 0, 1);
  Activation h = first_.forward(tape, batch.target, y, &initial).y;
  const Activation context = dropout(tape, attention_.attend(tape, encoded.memory, h, batch.sources_of).context,
                                     options_.context_dropout, mask_streams::kContext, shared);
  if (further_) {
    const RecurrentState rest = part_of(encoded.initial, 1, options_.decoder.layers - 1);
    h = dropout(tape, h, options_.decoder.layer_dropout, 2 * mask_streams::kPerRecurrent, shared);
    const Activation x = side_by_side(tape, h.rows, {{h, {}}, {context, {}}});
    h = further_->forward(tape, batch.target, x, &rest).y;
  }
  return dropout(tape, combined(tape, context, h), options_.dropout, mask_streams::kOutput, shared);
}

Activation Translator::step_by_step(Tape& tape, const Batch& batch, const Activation& y, const Encoded& encoded) const {
  const Packing& packing = batch.target;
  const Packing* shared = options_.decoder.variational ? &packing : nullptr;
  const Index E = options_.embedding, Q = packing.tokens();
  const AttentionOptions sizes = options_.attention_options();
  const RecurrentState initial = part_of(encoded.initial, 0, 1),
                       rest = part_of(encoded.initial, 1, options_.decoder.layers - 1);
  RecurrentSteps first(first_, tape, packing, &initial);
  std::optional<RecurrentSteps> further;
  if (further_) further.emplace(*further_, tape, packing, &rest);
  const DropoutMask context_mask(tape, options_.context_dropout, mask_streams::kContext, Q, sizes.memory, shared),
      between_mask(tape, further_ ? options_.decoder.layer_dropout : 0.0f, 2 * mask_streams::kPerRecurrent, Q,
                   sizes.query, shared),
      output_mask(tape, options_.dropout, mask_streams::kOutput, Q, E, shared);
  const auto masked = [&](const DropoutMask& mask, float rate, const Activation& x, Index row) {
    if (!tape.training() || rate <= 0.0f) return x;
    const Activation out = tape.allocate(x.rows, x.columns);
    mask.apply(x, row, out);
    return out;
  };
  const Activation all = tape.allocate(Q, E);
  Activation before = tape.allocate(packing.rows_at(0), E);
  std::fill_n(before.value, before.size(), 0.0f);
  for (Index t = 0; t < packing.steps(); ++t) {
    const Index row = packing.offset(t), rows = packing.rows_at(t);
    const auto at = [&](const Activation& a) {
      return Activation{a.value + row * a.columns, a.gradient ? a.gradient + row * a.columns : nullptr, rows,
                        a.columns};
    };
    before.rows = rows;
    Activation h = first.step(side_by_side(tape, rows, {{at(y), {}}, {before, {}}}));
    const auto sources = std::span(batch.sources_of).subspan(row, rows);
    const Activation context = masked(context_mask, options_.context_dropout,
                                      attention_.attend(tape, encoded.memory, h, sources).context, row);
    if (further) {
      h = masked(between_mask, options_.decoder.layer_dropout, h, row);
      h = further->step(side_by_side(tape, rows, {{h, {}}, {context, {}}}));
    }
    const Activation v = masked(output_mask, options_.dropout, combined(tape, context, h), row), to = at(all);
    std::copy_n(v.value, v.size(), to.value);
    tape.record([v, to] {
      for (Index i = 0; i < v.size(); ++i) v.gradient[i] += to.gradient[i];
    });
    before = to;
  }
  return all;
}

Activation Translator::forward(Tape& tape, const Batch& batch) const {
  const Packing* shared = options_.decoder.variational ? &batch.target : nullptr;
  const Encoded encoded = encode(tape, batch.source, batch.source_units, batch.sources);
  const Activation y = dropout(tape, target_.forward(tape, batch.target_units), options_.embedding_dropout,
                               mask_streams::kTargetInput, shared);
  tape.watch("target", y);
  const Activation v =
      options_.input_feeding ? step_by_step(tape, batch, y, encoded) : all_steps(tape, batch, y, encoded);
  tape.watch("decoder", v);
  return v;
}

double Translator::loss(Tape& tape, const Batch& batch, const Activation& v) {
  return output_.loss(tape, v, batch.targets);
}

}  // namespace mnemo
