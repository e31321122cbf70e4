#include "tasks/classify/training.h"
#include "pipeline/network_options.h"
#include "tasks/start_from.h"
#include "tasks/trial.h"
#include "tasks/word_vectors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "measure/calibration.h"
#include "nn/loss.h"

namespace mnemo {
namespace {

using Gold = std::vector<std::vector<std::int32_t>>;

std::vector<double> label_counts(const Gold& gold, std::size_t labels) {
  std::vector<double> counts(labels);
  for (const auto& ids : gold)
    for (std::int32_t id : ids) ++counts[id];
  return counts;
}

std::vector<float> class_weights(const ClassWeight& weight, const std::vector<std::string>& labels, const Gold& gold) {
  if (!weight.balanced && weight.table.empty()) return {};
  std::vector<float> out(labels.size(), 1.0f);
  if (weight.balanced) {
    const std::vector<double> counts = label_counts(gold, labels.size());
    const double n = std::accumulate(counts.begin(), counts.end(), 0.0);
    for (std::size_t k = 0; k < labels.size(); ++k)
      out[k] = static_cast<float>(n / (static_cast<double>(labels.size()) * std::max(1.0, counts[k])));
    return out;
  }
  for (const auto& [label, value] : weight.table) {
    const auto match = std::find(labels.begin(), labels.end(), label);
    if (match == labels.end())
      throw UsageError(
          fmt::format("training.class_weight: no label \"{}\" in train, which has {}", label, fmt::join(labels, ", ")));
    out[match - labels.begin()] = static_cast<float>(value);
  }
  return out;
}

class ClassificationTask : public TrainingTask {
 public:
  ClassificationTask(const Config& config, const ClassificationData& data, TextClassifier& model)
      : config_(config),
        data_(data),
        model_(model),
        corpus_(encode_corpus(model, data.train)),
        dev_(encode_corpus(model, data.dev)),
        weights_(class_weights(config.training.class_weight, data.labels, data.train_gold)) {
    if (corpus_.units() == 0) fail("{}: train has no text of at least one unit", data.train.files.front().path);
    plan(0);
  }

  void visit(const ParameterVisitor& visitor) override { model_.network().visit(visitor); }
  void weights_changed() override { model_.network().weights_changed(); }
  std::int64_t batches() const override { return std::ssize(batches_); }
  void begin_epoch(std::int64_t epoch) override { plan(epoch); }

  std::int64_t prepare(std::int64_t batch, std::int64_t step) override {
    texts_ = &batches_[batch];
    batch_ = std::make_unique<Corpus::Batch>(
        corpus_.batch(*texts_, {.rate = config_.model.word_dropout,
                                .seed = static_cast<std::uint64_t>(config_.training.seed),
                                .step = static_cast<std::uint64_t>(step)}));
    rows_ = distinct_rows(batch_->bags, model_.network().embedding().weight.rows());
    return batch_->packing.tokens();
  }

  void visit_sparse(const SparseVisitor& visitor) override { visitor(model_.network().embedding().weight, rows_); }
  std::string metric() const override { return classification_metric(config_); }

  double forward(Tape& tape) override {
    const Activation logits = model_.network().forward(tape, batch_->packing, batch_->bags);
    const auto smoothing = static_cast<float>(config_.training.label_smoothing);
    if (!model_.multi_label()) {
      std::vector<std::int32_t> gold;
      for (std::int64_t text : *texts_) gold.push_back(data_.train_gold[text].front());
      return softmax_cross_entropy(logits, gold, weights_, smoothing);
    }
    std::vector<float> targets(logits.size());
    for (std::size_t i = 0; i < texts_->size(); ++i)
      for (std::int32_t id : data_.train_gold[(*texts_)[i]]) targets[i * data_.labels.size() + id] = 1.0f;
    // As on dev, the mean over labels; the gradient is of their sum.
    return sigmoid_cross_entropy(logits, targets, weights_, smoothing) / static_cast<double>(data_.labels.size());
  }

  std::string data_identity() const override {
    return mnemo::data_identity(data_.labels, part(data_.train), part(data_.dev));
  }
  std::string data_identity(const ModelMetadata& model) const override { return mnemo::data_identity(model); }
  bool has_dev() const override { return dev_.size() > 0; }

  Metrics evaluate_dev(ThreadPool& pool) override {
    Arena arena;
    Predictions p{static_cast<int>(data_.labels.size()), model_.multi_label(), {}, data_.dev_gold};
    const std::vector<float> logits = model_.logits(dev_, pool, arena);
    p.probabilities = model_.probabilities(logits, false);
    const double raw = evaluate(p, data_.labels).log_loss;
    model_.temperature = fit_temperature(logits, p.classes, p.gold, p.multi_label);
    p.probabilities = model_.probabilities(logits, true);
    Metrics out = evaluate(p, data_.labels).metrics();
    out["loss"] = raw;
    return out;
  }

  void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) override {
    Json provenance{{"seed", config_.training.seed}};
    provenance.update(data_provenance(part(data_.train), part(data_.dev)));
    provenance["train_units"] = corpus_.units();
    provenance.update(progress);
    model_.save(path, metrics, provenance, pool);
  }

  const Corpus& corpus() const { return corpus_; }

 private:
  static DataPart part(const LabelledTexts& texts) { return {texts.files, std::ssize(texts.entries)}; }

  void plan(std::int64_t epoch) {
    batches_ = make_batches(corpus_.lengths(), config_.training.batch_size, config_.training.batch_tokens,
                            static_cast<std::uint64_t>(config_.training.seed), static_cast<std::uint64_t>(epoch));
  }

  const Config& config_;
  const ClassificationData& data_;
  TextClassifier& model_;
  Corpus corpus_, dev_;
  std::vector<float> weights_;
  std::vector<std::vector<std::int64_t>> batches_;
  const std::vector<std::int64_t>* texts_ = nullptr;
  std::unique_ptr<Corpus::Batch> batch_;
  std::vector<std::int32_t> rows_;
};

// A cell as the configuration's keys name it.
std::string cell_text(CellKind cell) {
  switch (cell) {
    case CellKind::kNormLstm:
      return "lstm with layer_norm";
    case CellKind::kGruBefore:
      return "gru with reset_after false";
    case CellKind::kRnnRelu:
      return "rnn with activation relu";
    case CellKind::kRnnTanh:
      return "rnn with activation tanh";
    default:
      return cell_traits(cell).name;
  }
}

RepeatedTexts listed(const char* name, const LabelledTexts& texts) {
  RepeatedTexts out{name, {}, [&texts](std::size_t i) { return texts.place(i); }};
  for (const auto& entry : texts.entries) out.texts.push_back(entry.text);
  return out;
}

}  // namespace

std::string classification_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "accuracy" : metric;
}

ClassificationData load_classification_data(const Config& config, const std::string& config_path,
                                            InvalidUtf8 invalid_utf8, const Log& log) {
  const DataConfig& d = config.data;
  if (d.train.empty())
    throw UsageError("data.train: no training data; set it in the configuration or by --set data.train=FILE");
  ClassificationData out;
  out.train = read_texts(d.train, d, config_path, invalid_utf8, "train", log);
  out.labels = collect_labels(out.train, d.multi_label);
  if (!d.dev.empty()) {
    out.dev = read_texts(d.dev, d, config_path, invalid_utf8, "dev", log);
  } else if (d.dev_fraction > 0) {
    const auto parts =
        split_by_text(out.train, {1.0 - d.dev_fraction, d.dev_fraction}, static_cast<std::uint64_t>(d.dev_seed));
    out.dev = select(out.train, parts, 1, true);
    out.train = select(out.train, parts, 0, true);
    if (out.train.entries.empty())
      fail("{}: data.dev_fraction {} leaves no text to train on", out.train.files.front().path, d.dev_fraction);
    if (out.dev.entries.empty())
      log("no dev data: too few different texts to keep any out; the last weights will be the model");
  }
  if (!d.test.empty()) out.test = read_texts(d.test, d, config_path, invalid_utf8, "test", log);
  if (config.training.early_stopping.metric == "auc" && out.labels.size() != 2)
    throw UsageError(
        fmt::format("training.early_stopping.metric: auc is for two classes, train has {}", out.labels.size()));
  out.train_gold = label_ids(out.train, out.labels);
  out.dev_gold = label_ids(out.dev, out.labels);
  out.test_gold = label_ids(out.test, out.labels);
  return out;
}

std::unique_ptr<TextClassifier> build_classifier(const Config& config, const std::string& config_path,
                                                 const ClassificationData& data, const Log& log,
                                                 const TextLanguageModel* units) {
  const Tokenizer tokenizer(tokenizer_options(config.text));
  VocabularyBuilder builder;
  Tokens tokens;
  for (const auto& entry : data.train.entries) {
    tokenizer.tokenize(entry.text, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) builder.add(tokens.text(i));
  }
  Vocabulary vocabulary =
      builder.build(static_cast<std::uint64_t>(config.text.min_count), static_cast<std::size_t>(config.text.max_vocab));
  log(fmt::format("vocabulary: {} of {} units", vocabulary.size() - 1, builder.distinct()));
  if (units) add_units(*units, vocabulary, log);
  if (config.text.pretrained.empty())
    return std::make_unique<TextClassifier>(config, data.labels, std::move(vocabulary), nullptr);
  const PretrainedVectors vectors = read_vectors(config, config_path, vocabulary, log);
  return std::make_unique<TextClassifier>(config, data.labels, std::move(vocabulary), &vectors);
}

std::pair<std::int64_t, std::int64_t> initialise_from(TextClassifier& model, const std::string& path, const Log& log) {
  const auto old = TextClassifier::load(path);
  std::unordered_map<std::string, Parameter*> old_parameters;
  old->network().visit([&](Parameter& p) { old_parameters[p.name] = &p; });
  std::vector<std::string> errors;
  std::int64_t words = 0, labels = 0;
  // Weights of one cell may have the shapes of another's.
  const CellKind cell = model.network().options().recurrent.cell, old_cell = old->network().options().recurrent.cell;
  if (cell != old_cell)
    fail("{}: its cell is {}, this configuration's {}; set model.cell and the keys beside it to its", path,
         cell_text(old_cell), cell_text(cell));
  const auto copy_row = [](Parameter& to, std::int64_t to_row, Parameter& from, std::int64_t from_row) {
    std::copy_n(from.value.data() + from_row * from.row_size(), from.row_size(),
                to.value.data() + to_row * to.row_size());
  };
  model.network().visit([&](Parameter& p) {
    Parameter* from = old_parameters[p.name];
    const bool by_row = p.name == "embedding.weight" || p.name.starts_with("output.");
    if (!from || (by_row ? from->row_size() != p.row_size() : from->shape != p.shape)) {
      errors.push_back(fmt::format("{} is {}, expected {}", p.name, from ? shape_text(from->shape) : "missing",
                                   shape_text(p.shape)));
    } else if (p.name == "embedding.weight") {
      for (std::int32_t id = 0; id < model.vocabulary().size(); ++id) {
        const std::int32_t other = old->vocabulary().find(model.vocabulary().text(id));
        if (id > 0 && other == Vocabulary::kUnknown) continue;
        if (!p.fixed_rows.empty() && p.fixed_rows[id] != 0) continue;  // the file's vector, which stays
        copy_row(p, id, *from, other);
        words += id > 0 ? 1 : 0;
      }
      const NgramOptions ngrams = ngram_options(model.config().text), theirs = ngram_options(old->config().text);
      const bool same_table = ngrams.any() && theirs.any() && ngrams.buckets == theirs.buckets;
      if (theirs.any() && !same_table)
        log(fmt::format("{}: its {} n-grams are not carried over: this configuration has {}", path, theirs.buckets,
                        ngrams.any() ? std::to_string(ngrams.buckets) : "none"));
      if (old->extra_words() > 0 && model.extra_words() == 0)
        log(
            fmt::format("{}: its vectors of {} words beside the vocabulary are not carried over; text.pretrained would "
                        "bring them",
                        path, old->extra_words()));
      if (same_table)
        for (std::int64_t bucket = 0; bucket < std::int64_t{ngrams.buckets}; ++bucket)
          copy_row(p, model.vocabulary().size() + bucket, *from, old->vocabulary().size() + bucket);
    } else if (by_row) {
      for (std::size_t k = 0; k < model.labels().size(); ++k) {
        const auto match = std::find(old->labels().begin(), old->labels().end(), model.labels()[k]);
        if (match == old->labels().end()) continue;
        copy_row(p, static_cast<std::int64_t>(k), *from, match - old->labels().begin());
        labels += p.name == "output.bias" ? 1 : 0;
      }
    } else {
      std::copy_n(from->value.data(), p.size(), p.value.data());
    }
  });
  if (!errors.empty())
    fail("{}: its weights do not fit this configuration: {}; give model the sizes of that model", path,
         fmt::join(errors, "; "));
  model.network().weights_changed();
  return {words, labels};
}

Corpus encode_corpus(const TextClassifier& model, const LabelledTexts& texts) {
  Corpus corpus;
  EncodedText encoded;
  for (const auto& entry : texts.entries) {
    model.encode(entry.text, encoded);
    corpus.add(encoded);
  }
  return corpus;
}

Predictions predict(TextClassifier& model, const LabelledTexts& texts, const Gold& gold, ThreadPool& pool) {
  Arena arena;
  Predictions out{static_cast<int>(model.labels().size()), model.multi_label(), {}, gold};
  out.probabilities = model.probabilities(model.logits(encode_corpus(model, texts), pool, arena), true);
  return out;
}

ClassificationResult train_classifier(const Config& config, const ClassificationData& data, TextClassifier& model,
                                      const TrainerOptions& options, ThreadPool& pool) {
  make_folders(options.folder);
  ClassificationTask task(config, data, model);
  ClassificationResult out{train(task, config, options, pool), std::nullopt};
  if (out.outcome.end == TrainingOutcome::End::kSignal || data.test.entries.empty()) return out;
  const auto best = TextClassifier::load(model_path(options.folder));
  out.test = evaluate(predict(*best, data.test, data.test_gold, pool), data.labels);
  return out;
}

void dry_run(const Config& config, const std::string& config_path, const ClassificationData& data, ThreadPool& pool,
             const Log& print) {
  const auto counts = label_counts(data.train_gold, data.labels.size());
  std::vector<std::string> shown;
  for (std::size_t k = 0; k < counts.size(); ++k) shown.push_back(fmt::format("{} {}", data.labels[k], counts[k]));
  print(fmt::format("labels in train: {}", fmt::join(shown, ", ")));
  report_repeats({listed("train", data.train), listed("dev", data.dev), listed("test", data.test)}, print);
  const auto model = build_classifier(config, config_path, data, print);
  ClassificationTask task(config, data, *model);
  report_corpus("train", task.corpus(), print);
  report_corpus("dev", encode_corpus(*model, data.dev), print);
  report_corpus("test", encode_corpus(*model, data.test), print);
  report_cost(config, task, task.corpus().units(), pool, print);
}

std::vector<double> cross_validate(const Config& config, const std::string& config_path, const ClassificationData& data,
                                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool,
                                   const Log& print) {
  LabelledTexts all = data.train;
  for (auto entry : data.dev.entries) {
    if (config.data.dev.empty()) all.entries.push_back(std::move(entry));
  }
  const auto parts = split_by_text(all, std::vector<double>(folds, 1.0 / static_cast<double>(folds)),
                                   static_cast<std::uint64_t>(config.data.dev_seed));
  const std::string metric = classification_metric(config);
  return run_folds(folds, metric, print, [&](std::int64_t fold) -> std::optional<double> {
    ClassificationData part;
    part.labels = data.labels;
    part.test = select(all, parts, static_cast<int>(fold), true);
    part.train = select(all, parts, static_cast<int>(fold), false);
    part.dev = data.dev;
    if (config.data.dev.empty() && config.data.dev_fraction > 0) {
      const auto inner = split_by_text(part.train, {1.0 - config.data.dev_fraction, config.data.dev_fraction},
                                       static_cast<std::uint64_t>(config.data.dev_seed));
      part.dev = select(part.train, inner, 1, true);
      part.train = select(part.train, inner, 0, true);
    }
    if (part.train.entries.empty() || part.test.entries.empty()) fail("--folds {}: too few texts", folds);
    part.train_gold = label_ids(part.train, part.labels);
    part.dev_gold = label_ids(part.dev, part.labels);
    part.test_gold = label_ids(part.test, part.labels);
    TrainerOptions fold_options = options;
    fold_options.folder = fold_folder(options.folder, fold);
    const auto model = build_classifier(config, config_path, part, options.log);
    const auto result = train_classifier(config, part, *model, fold_options, pool);
    if (!result.test) return std::nullopt;
    const Metrics metrics = result.test->metrics();
    const auto found = metrics.find(metric == "loss" ? "log_loss" : metric);
    if (found == metrics.end())
      fail("fold {}: {} is not defined on its {} texts; use fewer folds", fold + 1, metric, part.test.entries.size());
    return found->second;
  });
}

}  // namespace mnemo
