// Inference with a model file of any task: text in, answer out.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "checkpoint/model_file.h"
#include "config/config.h"
#include "nn/arena.h"
#include "nn/network.h"
#include "nn/observed.h"
#include "pipeline/skill.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace mnemo {

/// The memory that one call to a model works in. One for each thread.
struct Workspace {
  explicit Workspace(ThreadPool& its_pool, std::int64_t its_part = 0, std::int64_t of_parts = 1)
      : pool(its_pool), part(its_part), parts(of_parts) {}

  ThreadPool& pool;  ///< used by one caller at a time
  Arena arena;
  /// Of a corpus's batches only those at the positions part, part + parts, ... are answered, where a function says so.
  std::int64_t part, parts;

  bool has_part(std::int64_t batch) const { return batch % parts == part; }
};

class Attributed;

/// Which number of those that a model computes from a text is meant.
struct AttributionTarget {
  std::optional<std::string> label;   ///< of a classifier; none: the most probable one
  std::optional<std::int64_t> place;  ///< of a token or unit, from 0; none: a tagger's first span, the text's last unit
};

/// A network with its vocabularies and labels, as stored in a model file. Inference is const: one model serves any
/// number of threads, each with a Workspace of its own.
class TextModel {
 public:
  virtual ~TextModel() = default;
  TextModel(const TextModel&) = delete;
  TextModel& operator=(const TextModel&) = delete;

  /// Reads a model of any task. Throws Error if the file is not a valid model, or if its task is unknown; the message
  /// then names the task and the program that made the file.
  static std::unique_ptr<TextModel> load(const std::string& path);
  /// The same with weights mapped from the file: processes that answer with one model at the same time share them. The
  /// file may be replaced meanwhile, but not changed.
  static std::unique_ptr<TextModel> map(const std::string& path);
  static std::unique_ptr<TextModel> from_contents(ModelContents contents);

  /// Writes the model with its current weights, and with sample answers against which `verify` checks the model later.
  void save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool,
            Existing existing = Existing::kReplace);

  /// Rounds the matrices to kBfloat16Weights or kInt8, the precision in which they are then stored and in which
  /// products are computed. Throws Error if they already have a lower precision, or if a weight is not finite.
  void quantize(kernels::Precision precision, ThreadPool& pool);

  /// Packs the weights for inference if they have changed. A loaded model is prepared.
  void prepare(ThreadPool& pool) { network().prepare(pool); }

  /// The largest difference that `verify` may find in a sound model: sums round differently on other instruction sets.
  static constexpr double kVerifyTolerance = 1e-4;

  /// Compares the stored samples with the model's current answers: the largest difference of a probability. Throws
  /// Error if there are none.
  double verify(ThreadPool& pool) const;

  /// The answers for records as `--format jsonl` prints them, one for each, in order; a record's answer does not depend
  /// on the others. Throws Error for a record without the keys that the task needs.
  virtual std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const = 0;

  /// All that it can be asked for, `answer` under its command's name first.
  virtual std::span<const Skill> skills() const = 0;

  /// Packs what its skills need beside what `prepare` packs.
  virtual void prepare_skills(ThreadPool&) {}

  /// What its recurrent layers compute while it reads a text of valid UTF-8, to the bit what they do when it answers: a
  /// translator's decoder reads the best translation. Throws Error for a text without units.
  virtual Observed observe(const std::string& text, Workspace& workspace) const = 0;

  /// A number of the model of which the units' weights can be asked (pipeline/attribution.h): a classifier's logit of a
  /// label, a tagger's scores of the tags of a predicted span or of one token, a language model's log p of a unit. The
  /// model must outlive it, and is not to be used at the same time if gradients are asked for. Throws UsageError for a
  /// target that the model does not have, Error for a text without units.
  virtual std::unique_ptr<Attributed> attributed(const std::string& text, const AttributionTarget& target,
                                                 Workspace& workspace);

  virtual Network& network() = 0;
  const Network& network() const { return const_cast<TextModel*>(this)->network(); }
  /// The units that the rows of the network's embedding belong to.
  virtual const Vocabulary& vocabulary() const = 0;
  /// The names of the output layer's rows: labels, or units; empty if a row has no single name.
  virtual std::vector<std::string> output_rows() const { return {}; }
  /// Its name in configurations and model files.
  virtual const char* task() const = 0;
  /// Whether models of other tasks may start from its units, vectors and layers: a language model's.
  virtual bool lends_layers() const { return false; }
  /// Whether a model that starts from this one has its units, not only those of its own training data.
  virtual bool lends_units() const { return lends_layers(); }
  const Config& config() const { return config_; }
  const ModelMetadata& metadata() const { return metadata_; }

 protected:
  explicit TextModel(const Config& config) : config_(config) {}

  /// Adds labels, columns and calibration.
  virtual void describe(ModelMetadata& metadata) const = 0;
  /// Adds the tensors other than the network's parameters. `held` keeps the bytes that the views point to.
  virtual void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                             std::deque<std::string>& held) const = 0;
  /// Reads those that are loaded after the network's parameters.
  virtual void load_tables(const ModelContents&) {}
  /// Rounds those that `quantize` rounds.
  virtual void round_tables(kernels::Precision) {}
  /// Short texts made from the vocabulary, so that the file discloses no text of the training data.
  virtual std::vector<std::string> sample_texts() const = 0;
  /// Probabilities of the samples, concatenated; `lengths` gets the number of each text's.
  virtual std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                  std::vector<std::size_t>& lengths) const = 0;

  Config config_;

 private:
  ModelMetadata metadata_;
};

/// model.answer(records, workspace), for skills.
std::vector<Json> answer_of(const TextModel& model, const std::vector<Json>& records, Workspace& workspace);

/// Downcasts a model whose file was read for the task of this class.
template <class Model>
std::unique_ptr<Model> model_as(std::unique_ptr<TextModel> model) {
  return std::unique_ptr<Model>(static_cast<Model*>(model.release()));
}

/// The units of a text in its own characters.
std::vector<std::string> units_of(std::string_view text, const Tokens& tokens);

/// Their bytes [begin, end).
std::vector<std::pair<std::size_t, std::size_t>> places_of(const Tokens& tokens);

/// Throws Error for a text that has no units.
void check_has_units(std::size_t units);

/// A record's text under `key`, valid UTF-8. Throws Error that names the record, counted from 1, and the key.
std::string text_of_record(const Json& record, std::size_t number, const char* key);
/// The same for a text that is one line.
std::string line_of_record(const Json& record, std::size_t number, const char* key);

}  // namespace mnemo
