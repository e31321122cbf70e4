#include "nn/recurrent_steps.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "nn/cell_trace.h"
#include "nn/dropout.h"
#include "nn/recurrent_layer.h"

namespace mnemo {

struct RecurrentSteps::Batch {
  struct Layer {
    LayerRun run;
    LayerGradients state{};
    std::optional<DropoutMask> mask;
    bool own_input = false;  // run.x is a copy of the output of the layer below
  };

  const Recurrent& layers;
  Tape& tape;
  const Packing& packing;
  Recurrent::Start start;
  std::int64_t packing_number;
  std::vector<Layer> layer;
  Index next = 0;

  // All steps must use the weights that the first one used.
  void check_weights() const {
    if (layers.packings_ != packing_number) fail("the layers were packed again between steps of a batch");
  }

  void check_done() const {
    if (next != packing.steps()) fail("only {} of {} steps were run", next, packing.steps());
  }

  Activation rows(const Activation& all) const {
    const Index first = packing.offset(next) * all.columns;
    return {all.value + first, all.gradient ? all.gradient + first : nullptr, packing.rows_at(next), all.columns};
  }
};

RecurrentSteps::~RecurrentSteps() = default;

RecurrentSteps::RecurrentSteps(const Recurrent& layers, Tape& tape, const Packing& packing,
                               const RecurrentState* initial) {
  const RecurrentOptions& o = layers.options();
  if (o.bidirectional) fail("single steps need recurrent layers of one direction");
  if (o.attention.layer > 0) fail("single steps on a tape cannot attend to earlier ones");
  batch_ = std::make_shared<Batch>(
      Batch{layers, tape, packing, layers.begin(tape, packing, initial), layers.packings_, {}, 0});
  batch_->layer.resize(o.layers);
  for (Index l = 0; l < o.layers; ++l) {
    Batch::Layer& layer = batch_->layer[l];
    const Index columns = l == 0 ? o.input : o.output();
    const bool dropping = l > 0 && tape.training() && o.layer_dropout > 0.0f;
    if (dropping)
      layer.mask.emplace(tape, o.layer_dropout, static_cast<std::uint32_t>(l), packing.tokens(), columns,
                         o.variational ? &packing : nullptr);
    layer.own_input = l == 0 || dropping || o.residual != Residual::kNone;
    const Activation x = layer.own_input ? tape.allocate(packing.tokens(), columns) : batch_->layer[l - 1].run.y;
    layer.run = layers.layer_run(tape, packing, l, x, batch_->start);
    begin_steps(tape, layer.run);
    if (!tape.training()) continue;
    layer.state = Recurrent::layer_gradients(layer.run, l, batch_->start);
    begin_backward(tape, layer.run, layer.state);
    // Recorded before any step, so it runs after all of them in backward.
    tape.record([batch = batch_, l] {
      batch->check_done();
      Batch::Layer& done = batch->layer[l];
      end_backward(batch->tape, done.run, done.state);
      Recurrent::add_initial_gradients(done.run, l, done.state, batch->start);
    });
  }
}

Activation RecurrentSteps::step(const Activation& x) {
  Batch& b = *batch_;
  const Index t = b.next;
  b.check_weights();
  if (t >= b.packing.steps()) fail("step {} of a batch of {}", t + 1, b.packing.steps());
  if (x.rows != b.packing.rows_at(t) || x.columns != b.layers.options().input)
    fail("step {}: input [{}, {}], expected [{}, {}]", t + 1, x.rows, x.columns, b.packing.rows_at(t),
         b.layers.options().input);
  Activation given = x, output = x;
  for (Index l = 0; l < std::ssize(b.layer); ++l) {
    Batch::Layer& layer = b.layer[l];
    Activation input = b.rows(layer.run.x);
    if (layer.mask) {
      layer.mask->apply(given, b.packing.offset(t), input);
    } else if (layer.own_input) {
      std::copy_n(given.value, given.size(), input.value);
      input.gradient = given.gradient;
    }
    forward_step(b.tape, layer.run, t);
    b.tape.record([batch = batch_, l, t, dx = input.gradient] {
      batch->check_weights();
      backward_step(batch->tape, batch->layer[l].run, batch->layer[l].state, t, dx);
    });
    given = b.layers.connect(b.tape, l, given, b.rows(layer.run.y));
    output = b.layers.stack_output(b.tape, l, output, given);
  }
  ++b.next;
  for (Index l = 0; b.tape.trace && b.next == b.packing.steps() && l < std::ssize(b.layer); ++l)
    trace_cells(b.layer[l].run, b.layers.name_, l, *b.tape.trace);
  return output;
}

RecurrentState RecurrentSteps::final() {
  batch_->check_done();
  for (const Batch::Layer& layer : batch_->layer) end_steps(layer.run);
  return batch_->start.final;
}

}  // namespace mnemo
