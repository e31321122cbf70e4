// The task generate, as the table of tasks has it.
#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/unit_reader.h"
#include "tasks/draft.h"
#include "tasks/generate/report.h"
#include "tasks/generate/training.h"

namespace mnemo {
namespace {

class GenerateTask : public Task {
 public:
  const TaskTraits& traits() const override {
    static constexpr TaskTraits kTraits{.name = TextLanguageModel::kTask,
                                        .model = "a language model",
                                        .command = "generate",
                                        .arguments = "--prompt TEXT",
                                        .counted = "units",
                                        .page = false,
                                        .scored = Scored::kLines,
                                        .adapts = true};
    return kTraits;
  }

  void draft(const PartFiles& parts, Draft& draft) const override { draft_generate(parts, draft); }

  std::unique_ptr<TaskData> read(const Config& config, const ReadRequest& request,
                                 const TextModel* start) const override {
    return read_language_data(config, request, start);
  }

  std::unique_ptr<TextModel> build(const Config& config, const ReadRequest&, const TaskData& data,
                                   const TextModel*) const override {
    return std::make_unique<TextLanguageModel>(config, static_cast<const LanguageData&>(data).vocabulary);
  }

  std::unique_ptr<ModelTraining> training(const Config& config, const TaskData& data, TextModel& model) const override {
    return language_training(config, static_cast<const LanguageData&>(data), static_cast<TextLanguageModel&>(model));
  }

  void describe(const char* part, const Dataset& data, const TextModel&, const Log& print) const override {
    const auto& text = static_cast<const UnitText&>(data);
    if (text.units.size() > 0)
      print(fmt::format("{}: {} units, unknown {:.2f}%", part, text.measured,
                        100.0 * static_cast<double>(text.unknown) / static_cast<double>(text.measured)));
  }

  std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const override {
    const auto& language_model = static_cast<const TextLanguageModel&>(model);
    if (request.again) return open_shared(std::make_shared<SharedText>(request.path), request, language_model);
    return checked(read_units(request.path, language_model, text_source(request), request.log), request);
  }

  // Units are ids of one model's vocabulary, so that another model must read the text again.
  std::unique_ptr<Dataset> reopen(const Dataset& data, const TextModel& other,
                                  const OpenRequest& request) const override {
    const auto& text = static_cast<const UnitText&>(data);
    return text.source ? open_shared(text.source, request, static_cast<const TextLanguageModel&>(other))
                       : open(request, other);
  }

  void check_metric(const std::string& metric, const TextModel&, bool) const override {
    const Metrics known = language_metrics(0);
    if (metric == "loss" || !known.contains(metric))
      throw UsageError(fmt::format("metric {}: a language model has perplexity, nats and bits", shown(metric)));
  }

  std::unique_ptr<Report> measure(const TextModel& model, const Dataset& data, const MeasureRequest& request,
                                  ThreadPool& pool) const override {
    const auto& language_model = static_cast<const TextLanguageModel&>(model);
    const auto& text = static_cast<const UnitText&>(data);
    if (request.as_in_training)
      return std::make_unique<LanguageReport>(text, language_metric(model.config()),
                                              dev_nats(language_model, text, pool));
    return std::make_unique<LanguageReport>(language_model, text, pool, request.adaptation);
  }

  std::unique_ptr<TaskData> data_of(const TextModel& model, std::unique_ptr<Dataset> train) const override {
    auto out = std::make_unique<LanguageData>();
    out->train = std::move(train);
    out->dev = std::make_unique<UnitText>();
    out->test = std::make_unique<UnitText>();
    out->vocabulary = model.vocabulary();
    return out;
  }

  std::vector<double> losses_with_context(const TextModel& model, const Dataset& data, const ContextRequest& request,
                                          ThreadPool& pool) const override {
    return unit_losses(static_cast<const TextLanguageModel&>(model), static_cast<const UnitText&>(data), request, pool);
  }

  // Records one by one; of a stream its beginning, or what is read first of it, in stretches between which the state is
  // carried. Of a text that is read from its end the places of units are not given.
  void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request, ThreadPool& pool,
                    const UseReading& use) const override {
    const auto& language_model = static_cast<const TextLanguageModel&>(model);
    const auto& text = static_cast<const UnitText&>(data);
    const bool spells = !model.config().text.reverse;
    Workspace workspace(pool);
    std::vector<std::int32_t> ids;
    Tokens tokens;
    if (text.records.empty()) {
      UnitReader reader(language_model);
      const std::int64_t end = std::min(text.units.size(), request.texts * request.longest);
      for (std::int64_t first = 0; first < end; first += request.longest) {
        ids.resize(static_cast<std::size_t>(std::min(request.longest, end - first)));
        text.units.read(first, ids);
        const std::int64_t last = first + std::ssize(ids);
        use(reader.read(ids, spells ? text.beginning.part(first, last, last == end) : SpelledUnits(), workspace));
      }
    }
    for (const std::int64_t record : evenly_spread(request.texts, std::ssize(text.records))) {
      const UnitText::Record& one = text.records[static_cast<std::size_t>(record)];
      ids.resize(static_cast<std::size_t>(one.end() - one.begin));
      text.units.read(one.begin, ids);
      SpelledUnits spelled;
      if (spells)
        for_record_units(text.spelled_records[static_cast<std::size_t>(record)], language_model.has_conditions(),
                         language_model.tokenizer(), tokens,
                         [&](Section, const SourceUnit& unit) { spelled.add(unit); });
      use(UnitReader(language_model).read(ids, spelled, workspace));
    }
  }

  std::int64_t answer_all(const TextModel& model, const Dataset& data, ThreadPool& pool) const override {
    const auto& text = static_cast<const UnitText&>(data);
    dev_nats(static_cast<const TextLanguageModel&>(model), text, pool);
    return text.measured;
  }

 private:
  static std::unique_ptr<UnitText> checked(UnitText text, const OpenRequest& request) {
    if (text.measured == 0) fail("{}: no units to measure on", shown_path(request.path));
    return std::make_unique<UnitText>(std::move(text));
  }

  std::unique_ptr<UnitText> open_shared(const std::shared_ptr<SharedText>& source, const OpenRequest& request,
                                        const TextLanguageModel& model) const {
    auto out = checked(source->units(model, text_source(request), request.log), request);
    out->source = source;
    return out;
  }

  TextSource text_source(const OpenRequest& request) const {
    check_format(request.format, traits());
    return {request.invalid_utf8, request.format, request.spelled};
  }
};

}  // namespace

const Task& generate_task() {
  static const GenerateTask task;
  return task;
}

}  // namespace mnemo
