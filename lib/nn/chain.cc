// Forward-backward and Viterbi recursions on kernels/chain.h. The n best sequences need a single Viterbi pass: each
// sequence found splits those left by the token at which they depart from it, and the pass has the best beginning for
// every departure, so its score is known at once.
#include "nn/chain.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"

namespace mnemo {
namespace {

constexpr double kNever = -INFINITY;

double log_sum_exp(const double* values, Index count) {
  const double largest = *std::max_element(values, values + count);
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (Index k = 0; k < count; ++k) sum += std::exp(values[k] - largest);
  return largest + std::log(sum);
}

Index largest_at(const double* values, Index count) { return std::max_element(values, values + count) - values; }

}  // namespace

void ChainScores::resize(Index length, Index tags) {
  length_ = length;
  tags_ = tags;
  stride_ = kernels::chain_stride(tags);
  values_.resize(length * stride_);
}

void ChainScores::set_row(Index t, const float* scores) {
  double* to = values_.data() + t * stride_;
  for (Index k = 0; k < tags_; ++k) to[k] = static_cast<double>(scores[k]);
  std::fill(to + tags_, to + stride_, kNever);
}

void ChainScores::add(const ChainScores& other) {
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i] += other.values_[i];
}

void ChainScores::divide(double divisor) {
  for (double& value : values_) value /= divisor;
}

Chain::Chain(const AllowedTransitions& allowed, const float* begin, const float* next, const float* end)
    : tags_(allowed.tags), stride_(kernels::chain_stride(tags_)), begin_(stride_, kNever), end_(stride_, kNever) {
  const auto weight = [](const float* values, Index k) { return values ? static_cast<double>(values[k]) : 0.0; };
  std::vector<double> from_to(tags_ * stride_, kNever), to_from = from_to;
  for (Index i = 0; i < tags_; ++i) {
    if (allowed.begin[i]) begin_[i] = weight(begin, i);
    if (allowed.end[i]) end_[i] = weight(end, i);
    for (Index j = 0; j < tags_; ++j) {
      if (!allowed.next[i * tags_ + j]) continue;
      from_to[i * stride_ + j] = to_from[j * stride_ + i] = weight(next, i * tags_ + j);
    }
  }
  forward_ = transitions_of(tags_, stride_, std::move(from_to));
  backward_ = transitions_of(tags_, stride_, std::move(to_from));
}

Chain::Transitions Chain::transitions_of(Index tags, Index stride, std::vector<double> logs) {
  Transitions out{std::move(logs), std::vector<double>(tags * stride), std::vector<double>(stride)};
  for (Index j = 0; j < tags; ++j) {
    double largest = kNever;
    for (Index i = 0; i < tags; ++i) largest = std::max(largest, out.logs[i * stride + j]);
    if (!std::isinf(largest)) out.largest[j] = largest;
    for (Index i = 0; i < tags; ++i) out.factors[i * stride + j] = std::exp(out.logs[i * stride + j] - out.largest[j]);
  }
  return out;
}

Chain Chain::mean_of(std::span<const Chain> chains) {
  Chain out = chains.front();
  const auto number = static_cast<double>(chains.size());
  const auto mean = [&](auto part) {
    std::vector<double>& to = part(out);
    for (const Chain& one : chains.subspan(1))
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += part(one)[i];
    for (double& weight : to) weight /= number;
  };
  mean([](auto& chain) -> auto& { return chain.begin_; });
  mean([](auto& chain) -> auto& { return chain.end_; });
  for (Transitions Chain::*way : {&Chain::forward_, &Chain::backward_}) {
    mean([way](auto& chain) -> auto& { return (chain.*way).logs; });
    out.*way = transitions_of(out.tags_, out.stride_, std::move((out.*way).logs));
  }
  return out;
}

double Chain::score(const ChainScores& scores, std::span<const std::int32_t> tags) const {
  double out = begin_[tags.front()] + end_[tags.back()];
  for (std::size_t t = 0; t < tags.size(); ++t) {
    out += scores.row(static_cast<Index>(t))[tags[t]];
    if (t > 0) out += next(tags[t - 1], tags[t]);
  }
  return out;
}

void Chain::sum(const ChainScores& scores, ChainSums& out) const {
  const Index T = scores.length();
  out.forward.resize(T * stride_);
  out.backward.resize(T * stride_);
  out.room.resize(2 * stride_);
  double* joined = out.room.data() + stride_;
  const auto forward = forward_.view(tags_, stride_), backward = backward_.view(tags_, stride_);
  for (Index k = 0; k < stride_; ++k) out.forward[k] = begin_[k] + scores.row(0)[k];
  for (Index t = 1; t < T; ++t)
    kernels::chain_sum(forward, out.forward.data() + (t - 1) * stride_, scores.row(t), out.forward.data() + t * stride_,
                       out.room.data());
  std::vector<double> nothing(stride_, kNever);
  std::fill_n(nothing.begin(), tags_, 0.0);
  std::copy(end_.begin(), end_.end(), out.backward.end() - stride_);
  for (Index t = T - 1; t > 0; --t) {
    for (Index k = 0; k < stride_; ++k) joined[k] = scores.row(t)[k] + out.backward[t * stride_ + k];
    kernels::chain_sum(backward, joined, nothing.data(), out.backward.data() + (t - 1) * stride_, out.room.data());
  }
  for (Index k = 0; k < tags_; ++k) joined[k] = out.forward[(T - 1) * stride_ + k] + end_[k];
  out.log_sum = log_sum_exp(joined, tags_);
  if (out.log_sum == kNever) fail("no sequence of {} tags is allowed", T);
}

void Chain::add_expected_transitions(const ChainScores& scores, const ChainSums& sums, double* transitions) const {
  std::vector<double> outer(tags_ * stride_), joined(stride_), a(stride_), b(stride_);
  for (Index t = 1; t < scores.length(); ++t) {
    const double* before = sums.forward.data() + (t - 1) * stride_;
    const double* after = sums.backward.data() + t * stride_;
    for (Index j = 0; j < stride_; ++j) joined[j] = scores.row(t)[j] + after[j] + forward_.largest[j];
    const double top_before = before[largest_at(before, tags_)], top_joined = joined[largest_at(joined.data(), tags_)];
    // Where the best tags on either side do not fit together, factors of the others would leave the range of a double.
    constexpr double kLargestFactor = 300;
    if (const double factor = top_before + top_joined - sums.log_sum; factor <= kLargestFactor) {
      kernels::chain_exp(stride_, before, -top_before, a.data());
      kernels::chain_exp(stride_, joined.data(), factor - top_joined, b.data());
      kernels::chain_outer(tags_, stride_, a.data(), b.data(), outer.data());
      continue;
    }
    for (Index i = 0; i < tags_; ++i)
      for (Index j = 0; j < tags_; ++j)
        transitions[i * stride_ + j] += std::exp(before[i] + next(i, j) + scores.row(t)[j] + after[j] - sums.log_sum);
  }
  for (Index k = 0; k < tags_ * stride_; ++k) transitions[k] += outer[k] * forward_.factors[k];
}

void Chain::marginals(const ChainSums& sums, Index t, double* out) const {
  double total = 0;
  for (Index k = 0; k < tags_; ++k) {
    out[k] = std::exp(sums.forward[t * stride_ + k] + sums.backward[t * stride_ + k] - sums.log_sum);
    total += out[k];
  }
  // Over a hundred thousand tokens the logarithms lose digits; the error is common to all tags of a token.
  for (Index k = 0; k < tags_; ++k) out[k] /= total;
}

double Chain::probability(const ChainScores& scores, const ChainSums& sums, Index first,
                          std::span<const std::int32_t> tags, std::int32_t barred) const {
  const Index end = first + static_cast<Index>(tags.size());
  double out = sums.forward[first * stride_ + tags.front()];
  for (Index t = first + 1; t < end; ++t)
    out += next(tags[t - 1 - first], tags[t - first]) + scores.row(t)[tags[t - first]];
  if (end == scores.length() || barred < 0) {
    out += sums.backward[(end - 1) * stride_ + tags.back()];
  } else {
    std::vector<double> after(tags_, kNever);
    for (Index k = 0; k < tags_; ++k)
      if (k != barred) after[k] = next(tags.back(), k) + scores.row(end)[k] + sums.backward[end * stride_ + k];
    out += log_sum_exp(after.data(), tags_);
  }
  return std::min(1.0, std::exp(out - sums.log_sum));
}

Chain::Viterbi Chain::viterbi(const ChainScores& scores) const {
  const Index T = scores.length();
  Viterbi out{std::vector<double>(T * stride_), std::vector<std::int32_t>(T * stride_)};
  for (Index k = 0; k < stride_; ++k) out.values[k] = begin_[k] + scores.row(0)[k];
  const auto transitions = forward_.view(tags_, stride_);
  for (Index t = 1; t < T; ++t)
    kernels::chain_max(transitions, out.values.data() + (t - 1) * stride_, scores.row(t),
                       out.values.data() + t * stride_, out.back.data() + t * stride_);
  return out;
}

TagPath Chain::best(const ChainScores& scores) const { return best(scores, 1).front(); }

std::vector<TagPath> Chain::best(const ChainScores& scores, Index count) const {
  // The best of the sequences that equal `parent` after token t and have `tag` at t.
  struct Candidate {
    double score;
    Index number, parent, t;  // numbered in order of discovery, which breaks ties
    std::int32_t tag;
    bool operator<(const Candidate& o) const { return score != o.score ? score > o.score : number < o.number; }
  };
  const Index T = scores.length();
  const Viterbi v = viterbi(scores);
  std::set<Candidate> candidates;
  Index met = 0;
  std::vector<TagPath> out;
  const auto offer = [&](double score, Index parent, Index t, std::int32_t tag) {
    if (score == kNever) return;
    candidates.insert({score, met++, parent, t, tag});
    if (std::ssize(candidates) > count - std::ssize(out)) candidates.erase(std::prev(candidates.end()));
  };
  for (Index k = 0; k < tags_; ++k)
    offer(v.values[(T - 1) * stride_ + k] + end_[k], -1, T - 1, static_cast<std::int32_t>(k));
  if (candidates.empty()) fail("no sequence of {} tags is allowed", T);
  while (!candidates.empty() && std::ssize(out) < count) {
    const Candidate c = *candidates.begin();
    candidates.erase(candidates.begin());
    TagPath path{std::vector<std::int32_t>(T), c.score};
    if (c.parent >= 0) std::copy(out[c.parent].tags.begin() + c.t, out[c.parent].tags.end(), path.tags.begin() + c.t);
    path.tags[c.t] = c.tag;
    for (Index t = c.t; t > 0; --t) path.tags[t - 1] = v.back[t * stride_ + path.tags[t]];
    const Index self = std::ssize(out);
    out.push_back(std::move(path));
    if (self + 1 == count) break;
    const auto& tags = out.back().tags;
    double after = end_[tags.back()];  // the score of everything after token t, the transition to it included
    for (Index t = T - 1; t > 0; --t) {
      after += scores.row(t)[tags[t]];
      for (Index k = 0; k < tags_ && t <= c.t; ++k)
        if (k != tags[t - 1])
          offer(v.values[(t - 1) * stride_ + k] + next(k, tags[t]) + after, self, t - 1, static_cast<std::int32_t>(k));
      after += next(tags[t - 1], tags[t]);
    }
  }
  return out;
}

}  // namespace mnemo
