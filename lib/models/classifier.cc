#include "models/classifier.h"

#include "nn/dropout.h"
#include "nn/input_trace.h"
#include "nn/mask_streams.h"
#include "nn/rows.h"

namespace mnemo {
namespace {

Index output_columns(const ClassifierOptions& o) { return o.recurrent.directions() * o.recurrent.output(); }
Index pooled_columns(const ClassifierOptions& o) {
  return std::ssize(o.pooling) * output_columns(o) + o.convolution.added_after();
}

}  // namespace

Classifier::Classifier(const ClassifierOptions& options)
    : options_(options),
      embedding_("embedding", options.table_rows, options.embedding),
      convolution_("convolution", options.convolution, options.embedding),
      rnn_("rnn", with_input(options.recurrent, options.embedding + options.convolution.added_before())),
      pooling_("attention", options.pooling, output_columns(options), options.recurrent.directions()),
      local_pooling_("convolution", {PoolingKind::kMax}, options.convolution.output(), 1),
      output_("output", pooled_columns(options), options.classes) {}

void Classifier::initialise(std::uint64_t seed) {
  embedding_.initialise(options_.embedding_deviation, seed);
  convolution_.initialise(options_.recurrent.initialiser, seed);
  rnn_.initialise(seed);
  pooling_.initialise(seed);
  output_.initialise(options_.recurrent.initialiser, seed);
}

void Classifier::visit(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  convolution_.visit(visitor);
  rnn_.visit(visitor);
  pooling_.visit(visitor);
  output_.visit(visitor);
}

void Classifier::visit_matrices(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  convolution_.visit_matrices(visitor);
  rnn_.visit_factors(visitor);
}

void Classifier::weights_changed() {
  convolution_.weights_changed();
  rnn_.weights_changed();
  output_.weights_changed();
}

void Classifier::prepare(ThreadPool& pool) {
  convolution_.prepare(pool);
  rnn_.prepare(pool);
  output_.prepare(pool);
}

void Classifier::prepare(Tape& tape) {
  convolution_.prepare(tape);
  rnn_.prepare(tape);
  output_.prepare(tape);
}

Activation Classifier::forward(Tape& tape, const Packing& packing, const Bags& bags) const {
  const Packing* shared = options_.recurrent.variational ? &packing : nullptr;
  Activation x = embedding_.forward(tape, bags);
  tape.watch("embedding", x);
  x = dropout(tape, x, options_.embedding_dropout, mask_streams::kInput, shared);
  x = traced_input(tape, "rnn", x);
  const bool convolves = options_.convolution.output() > 0, before = options_.convolution.before;
  Activation local;
  if (convolves) tape.watch("convolution", local = convolution_.forward(tape, packing, x));
  if (convolves && before) x = side_by_side(tape, x.rows, {{x, {}}, {local, {}}});
  const Activation y = rnn_.forward(tape, packing, x).y;
  tape.watch("rnn", y);
  Activation pooled = pooling_.forward(tape, packing, y);
  if (convolves && !before)
    pooled = side_by_side(tape, pooled.rows, {{pooled, {}}, {local_pooling_.forward(tape, packing, local), {}}});
  tape.watch("pooling", pooled);
  pooled = dropout(tape, pooled, options_.dropout, mask_streams::kOutput);
  const Activation logits = output_.forward(tape, pooled);
  tape.watch("output", logits);
  return logits;
}

}  // namespace mnemo
