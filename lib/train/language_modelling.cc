#include "train/language_modelling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "text/line_reader.h"
#include "train/evaluation.h"
#include "train/network_options.h"
#include "train/trial.h"

namespace mnemo {
namespace {

// Dev is read in so many parts side by side during training, each with a beginning that is not counted.
constexpr std::int64_t kDevLanes = 16, kWarmUp = 256;

// Calls `use` for every unit of the files, lines' ends included, until it returns false. `files` gets what was read.
void for_units(const std::vector<DataFile>& names, const Config& config, const std::string& config_path,
               InvalidUtf8 invalid_utf8, std::vector<SourceFile>& files, const Log& log,
               const std::function<bool(std::string_view unit)>& use) {
  const Tokenizer tokenizer(tokenizer_options(config.text));
  Tokens tokens;
  std::string line;
  for (const DataFile& name : names) {
    const std::string path = data_path(name.file, config.data.dir, config_path);
    files.push_back(describe_file(path));
    LineReader lines(path, invalid_utf8);
    while (lines.next(line)) {
      ++files.back().records;
      tokenizer.tokenize(line, tokens);
      for (std::size_t i = 0; i < tokens.size(); ++i)
        if (!use(tokens.text(i))) return;
      if (!use(TextLanguageModel::kLineEnd)) return;
    }
    if (lines.had_bom()) log(fmt::format("{}: begins with a byte order mark, which was dropped", path));
    if (lines.crlf_lines() > 0) log(fmt::format("{}: {} lines end in CRLF", path, lines.crlf_lines()));
    if (lines.invalid_sequences() > 0)
      log(fmt::format("{}: {} invalid UTF-8 sequences replaced or skipped", path, lines.invalid_sequences()));
  }
}

// How many units are there, and their vocabulary, of the first `limit` units or all.
std::int64_t count_units(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8,
                         std::int64_t limit, VocabularyBuilder* builder, const Log& log) {
  std::int64_t count = 0;
  std::vector<SourceFile> files;
  for_units(config.data.train, config, config_path, invalid_utf8, files, log, [&](std::string_view unit) {
    if (count == limit) return false;
    ++count;
    if (builder) builder->add(unit);
    return true;
  });
  return count;
}

void silent(const std::string&) {}

ReadUnits reader_of(const UnitStream& units) {
  return [&units](std::int64_t first, std::span<std::int32_t> out) { units.read(first, out); };
}

DataPart part_of(const UnitText& text) { return {text.files, text.units.size()}; }

class LanguageTask : public TrainingTask {
 public:
  LanguageTask(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : config_(config),
        data_(data),
        model_(model),
        streams_(std::min(config.training.batch_size, data.train.units.size())),
        longest_((data.train.units.size() + streams_ - 1) / streams_),
        state_(model.network().options().recurrent, streams_),
        begun_(state_) {}

  void visit(const ParameterVisitor& visitor) override { model_.network().visit(visitor); }
  void weights_changed() override { model_.network().weights_changed(); }
  std::int64_t batches() const override { return (longest_ + steps() - 1) / steps(); }
  void begin_epoch(std::int64_t) override { state_.clear(); }

  // Stream b holds units [first(b), first(b + 1)); the first ones are a unit longer than the others.
  std::int64_t prepare(std::int64_t batch, std::int64_t step) override {
    const std::int64_t done = batch * steps(), size = data_.train.units.size(), longer = size % streams_;
    std::vector<std::int32_t> lengths(streams_);
    const auto first = [&](std::int64_t b) { return b * (size / streams_) + std::min(b, longer); };
    for (std::int64_t b = 0; b < streams_; ++b)
      lengths[b] = static_cast<std::int32_t>(std::clamp<std::int64_t>(first(b + 1) - first(b) - done, 0, steps()));
    Packing packing(lengths);
    std::vector<std::int32_t> ids(packing.tokens()), targets(packing.tokens());
    for (std::int64_t b = 0; b < streams_; ++b)
      place_units(reader_of(data_.train.units), first(b) + done, lengths[b], model_.line_end(), packing, b, ids,
                  targets);
    batch_ =
        model_.network().batch(std::move(packing), ids, std::move(targets), true,
                               static_cast<std::uint64_t>(config_.training.seed), static_cast<std::uint64_t>(step));
    rows_ = distinct_rows(batch_.units, model_.vocabulary().size());
    return batch_.packing.tokens();
  }

  void visit_sparse(const SparseVisitor& visitor) override {
    Parameter& table = model_.network().embedding().weight;
    if (table.sparse) visitor(table, rows_);
  }

  void visit_carried(const CarriedVisitor& visitor) override {
    visitor("carried.h", state_.h());
    visitor("carried.c", state_.c());
  }

  double forward(Tape& tape) override {
    // What the batch began with is read again on the way back.
    begun_ = state_;
    const RecurrentState initial = begun_.view();
    const Recurrent::Output output = model_.network().forward(tape, batch_, &initial);
    state_.take(output.final);
    return model_.network().loss(tape, batch_, output.y);
  }

  std::string data_identity() const override {
    return mnemo::data_identity({}, part_of(data_.train), part_of(data_.dev));
  }
  std::string data_identity(const ModelMetadata& model) const override { return mnemo::data_identity(model); }
  std::string metric() const override { return language_metric(config_); }
  bool has_dev() const override { return data_.dev.units.size() > 0; }

  Metrics evaluate_dev(ThreadPool& pool) override {
    return language_metrics(
        StreamLoss(data_.dev.units.size(), kDevLanes, kWarmUp).measure(model_, reader_of(data_.dev.units), pool));
  }

  void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) override {
    Json provenance{{"seed", config_.training.seed}};
    provenance.update(data_provenance(part_of(data_.train), part_of(data_.dev)));
    provenance["train_units"] = data_.train.units.size();
    provenance.update(progress);
    model_.save(path, metrics, provenance, pool);
  }

 private:
  std::int64_t steps() const { return config_.training.bptt; }

  const Config& config_;
  const LanguageData& data_;
  TextLanguageModel& model_;
  std::int64_t streams_, longest_;
  CarriedState state_, begun_;
  LanguageModel::Batch batch_{Packing({}), {}, {}};
  std::vector<std::int32_t> rows_;
};

}  // namespace

Metrics language_metrics(double nats) {
  return {{"loss", nats}, {"nats", nats}, {"bits", nats / std::log(2.0)}, {"perplexity", std::exp(nats)}};
}

std::string language_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "nats" : metric;
}

LanguageData load_language_data(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8,
                                const Log& log) {
  const DataConfig& d = config.data;
  if (d.train.empty())
    throw UsageError("data.train: no training data; set it in the configuration or by --set data.train=FILE");
  LanguageData out;
  VocabularyBuilder builder;
  constexpr std::int64_t kAll = std::int64_t{1} << 62;
  std::int64_t kept = kAll;
  if (d.dev.empty() && d.dev_fraction > 0) {
    const std::int64_t all = count_units(config, config_path, invalid_utf8, kAll, nullptr, silent);
    kept = static_cast<std::int64_t>(std::floor(static_cast<double>(all) * (1.0 - d.dev_fraction)));
  }
  const std::int64_t units = count_units(config, config_path, invalid_utf8, kept, &builder, silent);
  const std::string first_file = data_path(d.train.front().file, d.dir, config_path);
  if (units < 2) fail("{}: train has no text of at least two units", first_file);
  // A corpus of one line that is cut short has no line's end of its own.
  builder.add(TextLanguageModel::kLineEnd, 0);
  out.vocabulary =
      builder.build(static_cast<std::uint64_t>(config.text.min_count), static_cast<std::size_t>(config.text.max_vocab));
  out.vocabulary.add(TextLanguageModel::kLineEnd);
  log(fmt::format("vocabulary: {} of {} units", out.vocabulary.size() - 1, builder.distinct()));

  const auto encode = [&](const std::vector<DataFile>& files, std::int64_t first_units, UnitText& into,
                          UnitText* beyond) {
    for_units(files, config, config_path, invalid_utf8, into.files, log, [&](std::string_view unit) {
      UnitText& to = into.units.size() < first_units ? into : *beyond;
      const std::int32_t id = out.vocabulary.find(unit);
      to.units.add(id);
      to.unknown += id == Vocabulary::kUnknown ? 1 : 0;
      return true;
    });
  };
  encode(d.train, kept, out.train, &out.dev);
  if (kept != kAll) out.dev.files = out.train.files;
  if (!d.dev.empty()) encode(d.dev, kAll, out.dev, nullptr);
  if (!d.test.empty()) encode(d.test, kAll, out.test, nullptr);
  for (const auto& [name, text] : {std::pair{"train", &out.train}, {"dev", &out.dev}, {"test", &out.test}})
    if (text->units.size() > 0) log(fmt::format("{}: {} units, {} unknown", name, text->units.size(), text->unknown));
  return out;
}

UnitText read_units(const std::string& path, const TextLanguageModel& model, InvalidUtf8 invalid_utf8, const Log& log) {
  UnitText out;
  DataFile file;
  file.file = path;
  Config config = model.config();
  config.data.dir.clear();
  for_units({file}, config, "", invalid_utf8, out.files, log, [&](std::string_view unit) {
    const std::int32_t id = model.vocabulary().find(unit);
    out.units.add(id);
    out.unknown += id == Vocabulary::kUnknown ? 1 : 0;
    return true;
  });
  return out;
}

RecordRatio evaluate_units(TextLanguageModel& model, const UnitText& text, ThreadPool& pool) {
  RecordRatio out;
  bool line_begins = true;
  StreamLoss(text.units.size(), 1, 0)
      .measure(model, reader_of(text.units), pool, [&](std::int32_t unit, std::int64_t, double log_p) {
        if (line_begins) {
          out.parts.push_back(0);
          out.wholes.push_back(0);
        }
        out.parts.back() -= log_p;
        out.wholes.back() += 1;
        line_begins = unit == model.line_end();
      });
  return out;
}

double mean_nats(const RecordRatio& lines) {
  const double sum = std::accumulate(lines.parts.begin(), lines.parts.end(), 0.0),
               units = std::accumulate(lines.wholes.begin(), lines.wholes.end(), 0.0);
  return units > 0 ? sum / units : 0;
}

LanguageReport report_language_model(TextLanguageModel& model, const UnitText& text, ThreadPool& pool) {
  LanguageReport out;
  if (text.units.size() == 0) fail("{}: no units to evaluate on", text.files.front().path);
  out.units = text.units.size();
  out.unknown = text.unknown;
  out.lines = evaluate_units(model, text, pool);
  out.interval = bootstrap_ratio(out.lines);
  return out;
}

void add_comparison(LanguageReport& report, const LanguageReport& other) {
  if (report.lines.wholes != other.lines.wholes)
    fail("{} cuts the text into other units than {}: their nats a unit cannot be compared", other.model, report.model);
  report.other_model = other.model;
  report.comparison = compare_ratios(report.lines, other.lines, "nats");
}

Json report_json(const LanguageReport& report) {
  Metrics metrics = language_metrics(mean_nats(report.lines));
  metrics.erase("loss");
  Json out{{"model", report.model},
           {"data", report.data},
           {"records", report.lines.wholes.size()},
           {"units", report.units},
           {"unknown_units", report.unknown},
           {"metrics", Json(metrics)},
           {"interval",
            {{"metric", "nats"},
             {"value", report.interval.value},
             {"low", report.interval.low},
             {"high", report.interval.high},
             {"level", 0.95}}}};
  if (report.comparison) out["comparison"] = comparison_json(*report.comparison, report.other_model);
  return out;
}

std::string report_text(const LanguageReport& report) {
  const Metrics metrics = language_metrics(mean_nats(report.lines));
  std::string out = fmt::format("{} on {}: {} lines, {} units, {} unknown to the model\n\n", report.model, report.data,
                                report.lines.wholes.size(), report.units, report.unknown);
  out += fmt::format("perplexity {:.3f} a unit, {:.4f} nats (95% interval {:.4f} to {:.4f}, by lines), {:.4f} bits\n",
                     metrics.at("perplexity"), metrics.at("nats"), report.interval.low, report.interval.high,
                     metrics.at("bits"));
  if (report.comparison) out += comparison_text(*report.comparison, report.other_model);
  return out;
}

LanguageResult train_language_model(const Config& config, const LanguageData& data, TextLanguageModel& model,
                                    const TrainerOptions& options, ThreadPool& pool) {
  make_folders(options.folder);
  LanguageTask task(config, data, model);
  LanguageResult out{train(task, config, options, pool), std::nullopt};
  if (out.outcome.end == TrainingOutcome::End::kSignal || data.test.units.size() == 0) return out;
  const auto best = TextLanguageModel::load(model_path(options.folder));
  out.test = language_metrics(mean_nats(evaluate_units(*best, data.test, pool)));
  return out;
}

void dry_run(const Config& config, const std::string&, const LanguageData& data, ThreadPool& pool, const Log& print) {
  for (const auto& [name, text] : {std::pair{"train", &data.train}, {"dev", &data.dev}, {"test", &data.test}})
    if (text->units.size() > 0)
      print(fmt::format("{}: {} units, unknown {:.2f}%", name, text->units.size(),
                        100.0 * static_cast<double>(text->unknown) / static_cast<double>(text->units.size())));
  TextLanguageModel model(config, data.vocabulary);
  LanguageTask task(config, data, model);
  task.begin_epoch(0);
  report_cost(config, task, data.train.units.size(), pool, print);
}

}  // namespace mnemo
