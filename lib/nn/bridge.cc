#include "nn/bridge.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/elementwise.h"
#include "nn/activation.h"
#include "nn/rows.h"

namespace mnemo {
namespace {

// [B, L * P] as [L * B, P], layer by layer.
Activation by_layers(Tape& tape, const Activation& x, Index layers) {
  const Index P = x.columns / layers, B = x.rows;
  const Activation y = tape.allocate(layers * B, P);
  const auto for_parts = [=](const auto& body) {
    for (Index l = 0; l < layers; ++l)
      for (Index b = 0; b < B; ++b) body((b * layers + l) * P, (l * B + b) * P);
  };
  for_parts([&](Index from, Index to) { std::copy_n(x.value + from, P, y.value + to); });
  tape.record([=] {
    for_parts([&](Index from, Index to) { kernels::add_scaled(1.0f, y.gradient + to, x.gradient + from, P); });
  });
  return y;
}

}  // namespace

Bridge::Bridge(const std::string& name, BridgeKind kind, const RecurrentOptions& encoder,
               const RecurrentOptions& decoder)
    : kind_(kind),
      directions_(encoder.directions()),
      layers_(decoder.layers),
      encoder_layers_(encoder.layers),
      mean_(name, {PoolingKind::kMean}, directions_ * encoder.output(), directions_),
      h_(name + ".h", directions_ * encoder.output(), decoder.layers * decoder.output()) {
  if (!cell_traits(decoder.cell).cell_state) return;
  const bool has_c = kind == BridgeKind::kLast && cell_traits(encoder.cell).cell_state;
  c_.emplace(name + ".c", directions_ * (has_c ? encoder.hidden : encoder.output()), decoder.layers * decoder.hidden);
}

void Bridge::initialise(Initialiser initialiser, std::uint64_t seed) {
  h_.initialise(initialiser, seed);
  if (c_) c_->initialise(initialiser, seed);
}

void Bridge::visit(const ParameterVisitor& visitor) {
  h_.visit(visitor);
  if (c_) c_->visit(visitor);
}

void Bridge::visit_matrices(const ParameterVisitor& visitor) {
  visitor(h_.weight);
  if (c_) visitor(c_->weight);
}

void Bridge::weights_changed() {
  h_.weights_changed();
  if (c_) c_->weights_changed();
}

void Bridge::set_precision(kernels::Precision precision) {
  h_.set_precision(precision);
  if (c_) c_->set_precision(precision);
}

void Bridge::prepare(Tape& tape) {
  h_.prepare(tape);
  if (c_) c_->prepare(tape);
}

void Bridge::prepare(ThreadPool& pool) {
  h_.prepare(pool);
  if (c_) c_->prepare(pool);
}

// The last layer's final states of all directions side by side.
Activation Bridge::gathered(Tape& tape, const Packing& packing, const Activation& state,
                            std::span<const std::int32_t> order) const {
  const Index B = packing.sequences(), C = state.columns;
  std::vector<Columns> parts;
  for (Index d = 0; d < directions_; ++d) {
    const Index at = ((encoder_layers_ - 1) * directions_ + d) * B * C;
    parts.push_back({{state.value + at, state.gradient ? state.gradient + at : nullptr, B, C}, order});
  }
  return side_by_side(tape, static_cast<Index>(order.size()), parts);
}

RecurrentState Bridge::forward(Tape& tape, const Packing& packing, const Recurrent::Output& encoded,
                               std::span<const std::int32_t> order) const {
  Activation from_h, from_c;
  if (kind_ == BridgeKind::kMean) {
    // Pooling has the sequences' original order.
    const Activation mean = mean_.forward(tape, packing, encoded.y);
    const auto originals = std::make_shared<std::vector<std::int32_t>>();
    for (const std::int32_t b : order) originals->push_back(static_cast<std::int32_t>(packing.original(b)));
    tape.record([originals] {});  // keeps them until the closures that are recorded after it have run
    from_h = from_c = side_by_side(tape, static_cast<Index>(order.size()), {{mean, *originals}});
  } else {
    from_h = gathered(tape, packing, encoded.final.h, order);
    from_c = c_ && encoded.final.c.value ? gathered(tape, packing, encoded.final.c, order) : from_h;
  }
  RecurrentState out;
  const Activation h = h_.forward(tape, from_h);
  tanh_in_place(tape, h);
  out.h = by_layers(tape, h, layers_);
  if (!c_) return out;
  const Activation c = std::as_const(*c_).forward(tape, from_c);
  tanh_in_place(tape, c);
  out.c = by_layers(tape, c, layers_);
  return out;
}

}  // namespace mnemo
