// Baselines for a classifier: the majority class, and a linear model over n-grams.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mnemo {

/// Gold labels as in Predictions: label ids of each record.
using GoldLabels = std::vector<std::vector<std::int32_t>>;

/// The frequency of each class in `train_gold`, for every one of `records` records: [records, classes]. The top class
/// is the majority class. Without any training record every frequency is 1 / classes, or with multi_label 0.
std::vector<float> majority_baseline(const GoldLabels& train_gold, int classes, bool multi_label, std::size_t records);

struct NgramBaselineOptions {
  int max_n = 2;  ///< Longest n-gram, in units.
  int epochs = 10;
  double learning_rate = 0.7;
  double l2 = 1e-5;
  std::uint64_t seed = 1;
};

/// The options for units that are words (n-grams up to 2) or characters (up to 3).
NgramBaselineOptions word_baseline_options();
NgramBaselineOptions character_baseline_options();

/// Distinct hashes of the n-grams of one record, ascending.
using Features = std::vector<std::uint32_t>;

/// The features of a record: of all n-grams of 1 to max_n neighbouring units, which are words or characters from the
/// tokeniser. Two n-grams share a hash with a probability of 2^-32.
Features ngram_features(std::span<const std::string_view> units, int max_n);

/// Multinomial logistic regression on a bag of n-grams, or with multi_label one logistic regression per class.
///
/// The value of a feature is its inverse document frequency log((1 + N) / (1 + df)) + 1, whatever its count in the
/// record, and each record's values have the Euclidean norm 1; features that do not occur in training are ignored. The
/// weights are trained by AdaGrad (Duchi, Hazan & Singer 2011) on one record at a time with a rate that falls linearly
/// to 0. With large data there are fewer epochs, and with many classes features share weights, so training takes
/// seconds and at most 0.6 GB.
class NgramBaseline {
 public:
  /// `features` [N] as ngram_features gives them, `gold` [N]. The same arguments give the same model. Throws Error if
  /// sizes do not match or label ids are out of range.
  NgramBaseline(const std::vector<Features>& features, const GoldLabels& gold, int classes, bool multi_label,
                const NgramBaselineOptions& options);

  /// [records, classes]: probabilities as in Predictions.
  std::vector<float> predict(const std::vector<Features>& features) const;

 private:
  // The known features of a record: rows of the weights, and their values.
  struct Bag {
    std::vector<std::uint32_t> rows;
    std::vector<float> values;
  };
  struct Squares;

  std::uint32_t bucket(std::uint32_t feature) const { return feature & mask_; }
  void collect_buckets(const std::vector<Features>& features);
  Bag bag_of(const Features& features) const;
  void probabilities(const Bag& bag, double* p) const;
  void train(const std::vector<Bag>& bags, const GoldLabels& gold, const NgramBaselineOptions& options);
  void update(const Bag& bag, const double* error, double rate, double l2, Squares& squares);
  int affordable_epochs(const std::vector<Bag>& bags, int wanted) const;

  int classes_;
  bool multi_label_;
  std::uint32_t mask_;
  std::vector<std::uint32_t> buckets_;  // ascending; the position is the row
  std::vector<float> idf_;              // [rows]
  std::vector<float> weights_;          // [rows, C]
  std::vector<float> bias_;             // [C]
};

}  // namespace mnemo
