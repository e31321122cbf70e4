// Texts are encoded once, unless there is too little memory for that or text.merge_dropout cuts them anew in each
// epoch: then by batch. Batches of similar length are drawn for each epoch, by the lengths without dropout, so that
// there are equally many in all of them. Evaluation on dev also fits the temperature that calibrates the probabilities
// (Guo et al. 2017), since it belongs to the weights it was fitted for.
#include "tasks/classify/training.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/shown.h"
#include "measure/calibration.h"
#include "nn/loss.h"
#include "pipeline/network_options.h"
#include "tasks/cut_anew.h"
#include "tasks/encoded_records.h"
#include "tasks/label_list.h"
#include "tasks/start_from.h"
#include "tasks/word_vectors.h"

namespace mnemo {
namespace {

using Gold = std::vector<TextGold::Ids>;

std::vector<float> class_weights(const ClassWeight& weight, const std::vector<std::string>& labels,
                                 const TextGold& gold) {
  if (!weight.balanced && weight.table.empty()) return {};
  std::vector<float> out(labels.size(), 1.0f);
  if (weight.balanced) {
    const std::vector<std::int64_t> counts = label_counts(gold, labels.size());
    const double n = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
    for (std::size_t k = 0; k < labels.size(); ++k)
      out[k] = static_cast<float>(
          n / (static_cast<double>(labels.size()) * static_cast<double>(std::max<std::int64_t>(1, counts[k]))));
    return out;
  }
  for (const auto& [label, value] : weight.table) {
    const auto match = std::find(labels.begin(), labels.end(), label);
    if (match == labels.end()) {
      std::vector<std::string> names;
      names.reserve(labels.size());
      for (const std::string& name : labels) names.push_back(shown_label(name));
      throw UsageError(fmt::format("training.class_weight: no label \"{}\" in train, which has {}", shown(label),
                                   abridged(names, 50, ", ")));
    }
    out[match - labels.begin()] = static_cast<float>(value);
  }
  return out;
}

using EncodedTexts = EncodedRecords<Corpus, std::int32_t>;

// Passes no dropout of merges on.
constexpr auto as_they_are = [](std::int64_t, const auto& encode) { encode(MergeDropout()); };

// `cut(record, encode)` calls `encode` with the dropout of merges for the record.
template <class Cut>
EncodedTexts::Encoder encoder_of(const TextClassifier& model, const LabelledTexts& texts, const Cut& cut) {
  const auto encode = [&model, &texts, cut](std::span<const std::int64_t> records, Corpus& out) {
    EncodedText text;
    for (const std::int64_t i : records) {
      cut(i, [&](const MergeDropout& dropout) { model.encode(texts.entry(i).text, text, dropout); });
      out.add(text);
    }
  };
  const auto measure = [&model, &texts](std::int64_t first, std::int64_t end) {
    std::vector<std::int32_t> out;
    Tokens tokens;
    for (std::int64_t i = first; i < end; ++i) {
      model.tokenize(texts.entry(i).text, tokens);
      out.push_back(static_cast<std::int32_t>(tokens.size()));
    }
    return out;
  };
  return {encode, [](const Corpus& corpus, std::int64_t place) { return corpus.length(place); }, measure};
}

class ClassificationTraining : public ModelTraining {
 public:
  ClassificationTraining(const Config& config, const ClassificationData& data, TextClassifier& model)
      : ModelTraining(config, data, model),
        model_(model),
        texts_(data.train_texts()),
        gold_(gold_labels(texts_, model.labels())),
        dev_(data.dev_texts()),
        dev_gold_(gold_labels(dev_, model.labels())),
        encoded_(texts_, config.text.merge_dropout == 0,
                 encoder_of(model, texts_,
                            [this](std::int64_t record, const auto& encode) {
                              cut_anew(config_.text.merge_dropout, seed(), epoch_, record, encode);
                            })),
        encoded_dev_(dev_, true, encoder_of(model, dev_, as_they_are)),
        weights_(class_weights(config.training.class_weight, model.labels(), gold_)) {
    for (std::int64_t i = 0; i < texts_.size(); ++i) units_ += encoded_.lengths()[i];
    if (units_ == 0) fail("{}: train has no text of at least one unit", data.train->files.front().path);
    begin_epoch(0);
  }

  std::int64_t units() const override { return units_; }
  std::int64_t batches() const override { return batches_.size(); }
  std::string metric() const override { return classification_metric(config_); }

  void begin_epoch(std::int64_t epoch) override {
    batches_ = make_batches(encoded_.lengths(), config_.training.batch_size, config_.training.batch_tokens, seed(),
                            static_cast<std::uint64_t>(epoch), texts_.storage());
    epoch_ = epoch;
  }

  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    chosen_ = shard.dealt(batches_[batch]);
    batch_ = encoded_.with(chosen_, [&](const Corpus& corpus, std::span<const std::int64_t> places) {
      return std::make_unique<Corpus::Batch>(
          corpus.batch(places, {.rate = config_.model.word_dropout, .seed = seed(), .step = shard.draw(step)}));
    });
    rows_ = distinct_rows(batch_->bags, model_.network().embedding().weight.rows());
    return batch_->packing.tokens();
  }

  double weight() const override {
    if (weights_.empty() || model_.multi_label()) return static_cast<double>(chosen_.size());
    double out = 0;
    for (const std::int64_t text : chosen_) out += static_cast<double>(weights_[gold_.of(text).front()]);
    return out;
  }

  void visit_sparse(const SparseVisitor& visitor) override { visitor(model_.network().embedding().weight, rows_); }

  double forward(Tape& tape) override {
    model_.network().prepare(tape);
    const Activation logits = model_.network().forward(tape, batch_->packing, batch_->bags);
    const auto smoothing = static_cast<float>(config_.training.label_smoothing);
    if (!model_.multi_label()) {
      std::vector<std::int32_t> gold;
      for (std::int64_t text : chosen_) gold.push_back(gold_.of(text).front());
      return softmax_cross_entropy(logits, gold, weights_, smoothing);
    }
    const std::size_t labels = model_.labels().size();
    std::vector<float> targets(logits.size());
    for (std::size_t i = 0; i < chosen_.size(); ++i)
      for (std::int32_t id : gold_.of(chosen_[i])) targets[i * labels + id] = 1.0f;
    // As on dev, the mean over labels; the gradient is that of their sum.
    return sigmoid_cross_entropy(logits, targets, weights_, smoothing) / static_cast<double>(labels);
  }

  // Also fits the temperature, which is part of the model.
  Metrics evaluate_dev(ThreadPool& pool, const DevShare& share) override {
    model_.prepare(pool);
    Workspace workspace(pool, share.part().index, share.part().count);
    std::vector<float> logits;
    encoded_dev_.for_all([&](const Corpus& corpus) {
      const std::vector<float> more = model_.logits(corpus, workspace);
      logits.insert(logits.end(), more.begin(), more.end());
    });
    share.unite(logits);
    const auto [known, gold] = known_records(logits);
    const int classes = static_cast<int>(model_.labels().size());
    double loss = NAN;  // undefined without a record
    if (!gold.empty())
      loss =
          evaluate({classes, model_.multi_label(), model_.probabilities(known, false), gold}, model_.labels()).log_loss;
    model_.temperature = fit_temperature(known, classes, gold, model_.multi_label());
    Metrics out =
        evaluate(predictions(model_, model_.probabilities(logits, true), dev_gold_), dev_gold_.labels).metrics();
    out["loss"] = loss;
    return out;
  }

 private:
  // Logits and gold labels of the records whose labels the model knows: the loss of the others is unbounded.
  std::pair<std::vector<float>, Gold> known_records(const std::vector<float>& logits) const {
    const std::size_t K = model_.labels().size();
    std::pair<std::vector<float>, Gold> out;
    for (std::int64_t i = 0; i < dev_.size(); ++i) {
      const auto& ids = dev_gold_.of(i);
      if (std::any_of(ids.begin(), ids.end(), [&](std::int32_t id) { return static_cast<std::size_t>(id) >= K; }))
        continue;
      const auto row = logits.begin() + i * static_cast<std::ptrdiff_t>(K);
      out.first.insert(out.first.end(), row, row + static_cast<std::ptrdiff_t>(K));
      out.second.push_back(ids);
    }
    return out;
  }

  TextClassifier& model_;
  const LabelledTexts& texts_;
  TextGold gold_;
  const LabelledTexts& dev_;
  TextGold dev_gold_;
  std::int64_t epoch_ = 0;
  EncodedTexts encoded_, encoded_dev_;
  std::int64_t units_ = 0;
  std::vector<float> weights_;
  Batches batches_;
  std::vector<std::int64_t> chosen_;  // of the prepared shard
  std::unique_ptr<Corpus::Batch> batch_;
  std::vector<std::int32_t> rows_;
};

}  // namespace

std::string classification_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "accuracy" : metric;
}

std::unique_ptr<TextClassifier> build_classifier(const Config& config, const ReadRequest& request,
                                                 const ClassificationData& data, const TextModel* start) {
  const Tokenizer tokenizer(tokenizer_options(config.text));
  const LabelledTexts& texts = data.train_texts();
  const VocabularyBuilder builder =
      counted_units(texts, [&](std::int64_t first, std::int64_t end, VocabularyBuilder& out) {
        Tokens tokens;
        for (std::int64_t text = first; text < end; ++text) {
          tokenizer.tokenize(texts.entry(text).text, tokens);
          for (std::size_t i = 0; i < tokens.size(); ++i) out.add(tokens.text(i));
        }
      });
  Vocabulary vocabulary = vocabulary_from(config.text, builder, start, request.log);
  const auto vectors = read_vectors(config, request, vocabulary);
  return std::make_unique<TextClassifier>(config, data.labels(), std::move(vocabulary), vectors.get());
}

std::unique_ptr<ModelTraining> classification_training(const Config& config, const ClassificationData& data,
                                                       TextClassifier& model) {
  return std::make_unique<ClassificationTraining>(config, data, model);
}

std::vector<float> logits_of(const TextClassifier& model, const LabelledTexts& texts, Workspace& workspace) {
  constexpr std::int64_t kTogether = 16384;
  std::vector<float> out;
  Corpus corpus;
  EncodedText encoded;
  for (std::int64_t i = 0; i < texts.size(); ++i) {
    model.encode(texts.entry(i).text, encoded);
    corpus.add(encoded);
    if (corpus.size() < kTogether && i + 1 < texts.size()) continue;
    const std::vector<float> logits = model.logits(corpus, workspace);
    out.insert(out.end(), logits.begin(), logits.end());
    corpus.clear();
  }
  return out;
}

namespace {

// The part of a text with the last `count` of the units that are read.
std::string_view text_of_last_units(std::string_view text, const Tokens& tokens, std::int64_t count, bool reverse) {
  const std::size_t first = tokens.size() - static_cast<std::size_t>(count);
  return reverse ? text.substr(0, tokens.end(first)) : text.substr(tokens.begin(first));
}

}  // namespace

std::vector<double> classification_losses(const TextClassifier& model, const LabelledTexts& texts,
                                          const ContextRequest& request, ThreadPool& pool) {
  const TextGold gold = known_labels(texts, model.labels());
  Corpus corpus;
  EncodedText encoded;
  std::vector<std::int64_t> chosen;
  for (const std::int64_t place : evenly_spread(request.most, texts.size())) {
    std::string_view text = texts.entry(place).text;
    model.encode(text, encoded);
    if (encoded.tokens.empty()) continue;
    chosen.push_back(place);
    if (const auto units = static_cast<std::int64_t>(encoded.tokens.size()); units > request.units)
      model.encode(text_of_last_units(text, encoded.tokens, request.units, model.config().text.reverse), encoded);
    corpus.add(encoded);
  }
  if (chosen.empty()) fail("--context: the data have no units");
  Workspace workspace(pool);
  const std::vector<float> p = model.probabilities(model.logits(corpus, workspace), true);
  const std::size_t labels = model.labels().size();
  std::vector<double> out;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    double loss = 0;
    const auto& ids = gold.of(chosen[i]);
    for (const std::int32_t id : ids)
      loss -= std::log(std::max(1e-30, static_cast<double>(p[i * labels + static_cast<std::size_t>(id)]))) /
              static_cast<double>(ids.size());
    out.push_back(loss);
  }
  return out;
}

Predictions predictions(const TextClassifier& model, std::vector<float> probabilities, const TextGold& gold) {
  const std::size_t K = model.labels().size(), all = gold.labels.size();
  Predictions out{static_cast<int>(all), model.multi_label(), std::move(probabilities), gold.all()};
  if (all == K) return out;
  std::vector<float> wider(out.gold.size() * all);
  for (std::size_t i = 0; i < out.gold.size(); ++i)
    std::copy_n(out.probabilities.begin() + i * K, K, wider.begin() + i * all);
  out.probabilities = std::move(wider);
  return out;
}

Predictions predict(const AveragedClassifiers& models, const LabelledTexts& texts, const TextGold& gold,
                    ThreadPool& pool) {
  Workspace workspace(pool);
  std::vector<std::vector<float>> logits;
  for (const TextClassifier* model : models.models()) logits.push_back(logits_of(*model, texts, workspace));
  return predictions(*models.models().front(), models.probabilities(logits, true), gold);
}

}  // namespace mnemo
