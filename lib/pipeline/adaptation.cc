#include "pipeline/adaptation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/finite.h"
#include "kernels/product.h"

namespace mnemo {
namespace {

// Units per step without dynamic evaluation.
constexpr std::int64_t kBlock = 64;
constexpr double kMaxGradientNorm = 1.0;

// A copy of the network with its current weights, to be trained further.
std::unique_ptr<LanguageModel> copy_without_dropout(const TextLanguageModel& model) {
  LanguageModelOptions options = model.network().options();
  RecurrentOptions& layers = options.recurrent;
  for (const auto& [rate, name] : {std::pair{layers.zoneout_h, "zoneout_h"}, {layers.zoneout_c, "zoneout_c"}})
    if (rate > 0) fail("model.{}: dynamic evaluation cannot adapt a model with zoneout", name);
  for (float* rate : {&options.dropout, &options.embedding_dropout, &options.unit_dropout, &options.activation_penalty,
                      &options.slowness_penalty, &layers.layer_dropout, &layers.state_dropout, &layers.weight_dropout,
                      &layers.attention.dropout})
    *rate = 0;
  auto out = std::make_unique<LanguageModel>(options);
  std::vector<const Parameter*> from;
  model.network().read_parameters([&](const Parameter& p) { from.push_back(&p); });
  std::size_t next = 0;
  out->visit([&](Parameter& p) {
    const Parameter& same = *from[next++];
    std::copy_n(same.value.data(), same.size(), p.value.data());
  });
  out->weights_changed();
  return out;
}

}  // namespace

AdaptiveLoss::AdaptiveLoss(const TextLanguageModel& model, const AdaptationOptions& options, ThreadPool& pool)
    : model_(model), options_(options), pool_(pool) {
  if (options.rate <= 0) return;
  if (model.metadata().precision != kernels::Precision::kFloat32)
    throw Error("dynamic evaluation updates the weights: it needs a float32 model");
  learner_ = copy_without_dropout(model);
  OptimizerOptions sgd;
  sgd.kind = OptimizerKind::kSgd;
  optimizer_ = std::make_unique<Optimizer>(sgd, [this](const ParameterVisitor& v) { learner_->visit(v); });
}

void AdaptiveLoss::measure(const ReadUnits& read, const StreamLoss::Lane& lane, const StreamLoss::Use& use) {
  const LanguageModel& network = learner_ ? *learner_ : model_.network();
  CarriedState state(network.options().recurrent, 1), begun = state;
  const std::int64_t most = optimizer_ ? options_.steps : kBlock;
  std::vector<std::int32_t> ids, targets;
  for (std::int64_t at = lane.begin; at < lane.end; at += most) {
    const auto length = static_cast<std::int32_t>(std::min(most, lane.end - at));
    Packing packing({&length, 1});
    ids.resize(static_cast<std::size_t>(length));
    targets.resize(static_cast<std::size_t>(length));
    place_units(read, at, length, model_.text_end(), packing, 0, ids, targets);
    arena_.reset();
    Tape tape(pool_, arena_, optimizer_ ? Tape::Mode::kTraining : Tape::Mode::kInference);
    if (learner_) learner_->prepare(tape);
    const LanguageModel::Batch batch = network.batch(std::move(packing), ids, targets, false, 0, 0);
    begun = state;
    const RecurrentState initial = begun.view();
    const Recurrent::Output output = network.forward(tape, batch, at > lane.begin ? &initial : nullptr);
    std::vector<double> log_p(targets.size());
    network.output().log_probabilities(pool_, arena_, output.y.value, targets, log_p.data());
    if (options_.cache > 0) mix_cache(output.y.value, targets, log_p);
    state.take(output.final);
    for (std::int64_t t = 0; t < length; ++t)
      if (at + t >= lane.counted)
        use(targets[static_cast<std::size_t>(t)], at + t,
            finite(log_p[static_cast<std::size_t>(t)], "the probability of a unit"));
    if (!optimizer_) continue;
    learner_->loss(tape, batch, output.y);
    tape.backward();
    const double norm = optimizer_->gradient_norm(pool_);
    if (!std::isfinite(norm))
      fail("dynamic evaluation: the gradient after unit {} is not finite; lower its rate", at + length);
    optimizer_->step(options_.rate, norm > kMaxGradientNorm ? kMaxGradientNorm / norm : 1.0, pool_);
    learner_->weights_changed();
  }
}

// Mixes the cache's distribution into log_p. The target of row t is predicted from the cached outputs and from the rows
// of this block before t.
void AdaptiveLoss::mix_cache(const float* y, std::span<const std::int32_t> targets, std::vector<double>& log_p) {
  const Index H = model_.network().options().recurrent.output(), T = std::ssize(targets);
  const Index before = std::ssize(units_);
  outputs_.insert(outputs_.end(), y, y + T * H);
  units_.insert(units_.end(), targets.begin(), targets.end());
  const Index N = before + T;
  kernels::PackedMatrix panels;
  kernels::pack(pool_, outputs_.data(), H, true, H, N, panels, kernels::Precision::kFloat32);
  std::vector<float> dots(static_cast<std::size_t>(T * N));
  kernels::multiply_rows(T, y, H, panels, 0, panels.panels(), kernels::Start::kZero, nullptr, dots.data(), N);
  for (Index t = 0; t < T; ++t) {
    const Index last = before + t, first = std::max<Index>(0, last - options_.cache);
    if (first == last) continue;
    const float* row = dots.data() + t * N;
    const auto largest = static_cast<double>(*std::max_element(row + first, row + last));
    double sum = 0, same = 0;
    for (Index i = first; i < last; ++i) {
      const double weight = std::exp(options_.flatness * (static_cast<double>(row[i]) - largest));
      sum += weight;
      if (units_[static_cast<std::size_t>(i)] == targets[static_cast<std::size_t>(t)]) same += weight;
    }
    double& one = log_p[static_cast<std::size_t>(t)];
    one = std::log((1.0 - options_.share) * std::exp(one) + options_.share * same / sum);
  }
  if (N > options_.cache) {
    outputs_.erase(outputs_.begin(), outputs_.begin() + (N - options_.cache) * H);
    units_.erase(units_.begin(), units_.begin() + (N - options_.cache));
  }
}

}  // namespace mnemo
