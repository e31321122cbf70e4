// Features are 64-bit hashes of a template's number and its words; those of the training data that are frequent enough
// become rows of weights. Training runs forward-backward of nn/chain.h on a sentence, then AdaGrad on the rows that it
// uses; the mean over all steps needs no copies of the weights, because each change is also summed with the time at
// which it was made.
#include "measure/linear_crf.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "kernels/chain.h"
#include "text/normalize.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Most weights (three floats each), and most products of a feature and a tag over all epochs.
constexpr double kMostWeights = 5e7, kMostProducts = 6e9;
constexpr std::size_t kShapeLength = 8;
constexpr int kAffixes = 4;
constexpr std::uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

// FNV-1a hash of a template's number and its texts.
std::uint64_t feature(int number, std::string_view first, std::string_view second = {}) {
  std::uint64_t hash = (kFnvOffset ^ static_cast<std::uint64_t>(number)) * kFnvPrime;
  for (const char c : first) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  hash = (hash ^ 0xff) * kFnvPrime;  // not a byte of UTF-8
  for (const char c : second) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

std::string letter_shape(std::string_view word) {
  std::string out;
  for (std::size_t at = 0, n = 0; at < word.size() && n < kShapeLength; ++n) {
    const CodePoint c = decode_utf8(word.data() + at);
    if (to_lower(c.value) != c.value)
      out += 'X';
    else if (is_decimal_digit(c.value))
      out += '0';
    else if (c.value >= 'a' && c.value <= 'z')
      out += 'x';
    else
      out.append(word, at, c.length);
    at += c.length;
  }
  return out;
}

void add_affixes(std::string_view word, int number, std::vector<std::uint64_t>& out) {
  std::size_t first = 0, last = word.size();
  for (int n = 0; n < kAffixes && first < word.size(); ++n) {
    first += utf8_length(word[first]);
    out.push_back(feature(number + n, word.substr(0, first)));
    do --last;
    while (last > 0 && is_continuation(word[last]));
    out.push_back(feature(number + kAffixes + n, word.substr(last)));
  }
}

// Weights with the state of AdaGrad and of the mean over all steps: the sum of squared gradients, and the sum of the
// changes times the step (as a fraction of all steps) at which they were made.
struct Weights {
  explicit Weights(std::size_t size) : value(size), squares(size), late(size) {}

  void step(std::size_t i, double gradient, double rate, double now) {
    if (std::abs(gradient) < LinearCrf::kSmallest) return;
    squares[i] += static_cast<float>(gradient * gradient);
    const auto change = static_cast<float>(-rate * gradient / std::sqrt(static_cast<double>(squares[i]) + 1e-8));
    value[i] += change;
    late[i] += change * static_cast<float>(now);
  }
  // The mean of the values over all steps; `now` above is the fraction of steps done.
  std::vector<float> mean() const {
    std::vector<float> out(value.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = value[i] - late[i];
    return out;
  }

  std::vector<float> value, squares, late;
};

}  // namespace

std::vector<std::vector<std::uint64_t>> crf_features(std::span<const std::string> tokens) {
  const auto size = std::ssize(tokens);
  std::vector<std::string> lower, shapes;
  for (const std::string& token : tokens) {
    lower.push_back(to_lower(std::string_view(token)));
    shapes.push_back(letter_shape(token));
  }
  std::vector<std::vector<std::uint64_t>> out(tokens.size());
  for (std::ptrdiff_t i = 0; i < size; ++i) {
    auto& features = out[i];
    features.push_back(feature(0, ""));
    for (int d = -2; d <= 2; ++d) {
      const std::ptrdiff_t at = i + d;
      if (at < 0 || at >= size) {
        features.push_back(feature(10 + d, ""));
        continue;
      }
      features.push_back(feature(20 + d, lower[at]));
      features.push_back(feature(30 + d, shapes[at]));
    }
    add_affixes(tokens[i], 40, features);
    for (int d = -1; d <= 0; ++d)
      if (i + d >= 0 && i + d + 1 < size) features.push_back(feature(60 + d, lower[i + d], lower[i + d + 1]));
  }
  return out;
}

// Assigns rows to the features that are frequent enough to keep the weights few; returns the number of affordable
// epochs.
int LinearCrf::choose_features(const std::vector<Sentence>& train, const LinearCrfOptions& options) {
  std::unordered_map<std::uint64_t, std::uint32_t> counts;
  for (const Sentence& s : train)
    for (const auto& token : s.features)
      for (const std::uint64_t f : token) ++counts[f];
  const auto tags_number = static_cast<double>(allowed_.tags);
  std::uint32_t least = options.min_count;
  double occurrences = 0, tokens = 0;
  for (const auto& [f, count] : counts) occurrences += static_cast<double>(count);
  for (const Sentence& s : train) tokens += static_cast<double>(s.tags.size());
  const auto kept = [&] {
    return static_cast<double>(std::count_if(counts.begin(), counts.end(), [&](auto& c) { return c.second >= least; }));
  };
  while (kept() * tags_number > kMostWeights) ++least;
  for (const Sentence& s : train)
    for (const auto& token : s.features)
      for (const std::uint64_t f : token)
        if (counts[f] >= least) rows_.emplace(f, static_cast<std::uint32_t>(rows_.size()));
  const double products = tags_number * (occurrences + 2.0 * tags_number * tokens);
  return static_cast<int>(std::clamp(kMostProducts / std::max(1.0, products), 1.0, options.epochs * 1.0));
}

// AdaGrad on one sentence at a time.
class LinearCrf::Fit {
 public:
  Fit(LinearCrf& crf, double rate)
      : crf_(crf),
        rate_(rate),
        K_(crf.allowed_.tags),
        stride_(kernels::chain_stride(K_)),
        weights_(crf.rows_.size() * K_),
        begin_(K_),
        next_(K_ * K_),
        end_(K_),
        p_(K_),
        transitions_(K_ * stride_) {}

  // `now`: the fraction of all steps that is done.
  void sentence(const Rows& rows, const std::vector<std::int32_t>& tags, double now) {
    const auto step = [&](Weights& w, std::size_t at, double gradient) { w.step(at, gradient, rate_, now); };
    const Chain chain(crf_.allowed_, begin_.value.data(), next_.value.data(), end_.value.data());
    crf_.weights_.swap(weights_.value);
    crf_.set_scores(rows, scores_);
    crf_.weights_.swap(weights_.value);
    chain.sum(scores_, sums_);
    std::fill(transitions_.begin(), transitions_.end(), 0.0);
    chain.add_expected_transitions(scores_, sums_, transitions_.data());
    const Index T = std::ssize(tags);
    for (Index t = 0; t < T; ++t) {
      chain.marginals(sums_, t, p_.data());
      p_[tags[t]] -= 1.0;
      for (const std::uint32_t row : rows[t])
        for (Index k = 0; k < K_; ++k) step(weights_, row * K_ + k, p_[k]);
      for (Index k = 0; k < K_ && t == 0; ++k) step(begin_, k, p_[k]);
      for (Index k = 0; k < K_ && t == T - 1; ++k) step(end_, k, p_[k]);
      if (t > 0) transitions_[tags[t - 1] * stride_ + tags[t]] -= 1.0;
    }
    for (Index from = 0; from < K_; ++from)
      for (Index to = 0; to < K_; ++to)
        if (crf_.allowed_.next[from * K_ + to]) step(next_, from * K_ + to, transitions_[from * stride_ + to]);
  }

  // Sets the weights to their mean over all steps.
  void finish() {
    crf_.weights_ = weights_.mean();
    crf_.begin_ = begin_.mean();
    crf_.next_ = next_.mean();
    crf_.end_ = end_.mean();
  }

 private:
  LinearCrf& crf_;
  double rate_;
  Index K_, stride_;
  Weights weights_, begin_, next_, end_;
  ChainScores scores_;
  ChainSums sums_;
  std::vector<double> p_, transitions_;
};

LinearCrf::LinearCrf(const std::vector<Sentence>& train, const AllowedTransitions& allowed,
                     const LinearCrfOptions& options)
    : allowed_(allowed) {
  const int epochs = choose_features(train, options);
  std::vector<Rows> rows;
  std::vector<std::uint32_t> order;
  for (const Sentence& s : train) {
    if (!s.tags.empty()) order.push_back(static_cast<std::uint32_t>(rows.size()));
    rows.push_back(rows_of(s.features));
  }
  Fit fit(*this, options.learning_rate);
  const double steps = static_cast<double>(epochs) * static_cast<double>(order.size());
  double done = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    RandomStream(options.seed, Purpose::kShuffle, static_cast<std::uint64_t>(epoch)).shuffle(order);
    for (const std::uint32_t i : order) fit.sentence(rows[i], train[i].tags, done++ / steps);
  }
  fit.finish();
}

LinearCrf::Rows LinearCrf::rows_of(const std::vector<std::vector<std::uint64_t>>& features) const {
  Rows out(features.size());
  for (std::size_t t = 0; t < features.size(); ++t)
    for (const std::uint64_t f : features[t])
      if (const auto found = rows_.find(f); found != rows_.end()) out[t].push_back(found->second);
  return out;
}

void LinearCrf::set_scores(const Rows& rows, ChainScores& out) const {
  const Index K = allowed_.tags;
  out.resize(std::ssize(rows), K);
  std::vector<float> row(K);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (const std::uint32_t r : rows[t])
      for (Index k = 0; k < K; ++k) row[k] += weights_[r * K + k];
    out.set_row(static_cast<Index>(t), row.data());
  }
}

std::vector<std::int32_t> LinearCrf::predict(const std::vector<std::vector<std::uint64_t>>& features) const {
  if (features.empty()) return {};
  ChainScores scores;
  set_scores(rows_of(features), scores);
  return Chain(allowed_, begin_.data(), next_.data(), end_.data()).best(scores).tags;
}

}  // namespace mnemo
