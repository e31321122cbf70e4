// Sentences are encoded once, unless there is too little memory for that or text.merge_dropout cuts their words anew in
// each epoch: then by batch. Batches of similar length are drawn for each epoch. On dev only the best tags and the loss
// are computed, without the probabilities that a report needs.
#include "tasks/tag/training.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "models/language_loss.h"
#include "pipeline/network_options.h"
#include "tasks/counted_units.h"
#include "tasks/cut_anew.h"
#include "tasks/encoded_records.h"
#include "tasks/start_from.h"
#include "tasks/word_vectors.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Gold and predicted tags side by side, [columns][sentences].
std::vector<std::vector<TaggedSentence>> beside(const TaggedSentences& sentences, std::size_t columns,
                                                const std::vector<std::vector<std::vector<std::string>>>& predicted) {
  std::vector<std::vector<TaggedSentence>> out(columns);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const auto entry = sentences.entry(static_cast<std::int64_t>(i));
    for (std::size_t k = 0; k < columns; ++k) out[k].push_back({entry.tags[k], predicted[i][k], {}});
  }
  return out;
}

// Appends a sentence with its gold tags.
void encode_sentence(const TextTagger& model, const TaggedSentences::Entry& entry, const MergeDropout& dropout,
                     TaggerCorpus& corpus) {
  model.encode(entry.tokens, corpus, entry.breaks, dropout);
  corpus.gold.resize(model.columns().size());
  for (std::size_t k = 0; k < corpus.gold.size(); ++k) {
    const auto ids = tag_ids(model.columns()[k], entry.tags[k]);
    corpus.gold[k].insert(corpus.gold[k].end(), ids.begin(), ids.end());
  }
}

// The words that model.language_loss tells apart: the most frequent ones and, as word 0, all others.
class PredictedWords {
 public:
  explicit PredictedWords(const Vocabulary& vocabulary) : words_(static_cast<std::size_t>(vocabulary.size()), 0) {
    std::vector<std::int32_t> frequent;
    for (std::int32_t id = 1; id < vocabulary.size(); ++id)
      if (vocabulary.count(id) > 0) frequent.push_back(id);
    std::ranges::stable_sort(frequent, std::greater(), [&](std::int32_t id) { return vocabulary.count(id); });
    if (frequent.size() > kMost) frequent.resize(kMost);
    for (const std::int32_t id : frequent) words_[static_cast<std::size_t>(id)] = ++last_;
  }

  Index size() const { return last_ + 1; }

  /// [tokens] of a batch, in the packing's order. Words of frozen vectors have rows after the vocabulary's.
  std::vector<std::int32_t> of(const Corpus& corpus, std::span<const std::int64_t> texts,
                               const Packing& packing) const {
    std::vector<std::int32_t> out;
    for (Index t = 0; t < packing.steps(); ++t)
      for (Index b = 0; b < packing.rows_at(t); ++b) {
        const std::int32_t row = corpus.own_row(corpus.first_unit(texts[packing.original(b)]) + t);
        out.push_back(row < std::ssize(words_) ? words_[static_cast<std::size_t>(row)] : 0);
      }
    return out;
  }

 private:
  static constexpr std::size_t kMost = 7500;  // Rei 2017

  std::vector<std::int32_t> words_;  // [vocabulary]
  std::int32_t last_ = 0;
};

class TaggingTraining : public ModelTraining {
 public:
  TaggingTraining(const Config& config, const TaggingData& data, TextTagger& model)
      : ModelTraining(config, data, model),
        columns_(data.columns),
        sentences_(data.train_sentences()),
        dev_sentences_(data.dev_sentences()),
        model_(model),
        encoded_(sentences_, config.text.merge_dropout == 0, encoder()),
        dev_(encode_sentences(model, dev_sentences_, 0, dev_sentences_.size())) {
    for (std::int64_t i = 0; i < sentences_.size(); ++i) units_ += encoded_.lengths()[i];
    if (config.model.language_loss > 0) add_language_loss();
    begin_epoch(0);
  }

  void visit(const ParameterVisitor& visitor) override {
    ModelTraining::visit(visitor);
    if (language_loss_) language_loss_->visit(visitor);
  }

  void weights_changed() override {
    ModelTraining::weights_changed();
    if (language_loss_) language_loss_->weights_changed();
  }

  std::int64_t units() const override { return units_; }
  std::int64_t batches() const override { return batches_.size(); }

  // By default F1 where tags spell spans and dev has any, without which it is not defined.
  std::string metric() const override {
    const std::string& metric = config_.training.early_stopping.metric;
    if (metric != "auto") return metric;
    if (columns_.front().data_scheme == TagScheme::kNone) return "token_accuracy";
    return has_dev() && !has_spans(dev_sentences_, columns_.front()) ? "loss" : "f1";
  }

  void begin_epoch(std::int64_t epoch) override {
    batches_ = make_batches(encoded_.lengths(), config_.training.batch_size, config_.training.batch_tokens, seed(),
                            static_cast<std::uint64_t>(epoch), sentences_.storage());
    epoch_ = epoch;
  }

  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    const Corpus::UnknownUnits unknown{.rate = config_.model.word_dropout,
                                       .singleton_rate = config_.model.singleton_dropout,
                                       .vocabulary = &model_.words().vocabulary(),
                                       .seed = seed(),
                                       .step = shard.draw(step)};
    encoded_.with(shard.dealt(batches_[batch]), [&](const TaggerCorpus& corpus, std::span<const std::int64_t> places) {
      batch_ = model_.batch(corpus, places, unknown);
      gold_ = model_.gold(corpus, places, batch_.packing);
      if (language_loss_) words_ = predicted_->of(corpus.words, places, batch_.packing);
    });
    Tagger& network = model_.network();
    word_rows_ = distinct_rows(batch_.words, network.embedding().weight.rows());
    if (network.chars()) letter_rows_ = distinct_rows(batch_.letters, network.chars()->embedding().weight.rows());
    if (network.shapes()) shape_rows_ = distinct_rows(batch_.shapes, network.shapes()->weight.rows());
    return batch_.packing.tokens();
  }

  // With a CRF the loss is a mean over sentences, else over tokens.
  double weight() const override {
    if (!config_.model.crf) return static_cast<double>(batch_.packing.tokens());
    return static_cast<double>(batch_.packing.rows_at(0));
  }

  void visit_sparse(const SparseVisitor& visitor) override {
    Tagger& network = model_.network();
    visitor(network.embedding().weight, word_rows_);
    if (network.chars()) visitor(network.chars()->embedding().weight, letter_rows_);
    if (network.shapes()) visitor(network.shapes()->weight, shape_rows_);
  }

  double forward(Tape& tape) override {
    model_.network().prepare(tape);
    Activation first_layer;
    const auto scores = model_.network().forward(tape, batch_, &first_layer);
    const double loss = model_.network().loss(tape, batch_.packing, scores, gold_,
                                              static_cast<float>(config_.training.label_smoothing));
    if (!language_loss_) return loss;
    const double share = config_.model.language_loss;
    language_term_ = language_loss_->loss(tape, batch_.packing, first_layer, words_, weight(), share);
    return loss + share * language_term_;
  }

  std::optional<LossTerm> loss_term() const override {
    if (!language_loss_) return std::nullopt;
    return LossTerm{"language_loss", language_term_};
  }

  Metrics evaluate_dev(ThreadPool& pool, const DevShare& share) override {
    model_.prepare(pool);
    Workspace workspace(pool, share.part().index, share.part().count);
    TextTagger::BestTags found = model_.best_tags(dev_, workspace);
    for (auto& tags : found.tags) share.unite(tags);
    share.unite(found.losses);
    share.unite(found.weights);
    std::vector<std::vector<std::vector<std::string>>> tags(static_cast<std::size_t>(dev_.size()));
    for (std::int64_t i = 0; i < dev_.size(); ++i)
      for (std::size_t k = 0; k < columns_.size(); ++k)
        tags[static_cast<std::size_t>(i)].push_back(
            data_tags(columns_[k], std::span(found.tags[k]).subspan(dev_.words.first_unit(i), dev_.words.length(i))));
    const auto sentences = beside(dev_sentences_, columns_.size(), tags);
    std::vector<TagEvaluation> evaluations;
    for (std::size_t k = 0; k < columns_.size(); ++k)
      evaluations.push_back(evaluate_tags(sentences[k], columns_[k].data_scheme));
    Metrics out = join_metrics(columns_, evaluations);
    out["loss"] = found.loss();
    return out;
  }

 private:
  void add_language_loss() {
    const RecurrentOptions& recurrent = model_.network().options().recurrent;
    predicted_.emplace(model_.words().vocabulary());
    language_loss_.emplace("language_loss", recurrent.output(), recurrent.directions(), predicted_->size());
    language_loss_->initialise(recurrent.initialiser, seed());
    language_loss_->set_training_precision(recurrent.training_precision);
  }

  EncodedRecords<TaggerCorpus, std::int32_t>::Encoder encoder() const {
    const auto encode = [this](std::span<const std::int64_t> records, TaggerCorpus& out) {
      for (const std::int64_t i : records)
        cut_anew(config_.text.merge_dropout, seed(), epoch_, i,
                 [&](const MergeDropout& dropout) { encode_sentence(model_, sentences_.entry(i), dropout, out); });
    };
    const auto measure = [this](std::int64_t first, std::int64_t end) {
      std::vector<std::int32_t> out;
      for (std::int64_t i = first; i < end; ++i) out.push_back(sentences_.length(i));
      return out;
    };
    return {encode, [](const TaggerCorpus& corpus, std::int64_t place) { return corpus.words.length(place); }, measure};
  }

  const std::vector<TagColumn>& columns_;
  const TaggedSentences &sentences_, &dev_sentences_;
  TextTagger& model_;
  std::int64_t epoch_ = 0;
  EncodedRecords<TaggerCorpus, std::int32_t> encoded_;
  TaggerCorpus dev_;
  std::int64_t units_ = 0;
  Batches batches_;
  TaggerBatch batch_;
  std::vector<std::vector<std::int32_t>> gold_;  // [columns][tokens], packed
  std::vector<std::int32_t> word_rows_, letter_rows_, shape_rows_;
  // Of model.language_loss.
  std::optional<PredictedWords> predicted_;
  std::optional<LanguageLoss> language_loss_;
  std::vector<std::int32_t> words_;  // [tokens], packed
  double language_term_ = 0;
};

struct Builders {
  VocabularyBuilder words, letters;

  void append(Builders&& other) {
    words.append(std::move(other.words));
    letters.append(std::move(other.letters));
  }
};

}  // namespace

std::unique_ptr<TextTagger> build_tagger(const Config& config, const ReadRequest& request, const TaggingData& data,
                                         const TextModel* start) {
  const Tokenizer tokenizer(tokenizer_options(config.text));
  const TaggedSentences& sentences = data.train_sentences();
  const auto counted = counted_units<Builders>(sentences, [&](std::int64_t first, std::int64_t end, Builders& out) {
    Tokens folded;
    for (std::int64_t i = first; i < end; ++i) {
      const auto entry = sentences.entry(i);
      count_units(tokenizer, entry.tokens, folded, out.words);
      for (const std::string& token : entry.tokens)
        for (std::size_t at = 0; at < token.size(); at += utf8_length(token[at]))
          out.letters.add(std::string_view(token).substr(at, utf8_length(token[at])));
    }
  });
  Vocabulary vocabulary = vocabulary_from(config.text, counted.words, start, request.log);
  Vocabulary known_letters = counted.letters.build(1, 0);
  request.log(fmt::format("characters: {}", known_letters.size() - 1));
  const auto vectors = read_vectors(config, request, vocabulary);
  return std::make_unique<TextTagger>(config, data.columns, std::move(vocabulary), std::move(known_letters),
                                      vectors.get());
}

std::unique_ptr<ModelTraining> tagging_training(const Config& config, const TaggingData& data, TextTagger& model) {
  return std::make_unique<TaggingTraining>(config, data, model);
}

TaggerCorpus encode_sentences(const TextTagger& model, const TaggedSentences& sentences, std::int64_t first,
                              std::int64_t end) {
  TaggerCorpus corpus;
  corpus.gold.resize(model.columns().size());
  for (std::int64_t i = first; i < end; ++i) encode_sentence(model, sentences.entry(i), {}, corpus);
  return corpus;
}

Metrics join_metrics(const std::vector<TagColumn>& columns, const std::vector<TagEvaluation>& evaluations) {
  Metrics out = evaluations.front().metrics();
  for (std::size_t k = 0; k < columns.size() && columns.size() > 1; ++k)
    for (const auto& [name, value] : evaluations[k].metrics()) out[columns[k].name + "." + name] = value;
  return out;
}

}  // namespace mnemo
