#include "tasks/generate/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "pipeline/corpus.h"
#include "pipeline/network_options.h"
#include "tasks/classify/report.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

// Dev is read in so many parts side by side during training, each with a beginning that is not counted.
constexpr std::int64_t kDevLanes = 16, kWarmUp = 256;

DataPart part_of(const UnitText& text) { return {text.files, text.units.size()}; }

// What training on a stream and on records have in common.
class LanguageTask : public TrainingTask {
 public:
  LanguageTask(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : config_(config), data_(data), model_(model) {}

  void visit(const ParameterVisitor& visitor) override { model_.network().visit(visitor); }
  void weights_changed() override { model_.network().weights_changed(); }

  void visit_sparse(const SparseVisitor& visitor) override {
    Parameter& table = model_.network().embedding().weight;
    if (table.sparse) visitor(table, rows_);
  }

  std::string data_identity() const override {
    return mnemo::data_identity({}, part_of(data_.train), part_of(data_.dev));
  }
  std::string data_identity(const ModelMetadata& model) const override { return mnemo::data_identity(model); }
  std::string metric() const override { return language_metric(config_); }
  bool has_dev() const override { return data_.dev.units.size() > 0; }
  Metrics evaluate_dev(ThreadPool& pool) override { return language_metrics(dev_nats(model_, data_.dev, pool)); }

  void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) override {
    Json provenance{{"seed", config_.training.seed}};
    provenance.update(data_provenance(part_of(data_.train), part_of(data_.dev)));
    provenance["train_units"] = data_.train.units.size();
    provenance.update(progress);
    model_.save(path, metrics, provenance, pool);
  }

 protected:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config_.training.seed); }

  void set_batch(Packing packing, std::span<const std::int32_t> ids, std::vector<std::int32_t> targets,
                 std::int64_t step) {
    batch_ = model_.network().batch(std::move(packing), ids, std::move(targets), true, seed(),
                                    static_cast<std::uint64_t>(step));
    rows_ = distinct_rows(batch_.units, model_.vocabulary().size());
  }

  const Config& config_;
  const LanguageData& data_;
  TextLanguageModel& model_;
  LanguageModel::Batch batch_{Packing({}), {}, {}};

 private:
  std::vector<std::int32_t> rows_;
};

class StreamTask : public LanguageTask {
 public:
  StreamTask(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : LanguageTask(config, data, model),
        streams_(std::min(config.training.batch_size, data.train.units.size())),
        longest_((data.train.units.size() + streams_ - 1) / streams_),
        state_(model.network().options().recurrent, streams_),
        begun_(state_) {}

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
      place_units(data_.train.reader(), first(b) + done, lengths[b], model_.text_end(), packing, b, ids, targets);
    set_batch(std::move(packing), ids, std::move(targets), step);
    return batch_.packing.tokens();
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

 private:
  std::int64_t steps() const { return config_.training.bptt; }

  std::int64_t streams_, longest_;
  CarriedState state_, begun_;
};

class RecordTask : public LanguageTask {
 public:
  RecordTask(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : LanguageTask(config, data, model), batch_units_(config.training.batch_tokens) {
    for (const UnitText::Record& record : data.train.records)
      lengths_.push_back(static_cast<std::int32_t>(record.end() - record.begin));
    // Records of like length go together, and a batch's loss is the mean of its units: by number of records those of
    // short ones would weigh more.
    if (batch_units_ == 0)
      batch_units_ = std::max<std::int64_t>(1, config.training.batch_size *
                                                   std::accumulate(lengths_.begin(), lengths_.end(), std::int64_t{0}) /
                                                   std::ssize(lengths_));
    begin_epoch(0);
  }

  std::int64_t batches() const override { return std::ssize(batches_); }
  void begin_epoch(std::int64_t epoch) override {
    batches_ =
        make_batches(lengths_, config_.training.batch_size, batch_units_, seed(), static_cast<std::uint64_t>(epoch));
  }

  // Sections that are not told are chosen anew for every batch.
  std::int64_t prepare(std::int64_t batch, std::int64_t step) override {
    const auto& chosen = batches_[static_cast<std::size_t>(batch)];
    RandomStream random(seed(), Purpose::kConditions, static_cast<std::uint64_t>(step));
    std::vector<std::vector<std::int32_t>> sequences;
    std::vector<std::int32_t> lengths;
    for (const std::int64_t index : chosen) {
      const UnitText::Record& record = data_.train.records[static_cast<std::size_t>(index)];
      std::vector<std::int32_t> units{model_.text_end()};
      std::int64_t at = record.begin;
      for (const std::int32_t length : record.lengths) {
        const bool body = at == record.body();
        if (body || random.uniform() >= config_.model.condition_dropout) {
          const std::size_t before = units.size();
          units.resize(before + static_cast<std::size_t>(length));
          data_.train.units.read(at, std::span(units).subspan(before));
        } else if (at + length == record.body() && length > 0) {
          units.push_back(model_.vocabulary().find(TextLanguageModel::kBody));
        }
        at += length;
      }
      lengths.push_back(static_cast<std::int32_t>(units.size()) - 1);
      sequences.push_back(std::move(units));
    }
    Packing packing(lengths);
    std::vector<std::int32_t> ids(packing.tokens()), targets(packing.tokens());
    for (Index b = 0; b < packing.sequences(); ++b) {
      const auto& units = sequences[static_cast<std::size_t>(packing.original(b))];
      for (Index t = 0; t < packing.length(b); ++t) {
        ids[packing.row(b, t)] = units[static_cast<std::size_t>(t)];
        targets[packing.row(b, t)] = units[static_cast<std::size_t>(t) + 1];
      }
    }
    set_batch(std::move(packing), ids, std::move(targets), step);
    return batch_.packing.tokens();
  }

  double forward(Tape& tape) override {
    const Recurrent::Output output = model_.network().forward(tape, batch_, nullptr);
    return model_.network().loss(tape, batch_, output.y);
  }

 private:
  std::vector<std::int32_t> lengths_;  // with all that is told
  std::int64_t batch_units_;           // at the most, of more than one record
  std::vector<std::vector<std::int64_t>> batches_;
};

std::unique_ptr<LanguageTask> make_task(const Config& config, const LanguageData& data, TextLanguageModel& model) {
  if (data.train.records.empty()) return std::make_unique<StreamTask>(config, data, model);
  return std::make_unique<RecordTask>(config, data, model);
}

}  // namespace

Metrics language_metrics(double nats) {
  return {{"loss", nats}, {"nats", nats}, {"bits", nats / std::log(2.0)}, {"perplexity", std::exp(nats)}};
}

std::string language_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "nats" : metric;
}

RecordRatio evaluate_units(TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                           const AdaptationOptions& adaptation) {
  RecordRatio out;
  const auto count = [&](std::size_t piece, double log_p) {
    out.parts[piece] -= log_p;
    out.wholes[piece] += 1;
  };
  const auto measure = [&](std::vector<StreamLoss::Lane> lanes, const StreamLoss::Use& use) {
    if (!adaptation.any()) {
      StreamLoss(std::move(lanes)).measure(model, text.reader(), pool, use);
      return;
    }
    AdaptiveLoss loss(model, adaptation, pool);
    for (const StreamLoss::Lane& lane : lanes) loss.measure(text.reader(), lane, use);
  };
  if (text.records.empty()) {
    bool line_begins = true;
    measure({{0, 0, text.units.size()}}, [&](std::int32_t unit, std::int64_t, double log_p) {
      if (line_begins) {
        out.parts.push_back(0);
        out.wholes.push_back(0);
      }
      count(out.parts.size() - 1, log_p);
      line_begins = unit == model.line_end();
    });
    return out;
  }
  out.parts.assign(text.records.size(), 0);
  out.wholes.assign(text.records.size(), 0);
  std::vector<StreamLoss::Lane> lanes;
  for (const UnitText::Record& record : text.records) lanes.push_back({record.begin, record.body(), record.end()});
  measure(std::move(lanes), [&](std::int32_t, std::int64_t place, double log_p) {
    const auto next = std::upper_bound(text.records.begin(), text.records.end(), place,
                                       [](std::int64_t p, const auto& record) { return p < record.begin; });
    count(static_cast<std::size_t>(next - text.records.begin()) - 1, log_p);
  });
  return out;
}

double dev_nats(TextLanguageModel& model, const UnitText& text, ThreadPool& pool) {
  if (!text.records.empty()) return mean_nats(evaluate_units(model, text, pool));
  return StreamLoss(text.units.size(), kDevLanes, kWarmUp).measure(model, text.reader(), pool);
}

double mean_nats(const RecordRatio& records) {
  const double sum = std::accumulate(records.parts.begin(), records.parts.end(), 0.0),
               units = std::accumulate(records.wholes.begin(), records.wholes.end(), 0.0);
  return units > 0 ? sum / units : 0;
}

LanguageReport report_language_model(TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                                     const AdaptationOptions& adaptation) {
  LanguageReport out;
  if (text.units.size() == 0) fail("{}: no units to evaluate on", text.files.front().path);
  out.units = text.measured;
  out.unknown = text.unknown;
  out.pieces = text.records.empty() ? "lines" : "records";
  out.records = evaluate_units(model, text, pool, adaptation);
  out.interval = bootstrap_ratio(out.records);
  return out;
}

void add_comparison(LanguageReport& report, const LanguageReport& other) {
  if (report.records.wholes != other.records.wholes)
    fail("{} cuts the text into other units than {}: their nats a unit cannot be compared", other.model, report.model);
  report.other_model = other.model;
  report.comparison = compare_ratios(report.records, other.records, "nats");
}

Json report_json(const LanguageReport& report) {
  Metrics metrics = language_metrics(mean_nats(report.records));
  metrics.erase("loss");
  Json out{{"model", report.model},
           {"data", report.data},
           {"records", report.records.wholes.size()},
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
  const Metrics metrics = language_metrics(mean_nats(report.records));
  std::string out = fmt::format("{} on {}: {} {}, {} units, {} unknown to the model\n\n", report.model, report.data,
                                report.records.wholes.size(), report.pieces, report.units, report.unknown);
  out += fmt::format("perplexity {:.3f} a unit, {:.4f} nats (95% interval {:.4f} to {:.4f}, by {}), {:.4f} bits\n",
                     metrics.at("perplexity"), metrics.at("nats"), report.interval.low, report.interval.high,
                     report.pieces, metrics.at("bits"));
  if (report.comparison) out += comparison_text(*report.comparison, report.other_model);
  return out;
}

LanguageResult train_language_model(const Config& config, const LanguageData& data, TextLanguageModel& model,
                                    const TrainerOptions& options, ThreadPool& pool) {
  make_folders(options.folder);
  const auto task = make_task(config, data, model);
  LanguageResult out{train(*task, config, options, pool), std::nullopt};
  if (out.outcome.end == TrainingOutcome::End::kSignal || data.test.units.size() == 0) return out;
  const auto best = TextLanguageModel::load(model_path(options.folder));
  out.test = language_metrics(mean_nats(evaluate_units(*best, data.test, pool)));
  return out;
}

void dry_run(const Config& config, const std::string&, const LanguageData& data, ThreadPool& pool, const Log& print) {
  for (const auto& [name, text] : {std::pair{"train", &data.train}, {"dev", &data.dev}, {"test", &data.test}})
    if (text->units.size() > 0)
      print(fmt::format("{}: {} units, unknown {:.2f}%", name, text->measured,
                        100.0 * static_cast<double>(text->unknown) / static_cast<double>(text->measured)));
  TextLanguageModel model(config, data.vocabulary);
  const auto task = make_task(config, data, model);
  task->begin_epoch(0);
  report_cost(config, *task, data.train.units.size(), pool, print);
}

}  // namespace mnemo
