// The task translate, as the table of tasks has it.
#include "base/error.h"
#include "base/shown.h"
#include "tasks/draft.h"
#include "tasks/translate/report.h"
#include "tasks/translate/training.h"
#include "tasks/trial.h"
#include "text/pairs.h"

namespace mnemo {
namespace {

// "SOURCE,TARGET" of a command line, for parallel text, as which two files are taken without a format of their own; the
// whole is the path of one file for other formats.
DataFile requested_pair(OpenRequest request, DataConfig& data) {
  if (request.format.empty() && names_two_files(request.path)) request.format = "parallel";
  DataFile file = requested_file(request, data);
  if (data.format == "parallel") std::tie(file.file, file.target) = two_paths(file.file);
  return file;
}

// The lengths of the sides of the pairs that are used.
struct SideLengths {
  LengthCounts source, target;

  void append(SideLengths&& other) {
    source.append(std::move(other.source));
    target.append(std::move(other.target));
  }
};

UnitCount count_of(const std::vector<std::int32_t>& ids) {
  return {static_cast<std::int32_t>(ids.size()),
          static_cast<std::int32_t>(std::ranges::count(ids, Vocabulary::kUnknown))};
}

class TranslateTask : public Task {
 public:
  const TaskTraits& traits() const override {
    static constexpr TaskTraits kTraits{.name = TextTranslator::kTask,
                                        .model = "a translator",
                                        .command = "translate",
                                        .arguments = "FILE",
                                        .counted = "lines",
                                        .record = "pair",
                                        .borrows = false,
                                        .scored = Scored::kPairs,
                                        .searches = true};
    return kTraits;
  }

  void draft(const PartFiles& parts, Draft& draft) const override { draft_translate(parts, draft); }

  std::unique_ptr<TaskData> read(const Config& config, const ReadRequest& request, const TextModel*) const override {
    return read_translation_data(config, request);
  }

  std::unique_ptr<TextModel> build(const Config& config, const ReadRequest& request, const TaskData& data,
                                   const TextModel* from) const override {
    return build_translator(config, request, static_cast<const TranslationData&>(data), from);
  }

  std::unique_ptr<ModelTraining> training(const Config& config, const TaskData& data, TextModel& model) const override {
    return translation_training(config, static_cast<const TranslationData&>(data), static_cast<TextTranslator&>(model));
  }

  void describe(const char* part, const Dataset& data, const TextModel& model, const Log& print) const override {
    const auto& pairs = static_cast<const PairSet&>(data);
    if (pairs.size() == 0) return;
    const auto& translator = static_cast<const TextTranslator&>(model);
    const bool is_train = std::string_view(part) == "train";  // the only part of which pairs are left out
    const DataConfig allowed = is_train ? model.config().data : DataConfig();
    const auto used = counted_units<SideLengths>(pairs, [&](std::int64_t first, std::int64_t end, SideLengths& out) {
      for (std::int64_t i = first; i < end; ++i) {
        const PairSet::Entry entry = pairs.entry(i);
        const EncodedPair pair = translator.encode(entry.source, entry.target);
        if (usable(lengths_of(pair), pairs, i, allowed) != Usable::kYes) continue;
        out.source.add(count_of(pair.source));
        out.target.add(count_of(pair.target));
      }
    });
    const std::int64_t size = used.source.size();
    print(fmt::format("{}: {}{}", part, counted(pairs.size(), "pair"),
                      size < pairs.size() ? fmt::format(", {} of them used", size) : ""));
    for (const auto& [side, lengths] : {std::pair{"source", &used.source}, {"target", &used.target}})
      print(fmt::format("{}, {}: {}; {}", part, side, counted(lengths->units, "unit"), lengths->shown()));
  }

  std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const override {
    DataConfig data = model.config().data;
    check_format(request.format, traits());
    const DataFile file = requested_pair(request, data);
    return std::make_unique<PairSet>(read_pairs({file}, data, {"", request.invalid_utf8, request.log}, request.what));
  }

  void check_metric(const std::string& metric, const TextModel&, bool) const override {
    check_translation_metric(metric);
  }

  std::unique_ptr<Report> measure(const TextModel& model, const Dataset& data, const MeasureRequest& request,
                                  ThreadPool& pool) const override {
    return std::make_unique<TranslationReport>(static_cast<const TextTranslator&>(model),
                                               static_cast<const PairSet&>(data), request, pool);
  }

  std::unique_ptr<TaskData> data_of(const TextModel&, std::unique_ptr<Dataset> train) const override {
    const auto& pairs = static_cast<const PairSet&>(*train);
    auto out = std::make_unique<TranslationData>(false);
    out->dev = pairs.none();
    out->test = pairs.none();
    out->train = std::move(train);
    return out;
  }

  void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request, ThreadPool& pool,
                    const UseReading& use) const override {
    const auto& pairs = static_cast<const PairSet&>(data);
    Workspace workspace(pool);
    for (const std::int64_t record : evenly_spread(request.texts, pairs.size())) {
      const std::string text(pairs.entry(record).source);
      Tokens tokens;
      std::vector<std::int32_t> ids;
      static_cast<const TextTranslator&>(model).encode_source(text, tokens, ids);
      if (!tokens.empty())
        use({.trace = model.observe(text, workspace).trace,
             .network = "encoder",
             .text = text,
             .places = places_of(tokens),
             .labels = {}});
    }
  }

  std::int64_t answer_all(const TextModel& model, const Dataset& data, ThreadPool& pool) const override {
    const auto& pairs = static_cast<const PairSet&>(data);
    TranslationOptions options;
    options.attention = false;
    translate(static_cast<const TextTranslator&>(model), sources_of(pairs), options, pool);
    return pairs.size();
  }
};

}  // namespace

const Task& translate_task() {
  static const TranslateTask task;
  return task;
}

}  // namespace mnemo
