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

// "SOURCE,TARGET" of a command line, for parallel text; the whole is the path of one file for other formats.
DataFile named_pair(DataFile file, const DataConfig& data) {
  if (data.format != "parallel") return file;
  std::tie(file.file, file.target) = two_paths(file.file);
  return file;
}

void describe_lengths(const char* part, const char* side, std::vector<std::int64_t> lengths, std::int64_t unknown,
                      const Log& print) {
  std::ranges::sort(lengths);
  std::int64_t units = 0;
  for (const std::int64_t length : lengths) units += length;
  const auto quantile = [&](double q) {
    return lengths[std::min(lengths.size() - 1, static_cast<std::size_t>(q * static_cast<double>(lengths.size())))];
  };
  print(fmt::format("{}, {}: {}; length min {}, median {}, 90% {}, 99% {}, max {}; unknown units {:.2f}%", part, side,
                    counted(units, "unit"), lengths.front(), quantile(0.5), quantile(0.9), quantile(0.99),
                    lengths.back(),
                    100.0 * static_cast<double>(unknown) / static_cast<double>(std::max<std::int64_t>(1, units))));
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
    const auto encoded = encode_pairs(static_cast<const TextTranslator&>(model), pairs);
    const bool is_train = std::string_view(part) == "train";  // the only part of which pairs are left out
    const auto used = usable_pairs(encoded, pairs, is_train ? model.config().data : DataConfig()).places;
    print(fmt::format("{}: {}{}", part, counted(pairs.size(), "pair"),
                      std::ssize(used) < pairs.size() ? fmt::format(", {} of them used", used.size()) : ""));
    std::vector<std::int64_t> sources, targets;
    std::int64_t unknown_sources = 0, unknown_targets = 0;
    for (const std::int64_t place : used) {
      const EncodedPair& pair = encoded[place];
      sources.push_back(std::ssize(pair.source));
      targets.push_back(std::ssize(pair.target));
      unknown_sources += std::ranges::count(pair.source, Vocabulary::kUnknown);
      unknown_targets += std::ranges::count(pair.target, Vocabulary::kUnknown);
    }
    describe_lengths(part, "source", std::move(sources), unknown_sources, print);
    describe_lengths(part, "target", std::move(targets), unknown_targets, print);
  }

  std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const override {
    DataConfig data = model.config().data;
    check_format(request.format, traits());
    const DataFile file = named_pair(requested_file(request, data), data);
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
    out->dev = pairs.select({});
    out->test = pairs.select({});
    out->train = std::move(train);
    return out;
  }

  void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request, ThreadPool& pool,
                    const UseReading& use) const override {
    const auto& pairs = static_cast<const PairSet&>(data);
    Workspace workspace(pool);
    for (const std::int64_t record : evenly_spread(request.texts, pairs.size())) {
      const std::string& text = pairs.entries[record].source;
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
