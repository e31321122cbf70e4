// The interface of a task: reading its data, building its model, training and measuring it. Everything that is the same
// for all tasks (splits, folds, trial runs, quantisation, tests against another model) is written once, over this
// interface.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "config/config.h"
#include "pipeline/adaptation.h"
#include "pipeline/reading.h"
#include "pipeline/text_model.h"
#include "report/report.h"
#include "tasks/dataset.h"
#include "tasks/files.h"
#include "train/trainer.h"

namespace mnemo {

/// What `score` measures the probability of.
enum class Scored { kNothing, kLines, kPairs };

/// The properties of a task that need no model.
struct TaskTraits {
  const char* name;             ///< in configurations and model files
  const char* model;            ///< the name of such a model in messages, with an article
  const char* command;          ///< the command that answers with such a model
  const char* arguments;        ///< the arguments after the model in an example of that command
  const char* counted;          ///< the unit of rates: "texts", "tokens", "units"
  const char* record = "text";  ///< the noun for one record of the data
  bool restarts = true;         ///< a model may start from the weights of another one of the task
  bool borrows = true;          ///< and from those of a model that lends its layers
  bool page = true;             ///< reports have a page, baselines, and a choice of the metric that has an interval
  Scored scored = Scored::kNothing;
  bool adapts = false;    ///< a model may adapt while it is measured (--cache, --dynamic)
  bool averages = false;  ///< several models of the same labels can answer together (--with)
  bool searches = false;  ///< a model's texts are found by a search, and compared by BLEU (--beam, --bleu)
};

/// The data of a run. `dev` and `test` are empty sets if there are none.
class TaskData {
 public:
  virtual ~TaskData() = default;

  /// The labels of a model of these data; empty for tasks without labels.
  virtual std::vector<std::string> labels() const { return {}; }
  /// Reports the labels of train to whoever starts a training: one line each.
  virtual void describe_labels(const Log&) const {}
  /// The same labels with other records, for a fold.
  virtual std::unique_ptr<TaskData> with(std::unique_ptr<Dataset> train, std::unique_ptr<Dataset> dev,
                                         std::unique_ptr<Dataset> test) const = 0;

  std::unique_ptr<Dataset> train, dev, test;
};

/// A model and its data in training: the part of TrainingTask that is the same for all tasks.
class ModelTraining : public TrainingTask {
 public:
  /// `config`, `data` and `model` must outlive it.
  ModelTraining(const Config& config, const TaskData& data, TextModel& model)
      : config_(config), data_(data), model_(model) {}

  void visit(const ParameterVisitor& visitor) override { model_.network().visit(visitor); }
  void weights_changed() override { model_.network().weights_changed(); }
  std::string data_identity() const override { return mnemo::data_identity(data_.labels(), *data_.train, *data_.dev); }
  std::string data_identity(const ModelMetadata& model) const override { return mnemo::data_identity(model); }
  bool has_dev() const override { return data_.dev->size() > 0; }
  void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) override;

  /// Units of train.
  virtual std::int64_t units() const = 0;

 protected:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config_.training.seed); }

  const Config& config_;

 private:
  const TaskData& data_;
  TextModel& model_;
};

/// How texts are searched for and compared while a model is measured; what is not given is as the task has it.
struct SearchRequest {
  std::optional<int> beam;
  std::optional<double> length_penalty;
  std::string bleu;  ///< as data.bleu; empty: that of the model

  bool any() const { return beam || length_penalty || !bleu.empty(); }
};

/// Another model beside the one that is measured.
struct NamedModel {
  std::string name;  ///< its file's
  std::unique_ptr<TextModel> model;
};

struct MeasureRequest {
  std::string metric;              ///< of interval and comparison; empty: the one by which the model was chosen
  const Dataset* train = nullptr;  ///< baselines are fitted to it
  /// Models of the same task that answer with the measured one, of a task that averages; and that one's name.
  std::span<const NamedModel> with = {};
  std::string name = {};
  AdaptationOptions adaptation;
  SearchRequest search;
  bool as_in_training = false;  ///< as dev is measured during training: faster, where that makes a difference
  Log log = [](const std::string&) {};
};

/// Places at which a loss is measured, `units` before each being read.
struct ContextRequest {
  std::int64_t units = 1;    ///< that are kept
  std::int64_t longest = 1;  ///< that would be kept, which the choice of places depends on
  std::int64_t most = 1;     ///< places, evenly spread
};

/// Which part of the data a model reads for whoever looks at its layers.
struct ReadingRequest {
  std::int64_t texts = 1;    ///< evenly spread over the data
  std::int64_t longest = 1;  ///< units; of a stream, its beginning is read: `texts` times as many
};
using UseReading = std::function<void(Reading&& reading)>;

class Draft;
struct PartFiles;

class Task {
 public:
  virtual ~Task() = default;

  virtual const TaskTraits& traits() const = 0;

  /// Fills in the keys that suit the user's files, besides task and data.train, dev and test. Throws Error if it finds
  /// nothing to learn in them.
  virtual void draft(const PartFiles& parts, Draft& draft) const = 0;

  /// Reads the data that the configuration names, and holds out dev_fraction of train where there is no dev. Throws as
  /// the readers do. `start`, a model whose units the vocabulary gets beside those of train, may be null.
  virtual std::unique_ptr<TaskData> read(const Config& config, const ReadRequest& request,
                                         const TextModel* start) const = 0;
  /// A new model: vocabularies of train, pretrained vectors if any, seeded weights.
  virtual std::unique_ptr<TextModel> build(const Config& config, const ReadRequest& request, const TaskData& data,
                                           const TextModel* start) const = 0;
  virtual std::unique_ptr<ModelTraining> training(const Config& config, const TaskData& data,
                                                  TextModel& model) const = 0;
  /// Prints lengths and unknown units of a part of the data, for a trial run: one line, or none for an empty part.
  virtual void describe(const char* part, const Dataset& data, const TextModel& model, const Log& print) const = 0;

  /// Reads a file, or standard input, as the model's training data were.
  virtual std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const = 0;
  /// The same data for another model of the task if data that were opened for one model do not suit another; null if
  /// they do. `request` is the one by which they were opened.
  virtual std::unique_ptr<Dataset> reopen(const Dataset&, const TextModel&, const OpenRequest&) const {
    return nullptr;
  }
  /// Throws UsageError unless a report on this model can have a metric of this name.
  virtual void check_metric(const std::string& metric, const TextModel& model, bool with_train) const = 0;
  virtual std::unique_ptr<Report> measure(const TextModel& model, const Dataset& data, const MeasureRequest& request,
                                          ThreadPool& pool) const = 0;
  /// The data of a model with these records as train, and nothing else. Throws Error for labels that the model does not
  /// know.
  virtual std::unique_ptr<TaskData> data_of(const TextModel& model, std::unique_ptr<Dataset> train) const = 0;
  /// The losses of a language model's units, or of a classifier's texts, of which only the last units are read, in
  /// nats. Throws UsageError for tasks whose answers belong to every unit of a text.
  virtual std::vector<double> losses_with_context(const TextModel& model, const Dataset& data,
                                                  const ContextRequest& request, ThreadPool& pool) const;
  /// Calls `use` with texts of the data as the model reads them, in order. Texts without units are left out.
  virtual void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request,
                            ThreadPool& pool, const UseReading& use) const = 0;
  /// Encodes and answers all records, for the rate that quantisation reports; returns the number of `traits().counted`.
  virtual std::int64_t answer_all(const TextModel& model, const Dataset& data, ThreadPool& pool) const = 0;
};

/// Indices of at most `most` of `size` records, evenly spread.
std::vector<std::int64_t> evenly_spread(std::int64_t most, std::int64_t size);

/// Throws UsageError for a format of --format-in, empty for none, that is not one of the task.
void check_format(const std::string& format, const TaskTraits& traits);

/// The tasks, each in a folder of its own, and the table of them.
const Task& classify_task();
const Task& tag_task();
const Task& generate_task();
const Task& translate_task();
inline constexpr std::array kTasks{classify_task, tag_task, generate_task, translate_task};

/// The task of a name. Throws UsageError for an unknown one.
const Task& task_named(std::string_view name);
/// The task of a model.
const Task& task_of(const TextModel& model);

}  // namespace mnemo
