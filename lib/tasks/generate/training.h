// Training a language model.
#pragma once

#include <memory>
#include <string>

#include "measure/bootstrap.h"
#include "pipeline/adaptation.h"
#include "tasks/generate/data.h"

namespace mnemo {

/// perplexity, nats and bits per unit, from the mean of -log p in nats; "loss" is nats.
Metrics language_metrics(double nats);

/// The metric on dev by which a language model is chosen.
std::string language_metric(const Config& config);

std::unique_ptr<ModelTraining> language_training(const Config& config, const LanguageData& data,
                                                 TextLanguageModel& model);

/// The sums of -log p in nats, each unit predicted from all that are read before it, and the numbers of units: by line,
/// or by record, of which only the body counts, in the order of the file. `adaptation`: as AdaptiveLoss. `part`: only
/// records at its positions are read, the others have 0.
RecordRatio evaluate_units(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                           const AdaptationOptions& adaptation = {}, const Shard& part = {});
/// The mean of -log p of a text's units in nats, as measured in training: a stream is read in parts side by side, whose
/// beginnings are not counted.
double dev_nats(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                const DevShare& share = DevShare(nullptr));
/// Task::losses_with_context: -log p of units of the text or, of records, of their bodies, whose own beginning is
/// always read as such. Throws Error for a stream of no more than the longest context.
std::vector<double> unit_losses(const TextLanguageModel& model, const UnitText& text, const ContextRequest& request,
                                ThreadPool& pool);
/// The sum of nats over the sum of units.
double mean_nats(const RecordRatio& records);

}  // namespace mnemo
