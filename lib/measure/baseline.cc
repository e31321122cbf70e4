// The n-gram baseline stores weights only for n-grams of the training data, in sorted buckets of hashes. If features
// times classes exceed the limit, the hash is shortened bit by bit, so that rare n-grams come to share weights.
// Training is sparse: an AdaGrad step changes only the rows of the record's n-grams.
#include "measure/baseline.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace mnemo {
namespace {

// Most weights, so that neither many classes nor a lot of text fill the memory: 256 MB, and as much for AdaGrad.
constexpr std::size_t kMaxWeights = std::size_t{1} << 26;
// Most updates of single weights: a few seconds of work.
constexpr double kMaxUpdates = 6e8;
// The initial sum of squared gradients of a weight: keeps the first step of a rare feature small.
constexpr float kFirstSquare = 0.1F;
// The bias occurs in every record with the value 1, so it has a hundred times the influence of any feature and more.
constexpr double kBiasRate = 0.1;

std::uint32_t mix(std::uint32_t hash) {  // the finaliser of MurmurHash3, so the low bits are well mixed
  hash = (hash ^ hash >> 16) * 0x85EBCA6BU;
  hash = (hash ^ hash >> 13) * 0xC2B2AE35U;
  return hash ^ hash >> 16;
}

void check_training(const std::vector<Features>& features, const GoldLabels& gold, int classes, bool multi_label) {
  if (classes < 1) fail("baseline: expected at least one class, found {}", classes);
  if (features.size() != gold.size())
    fail("baseline: expected gold labels for {} records, found {}", features.size(), gold.size());
  for (std::size_t i = 0; i < gold.size(); ++i) {
    if (!multi_label && gold[i].size() != 1)
      fail("baseline: record {}: expected one gold label, found {}", i + 1, gold[i].size());
    for (const std::int32_t label : gold[i])
      if (label < 0 || label >= classes)
        fail("baseline: record {}: expected a label id from 0 to {}, found {}", i + 1, classes - 1, label);
  }
}

void softmax(std::span<double> z) {
  const double top = *std::ranges::max_element(z);
  double sum = 0;
  for (double& value : z) sum += value = std::exp(value - top);
  for (double& value : z) value /= sum;
}

}  // namespace

struct NgramBaseline::Squares {
  std::vector<float> weights;  // [rows, C]
  std::vector<float> bias;     // [C]
};

std::vector<float> majority_baseline(const GoldLabels& train_gold, int classes, bool multi_label, std::size_t records) {
  std::vector<double> counts(static_cast<std::size_t>(classes));
  for (const auto& labels : train_gold)
    for (const std::int32_t label : labels) counts[static_cast<std::size_t>(label)] += 1;
  std::vector<float> shares;
  for (const double count : counts) {
    const double without_data = multi_label ? 0.0 : 1.0 / classes;
    shares.push_back(
        static_cast<float>(train_gold.empty() ? without_data : count / static_cast<double>(train_gold.size())));
  }
  std::vector<float> result;
  for (std::size_t i = 0; i < records; ++i) result.insert(result.end(), shares.begin(), shares.end());
  return result;
}

NgramBaselineOptions word_baseline_options() { return {}; }

NgramBaselineOptions character_baseline_options() {
  NgramBaselineOptions options;
  options.max_n = 3;
  return options;
}

Features ngram_features(std::span<const std::string_view> units, int max_n) {
  Features features;
  for (std::size_t begin = 0; begin < units.size(); ++begin) {
    const std::size_t longest = std::min(units.size() - begin, static_cast<std::size_t>(max_n));
    std::uint32_t hash = 2166136261U;  // FNV-1a
    for (const std::string_view unit : units.subspan(begin, longest)) {
      for (const char c : unit) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
      hash = (hash ^ 0xFFU) * 16777619U;  // no UTF-8 has this byte, so it separates units
      features.push_back(mix(hash));
    }
  }
  std::ranges::sort(features);
  features.erase(std::unique(features.begin(), features.end()), features.end());
  return features;
}

NgramBaseline::NgramBaseline(const std::vector<Features>& features, const GoldLabels& gold, int classes,
                             bool multi_label, const NgramBaselineOptions& options)
    : classes_(classes), multi_label_(multi_label), mask_(~0U) {
  check_training(features, gold, classes, multi_label);
  collect_buckets(features);
  while (buckets_.size() * static_cast<std::size_t>(classes) > kMaxWeights && mask_ > 0) {
    mask_ >>= 1;
    collect_buckets(features);
  }
  weights_.assign(buckets_.size() * static_cast<std::size_t>(classes), 0.0F);
  bias_.assign(static_cast<std::size_t>(classes), 0.0F);
  std::vector<Bag> bags;
  bags.reserve(features.size());
  for (const Features& each : features) bags.push_back(bag_of(each));
  train(bags, gold, options);
}

// Fills buckets_ and idf_.
void NgramBaseline::collect_buckets(const std::vector<Features>& features) {
  Features all;
  for (const Features& each : features)
    for (const std::uint32_t feature : each) all.push_back(bucket(feature));
  std::ranges::sort(all);
  buckets_.clear();
  idf_.clear();
  const auto records = static_cast<double>(features.size());
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end] == all[begin]) ++end;
    buckets_.push_back(all[begin]);
    idf_.push_back(static_cast<float>(std::log((1 + records) / (1 + static_cast<double>(end - begin))) + 1));
  }
}

NgramBaseline::Bag NgramBaseline::bag_of(const Features& features) const {
  Bag bag;
  double squares = 0;
  for (const std::uint32_t feature : features) {
    const auto found = std::ranges::lower_bound(buckets_, bucket(feature));
    if (found == buckets_.end() || *found != bucket(feature)) continue;
    const auto row = static_cast<std::uint32_t>(found - buckets_.begin());
    bag.rows.push_back(row);
    bag.values.push_back(idf_[row]);
    squares += double{idf_[row]} * idf_[row];
  }
  for (float& value : bag.values) value = static_cast<float>(value / std::sqrt(squares));
  return bag;
}

// `p` [C]
void NgramBaseline::probabilities(const Bag& bag, double* p) const {
  const auto width = static_cast<std::size_t>(classes_);
  std::copy(bias_.begin(), bias_.end(), p);
  for (std::size_t k = 0; k < bag.rows.size(); ++k) {
    const float* row = weights_.data() + bag.rows[k] * width;
    for (std::size_t c = 0; c < width; ++c) p[c] += double{bag.values[k]} * row[c];
  }
  if (!multi_label_) return softmax({p, width});
  for (std::size_t c = 0; c < width; ++c) p[c] = 1 / (1 + std::exp(-p[c]));
}

int NgramBaseline::affordable_epochs(const std::vector<Bag>& bags, int wanted) const {
  double updates = 0;
  for (const Bag& bag : bags) updates += static_cast<double>(bag.rows.size()) * classes_;
  return static_cast<int>(std::clamp(kMaxUpdates / std::max(updates, 1.0), 1.0, static_cast<double>(wanted)));
}

void NgramBaseline::train(const std::vector<Bag>& bags, const GoldLabels& gold, const NgramBaselineOptions& options) {
  const int epochs = affordable_epochs(bags, options.epochs);
  const double steps = static_cast<double>(epochs) * static_cast<double>(bags.size());
  Squares squares{std::vector<float>(weights_.size(), kFirstSquare), std::vector<float>(bias_.size(), kFirstSquare)};
  std::vector<std::size_t> order(bags.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> error(bias_.size());
  double step = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    RandomStream(options.seed, Purpose::kShuffle, static_cast<std::uint64_t>(epoch)).shuffle(order);
    for (const std::size_t i : order) {
      probabilities(bags[i], error.data());
      for (const std::int32_t label : gold[i]) error[static_cast<std::size_t>(label)] -= 1;
      update(bags[i], error.data(), options.learning_rate * (1 - step / steps), options.l2, squares);
      step += 1;
    }
  }
}

// The gradient of the loss by the logits is `error` [C].
void NgramBaseline::update(const Bag& bag, const double* error, double rate, double l2, Squares& squares) {
  const auto descend = [rate](float& weight, float& square, double gradient) {
    square += static_cast<float>(gradient * gradient);
    weight -= static_cast<float>(rate * gradient / std::sqrt(double{square}));
  };
  const auto width = static_cast<std::size_t>(classes_);
  for (std::size_t k = 0; k < bag.rows.size(); ++k) {
    float* row = weights_.data() + bag.rows[k] * width;
    float* square = squares.weights.data() + bag.rows[k] * width;
    for (std::size_t c = 0; c < width; ++c) descend(row[c], square[c], error[c] * bag.values[k] + l2 * row[c]);
  }
  for (std::size_t c = 0; c < width; ++c) {
    float scaled = 0;
    descend(scaled, squares.bias[c], error[c]);
    bias_[c] += static_cast<float>(kBiasRate * scaled);
  }
}

std::vector<float> NgramBaseline::predict(const std::vector<Features>& features) const {
  std::vector<float> result;
  result.reserve(features.size() * bias_.size());
  std::vector<double> p(bias_.size());
  for (const Features& each : features) {
    probabilities(bag_of(each), p.data());
    for (const double value : p) result.push_back(static_cast<float>(value));
  }
  return result;
}

}  // namespace mnemo
