// Training and evaluating a language model, from a configuration to a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
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

/// Reads files as the model's training data were. `log` is told what was unusual.
UnitText read_units(const std::vector<DataFile>& files, const TextLanguageModel& model, const std::string& config_path,
                    InvalidUtf8 invalid_utf8, const Log& log);

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

/// The mean of -log p over all units in nats, each predicted after all that stand before it.
double evaluate_units(TextLanguageModel& model, const UnitText& text, ThreadPool& pool);

/// Prints what would be trained on and what it would cost, without training.
void dry_run(const Config& config, const std::string& config_path, const LanguageData& data, ThreadPool& pool,
             const Log& print);

}  // namespace mnemo
