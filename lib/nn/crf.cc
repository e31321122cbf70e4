#include "nn/crf.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mnemo {
namespace {

// Gradients are summed over groups of this many sentences, then over the groups, for any number of threads.
constexpr Index kGroup = 4;

// A group's gradients of the weights, times the number of sentences.
struct Gradients {
  explicit Gradients(Index tags) : transitions(tags * kernels::chain_stride(tags)), start(tags), end(tags) {}
  std::vector<double> transitions, start, end;
};

// Whether all gold tags of sequence b are among the K.
bool is_known(const Packing& packing, Index b, std::span<const std::int32_t> gold) {
  for (Index t = 0; t < packing.length(b); ++t)
    if (gold[packing.row(b, t)] < 0) return false;
  return true;
}

}  // namespace

Crf::Crf(const std::string& name, AllowedTransitions allowed)
    : transitions(name + ".transitions", {allowed.tags, allowed.tags}),
      start(name + ".start_transitions", {allowed.tags}),
      end(name + ".end_transitions", {allowed.tags}),
      allowed_(std::move(allowed)) {}

void Crf::initialise() {
  visit([](Parameter& p) { std::fill_n(p.value.data(), p.size(), 0.0f); });
}

void Crf::visit(const ParameterVisitor& visitor) {
  visitor(transitions);
  visitor(start);
  visitor(end);
}

Chain Crf::chain() const { return {allowed_, start.value.data(), transitions.value.data(), end.value.data()}; }

void copy_scores(const Packing& packing, Index b, const Activation& scores, ChainScores& out) {
  out.resize(packing.length(b), scores.columns);
  for (Index t = 0; t < packing.length(b); ++t) out.set_row(t, scores.value + packing.row(b, t) * scores.columns);
}

double Crf::loss(Tape& tape, const Packing& packing, const Activation& scores,
                 std::span<const std::int32_t> gold) const {
  const Index K = scores.columns, stride = kernels::chain_stride(K), B = packing.rows_at(0);
  if (B == 0) return 0;
  const Chain weights = chain();
  Index counted = 0;
  for (Index b = 0; b < B; ++b) counted += is_known(packing, b, gold) ? 1 : 0;
  if (counted == 0) return 0;
  const double share = 1.0 / static_cast<double>(counted);
  const Index groups = (B + kGroup - 1) / kGroup;
  std::vector<Gradients> gradients(groups, Gradients(K));
  std::vector<double> losses(B);
  tape.pool.parallel_for(groups, [&](std::int64_t group) {
    Gradients& g = gradients[group];
    ChainScores sentence;
    ChainSums sums;
    std::vector<std::int32_t> tags;
    std::vector<double> p(K);
    for (Index b = group * kGroup; b < std::min(B, (group + 1) * kGroup); ++b) {
      if (!is_known(packing, b, gold)) continue;
      const Index T = packing.length(b);
      copy_scores(packing, b, scores, sentence);
      tags.resize(T);
      for (Index t = 0; t < T; ++t) tags[t] = gold[packing.row(b, t)];
      weights.sum(sentence, sums);
      losses[b] = sums.log_sum - weights.score(sentence, tags);
      if (!scores.gradient) continue;
      for (Index t = 0; t < T; ++t) {
        weights.marginals(sums, t, p.data());
        p[tags[t]] -= 1.0;
        float* to = scores.gradient + packing.row(b, t) * K;
        for (Index k = 0; k < K; ++k) to[k] += static_cast<float>(share * p[k]);
        for (Index k = 0; k < K && t == 0; ++k) g.start[k] += p[k];
        for (Index k = 0; k < K && t == T - 1; ++k) g.end[k] += p[k];
        if (t > 0) g.transitions[tags[t - 1] * stride + tags[t]] -= 1.0;
      }
      weights.add_expected_transitions(sentence, sums, g.transitions.data());
    }
  });
  double loss = 0;
  for (const double one : losses) loss += share * one;
  if (loss == INFINITY) fail("crf: a sentence's gold tags are not a sequence that the scheme allows");
  if (!scores.gradient) return loss;
  float *dstart = Tape::trained(start).gradient.data(), *dend = Tape::trained(end).gradient.data(),
        *dtransitions = Tape::trained(transitions).gradient.data();
  for (Index i = 0; i < K; ++i) {
    const auto total = [&](auto&& of) {
      double sum = 0;
      for (const Gradients& g : gradients) sum += of(g);
      return static_cast<float>(share * sum);
    };
    dstart[i] += total([&](const Gradients& g) { return g.start[i]; });
    dend[i] += total([&](const Gradients& g) { return g.end[i]; });
    for (Index j = 0; j < K; ++j)
      if (allowed_.next[i * K + j])
        dtransitions[i * K + j] += total([&](const Gradients& g) { return g.transitions[i * stride + j]; });
  }
  return loss;
}

}  // namespace mnemo
