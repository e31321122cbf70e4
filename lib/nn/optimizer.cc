// Dense steps are plain loops over pieces of the parameters. For sparse rows, missed_[L] is the sum of the factors that
// a row last updated at step L has missed: each step brings the latest kMissedSteps of these sums up to date once for
// all rows, so catching up a row takes one pass over it, however many steps it missed.
#include "nn/optimizer.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"

namespace mnemo {
namespace {

constexpr Index kStepPiece = 1 << 14;  // floats of a task
constexpr Index kStepRows = 256;       // rows of a sparse parameter

double beta_power(float beta, std::int64_t n) { return std::pow(static_cast<double>(beta), static_cast<double>(n)); }

bool is_adam(const OptimizerOptions& o) { return o.kind == OptimizerKind::kAdam || o.kind == OptimizerKind::kAdamW; }

Index gradient_size(const Parameter& p) {
  return p.sparse ? static_cast<Index>(p.touched.size()) * p.row_size() : p.size();
}

void append_pieces(Parameter& p, Index size, std::vector<Optimizer::Piece>& out) {
  for (Index at = 0; at < size; at += kStepPiece) out.push_back({&p, at, std::min(kStepPiece, size - at)});
}

std::vector<double> squares_of(const std::vector<Optimizer::Piece>& pieces, ThreadPool& pool) {
  std::vector<double> sums(pieces.size());
  pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    const auto& [parameter, at, count] = pieces[static_cast<std::size_t>(i)];
    if (parameter->rate != 0.0f)
      sums[static_cast<std::size_t>(i)] = kernels::sum_of_squares(parameter->gradient.data() + at, count);
  });
  return sums;
}

AlignedVector zeros(Index count) {
  AlignedVector out;
  out.resize(count);
  std::fill_n(out.data(), count, 0.0f);
  return out;
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, const std::function<void(const ParameterVisitor&)>& visit)
    : options_(options) {
  visit([&](Parameter& p) {
    if (p.frozen) return;
    Slot slot{&p, zeros(p.size()), {}, {}, p.shape.size() > 1 ? options.weight_decay : 0.0f};
    if (options.kind != OptimizerKind::kSgd) slot.v = zeros(p.size());
    if (p.sparse) slot.last_step.assign(p.rows(), 0);
    slots_.push_back(std::move(slot));
  });
}

double Optimizer::gradient_norm(ThreadPool& pool) const {
  std::vector<Piece> pieces;
  for (const Slot& slot : slots_)
    if (slot.parameter->rate != 0.0f) append_pieces(*slot.parameter, gradient_size(*slot.parameter), pieces);
  double sum = 0;
  for (double part : squares_of(pieces, pool)) sum += part;
  return std::sqrt(sum);
}

std::vector<Optimizer::Piece> Optimizer::dense_pieces() const {
  std::vector<Piece> out;
  for (const Slot& slot : slots_)
    if (!slot.parameter->sparse) append_pieces(*slot.parameter, slot.parameter->size(), out);
  return out;
}

std::vector<double> Optimizer::dense_squares(ThreadPool& pool) const {
  std::vector<Piece> pieces = dense_pieces();
  pieces.resize(std::min(pieces.size(), owned_.second));
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(std::min(pieces.size(), owned_.first)));
  return squares_of(pieces, pool);
}

std::vector<double> Optimizer::sparse_squares(ThreadPool& pool) const {
  std::vector<Piece> pieces;
  for (const Slot& slot : slots_)
    if (slot.parameter->sparse) append_pieces(*slot.parameter, gradient_size(*slot.parameter), pieces);
  return squares_of(pieces, pool);
}

void Optimizer::visit_moments(const std::function<void(std::size_t, float*, Index)>& visitor) {
  std::size_t piece = 0;
  for (Slot& slot : slots_) {
    if (slot.parameter->sparse) continue;
    for (Index at = 0, size = slot.parameter->size(); at < size; at += kStepPiece, ++piece)
      for (AlignedVector* moments : {&slot.m, &slot.v})
        if (moments->size() > 0) visitor(piece, moments->data() + at, std::min(kStepPiece, size - at));
  }
}

void Optimizer::catch_up_row(Slot& slot, std::int32_t row) const {
  const std::int64_t last = slot.last_step[row], missed = steps_ - last;
  if (missed == 0) return;
  slot.last_step[row] = steps_;
  Parameter& p = *slot.parameter;
  if (!p.fixed_rows.empty() && p.fixed_rows[row] != 0) return;
  const Index E = p.row_size(), at = row * E;
  // Sums of much older steps are not updated any further; only their decay has to be applied.
  const std::int64_t kept_until = std::min(steps_, last + kMissedSteps);
  const double sum =
      static_cast<double>(p.rate) * missed_[last] * std::exp(log_keeps_[steps_] - log_keeps_[kept_until]);
  const float keep =
      slot.decay == 0.0f || p.rate == 0.0f ? 1.0f : static_cast<float>(std::exp(log_keeps_[steps_] - log_keeps_[last]));
  if (is_adam(options_)) {
    kernels::adam_missed({.rate = static_cast<float>(sum),
                          .epsilon = options_.epsilon,
                          .keep = keep,
                          .m_decay = static_cast<float>(beta_power(options_.beta1, missed)),
                          .v_decay = static_cast<float>(beta_power(options_.beta2, missed))},
                         p.value.data() + at, slot.m.data() + at, slot.v.data() + at, E);
    return;
  }
  if (keep != 1.0f) kernels::scale(keep, p.value.data() + at, E);
  if (options_.kind == OptimizerKind::kRmsProp)
    kernels::scale(static_cast<float>(beta_power(options_.alpha, missed)), slot.v.data() + at, E);
  if (options_.momentum == 0.0f) return;
  // Without a gradient, a step of Nesterov's form is momentum times the velocity.
  const double form = options_.nesterov ? static_cast<double>(options_.momentum) : 1.0;
  kernels::add_scaled(static_cast<float>(-sum * form), slot.m.data() + at, p.value.data() + at, E);
  kernels::scale(static_cast<float>(beta_power(options_.momentum, missed)), slot.m.data() + at, E);
}

void Optimizer::catch_up(Parameter& parameter, const std::vector<std::int32_t>& rows, ThreadPool& pool) {
  const auto slot =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.parameter == &parameter; });
  if (slot == slots_.end()) return;
  const auto count = static_cast<std::int64_t>(rows.size());
  pool.parallel_for((count + kStepRows - 1) / kStepRows, [&](std::int64_t task) {
    for (auto i = task * kStepRows; i < std::min(count, (task + 1) * kStepRows); ++i) catch_up_row(*slot, rows[i]);
  });
}

void Optimizer::catch_up_all(ThreadPool& pool) {
  for (Slot& slot : slots_) {
    const auto rows = static_cast<std::int64_t>(slot.last_step.size());
    pool.parallel_for((rows + kStepRows - 1) / kStepRows, [&](std::int64_t task) {
      for (auto r = task * kStepRows; r < std::min(rows, (task + 1) * kStepRows); ++r)
        catch_up_row(slot, static_cast<std::int32_t>(r));
    });
  }
}

// One dense step on `count` floats at offset `at`; step number steps_ + 1.
void Optimizer::update(const Slot& slot, Index at, const float* gradient, Index count, double rate,
                       double gradient_scale) const {
  float* w = slot.parameter->value.data() + at;
  float* m = const_cast<float*>(slot.m.data()) + at;
  const double decay = slot.parameter->rate == 0.0f ? 0.0 : static_cast<double>(slot.decay);
  const float keep = static_cast<float>(1.0 - decay * rate);
  const float scale = static_cast<float>(gradient_scale);
  rate *= static_cast<double>(slot.parameter->rate);
  if (is_adam(options_)) {
    const double correct1 = 1.0 - beta_power(options_.beta1, steps_ + 1);
    const double correct2 = 1.0 - beta_power(options_.beta2, steps_ + 1);
    kernels::adam_update({.beta1 = options_.beta1,
                          .beta2 = options_.beta2,
                          .rate = static_cast<float>(rate / correct1),
                          .v_scale = static_cast<float>(1.0 / std::sqrt(correct2)),
                          .epsilon = options_.epsilon,
                          .keep = keep,
                          .gradient_scale = scale},
                         gradient, w, m, const_cast<float*>(slot.v.data()) + at, count);
    return;
  }
  if (keep != 1.0f) kernels::scale(keep, w, count);
  if (options_.kind == OptimizerKind::kRmsProp) {
    kernels::rmsprop_update({.rate = static_cast<float>(rate),
                             .alpha = options_.alpha,
                             .epsilon = options_.epsilon,
                             .momentum = options_.momentum,
                             .decay = 0.0f,
                             .gradient_scale = scale},
                            gradient, w, m, const_cast<float*>(slot.v.data()) + at, count);
    return;
  }
  kernels::sgd_update({.rate = static_cast<float>(rate),
                       .momentum = options_.momentum,
                       .decay = 0.0f,
                       .gradient_scale = scale,
                       .nesterov = options_.nesterov},
                      gradient, w, m, count);
}

void Optimizer::step(double rate, double gradient_scale, ThreadPool& pool) {
  struct Update {
    Slot* slot;
    Index at, count;
    float* gradient;
  };
  std::vector<Update> pieces;
  std::size_t dense = 0;
  for (Slot& slot : slots_) {
    Parameter& p = *slot.parameter;
    if (!p.sparse) {
      for (Index at = 0; at < p.size(); at += kStepPiece, ++dense)
        if (dense >= owned_.first && dense < owned_.second)
          pieces.push_back({&slot, at, std::min(kStepPiece, p.size() - at), p.gradient.data() + at});
      continue;
    }
    const Index E = p.row_size();
    for (std::size_t i = 0; i < p.touched.size(); ++i) {
      pieces.push_back({&slot, p.touched[i] * E, E, p.gradient.data() + static_cast<Index>(i) * E});
      slot.last_step[p.touched[i]] = steps_ + 1;
    }
  }
  constexpr std::int64_t kPiecesPerTask = 32;
  const auto count = static_cast<std::int64_t>(pieces.size());
  pool.parallel_for((count + kPiecesPerTask - 1) / kPiecesPerTask, [&](std::int64_t task) {
    for (auto i = task * kPiecesPerTask; i < std::min(count, (task + 1) * kPiecesPerTask); ++i) {
      const Update& piece = pieces[static_cast<std::size_t>(i)];
      update(*piece.slot, piece.at, piece.gradient, piece.count, rate, gradient_scale);
      // While it is still in the cache. The gradient of a sparse row counts only as long as the row is touched.
      if (!piece.slot->parameter->sparse) std::fill_n(piece.gradient, piece.count, 0.0f);
    }
  });
  note_step(rate);
  for (Slot& slot : slots_) slot.parameter->touched.clear();
}

// The term that step steps_ + 1 adds to the missed sum of a row last updated at the previous step, without its decay.
double Optimizer::missed_factor(double rate) const {
  if (!is_adam(options_)) return rate;
  return rate * std::sqrt(1.0 - beta_power(options_.beta2, steps_ + 1)) /
         (1.0 - beta_power(options_.beta1, steps_ + 1));
}

void Optimizer::note_step(double rate) {
  const double shrink = is_adam(options_)
                            ? static_cast<double>(options_.beta1) / std::sqrt(static_cast<double>(options_.beta2))
                            : static_cast<double>(options_.momentum);
  const double keep = 1.0 - rate * static_cast<double>(options_.weight_decay);
  double term = missed_factor(rate) * shrink;
  const std::int64_t oldest = std::max<std::int64_t>(0, steps_ - kMissedSteps + 1);
  for (std::int64_t last = steps_; last >= oldest; --last, term *= shrink) missed_[last] = missed_[last] * keep + term;
  ++steps_;
  missed_.push_back(0.0);
  log_keeps_.push_back(log_keeps_.back() + std::log(keep));
}

void Optimizer::visit_floats(const std::function<void(const std::string&, float*, Index)>& visitor) {
  for (Slot& slot : slots_) {
    visitor("m." + slot.parameter->name, slot.m.data(), static_cast<Index>(slot.m.size()));
    if (slot.v.size() > 0) visitor("v." + slot.parameter->name, slot.v.data(), static_cast<Index>(slot.v.size()));
  }
}

void Optimizer::visit_counters(const std::function<void(const std::string&, std::vector<std::int64_t>&)>& visitor) {
  for (Slot& slot : slots_)
    if (slot.parameter->sparse) visitor("last_step." + slot.parameter->name, slot.last_step);
}

void Optimizer::visit_doubles(const std::function<void(const std::string&, std::vector<double>&)>& visitor) {
  visitor("missed", missed_);
  visitor("log_keeps", log_keeps_);
}

void Optimizer::restore(std::int64_t steps) { steps_ = steps; }

}  // namespace mnemo
