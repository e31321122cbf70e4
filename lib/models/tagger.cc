// Composition of the tagger. Each distinct word of a batch goes through the character encoder once; its vector is then
// joined with the word's and the shape's embeddings for every token. Lower precision covers the large matrices only:
// shape embeddings, the layers that score tags and the CRF stay in float32.
#include "models/tagger.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "nn/dropout.h"
#include "nn/input_trace.h"
#include "nn/loss.h"
#include "nn/mask_streams.h"
#include "nn/rows.h"

namespace mnemo {
namespace {

constexpr Index kConvolutionWidth = 3;

}  // namespace

CharEncoder::CharEncoder(const std::string& name, const CharEncoderOptions& options)
    : options_(options),
      embedding_(name + ".embedding", options.rows, options.embedding),
      pooling_(name + ".pooling", {options.kind == CharEncoderKind::kCnn ? PoolingKind::kMax : PoolingKind::kLast},
               options.output(), 2) {
  if (options.kind == CharEncoderKind::kCnn)
    convolution_ =
        std::make_unique<Linear>(name + ".convolution", kConvolutionWidth * options.embedding, options.hidden);
  else
    rnn_ = std::make_unique<Recurrent>(
        name + ".rnn", RecurrentOptions{.input = options.embedding, .hidden = options.hidden, .bidirectional = true});
}

void CharEncoder::initialise(Initialiser initialiser, std::uint64_t seed) {
  embedding_.initialise(options_.deviation, seed);
  if (convolution_) convolution_->initialise(initialiser, seed);
  if (rnn_) rnn_->initialise(seed);
}

void CharEncoder::visit(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  if (convolution_) convolution_->visit(visitor);
  if (rnn_) rnn_->visit(visitor);
}

void CharEncoder::visit_matrices(const ParameterVisitor& visitor) {
  if (convolution_) visitor(convolution_->weight);
  if (rnn_) rnn_->visit_factors(visitor);
}

void CharEncoder::weights_changed() {
  if (convolution_) convolution_->weights_changed();
  if (rnn_) rnn_->weights_changed();
}

void CharEncoder::set_precision(kernels::Precision precision) {
  if (convolution_) convolution_->set_precision(precision);
  if (rnn_) rnn_->set_precision(precision);
}

void CharEncoder::prepare(ThreadPool& pool) {
  if (convolution_) convolution_->prepare(pool);
  if (rnn_) rnn_->prepare(pool);
}

void CharEncoder::prepare(Tape& tape) {
  if (convolution_) convolution_->prepare(tape);
  if (rnn_) rnn_->prepare(tape);
}

Activation CharEncoder::forward(Tape& tape, const Packing& words, const Bags& letters) const {
  // A word's vector does not depend on other words, so without gradients they can be computed in turns.
  constexpr Index kLetters = Index{1} << 18;
  if (tape.training() || words.tokens() <= kLetters) return encode(tape, words, letters);
  const Activation y = tape.allocate(words.sequences(), options_.output());
  Arena room;
  for (Index begin = 0, end = 0; begin < words.rows_at(0); begin = end) {
    std::vector<std::int32_t> lengths;
    for (Index total = 0; end < words.rows_at(0) && (end == begin || total + words.length(end) <= kLetters); ++end) {
      lengths.push_back(static_cast<std::int32_t>(words.length(end)));
      total += words.length(end);
    }
    const Packing some(lengths);
    Bags bags;
    for (Index t = 0; t < some.steps(); ++t)
      for (Index b = 0; b < some.rows_at(t); ++b) {
        const Index from = words.row(begin + b, t);
        for (std::int32_t i = letters.starts[from]; i < letters.starts[from + 1]; ++i) {
          bags.rows.push_back(letters.rows[i]);
          bags.weights.push_back(letters.weights[i]);
        }
        bags.starts.push_back(static_cast<std::int32_t>(bags.rows.size()));
      }
    room.reset();
    Tape turn(tape.pool, room, Tape::Mode::kInference);
    const Activation part = encode(turn, some, bags);
    for (Index b = begin; b < end; ++b)
      std::copy_n(part.value + (b - begin) * part.columns, part.columns, y.value + words.original(b) * y.columns);
  }
  return y;
}

Activation CharEncoder::encode(Tape& tape, const Packing& words, const Bags& letters) const {
  Activation x = embedding_.forward(tape, letters);
  tape.watch("chars.embedding", x);
  x = dropout(tape, x, options_.dropout, mask_streams::kCharacters);
  const Activation y = convolution_
                           ? std::as_const(*convolution_).forward(tape, windows(tape, words, x, kConvolutionWidth))
                           : std::as_const(*rnn_).forward(tape, words, x).y;
  tape.watch("chars", y);
  return pooling_.forward(tape, words, y);
}

Tagger::Tagger(const TaggerOptions& options)
    : options_(options),
      embedding_("embedding", options.table_rows, options.embedding),
      convolution_("convolution", options.convolution, options.input()),
      rnn_("rnn", with_input(options.recurrent, options.input() + options.convolution.added_before())) {
  if (options.chars.kind != CharEncoderKind::kNone) chars_.emplace("chars", options.chars);
  if (options.shape_embedding > 0) shapes_.emplace("shapes", options.shapes, options.shape_embedding);
  const Index outputs = options.recurrent.directions() * options.recurrent.output() + options.convolution.added_after();
  for (std::size_t k = 0; k < options.columns.size(); ++k) {
    const std::string number = std::to_string(k);
    columns_.push_back({Linear("output" + number, outputs, options.columns[k].tags), std::nullopt});
    if (options.crf) columns_.back().crf.emplace("crf" + number, options.columns[k]);
  }
}

void Tagger::initialise(std::uint64_t seed) {
  embedding_.initialise(options_.embedding_deviation, seed);
  if (chars_) chars_->initialise(options_.recurrent.initialiser, seed);
  if (shapes_) shapes_->initialise(options_.embedding_deviation, seed);
  convolution_.initialise(options_.recurrent.initialiser, seed);
  rnn_.initialise(seed);
  for (Column& column : columns_) {
    column.scores.initialise(options_.recurrent.initialiser, seed);
    if (column.crf) column.crf->initialise();
  }
}

void Tagger::visit(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  if (chars_) chars_->visit(visitor);
  if (shapes_) shapes_->visit(visitor);
  convolution_.visit(visitor);
  rnn_.visit(visitor);
  for (Column& column : columns_) {
    column.scores.visit(visitor);
    if (column.crf) column.crf->visit(visitor);
  }
}

void Tagger::visit_matrices(const ParameterVisitor& visitor) {
  embedding_.visit(visitor);
  if (chars_) chars_->visit_matrices(visitor);
  convolution_.visit_matrices(visitor);
  rnn_.visit_factors(visitor);
}

void Tagger::weights_changed() {
  if (chars_) chars_->weights_changed();
  convolution_.weights_changed();
  rnn_.weights_changed();
  for (Column& column : columns_) column.scores.weights_changed();
}

void Tagger::set_precision(kernels::Precision precision) {
  if (chars_) chars_->set_precision(precision);
  convolution_.set_precision(precision);
  rnn_.set_precision(precision);
}

void Tagger::prepare(ThreadPool& pool) {
  if (chars_) chars_->prepare(pool);
  convolution_.prepare(pool);
  rnn_.prepare(pool);
  for (Column& column : columns_) column.scores.prepare(pool);
}

void Tagger::prepare(Tape& tape) {
  if (chars_) chars_->prepare(tape);
  convolution_.prepare(tape);
  rnn_.prepare(tape);
  for (Column& column : columns_) column.scores.prepare(tape);
}

std::vector<Activation> Tagger::forward(Tape& tape, const TaggerBatch& batch, Activation* first_layer) const {
  const Index N = batch.packing.tokens();
  std::vector<Columns> parts;
  parts.push_back({embedding_.forward(tape, batch.words), {}});
  tape.watch("embedding", parts.back().x);
  if (chars_) parts.push_back({chars_->forward(tape, batch.letters_packing, batch.letters), batch.word});
  if (shapes_) parts.push_back({shapes_->forward(tape, batch.shapes), {}});
  Activation x = parts.size() == 1 ? parts.front().x : side_by_side(tape, N, parts);
  const Packing* shared = options_.recurrent.variational ? &batch.packing : nullptr;
  x = dropout(tape, x, options_.embedding_dropout, mask_streams::kInput, shared);
  x = traced_input(tape, "rnn", x);
  const bool convolves = options_.convolution.output() > 0, before = options_.convolution.before;
  Activation local;
  if (convolves) tape.watch("convolution", local = convolution_.forward(tape, batch.packing, x));
  if (convolves && before) x = side_by_side(tape, N, {{x, {}}, {local, {}}});
  const Recurrent::Output recurrent = rnn_.forward(tape, batch.packing, x);
  if (first_layer) *first_layer = recurrent.first;
  Activation y = recurrent.y;
  tape.watch("rnn", y);
  if (convolves && !before) y = side_by_side(tape, N, {{y, {}}, {local, {}}});
  y = dropout(tape, y, options_.dropout, mask_streams::kOutput, shared);
  std::vector<Activation> out;
  for (const Column& column : columns_) {
    out.push_back(column.scores.forward(tape, y));
    tape.watch("output", out.back());
  }
  return out;
}

double Tagger::loss(Tape& tape, const Packing& packing, const std::vector<Activation>& scores,
                    std::span<const std::vector<std::int32_t>> gold, float label_smoothing) const {
  double sum = 0;
  for (std::size_t k = 0; k < columns_.size(); ++k)
    sum += columns_[k].crf ? columns_[k].crf->loss(tape, packing, scores[k], gold[k])
                           : softmax_cross_entropy(scores[k], gold[k], {}, label_smoothing);
  return sum;
}

Chain Tagger::chain(std::size_t column) const {
  const auto& crf = columns_[column].crf;
  return crf ? crf->chain() : Chain(options_.columns[column], nullptr, nullptr, nullptr);
}

}  // namespace mnemo
