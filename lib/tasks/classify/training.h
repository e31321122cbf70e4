// Training a text classifier.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/averaged_classifiers.h"
#include "pipeline/text_classifier.h"
#include "tasks/classify/data.h"

namespace mnemo {

/// The metric on dev by which a classifier is chosen.
std::string classification_metric(const Config& config);

std::unique_ptr<TextClassifier> build_classifier(const Config& config, const ReadRequest& request,
                                                 const ClassificationData& data, const TextModel* start);

std::unique_ptr<ModelTraining> classification_training(const Config& config, const ClassificationData& data,
                                                       TextClassifier& model);

/// Logits [texts, K], as TextClassifier::logits; a part of the texts is encoded at a time.
std::vector<float> logits_of(const TextClassifier& model, const LabelledTexts& texts, Workspace& workspace);

/// Task::losses_with_context: -log of the calibrated probability of each text's labels; of several the mean.
/// Texts without units are left out. Throws Error if there are no others.
std::vector<double> classification_losses(const TextClassifier& model, const LabelledTexts& texts,
                                          const ContextRequest& request, ThreadPool& pool);

/// A model's predictions beside the gold labels. Labels that the model does not know have probability 0.
Predictions predictions(const TextClassifier& model, std::vector<float> probabilities, const TextGold& gold);
/// Those of models together.
Predictions predict(const AveragedClassifiers& models, const LabelledTexts& texts, const TextGold& gold,
                    ThreadPool& pool);

}  // namespace mnemo
