#include "nn/session.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/activations.h"
#include "kernels/elementwise.h"
#include "nn/cell_step.h"

namespace mnemo {

RecurrentSession::RecurrentSession(const Recurrent& layers, Index sequences) : layers_(layers), sequences_(sequences) {
  const RecurrentOptions& o = layers.options();
  if (o.bidirectional) fail("single steps need recurrent layers of one direction");
  layers.check_prepared();
  state_.resize(o.layers);
  for (const int which : {0, 1}) make_room(sequences, which);
  zeros_.resize(std::max(o.hidden, o.output()));
  std::fill_n(zeros_.data(), zeros_.size(), 0.0f);
  if (o.attention.layer > 0) attention_.emplace(*layers.attention(o.attention.layer - 1), sequences);
  reset();
}

void RecurrentSession::make_room(Index sequences, int which) {
  const RecurrentOptions& o = layers_.options();
  const CellTraits& cell = cell_traits(o.cell);
  const Index B = sequences, H = o.hidden, P = o.output();
  Index blocks = 0, kept = 1, room = 0;
  for (Index l = 0; l < o.layers; ++l) {
    const CellTraits& its_cell = layers_.direction(l, 0).cell;
    blocks = std::max(blocks, its_cell.blocks);
    kept = std::max(kept, B * (its_cell.kept * H + its_cell.kept_scalars));
    if (const auto& mogrifier = layers_.direction(l, 0).mogrifier) room = std::max(room, mogrifier->room());
  }
  for (Layer& layer : state_) {
    layer.h[which].resize(B * P);
    if (cell.cell_state) layer.c[which].resize(B * H);
    if (o.residual != Residual::kNone) layer.y.resize(2 * B * P);
  }
  gates_.resize(B * blocks * H);
  kept_.resize(kept);
  if (o.projection > 0) raw_.resize(B * H);
  if (o.sum_layers) sum_.resize(B * P);
  if (room > 0) mogrified_.resize(B * room);
}

void RecurrentSession::select(std::span<const Index> from) {
  const auto count = static_cast<Index>(from.size());
  const int other = 1 - now_;
  make_room(count, other);
  for (Layer& layer : state_)
    for (auto* part : {layer.h, layer.c}) {
      const Index size = sequences_ > 0 ? static_cast<Index>(part[now_].size()) / sequences_ : 0;
      for (Index b = 0; b < count && size > 0; ++b)
        std::copy_n(part[now_].data() + from[b] * size, size, part[other].data() + b * size);
    }
  make_room(count, now_);
  if (attention_) attention_->select(from);
  now_ = other;
  sequences_ = count;
}

void RecurrentSession::reset() {
  const auto& initial = layers_.initial();
  zero_ = initial.empty();
  if (attention_) attention_->reset();
  for (std::size_t l = 0; l < state_.size(); ++l) {
    Layer& layer = state_[l];
    for (std::size_t part = 0; part < 2; ++part) {
      AlignedVector& to = part == 0 ? layer.h[now_] : layer.c[now_];
      const Index size = static_cast<Index>(to.size()) / sequences_;
      for (Index b = 0; b < sequences_ && size > 0; ++b) {
        if (zero_)
          std::fill_n(to.data() + b * size, size, 0.0f);
        else
          std::copy_n(initial[part].value.data() + static_cast<Index>(l) * size, size, to.data() + b * size);
      }
    }
  }
}

SessionState RecurrentSession::state() const {
  SessionState out;
  for (const Layer& layer : state_) {
    out.h.insert(out.h.end(), layer.h[now_].data(), layer.h[now_].data() + layer.h[now_].size());
    out.c.insert(out.c.end(), layer.c[now_].data(), layer.c[now_].data() + layer.c[now_].size());
  }
  if (attention_) attention_->save(out.memory, out.seen);
  return out;
}

void RecurrentSession::set_state(const SessionState& state) {
  const std::size_t h = state_.front().h[0].size(), c = state_.front().c[0].size();
  if (state.h.size() != h * state_.size() || state.c.size() != c * state_.size())
    fail("a session's state has {} and {} values, expected {} and {}", state.h.size(), state.c.size(),
         h * state_.size(), c * state_.size());
  for (std::size_t l = 0; l < state_.size(); ++l) {
    std::copy_n(state.h.data() + l * h, h, state_[l].h[now_].data());
    std::copy_n(state.c.data() + l * c, c, state_[l].c[now_].data());
  }
  if (attention_) attention_->load(state.memory, state.seen);
  zero_ = false;
}

// The layer's new h, from x [B, inputs].
const float* RecurrentSession::step_layer(Index l, const float* x, Index inputs) {
  const RecurrentOptions& o = layers_.options();
  const RecurrentDirection& w = layers_.direction(l, 0);
  const CellTraits& cell = w.cell;
  const Index H = o.hidden, P = o.output();
  Layer& layer = state_[l];
  if (!w.mogrifier)
    kernels::multiply_rows(sequences_, x, inputs, w.input_panels, 0, w.input_panels.panels(), kernels::Start::kBias,
                           w.bias.data(), gates_.data(), cell.blocks * H);
  const Rows h{layer.h[now_].data(), P};
  const Previous previous{h, h, cell.cell_state ? Rows{layer.c[now_].data(), H} : Rows{zeros_.data(), 0}, zero_};
  const CellStep step{.rows = sequences_,
                      .x = x,
                      .x_stride = inputs,
                      .begin = 0,
                      .end = H,
                      .gates = gates_.data(),
                      .gates_stride = cell.blocks * H,
                      .c = cell.cell_state ? layer.c[1 - now_].data() : nullptr,
                      .c_stride = H,
                      .kept = cell.kept_in_inference ? kept_.data() : nullptr,
                      .kept_stride = cell.kept * H + cell.kept_scalars,
                      .raw = o.projection > 0 ? raw_.data() : nullptr,
                      .raw_stride = H,
                      .y = layer.h[1 - now_].data(),
                      .y_stride = P};
  run_cell(w, step, w.mogrifier ? mogrify(w, step, previous, mogrified_.data(), w.mogrifier->room()) : previous);
  if (o.zoneout_h > 0.0f || o.zoneout_c > 0.0f) {
    zoneout_rows(sequences_, P, nullptr, 0, o.zoneout_h, h, step.y, P);
    if (step.c) zoneout_rows(sequences_, H, nullptr, 0, o.zoneout_c, previous.c, step.c, H);
  }
  return step.y;
}

// The layer's output, from its input x [B, P] and its new h.
const float* RecurrentSession::connect_layer(Index l, const float* x, const float* h) {
  const RecurrentOptions& o = layers_.options();
  const Index size = sequences_ * o.output();
  float *y = state_[l].y.data(), *gate = y + size;
  if (o.residual == Residual::kHighway) {
    layers_.highway(l)->apply(sequences_, x, gate);
    kernels::logistic_values(gate, gate, size);
  }
  connect_values(size, x, h, o.residual == Residual::kHighway ? gate : nullptr, y);
  return y;
}

const float* RecurrentSession::step(const float* x) {
  const RecurrentOptions& o = layers_.options();
  const Index size = sequences_ * o.output();
  layers_.check_prepared();
  for (Index l = 0; l < o.layers; ++l) {
    const float* h = step_layer(l, x, l == 0 ? o.input : o.output());
    x = l == 0 || o.residual == Residual::kNone ? h : connect_layer(l, x, h);
    if (attention_ && l == o.attention.layer - 1) x = attention_->step(x);
    if (!o.sum_layers) continue;
    if (l == 0)
      std::copy_n(x, size, sum_.data());
    else
      kernels::add_scaled(1.0f, x, sum_.data(), size);
  }
  now_ = 1 - now_;
  zero_ = false;
  return o.sum_layers ? sum_.data() : x;
}

}  // namespace mnemo
