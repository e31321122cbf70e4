// A model file that answers: text in, answer out, whatever its task.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "checkpoint/model_file.h"
#include "config/config.h"
#include "nn/arena.h"
#include "nn/network.h"
#include "text/vocabulary.h"

namespace mnemo {

/// What one call writes while a model answers. One for each thread that asks.
struct Workspace {
  explicit Workspace(ThreadPool& its_pool) : pool(its_pool) {}

  ThreadPool& pool;  ///< of one caller at a time
  Arena arena;
};

/// A network with its vocabularies and labels, as it lies in a model file. Answers are const: one model serves any
/// number of threads, each with a Workspace of its own.
class TextModel {
 public:
  virtual ~TextModel() = default;
  TextModel(const TextModel&) = delete;
  TextModel& operator=(const TextModel&) = delete;

  /// Reads a model of any task. Throws Error if the file is no sound model, or of a task that this program does not
  /// know, which is named with the program that made it.
  static std::unique_ptr<TextModel> load(const std::string& path);
  static std::unique_ptr<TextModel> from_contents(ModelContents contents);

  /// Writes the model with its current weights, and samples of what it answers by which `verify` can tell whether it
  /// still does.
  void save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool,
            Existing existing = Existing::kReplace);

  /// Rounds the matrices to kBfloat16Weights or kInt8, in which they are stored from now on, and by which products
  /// compute. Throws Error if they are of a lower precision already, or if a weight is not finite.
  void quantize(kernels::Precision precision, ThreadPool& pool);

  /// Packs the weights for inference where they changed. A model that was loaded is prepared.
  void prepare(ThreadPool& pool) { network().prepare(pool); }

  /// Compares the stored samples with what the model says now: the largest difference of a probability. Throws Error if
  /// there are none.
  double verify(ThreadPool& pool) const;

  /// Answers of records as `--format jsonl` prints them, one for each, in order; a record's answer does not depend on
  /// the others. Throws Error for a record without the keys that its task asks for.
  virtual std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const = 0;

  virtual Network& network() = 0;
  const Network& network() const { return const_cast<TextModel*>(this)->network(); }
  /// The units that rows of the network's embedding stand for.
  virtual const Vocabulary& vocabulary() const = 0;
  /// What rows of the output layer stand for: labels, or units; empty where they have no single name.
  virtual std::vector<std::string> output_rows() const { return {}; }
  /// Its name in configurations and model files.
  virtual const char* task() const = 0;
  const Config& config() const { return config_; }
  const ModelMetadata& metadata() const { return metadata_; }

 protected:
  explicit TextModel(const Config& config) : config_(config) {}

  /// A model read from a file, its weights missing: one function for each task, in the table of text_model.cc.
  using Reader = std::unique_ptr<TextModel> (*)(const ModelContents&);

  /// Adds labels, columns and calibration.
  virtual void describe(ModelMetadata& metadata) const = 0;
  /// Adds the tensors beside the network's parameters. `held` keeps bytes that the views show.
  virtual void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                             std::deque<std::string>& held) const = 0;
  /// Reads those that come after the network's parameters.
  virtual void load_tables(const ModelContents&) {}
  /// Rounds those that `quantize` rounds.
  virtual void round_tables(kernels::Precision) {}
  /// Short texts made of the vocabulary, so that no text of the training data is told by the model.
  virtual std::vector<std::string> sample_texts() const = 0;
  /// Probabilities of the samples, those of one text after the other; `lengths` gets how many each has.
  virtual std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                  std::vector<std::size_t>& lengths) const = 0;

  Config config_;

 private:
  ModelMetadata metadata_;
};

/// A model that is known to be of this class, as its file was read for its task.
template <class Model>
std::unique_ptr<Model> model_as(std::unique_ptr<TextModel> model) {
  return std::unique_ptr<Model>(static_cast<Model*>(model.release()));
}

/// A record's text under `key`, valid UTF-8. Throws Error that names the record, from 1, and the key.
std::string text_of_record(const Json& record, std::size_t number, const char* key);

}  // namespace mnemo
