// Training and evaluating a text classifier, from a configuration to a model file and a report.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "measure/metrics.h"
#include "pipeline/text_classifier.h"
#include "pipeline/text_language_model.h"
#include "tasks/data.h"
#include "train/trainer.h"

namespace mnemo {

/// The metric on dev by which a classifier is chosen.
std::string classification_metric(const Config& config);

/// The data of a run, labels as ids.
struct ClassificationData {
  LabelledTexts train, dev, test;
  std::vector<std::string> labels;
  std::vector<std::vector<std::int32_t>> train_gold, dev_gold, test_gold;
};

/// Reads what the configuration names, and keeps dev_fraction of train out where there is no dev. Throws as the readers
/// do.
ClassificationData load_classification_data(const Config& config, const std::string& config_path,
                                            InvalidUtf8 invalid_utf8, const Log& log);

/// A new model: vocabulary of train, pretrained vectors if any, seeded weights. What was found goes to `log`.
/// `units`: a language model whose units are known beside those of train.
std::unique_ptr<TextClassifier> build_classifier(const Config& config, const std::string& config_path,
                                                 const ClassificationData& data, const Log& log,
                                                 const TextLanguageModel* units = nullptr);

/// Begins a new model with an old one's weights: the rows of words that both know, those of hashed n-grams if both
/// hash into as many, the recurrent layers, and the output of labels that both have. Throws Error where the layers
/// differ in shape. Returns how many words and labels were carried over.
std::pair<std::int64_t, std::int64_t> initialise_from(TextClassifier& model, const std::string& path, const Log& log);

/// Encoded texts.
Corpus encode_corpus(const TextClassifier& model, const LabelledTexts& texts);

struct ClassificationResult {
  TrainingOutcome outcome;
  std::optional<Evaluation> test;  ///< of the best model, if there is a test set and the run ended
};

/// Trains into options.folder.
ClassificationResult train_classifier(const Config& config, const ClassificationData& data, TextClassifier& model,
                                      const TrainerOptions& options, ThreadPool& pool);

/// A model's answers for labelled texts.
Predictions predict(TextClassifier& model, const LabelledTexts& texts,
                    const std::vector<std::vector<std::int32_t>>& gold, ThreadPool& pool);

/// One line on what training would do for each thing that --dry-run tells. Measures a few steps for the time.
void dry_run(const Config& config, const std::string& config_path, const ClassificationData& data, ThreadPool& pool,
             const Log& print);

/// Cross-validation over train: K runs in folder/fold-1 ... fold-K, each tested on a K-th of the texts. Prints each
/// fold's metric, their mean and standard deviation; returns the metric of each fold, fewer if a signal stopped it.
std::vector<double> cross_validate(const Config& config, const std::string& config_path, const ClassificationData& data,
                                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool,
                                   const Log& print);

}  // namespace mnemo
