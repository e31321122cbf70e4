// Training and evaluating a language model, from a configuration to a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "measure/bootstrap.h"
#include "pipeline/text_language_model.h"
#include "tasks/data.h"
#include "tasks/generate/adaptation.h"
#include "tasks/generate/data.h"
#include "train/trainer.h"

namespace mnemo {

/// perplexity, nats and bits a unit, from the mean of -log p in nats; "loss" is nats.
Metrics language_metrics(double nats);

/// The metric on dev by which a language model is chosen.
std::string language_metric(const Config& config);

struct LanguageResult {
  TrainingOutcome outcome;
  std::optional<Metrics> test;  ///< of the best model, if there is a test set and the run ended
};

/// Trains into options.folder.
LanguageResult train_language_model(const Config& config, const LanguageData& data, TextLanguageModel& model,
                                    const TrainerOptions& options, ThreadPool& pool);

/// -log p of all units in nats, each predicted after all that stand before it, and how many there are: by line, or by
/// record, of which only the body is counted. `adaptation`: as AdaptiveLoss, which asks something of the model.
RecordRatio evaluate_units(TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                           const AdaptationOptions& adaptation = {});
/// The mean of -log p of a text's units in nats as it is measured in training: a stream is read in parts side by side,
/// each with a beginning that is not counted.
double dev_nats(TextLanguageModel& model, const UnitText& text, ThreadPool& pool);
/// The sum of the one over the sum of the other.
double mean_nats(const RecordRatio& records);

/// A language model's report: perplexity with an interval, as text and JSON.
struct LanguageReport {
  std::string model, data;  ///< as the user named them
  std::int64_t units = 0, unknown = 0;
  std::string pieces;   ///< "lines" or "records"
  RecordRatio records;  ///< of each of these
  Interval interval;    ///< 95%, of nats a unit
  std::optional<Comparison> comparison;
  std::string other_model;
};
LanguageReport report_language_model(TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                                     const AdaptationOptions& adaptation = {});
/// Adds a paired test against another model's report on the same text. Throws Error if that cut it into other units.
void add_comparison(LanguageReport& report, const LanguageReport& other);
Json report_json(const LanguageReport& report);
std::string report_text(const LanguageReport& report);

/// Prints what would be trained on and what it would cost, without training.
void dry_run(const Config& config, const std::string& config_path, const LanguageData& data, ThreadPool& pool,
             const Log& print);

}  // namespace mnemo
