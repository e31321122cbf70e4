// The head is a softmax over the shortlist and one class per cluster. Rows whose target is in a cluster are gathered,
// projected and given to that cluster's own softmax; its loss is scaled by their fraction of all rows, so the sum is
// the mean over rows.
#include "nn/adaptive_softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/softmax.h"
#include "nn/rows.h"

namespace mnemo {
namespace {

constexpr Index kShrink = 4;

// Turns scores into log-probabilities plus `offset`.
void log_softmax(Index count, float* scores, float offset, std::vector<float>& scratch) {
  scratch.resize(static_cast<std::size_t>(count));
  const float largest = kernels::largest_of_row(count, scores);
  const float log_sum = std::log(kernels::exp_row(count, scores, largest, 1.0f, scratch.data()));
  for (Index i = 0; i < count; ++i) scores[i] += offset - largest - log_sum;
}

}  // namespace

AdaptiveSoftmax::AdaptiveSoftmax(const std::string& name, Index in, Index classes, const std::vector<Index>& cutoffs)
    : in_(in), shortlist_(cutoffs.front()), head_(name + ".head", in, cutoffs.front() + std::ssize(cutoffs)) {
  Index inputs = in;
  for (std::size_t i = 0; i < cutoffs.size(); ++i) {
    inputs = std::max<Index>(1, inputs / kShrink);
    const Index end = i + 1 < cutoffs.size() ? cutoffs[i + 1] : classes;
    clusters_.push_back(
        std::make_unique<Cluster>(name + ".tail." + std::to_string(i), in, inputs, cutoffs[i], end - cutoffs[i]));
  }
}

void AdaptiveSoftmax::initialise(Initialiser initialiser, std::uint64_t seed) {
  head_.initialise(initialiser, seed);
  for (auto& cluster : clusters_) {
    cluster->projection.initialise(initialiser, seed);
    cluster->softmax.initialise(initialiser, seed);
  }
}

void AdaptiveSoftmax::visit(const ParameterVisitor& visitor) {
  head_.visit(visitor);
  for (auto& cluster : clusters_) {
    cluster->projection.visit(visitor);
    cluster->softmax.visit(visitor);
  }
}

void AdaptiveSoftmax::visit_matrices(const ParameterVisitor& visitor) {
  head_.visit_matrices(visitor);
  for (auto& cluster : clusters_) {
    visitor(cluster->projection.weight);
    cluster->softmax.visit_matrices(visitor);
  }
}

void AdaptiveSoftmax::weights_changed() {
  head_.weights_changed();
  for (auto& cluster : clusters_) {
    cluster->projection.weights_changed();
    cluster->softmax.weights_changed();
  }
}

void AdaptiveSoftmax::set_training_precision(kernels::Precision precision) {
  head_.set_training_precision(precision);
  for (auto& cluster : clusters_) cluster->softmax.set_training_precision(precision);
}

void AdaptiveSoftmax::set_precision(kernels::Precision precision) {
  head_.set_precision(precision);
  for (auto& cluster : clusters_) {
    cluster->projection.set_precision(precision);
    cluster->softmax.set_precision(precision);
  }
}

std::vector<std::int32_t> AdaptiveSoftmax::head_targets(std::span<const std::int32_t> targets,
                                                        std::vector<Members>& members) const {
  members.resize(clusters_.size());
  std::vector<std::int32_t> out(targets.begin(), targets.end());
  for (std::size_t row = 0; row < out.size(); ++row) {
    std::size_t c = clusters_.size();
    while (c > 0 && targets[row] < clusters_[c - 1]->first) --c;
    if (c == 0) continue;
    out[row] = static_cast<std::int32_t>(shortlist_ + static_cast<Index>(c) - 1);
    members[c - 1].rows.push_back(static_cast<std::int32_t>(row));
    members[c - 1].targets.push_back(targets[row] - static_cast<std::int32_t>(clusters_[c - 1]->first));
  }
  return out;
}

double AdaptiveSoftmax::loss(Tape& tape, const Activation& x, std::span<const std::int32_t> targets, double share) {
  const auto members = std::make_shared<std::vector<Members>>();
  // Keeps them alive for the closures below: the first closure on the tape is the last to run in backward.
  tape.record([members] {});
  double loss = head_.loss(tape, x, head_targets(targets, *members), share);
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const Members& some = (*members)[c];
    if (some.rows.empty()) continue;
    const double part = static_cast<double>(some.rows.size()) / static_cast<double>(x.rows);
    const Activation own = side_by_side(tape, std::ssize(some.rows), {{x, some.rows}});
    loss += part *
            clusters_[c]->softmax.loss(tape, clusters_[c]->projection.forward(tape, own), some.targets, share * part);
  }
  return loss;
}

void AdaptiveSoftmax::log_probabilities(ThreadPool& pool, Arena& arena, const float* x,
                                        std::span<const std::int32_t> targets, double* out) const {
  std::vector<Members> members;
  head_.log_probabilities(pool, arena, x, head_targets(targets, members), out);
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const auto rows = std::ssize(members[c].rows);
    if (rows == 0) continue;
    const Index inputs = clusters_[c]->softmax.inputs();
    std::vector<float> own(static_cast<std::size_t>(rows * in_)), projected(static_cast<std::size_t>(rows * inputs));
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      std::copy_n(x + members[c].rows[static_cast<std::size_t>(i)] * in_, in_, own.data() + i * in_);
    clusters_[c]->projection.apply(rows, own.data(), projected.data());
    std::vector<double> log_p(static_cast<std::size_t>(rows));
    clusters_[c]->softmax.log_probabilities(pool, arena, projected.data(), members[c].targets, log_p.data());
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      out[members[c].rows[static_cast<std::size_t>(i)]] += log_p[static_cast<std::size_t>(i)];
  }
}

void AdaptiveSoftmax::prepare(ThreadPool& pool) {
  for (auto& cluster : clusters_) cluster->projection.prepare(pool);
}

void AdaptiveSoftmax::prepare_scores(ThreadPool& pool) {
  prepare(pool);
  head_.prepare_scores(pool);
  for (auto& cluster : clusters_) cluster->softmax.prepare_scores(pool);
}

void AdaptiveSoftmax::scores(Index rows, const float* x, float* out) const {
  const Index V = clusters_.back()->first + clusters_.back()->size, heads = head_.classes();
  std::vector<float> head(static_cast<std::size_t>(heads)), projected, scratch;
  for (Index row = 0; row < rows; ++row) {
    float* to = out + row * V;
    head_.scores(1, x + row * in_, head.data());
    log_softmax(heads, head.data(), 0.0f, scratch);
    std::copy_n(head.data(), shortlist_, to);
    for (std::size_t c = 0; c < clusters_.size(); ++c) {
      const Cluster& cluster = *clusters_[c];
      projected.resize(static_cast<std::size_t>(cluster.softmax.inputs()));
      cluster.projection.apply(1, x + row * in_, projected.data());
      cluster.softmax.scores(1, projected.data(), to + cluster.first);
      log_softmax(cluster.size, to + cluster.first, head[static_cast<std::size_t>(shortlist_) + c], scratch);
    }
  }
}

}  // namespace mnemo
