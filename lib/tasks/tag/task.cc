// The task tag, as the table of tasks has it.
#include "base/error.h"
#include "tasks/draft.h"
#include "tasks/start_from.h"
#include "tasks/tag/report.h"
#include "tasks/tag/training.h"
#include "tasks/trial.h"
#include "text/tags.h"

namespace mnemo {
namespace {

class TagTask : public Task {
 public:
  const TaskTraits& traits() const override {
    static constexpr TaskTraits kTraits{.name = TextTagger::kTask,
                                        .model = "a tagger",
                                        .command = "tag",
                                        .arguments = "FILE",
                                        .counted = "tokens",
                                        .restarts = false,
                                        .averages = true};
    return kTraits;
  }

  void draft(const PartFiles& parts, Draft& draft) const override { draft_tag(parts, draft); }

  std::unique_ptr<TaskData> read(const Config& config, const ReadRequest& request, const TextModel*) const override {
    return read_tagging_data(config, request);
  }

  std::unique_ptr<TextModel> build(const Config& config, const ReadRequest& request, const TaskData& data,
                                   const TextModel* start) const override {
    return build_tagger(config, request, static_cast<const TaggingData&>(data), start);
  }

  std::unique_ptr<ModelTraining> training(const Config& config, const TaskData& data, TextModel& model) const override {
    return tagging_training(config, static_cast<const TaggingData&>(data), static_cast<TextTagger&>(model));
  }

  void describe(const char* part, const Dataset& data, const TextModel& model, const Log& print) const override {
    const auto& tagger = static_cast<const TextTagger&>(model);
    const auto& sentences = static_cast<const TaggedSentences&>(data);
    report_lengths(part, sentences, print, [&](std::int64_t first, std::int64_t end, LengthCounts& out) {
      EncodedText encoded;
      for (std::int64_t i = first; i < end; ++i) {
        tagger.words().encode_units(sentences.entry(i).tokens, encoded);
        out.add({encoded.units(), encoded.unknown});
      }
    });
  }

  std::unique_ptr<Dataset> open(const OpenRequest& request, const TextModel& model) const override {
    const auto& columns = static_cast<const TextTagger&>(model).columns();
    check_format(request.format, traits());
    Config config = model.config();
    const DataFile file = requested_file(request, config.data);
    auto out = std::make_unique<TaggedSentences>(
        read_sentences({file}, config, {"", request.invalid_utf8, request.log}, request.what));
    respell_spans(*out, columns);
    check_schemes(*out, columns);
    report_repairs(*out, columns, request.log);
    return out;
  }

  void check_metric(const std::string& metric, const TextModel& model, bool with_train) const override {
    check_tag_metric(metric, static_cast<const TextTagger&>(model).columns());
    if (metric.ends_with("unknown_accuracy") && !with_train)
      throw UsageError(fmt::format("--min {}: needs --train, which defines the known words", metric));
  }

  std::unique_ptr<Report> measure(const TextModel& model, const Dataset& data, const MeasureRequest& request,
                                  ThreadPool& pool) const override {
    const auto& tagger = static_cast<const TextTagger&>(model);
    const auto& sentences = static_cast<const TaggedSentences&>(data);
    report_unseen(unseen_tags(sentences, tagger.columns()), "data", request.log);
    AveragedTaggers all(tagger);
    for (const NamedModel& one : request.with)
      all.add(static_cast<const TextTagger&>(*one.model), one.name, request.name);
    return std::make_unique<TaggerReport>(all, sentences, request.metric,
                                          static_cast<const TaggedSentences*>(request.train), pool);
  }

  std::unique_ptr<TaskData> data_of(const TextModel& model, std::unique_ptr<Dataset> train) const override {
    const auto& tagger = static_cast<const TextTagger&>(model);
    const auto& sentences = static_cast<const TaggedSentences&>(*train);
    if (const UnseenTags unseen = unseen_tags(sentences, tagger.columns()); unseen.count > 0)
      fail("tags that the model does not know: {}, the first {}", unseen.count, unseen.first);
    auto out = std::make_unique<TaggingData>(tagger.columns());
    out->dev = sentences.none();
    out->test = sentences.none();
    out->train = std::move(train);
    return out;
  }

  void for_readings(const TextModel& model, const Dataset& data, const ReadingRequest& request, ThreadPool& pool,
                    const UseReading& use) const override {
    const auto& tagger = static_cast<const TextTagger&>(model);
    const auto& sentences = static_cast<const TaggedSentences&>(data);
    Workspace workspace(pool);
    for (const std::int64_t record : evenly_spread(request.texts, sentences.size())) {
      const TaggedSentences::Entry entry = sentences.entry(record);
      TaggerCorpus corpus;
      tagger.encode(entry.tokens, corpus, entry.breaks);
      Reading reading{.trace = tagger.observe(corpus, entry.tokens, workspace).trace, .network = "rnn"};
      for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
        // Tokens of one character are read without blanks, as in Chinese text.
        if (t > 0 && tagger.config().text.blanks_between_units()) reading.text += ' ';
        const std::size_t begin = reading.text.size();
        reading.text += entry.tokens[t];
        reading.places.emplace_back(begin, reading.text.size());
        if (entry.tags.empty()) continue;
        const std::string& tag = entry.tags.front()[t];
        reading.labels.push_back({tag});
        // The span's type is a label of the token, too.
        if (const auto parts = split_tag(tag, tagger.columns().front().data_scheme); parts && !parts->type.empty())
          reading.labels.back().emplace_back(parts->type);
      }
      use(std::move(reading));
    }
  }

  std::int64_t answer_all(const TextModel& model, const Dataset& data, ThreadPool& pool) const override {
    const auto& tagger = static_cast<const TextTagger&>(model);
    Workspace workspace(pool);
    TaggerCorpus corpus;
    for (const auto& entry : static_cast<const TaggedSentences&>(data).entries())
      tagger.encode(entry.tokens, corpus, entry.breaks);
    tagger.best_tags(corpus, workspace);
    return corpus.words.units();
  }
};

}  // namespace

const Task& tag_task() {
  static const TagTask task;
  return task;
}

}  // namespace mnemo
