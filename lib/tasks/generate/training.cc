// A stream is cut into as many equal parts as a batch has sequences; a batch takes the next training.bptt units of each
// part and begins with the state in which the previous batch left it (truncated backpropagation through time). Records
// are independent sequences, batched by length, whose conditions are dropped at random so that the model also learns to
// do without them.
#include "tasks/generate/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "pipeline/corpus.h"
#include "pipeline/stream_loss.h"
#include "tasks/generate/stream_parts.h"

namespace mnemo {
namespace {

// During training dev is read in kDevLanes parts side by side, of each of which the first kWarmUp units are not
// counted.
constexpr std::int64_t kDevLanes = 16, kWarmUp = 256;

// The common part of training on a stream and on records.
class LanguageTraining : public ModelTraining {
 public:
  LanguageTraining(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : ModelTraining(config, data, model), train_(data.train_text()), dev_text_(data.dev_text()), model_(model) {
    model.network().output().sample_classes(config.training.sampled_softmax);
  }

  std::int64_t units() const override { return train_.units.size(); }

  void visit_sparse(const SparseVisitor& visitor) override {
    Parameter& table = model_.network().embedding().weight;
    if (table.sparse) visitor(table, rows_);
  }

  double weight() const override { return static_cast<double>(batch_.packing.tokens()); }

  std::string metric() const override { return language_metric(config_); }

  Metrics evaluate_dev(ThreadPool& pool, const DevShare& share) override {
    model_.prepare(pool);
    return language_metrics(dev_nats(model_, dev_text_, pool, share));
  }

 protected:
  void set_batch(Packing packing, std::span<const std::int32_t> ids, std::vector<std::int32_t> targets,
                 std::uint64_t draw) {
    batch_ = model_.network().batch(std::move(packing), ids, std::move(targets), true, seed(), draw);
    rows_ = distinct_rows(batch_.units, model_.vocabulary().size());
  }

  const UnitText &train_, &dev_text_;
  TextLanguageModel& model_;
  LanguageModel::Batch batch_{Packing({}), {}, {}};

 private:
  std::vector<std::int32_t> rows_;
};

class StreamTraining : public LanguageTraining {
 public:
  StreamTraining(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : LanguageTraining(config, data, model),
        parts_(data.train_text().units.size(), config.training.batch_size, config.training.bptt) {
    for (std::int64_t i = 0; i < config.training.shards; ++i) {
      const Shard shard{i, config.training.shards};
      states_.emplace_back(model.network().options().recurrent, shard.range(parts_.parts()).size());
    }
  }

  std::int64_t batches() const override { return parts_.batches(); }
  void begin_epoch(std::int64_t epoch) override {
    for (CarriedState& state : states_) state.clear();
    if (!config_.training.rotate) return;
    RandomStream random(seed(), Purpose::kRotation, static_cast<std::uint64_t>(epoch));
    parts_.rotate(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(train_.units.size()))));
  }

  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    shard_ = static_cast<std::size_t>(shard.index);
    StreamParts::Rows rows = parts_.rows(batch, shard.range(parts_.parts()), train_.reader(), model_.text_end());
    set_batch(std::move(rows.packing), rows.ids, std::move(rows.targets), shard.draw(step));
    return batch_.packing.tokens();
  }

  void visit_carried(const CarriedVisitor& visitor) override {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const std::string shard = states_.size() > 1 ? fmt::format(".{}", i) : "";
      const auto number = static_cast<std::int64_t>(i);
      CarriedState& state = states_[i];
      if (state.sequences() == 0) continue;
      visitor("carried.h" + shard, number, state.h());
      visitor("carried.c" + shard, number, state.c());
      if (state.seen().empty()) continue;
      visitor("carried.memory" + shard, number, state.memory());
      visitor("carried.seen" + shard, number, state.seen());
    }
  }

  double forward(Tape& tape) override {
    // A copy, since the backward pass reads the initial state of the batch again.
    CarriedState& state = states_[shard_];
    begun_ = std::make_unique<CarriedState>(state);
    const RecurrentState initial = begun_->view();
    model_.network().prepare(tape);
    const Recurrent::Output output = model_.network().forward(tape, batch_, &initial);
    state.take(output.final);
    return model_.network().loss(tape, batch_, output.y);
  }

 private:
  StreamParts parts_;
  std::vector<CarriedState> states_;  // [shards]
  std::unique_ptr<CarriedState> begun_;
  std::size_t shard_ = 0;  // the prepared one
};

class RecordTraining : public LanguageTraining {
 public:
  RecordTraining(const Config& config, const LanguageData& data, TextLanguageModel& model)
      : LanguageTraining(config, data, model), batch_units_(config.training.batch_tokens) {
    for (const UnitText::Record& record : data.train_text().records)
      lengths_.push_back(static_cast<std::int32_t>(record.end() - record.begin));
    lengths_.finish();
    // Records of similar length are batched together, and the loss of a batch is the mean over its units. Batches with
    // a fixed number of records would give the units of short records more weight, so their size is counted in units.
    const auto lengths = lengths_.values(0, lengths_.size());
    if (batch_units_ == 0)
      batch_units_ = std::max<std::int64_t>(1, config.training.batch_size *
                                                   std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}) /
                                                   std::ssize(lengths));
    begin_epoch(0);
  }

  std::int64_t batches() const override { return batches_.size(); }
  void begin_epoch(std::int64_t epoch) override {
    batches_ =
        make_batches(lengths_, config_.training.batch_size, batch_units_, seed(), static_cast<std::uint64_t>(epoch));
  }

  // The conditions that are dropped are drawn again for every batch.
  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    const auto chosen = shard.dealt(batches_[batch]);
    RandomStream random(seed(), Purpose::kConditions, shard.draw(step));
    std::vector<std::vector<std::int32_t>> sequences;
    std::vector<std::int32_t> lengths;
    for (const std::int64_t index : chosen) {
      const UnitText::Record& record = train_.records[static_cast<std::size_t>(index)];
      std::vector<std::int32_t> units{model_.text_end()};
      std::int64_t at = record.begin;
      for (const std::int32_t length : record.lengths) {
        const bool body = at == record.body();
        if (body || random.uniform() >= config_.model.condition_dropout) {
          const std::size_t before = units.size();
          units.resize(before + static_cast<std::size_t>(length));
          train_.units.read(at, std::span(units).subspan(before));
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
    set_batch(std::move(packing), ids, std::move(targets), shard.draw(step));
    return batch_.packing.tokens();
  }

  double forward(Tape& tape) override {
    model_.network().prepare(tape);
    const Recurrent::Output output = model_.network().forward(tape, batch_, nullptr);
    return model_.network().loss(tape, batch_, output.y);
  }

 private:
  StoredArray<std::int32_t> lengths_;  // with all conditions
  std::int64_t batch_units_;           // at most, in a batch of more than one record
  Batches batches_;
};

}  // namespace

std::unique_ptr<ModelTraining> language_training(const Config& config, const LanguageData& data,
                                                 TextLanguageModel& model) {
  if (data.train_text().records.empty()) return std::make_unique<StreamTraining>(config, data, model);
  return std::make_unique<RecordTraining>(config, data, model);
}

Metrics language_metrics(double nats) {
  return {{"loss", nats}, {"nats", nats}, {"bits", nats / std::log(2.0)}, {"perplexity", std::exp(nats)}};
}

std::string language_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "nats" : metric;
}

RecordRatio evaluate_units(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool,
                           const AdaptationOptions& adaptation, const Shard& part) {
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
    // In the order of the file, for a comparison with a model that reads forwards.
    if (model.config().text.reverse) {
      std::ranges::reverse(out.parts);
      std::ranges::reverse(out.wholes);
    }
    return out;
  }
  out.parts.assign(text.records.size(), 0);
  out.wholes.assign(text.records.size(), 0);
  std::vector<StreamLoss::Lane> lanes;
  for (auto i = static_cast<std::size_t>(part.index); i < text.records.size();
       i += static_cast<std::size_t>(part.count)) {
    const UnitText::Record& record = text.records[i];
    lanes.push_back({record.begin, record.body(), record.end()});
  }
  measure(std::move(lanes), [&](std::int32_t, std::int64_t place, double log_p) {
    const auto next = std::upper_bound(text.records.begin(), text.records.end(), place,
                                       [](std::int64_t p, const auto& record) { return p < record.begin; });
    count(static_cast<std::size_t>(next - text.records.begin()) - 1, log_p);
  });
  return out;
}

double dev_nats(const TextLanguageModel& model, const UnitText& text, ThreadPool& pool, const DevShare& share) {
  const Shard part = share.part();
  if (!text.records.empty()) {
    RecordRatio found = evaluate_units(model, text, pool, {}, part);
    share.unite(found.parts);
    share.unite(found.wholes);
    return mean_nats(found);
  }
  const StreamLoss loss(text.units.size(), kDevLanes, kWarmUp);
  if (part.count == 1) return loss.measure(model, text.reader(), pool);
  std::vector<double> log_p(static_cast<std::size_t>(text.units.size()));
  loss.dealt(part.index, part.count)
      .measure(model, text.reader(), pool,
               [&](std::int32_t, std::int64_t place, double value) { log_p[static_cast<std::size_t>(place)] = value; });
  share.unite(log_p);
  return loss.mean(log_p);
}

std::vector<double> unit_losses(const TextLanguageModel& model, const UnitText& text, const ContextRequest& request,
                                ThreadPool& pool) {
  const bool stream = text.records.empty();
  const std::int64_t first = stream ? request.longest : 0, all = stream ? text.units.size() : text.measured;
  if (all <= first) fail("the text has {} units, expected more than the longest context, {}", all, first);
  const std::int64_t count = std::min(request.most, all - first);
  std::vector<std::int64_t> places;
  std::vector<StreamLoss::Lane> lanes;
  const auto add = [&](std::int64_t place, std::int64_t earliest) {
    places.push_back(place);
    lanes.push_back({std::max(earliest, place - request.units + 1), place, place + 1});
  };
  if (stream)
    for (std::int64_t i = 0; i < count; ++i) add(first + i * (all - first) / count, 0);
  std::int64_t before = 0, chosen = 0;
  for (const UnitText::Record& record : text.records) {
    for (; chosen < count && chosen * all / count < before + record.end() - record.body(); ++chosen)
      add(record.body() + chosen * all / count - before, record.begin);
    before += record.end() - record.body();
  }
  std::vector<double> out(places.size());
  StreamLoss(std::move(lanes)).measure(model, text.reader(), pool, [&](std::int32_t, std::int64_t place, double log_p) {
    out[static_cast<std::size_t>(std::ranges::lower_bound(places, place) - places.begin())] = -log_p;
  });
  return out;
}

double mean_nats(const RecordRatio& records) {
  const double sum = std::accumulate(records.parts.begin(), records.parts.end(), 0.0),
               units = std::accumulate(records.wholes.begin(), records.wholes.end(), 0.0);
  return units > 0 ? sum / units : 0;
}

}  // namespace mnemo
