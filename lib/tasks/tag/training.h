// Training and evaluating a tagger, from a configuration to a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "measure/tag_metrics.h"
#include "pipeline/text_language_model.h"
#include "pipeline/text_tagger.h"
#include "tasks/data.h"
#include "text/sentences.h"
#include "train/trainer.h"

namespace mnemo {

/// Sentences with their columns of tags, in the order of the files.
struct TaggedSentences {
  struct Entry {
    std::vector<std::string> tokens;
    std::vector<std::vector<std::string>> tags;  ///< [columns][tokens]
    std::vector<std::size_t> lines;              ///< [tokens] of the file
    std::vector<std::uint8_t> breaks;            ///< as TextTagger::encode takes them
    std::uint32_t file;                          ///< index into files
    bool by_spans;                               ///< as Sentence::by_spans
  };
  std::vector<Entry> entries;
  std::vector<SourceFile> files;

  /// "FILE:LINE" of a token.
  std::string place(const Entry& entry, std::size_t token) const;
};

/// The data of a run.
struct TaggingData {
  TaggedSentences train, dev, test;
  std::vector<TagColumn> columns;
};

/// How a file of sentences is to be read, from the configuration's keys and those of the file itself. `tags` says
/// whether tags are needed.
SentenceOptions sentence_options(const Config& config, const DataFile& file, InvalidUtf8 invalid_utf8, bool tags);

/// Whether the configuration's column is one of these two; then the words of a sentence become tagged characters.
bool predicts_words(const Config& config);
void cut_words(const Config& config, Sentence& sentence);

/// Says what a reader found that is no error: a byte order mark, CRLF, bytes that are not UTF-8, spans that cut tokens.
void report_reader(const SentenceReader& reader, const Log& log);

/// Reads all files. Throws as the readers do, and if there is no token in all of them.
TaggedSentences read_sentences(const std::vector<DataFile>& files, const Config& config, const std::string& config_path,
                               InvalidUtf8 invalid_utf8, const std::string& what, const Log& log);

/// Spells what was read as spans in the scheme of the first column.
void respell_spans(TaggedSentences& sentences, const std::vector<TagColumn>& columns);

/// Throws Error that names file, line and tag for a tag that is none of a column's scheme, or whose type train lacks.
void check_tags(const TaggedSentences& sentences, const std::vector<TagColumn>& columns);

/// Says how many sentences the scheme would spell otherwise, and where the first one stands.
void report_repairs(const TaggedSentences& sentences, const std::vector<TagColumn>& columns, const Log& log);

/// Sentences with their true tags as rows of the network's tables.
TaggerCorpus encode_sentences(const TextTagger& model, const TaggedSentences& sentences);

/// Reads what the configuration names; finds out schemes, and reports sequences that are spelled wrongly, which are
/// read by conlleval's rule.
TaggingData load_tagging_data(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8,
                              const Log& log);

/// The metric on dev by which a tagger is chosen.
std::string tagging_metric(const Config& config, const std::vector<TagColumn>& columns);

/// A new model: vocabularies of train, pretrained vectors if any, seeded weights.
/// `units`: a language model whose units are known beside those of train.
std::unique_ptr<TextTagger> build_tagger(const Config& config, const std::string& config_path, const TaggingData& data,
                                         const Log& log, const TextLanguageModel* units = nullptr);

struct TaggingResult {
  TrainingOutcome outcome;
  std::vector<TagEvaluation> test;  ///< of each column, of the best model, if there is a test set and the run ended
};

/// Trains into options.folder.
TaggingResult train_tagger(const Config& config, const TaggingData& data, TextTagger& model,
                           const TrainerOptions& options, ThreadPool& pool);

/// Prints what would be trained on and what it would cost, without training.
void dry_run(const Config& config, const std::string& config_path, const TaggingData& data, ThreadPool& pool,
             const Log& print);

/// Cross-validation over train, as that of classifiers: the metric of each fold's K-th of the sentences.
std::vector<double> cross_validate(const Config& config, const std::string& config_path, const TaggingData& data,
                                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool,
                                   const Log& print);

/// A model's best tags beside the true ones: [columns][sentences].
std::vector<std::vector<TaggedSentence>> predict_tags(TextTagger& model, const TaggedSentences& sentences,
                                                      ThreadPool& pool);

/// The metrics of all columns under one roof: the first column's by their names, and where there are several each
/// column's with its name before a dot.
Metrics join_metrics(const std::vector<TagColumn>& columns, const std::vector<TagEvaluation>& evaluations);

}  // namespace mnemo
