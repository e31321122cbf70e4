// The task classify, as the table of tasks has it.
#include "base/error.h"
#include "tasks/classify/report.h"
#include "tasks/classify/training.h"
#include "tasks/draft.h"
#include "tasks/start_from.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

class ClassifyTask : public Task {
 public:
  const TaskTraits& traits() const override {
    static constexpr TaskTraits kTraits{.name = TextClassifier::kTask,
                                        .model = "a classifier",
                                        .command = "classify",
                                        .arguments = "FILE",
                                        .counted = "texts",
                                        .averages = true};
    return kTraits;
  }

  void draft(const PartFiles& parts, Draft& draft) const override { draft_classify(parts, draft); }

  std::unique_ptr<TaskData> read(const Config& config, const ReadRequest& request, const TextModel*) const override {
    return read_classification_data(config, request);
  }

  std::unique_ptr<TextModel> build(const Config& config, const ReadRequest& request, const TaskData& data,
                                   const TextModel* start) const override {
    return build_classifier(config, request, static_cast<const ClassificationData&>(data), start);
  }

  std::unique_ptr<ModelTraining> training(const Config& config, const TaskData& data, TextModel& model) const override {
    return classification_training(config, static_cast<const ClassificationData&>(data),
                                   static_cast<TextClassifier&>(model));
  }

  void describe(const char* part, const Dataset& data, const TextModel& model, const Log& print) const override {
    const auto& classifier = static_cast<const TextClassifier&>(model);
    const auto& texts = static_cast<const LabelledTexts&>(data);
    report_lengths(part, texts, print, [&](std::int64_t first, std::int64_t end, LengthCounts& out) {
      Tokens tokens;
      for (std::int64_t i = first; i < end; ++i) out.add(classifier.count(texts.entry(i).text, tokens));
    });
  }

  std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const override {
    DataConfig data = model.config().data;
    check_format(request.format, traits());
    const DataFile file = requested_file(request, data);
    auto out = std::make_unique<LabelledTexts>(
        read_texts({file}, data, {"", request.invalid_utf8, request.log}, request.what));
    return out;
  }

  void check_metric(const std::string& metric, const TextModel&, bool) const override { mnemo::check_metric(metric); }

  std::unique_ptr<Report> measure(const TextModel& model, const Dataset& data, const MeasureRequest& request,
                                  ThreadPool& pool) const override {
    const auto& classifier = static_cast<const TextClassifier&>(model);
    const auto& texts = static_cast<const LabelledTexts&>(data);
    report_unseen(gold_labels(texts, classifier.labels()), "data", request.log);
    AveragedClassifiers all(classifier);
    for (const NamedModel& one : request.with)
      all.add(static_cast<const TextClassifier&>(*one.model), one.name, request.name);
    return std::make_unique<ClassifierReport>(all, texts, request.metric,
                                              static_cast<const LabelledTexts*>(request.train), pool);
  }

  std::unique_ptr<TaskData> data_of(const TextModel& model, std::unique_ptr<Dataset> train) const override {
    const auto& classifier = static_cast<const TextClassifier&>(model);
    const auto& texts = static_cast<const LabelledTexts&>(*train);
    known_labels(texts, classifier.labels());
    auto out = std::make_unique<ClassificationData>(classifier.labels());
    out->dev = texts.none();
    out->test = texts.none();
    out->train = std::move(train);
    return out;
  }

  std::vector<double> losses_with_context(const TextModel& model, const Dataset& data, const ContextRequest& request,
                                          ThreadPool& pool) const override {
    return classification_losses(static_cast<const TextClassifier&>(model), static_cast<const LabelledTexts&>(data),
                                 request, pool);
  }

  void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request, ThreadPool& pool,
                    const UseReading& use) const override {
    const auto& texts = static_cast<const LabelledTexts&>(data);
    Workspace workspace(pool);
    EncodedText encoded;
    for (const std::int64_t record : evenly_spread(request.texts, texts.size())) {
      const LabelledTexts::Entry entry = texts.entry(record);
      static_cast<const TextClassifier&>(model).encode(entry.text, encoded);
      if (encoded.tokens.empty()) continue;
      use({.trace = model.observe(std::string(entry.text), workspace).trace,
           .network = "rnn",
           .text = std::string(entry.text),
           .places = model.config().text.reverse ? decltype(Reading::places)() : places_of(encoded.tokens),
           .labels = {entry.labels}});
    }
  }

  std::int64_t answer_all(const TextModel& model, const Dataset& data, ThreadPool& pool) const override {
    const auto& classifier = static_cast<const TextClassifier&>(model);
    Workspace workspace(pool);
    logits_of(classifier, static_cast<const LabelledTexts&>(data), workspace);
    return data.size();
  }
};

}  // namespace

const Task& classify_task() {
  static const ClassifyTask task;
  return task;
}

}  // namespace mnemo
