// A long text is read in pieces. In training a first pass keeps the state before each piece and what is pooled of all;
// the backward pass then reads the pieces once more, last piece first, each with a tape of its own, which leaves no
// more than one piece's activations in memory.
#include "models/classifier.h"

#include <algorithm>
#include <memory>

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

// Bags [first, last).
Bags part_of(const Bags& bags, Index first, Index last) {
  const auto begin = bags.starts[static_cast<std::size_t>(first)], end = bags.starts[static_cast<std::size_t>(last)];
  Bags out;
  for (Index n = first; n < last; ++n) out.starts.push_back(bags.starts[static_cast<std::size_t>(n) + 1] - begin);
  out.rows.assign(bags.rows.begin() + begin, bags.rows.begin() + end);
  out.weights.assign(bags.weights.begin() + begin, bags.weights.begin() + end);
  return out;
}

// A state that is carried from one piece to the next, without gradients.
class StateCopy {
 public:
  explicit StateCopy(const RecurrentState& state)
      : h_(state.h.value, state.h.value + state.h.size()),
        c_(state.c.value, state.c.value + state.c.size()),
        shape_(state) {}

  RecurrentState view() {
    RecurrentState out;
    out.h = {h_.data(), nullptr, shape_.h.rows, shape_.h.columns};
    if (!c_.empty()) out.c = {c_.data(), nullptr, shape_.c.rows, shape_.c.columns};
    return out;
  }

 private:
  std::vector<float> h_, c_;
  RecurrentState shape_;
};

// What the backward pass over the pieces of a batch needs.
struct Pieces {
  Pieces(const Pooling& pooling, Tape& tape, const Packing& packing, Index columns, Index its_steps)
      : steps(its_steps), last(packing.steps()), pooled(pooling, tape, packing, columns) {}

  Index count() const { return (last + steps - 1) / steps; }
  StepRange at(Index number) const { return {number * steps, std::min(last, (number + 1) * steps)}; }
  // Of the state before a piece; of the first one it is the layers' own.
  const RecurrentState* before(Index number) {
    if (number == 0) return nullptr;
    view = states[static_cast<std::size_t>(number) - 1].view();
    return &view;
  }

  Index steps, last;
  PooledPieces pooled;
  Arena arena;                    // of one piece
  std::vector<StateCopy> states;  // after each piece
  RecurrentState view;
};

}  // namespace

bool reads_in_pieces(const ClassifierOptions& options) {
  return !options.recurrent.bidirectional && options.recurrent.attention.layer == 0 &&
         options.convolution.output() == 0 && std::ranges::count(options.pooling, PoolingKind::kAttention) == 0;
}

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

Activation Classifier::embedded(Tape& tape, const Packing& packing, const Bags& bags) const {
  Activation x = embedding_.forward(tape, bags);
  tape.watch("embedding", x);
  x = dropout(tape, x, options_.embedding_dropout, mask_streams::kInput,
              options_.recurrent.variational ? &packing : nullptr);
  return traced_input(tape, "rnn", x);
}

Activation Classifier::pooled(Tape& tape, const Packing& packing, const Bags& bags) const {
  Activation x = embedded(tape, packing, bags);
  const bool convolves = options_.convolution.output() > 0, before = options_.convolution.before;
  Activation local;
  if (convolves) tape.watch("convolution", local = convolution_.forward(tape, packing, x));
  if (convolves && before) x = side_by_side(tape, x.rows, {{x, {}}, {local, {}}});
  const Activation y = rnn_.forward(tape, packing, x).y;
  tape.watch("rnn", y);
  const Activation out = pooling_.forward(tape, packing, y);
  if (!convolves || before) return out;
  return side_by_side(tape, out.rows, {{out, {}}, {local_pooling_.forward(tape, packing, local), {}}});
}

// What looks at every step, or at the gradients between them, needs texts as a whole.
Index Classifier::piece_steps(const Tape& tape, const Packing& packing) const {
  const Index steps = tape.training() ? options_.training_piece : options_.inference_piece;
  const bool looked_at = tape.trace || tape.input_trace || tape.gradient_trace;
  return steps > 0 && packing.steps() > steps && !looked_at && reads_in_pieces(options_) ? steps : 0;
}

template <class Use>
void Classifier::read_piece(Tape& tape, Arena& arena, const Packing& packing, const Bags& bags, StepRange steps,
                            Index number, const RecurrentState* initial, const Use& use) const {
  // Steps of training are far from 2^40: no two pieces of a run have the same masks.
  constexpr int kPieceBit = 40;
  arena.reset();
  Tape own(tape.pool, arena, tape.training() ? Tape::Mode::kTraining : Tape::Mode::kInference, tape.seed,
           tape.step + (static_cast<std::uint64_t>(number) << kPieceBit));
  const Packing part = packing.part(steps.begin, steps.end);
  const Bags its_bags = part_of(bags, packing.offset(steps.begin), packing.offset(steps.end));
  use(own, rnn_.forward(own, part, embedded(own, part, its_bags), initial));
}

Activation Classifier::pooled_in_pieces(Tape& tape, const Packing& packing, const Bags& bags, Index steps) const {
  const auto pieces = std::make_shared<Pieces>(pooling_, tape, packing, output_columns(options_), steps);
  for (Index p = 0; p < pieces->count(); ++p)
    read_piece(tape, pieces->arena, packing, bags, pieces->at(p), p, pieces->before(p),
               [&](Tape&, const Recurrent::Output& out) {
                 pieces->pooled.add(pieces->at(p), out.y.value);
                 pieces->states.emplace_back(out.final);
               });
  tape.record([this, &tape, &packing, &bags, pieces] {
    for (Index p = pieces->count(); p-- > 0;)
      read_piece(tape, pieces->arena, packing, bags, pieces->at(p), p, pieces->before(p),
                 [&](Tape& own, const Recurrent::Output& out) {
                   pieces->pooled.add_gradient(pieces->at(p), out.y.gradient);
                   own.backward();
                 });
  });
  return pieces->pooled.output();
}

Activation Classifier::forward(Tape& tape, const Packing& packing, const Bags& bags) const {
  const Index steps = piece_steps(tape, packing);
  Activation x = steps > 0 ? pooled_in_pieces(tape, packing, bags, steps) : pooled(tape, packing, bags);
  tape.watch("pooling", x);
  x = dropout(tape, x, options_.dropout, mask_streams::kOutput);
  const Activation logits = output_.forward(tape, x);
  tape.watch("output", logits);
  return logits;
}

}  // namespace mnemo
