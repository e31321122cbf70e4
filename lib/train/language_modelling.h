// Training and evaluating a language model, from a configuration to a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "train/bootstrap.h"
#include "train/data.h"
#include "train/text_language_model.h"
#include "train/trainer.h"
#include "train/unit_stream.h"

namespace mnemo {

/// A text as its units, one line behind the other.
struct UnitText {
  UnitStream units;
  std::vector<SourceFile> files;
  std::int64_t unknown = 0;  ///< units that the vocabulary lacks
};

struct LanguageData {
  Vocabulary vocabulary;  ///< of train
  UnitText train, dev, test;
};

/// Reads what the configuration names, several times where a part of train becomes dev: exactly the last
/// data.dev_fraction of its units. Throws as the readers do, and if train or what is kept out of it has no unit.
LanguageData load_language_data(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8,
                                const Log& log);

/// Reads a file, or standard input for "-", as the model's training data were. `log` is told what was unusual.
UnitText read_units(const std::string& path, const TextLanguageModel& model, InvalidUtf8 invalid_utf8, const Log& log);

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

/// -log p of all units in nats, each predicted after all that stand before it, and how many there are: by line.
RecordRatio evaluate_units(TextLanguageModel& model, const UnitText& text, ThreadPool& pool);
/// The sum of the one over the sum of the other.
double mean_nats(const RecordRatio& lines);

/// A language model's report: perplexity with an interval, as text and JSON.
struct LanguageReport {
  std::string model, data;  ///< as the user named them
  std::int64_t units = 0, unknown = 0;
  RecordRatio lines;
  Interval interval;  ///< 95%, of nats a unit
  std::optional<Comparison> comparison;
  std::string other_model;
};
LanguageReport report_language_model(TextLanguageModel& model, const UnitText& text, ThreadPool& pool);
/// Adds a paired test against another model's report on the same text. Throws Error if that cut it into other units.
void add_comparison(LanguageReport& report, const LanguageReport& other);
Json report_json(const LanguageReport& report);
std::string report_text(const LanguageReport& report);

/// Prints what would be trained on and what it would cost, without training.
void dry_run(const Config& config, const std::string& config_path, const LanguageData& data, ThreadPool& pool,
             const Log& print);

}  // namespace mnemo
