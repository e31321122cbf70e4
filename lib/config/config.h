// The configuration of a run as typed values. lib/config/declared_options.cc declares each option once: its key, range
// and help; the default is the member's initial value here, except for tasks that have their own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mnemo {

/// How often something is done: every `count` epochs, steps or minutes. 0: never.
struct Every {
  enum class Unit { kEpochs, kSteps, kMinutes };
  double count = 1;
  Unit unit = Unit::kEpochs;
  bool operator==(const Every&) const = default;
};

/// Weights of the classes in the loss: none, "balanced" (n / (classes * count)), or a table by label.
struct ClassWeight {
  bool balanced = false;
  std::map<std::string, double> table;
  bool operator==(const ClassWeight&) const = default;
};

/// What is added to the forget gate's initial bias: a number, or chrono initialisation.
struct ForgetBias {
  double number = 1.0;
  bool chrono = false;
  bool operator==(const ForgetBias&) const = default;
};

/// A data file; keys that are set here override those of `data` for this file.
struct DataFile {
  std::string file;                   ///< of pairs in two files, the source's
  std::optional<std::string> target;  ///< and the target's
  std::optional<std::string> format, label, text, separator, label_separator;
  std::optional<bool> header, phrases;
  bool operator==(const DataFile&) const = default;
};

/// The values of data.bleu: auto, or a tokenizer by sacrebleu's name.
inline constexpr std::array kBleuNames = {"auto", "13a", "none", "char", "zh"};

struct DataConfig {
  std::string dir;
  std::vector<DataFile> train, dev, test, unlabelled;
  std::string format = "tsv", label, text, separator, label_separator = ",";
  std::optional<bool> header;
  bool multi_label = false, phrases = false;
  std::vector<std::string> columns;
  std::string scheme = "auto";
  bool strip_position = false, records = false;
  std::string source, target, bleu = "auto";
  double max_ratio = 0.0;
  std::int64_t max_length = 0;
  double dev_fraction = 0.1;
  std::int64_t dev_seed = 1;

  /// For a language model: whether records of train come with conditions, as those of poems-json do.
  bool has_conditions() const {
    return format != "lines" || std::any_of(train.begin(), train.end(), [](const DataFile& file) {
             return file.format && *file.format != "lines";
           });
  }
  /// For a language model: whether train is records rather than one stream.
  bool has_records() const { return records || has_conditions(); }
};

struct NgramConfig {
  std::int64_t char_min = 0, char_max = 0, unit = 1, buckets = 100000;
};

struct TextConfig {
  /// Whether blanks stand between the units of a text; else the units joined are the text.
  bool blanks_between_units() const { return unit == "word" || unit == "unicode-word"; }
  /// Whether units are characters; else they are words, or parts of words.
  bool has_characters() const { return unit == "char" || unit == "grapheme"; }

  std::string unit = "word", target_unit, normalize = "nfc", digits = "keep";
  bool lowercase = false, joint = false, reverse = false;
  std::int64_t min_count = 1, max_vocab = 0, merges = 8000;
  double merge_dropout = 0.0;
  NgramConfig ngrams;
  std::string pretrained, pretrained_vocabulary = "train";
  std::int64_t pretrained_limit = 0;
  bool pretrained_tune = true;
  double pretrained_rate = 1.0;
};

struct CharEncoderConfig {
  std::string kind = "cnn";
  std::int64_t embedding = 30, hidden = 50;
  double dropout = 0.5;
};

struct ConvolutionConfig {
  std::vector<std::int64_t> widths;
  std::int64_t filters = 100;
  std::string place = "beside";
};

/// One name, or several in an order.
struct Names {
  std::vector<std::string> names;
  bool operator==(const Names&) const = default;
};

struct MogrifierConfig {
  std::int64_t rounds = 0, rank = 32;
};

struct SelfAttentionConfig {
  std::int64_t layer = 0, memory = 256, feed_forward = 0;
  double dropout = 0.1;
};

struct ModelConfig {
  std::string cell = "lstm", activation = "tanh", residual = "none";
  Names pooling{{"max"}};
  ConvolutionConfig convolution;
  MogrifierConfig mogrifier;
  SelfAttentionConfig self_attention;
  bool reset_after = true, layer_norm = false, bidirectional = true, variational = false, learned_initial = false,
       sum_layers = false;
  std::int64_t layers = 1, hidden = 128, projection = 0, embedding = 100;
  double dropout = 0.5, embedding_dropout = 0.5, layer_dropout = 0.5, word_dropout = 0.0, state_dropout = 0.0,
         weight_dropout = 0.0, zoneout_h = 0.0, zoneout_c = 0.0;
  std::string initializer = "orthogonal";
  ForgetBias forget_bias;
  double forget_range = 100.0, embedding_deviation = 0.1;
  CharEncoderConfig char_encoder;
  std::int64_t shape_embedding = 0;
  double singleton_dropout = 0.5;
  bool crf = true;
  std::string scheme = "bioes";
  double language_loss = 0.0;
  bool tied = false;
  std::vector<std::int64_t> cutoffs;
  double unit_dropout = 0.0, activation_penalty = 0.0, slowness_penalty = 0.0, condition_dropout = 0.2;
  std::string attention = "general", bridge = "last";
  bool input_feeding = false;
  std::int64_t heads = 1, decoder_layers = 2, decoder_hidden = 0;
  double context_dropout = 0.0, source_dropout = 0.1, target_dropout = 0.1;
};

struct EarlyStoppingConfig {
  std::string metric = "auto";
  std::int64_t patience = 0;
};

struct TrainingConfig {
  std::string optimizer = "adam", schedule = "linear", precision = "float32";
  double learning_rate = 2e-3, momentum = 0.0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, alpha = 0.99,
         weight_decay = 0.0;
  bool nesterov = false, rotate = false;
  Every warmup{0, Every::Unit::kSteps};
  double final_rate = 0.0, plateau_factor = 0.5;
  std::int64_t plateau_patience = 2;
  double layer_rate = 1.0;
  std::int64_t unfreeze = 0;
  std::int64_t batch_size = 32, batch_tokens = 0, bptt = 0, epochs = 10, language_epochs = 10;
  double max_minutes = 0.0, clip_norm = 5.0, label_smoothing = 0.0, average_from = 0.0;
  std::int64_t average_after = 0;
  ClassWeight class_weight;
  EarlyStoppingConfig early_stopping;
  Every evaluate_every, save_every;
  std::int64_t seed = 1, threads = 0, shards = 1;
  std::int64_t sampled_softmax = 0;
  bool language_model = false;
  double memory = 1000.0;
  std::string exchange = "float32";

  /// Whether gradients of shards are rounded.
  bool bfloat16_exchange() const { return exchange == "bfloat16"; }
};

struct OutputConfig {
  std::string dir = "run";
};

struct Config {
  std::string task = "classify";
  DataConfig data;
  TextConfig text;
  ModelConfig model;
  TrainingConfig training;
  OutputConfig output;

  /// Keys that were not set and whose default depends on the size of train, see `settle_by_size`.
  std::set<std::string, std::less<>> by_size;
};

/// Whether a language model is trained first, from which the run starts.
inline bool trains_language_model_first(const Config& c) {
  return c.training.language_model || !c.data.unlabelled.empty();
}
/// The key that asks for it, for messages.
inline const char* language_model_key(const Config& c) {
  return c.data.unlabelled.empty() ? "training.language_model" : "data.unlabelled";
}

}  // namespace mnemo
