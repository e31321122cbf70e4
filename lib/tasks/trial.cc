// A trial run takes steps with a learning rate of 0 on batches spread over an epoch, so that their lengths are typical,
// the time of the optimiser is included, and the weights stay as they are.
#include "tasks/trial.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <new>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shown.h"
#include "config/options.h"
#include "nn/optimizer.h"
#include "tasks/repeats.h"
#include "tasks/split.h"
#include "train/sharded_step.h"

namespace mnemo {

namespace {

// Prints how many records of train repeat another one, and how many of each other part occur in train, each with the
// first of them.
void report_repeats(const TaskData& data, const char* record, const Log& print) {
  const auto* train = dynamic_cast<const RecordSet*>(data.train.get());
  if (!train) return;
  struct Repeats {
    const char* part;
    const RecordSet* set;
    std::int64_t count = 0, record = 0, first = 0;
  };
  std::array<Repeats, 3> parts{{{"train", train},
                                {"dev", static_cast<const RecordSet*>(data.dev.get())},
                                {"test", static_cast<const RecordSet*>(data.test.get())}}};
  find_repeats(*train, {parts[1].set, parts[2].set}, [&](std::size_t set, std::int64_t found, std::int64_t first) {
    Repeats& part = parts[set];
    if (part.count++ == 0 || found < part.record) part.record = found, part.first = first;
  });
  for (const Repeats& part : parts) {
    if (part.set->size() == 0) continue;
    const auto shown_first = [&](const char* is) {
      return fmt::format("first {} {} {}", part.set->place(part.record), is, train->place(part.first));
    };
    if (part.set == train)
      print(part.count == 0
                ? "repeated in train: none"
                : fmt::format("repeated in train: {}, {}", counted(part.count, record), shown_first("repeats")));
    else
      print(fmt::format("{} {}s that occur in train: {}", part.part, record,
                        part.count == 0 ? "none" : fmt::format("{}, {}", part.count, shown_first("is"))));
  }
}

}  // namespace

std::string settle_by_size(Config& config, const TaskData& data) {
  const std::int64_t size = data.train->size();
  const std::vector<std::string> settled = settle_by_size(config, size);
  return settled.empty() ? "" : fmt::format("by the size of train, {}: {}", size, fmt::join(settled, ", "));
}

std::unique_ptr<TextModel> build_model(const Task& task, const Config& config, const ReadRequest& request,
                                       const TaskData& data, const TextModel* start) {
  try {
    return task.build(config, request, data, start);
  } catch (const std::bad_alloc&) {
    fail(
        "out of memory for a model of {} layers with hidden size {} and embedding size {}; reduce model.layers, "
        "model.hidden, model.embedding, text.max_vocab or text.ngrams.buckets",
        config.model.layers, config.model.hidden, config.model.embedding);
  }
}

void report_lengths(const char* name, const RecordSet& records, const Log& print, const CountLengths& count) {
  if (records.size() == 0) return;
  const auto lengths = counted_units<LengthCounts>(records, count);
  print(fmt::format("{}: {}, {}; {}", name, counted(lengths.size(), "text"), counted(lengths.units, "unit"),
                    lengths.shown()));
}

namespace {

// Medians of a few batches, of which this process computes its shards.
struct Measured {
  double per_token = 0, per_step = 0;  // seconds
  double row_bytes = 0;                // of the rows of embeddings that a step uses
  std::int64_t arena_bytes = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

Measured measure_steps(ModelTraining& task, ShardRange own, std::int64_t shards, bool counts_rows, ThreadPool& pool) {
  Optimizer optimizer({}, [&](const ParameterVisitor& v) { task.visit(v); });
  Arena arena;
  const std::int64_t batches = task.batches(), tried = std::min<std::int64_t>(batches, 12);
  std::vector<double> per_token, per_step, row_bytes;
  for (std::int64_t i = 0; i < tried; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::int64_t tokens = 0;
    std::set<std::pair<Parameter*, std::int32_t>> used;
    for (std::int64_t s = own.first; s < own.end; ++s) {
      tokens += task.prepare_shard(i * batches / tried, i, {s, shards});
      if (task.weight() <= 0) continue;
      if (counts_rows)
        task.visit_sparse([&](Parameter& p, const std::vector<std::int32_t>& rows) {
          for (const std::int32_t row : rows) used.emplace(&p, row);
        });
      arena.reset();
      Tape tape(pool, arena, Tape::Mode::kTraining);
      task.forward(tape);
      tape.backward();
    }
    optimizer.step(0.0, 1.0, pool);
    task.weights_changed();
    per_step.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    row_bytes.push_back(0);
    for (const auto& [parameter, row] : used)
      row_bytes.back() += static_cast<double>(parameter->row_size()) * sizeof(float);
    if (tokens > 0) per_token.push_back(per_step.back() / static_cast<double>(tokens));
  }
  return {median(per_token), median(per_step), median(row_bytes), arena.bytes()};
}

// The largest of what all processes have.
double largest(Transport& transport, double own) {
  double out = own;
  for (const std::string& text : all_gather(transport, Json(own).dump()))
    out = std::max(out, parse_json(text).get<double>());
  return out;
}

// Prints what a step of the processes takes, that is the one with most to do; returns its seconds.
double report_exchange(const Config& config, ModelTraining& task, const Measured& measured, Transport& transport,
                       const Log& print) {
  const LinkSpeed link = measure_links(transport);
  const double computing = largest(transport, measured.per_step);
  const Optimizer optimizer({}, [&](const ParameterVisitor& v) { task.visit(v); });
  const auto tiles = tile_sizes(optimizer.dense_pieces(), transport.ranks());
  const double dense = static_cast<double>(dense_bytes_sent(transport.rank(), config.training, tiles));
  const double bytes = largest(transport, dense + measured.row_bytes * (transport.ranks() - 1));
  const double exchanging = bytes / link.bytes_per_s + kExchangesOfStep * link.latency;
  print(fmt::format(
      "estimated per step of {} processes: {:.1f} ms computing, {:.1f} ms exchanging {:.2f} MB at {:.0f} "
      "MB/s and {:.0f} us an exchange",
      transport.ranks(), 1e3 * computing, 1e3 * exchanging, 1e-6 * bytes, 1e-6 * link.bytes_per_s, 1e6 * link.latency));
  return computing + exchanging;
}

// Prints parameters, memory and time, measured on a few batches with a learning rate of 0.
void report_training(const Config& config, ModelTraining& task, const TrainerOptions& options, ThreadPool& pool,
                     const Log& print) {
  Index parameters = 0;
  task.visit([&](Parameter& p) { parameters += p.size(); });
  print(
      fmt::format("parameters: {} ({:.1f} MB in the model file)", parameters, static_cast<double>(parameters) * 4e-6));

  Transport* const transport = options.transport;
  const int ranks = transport ? transport->ranks() : 1;
  const std::int64_t batches = task.batches(), shards = config.training.shards;
  check_shards(shards, ranks);
  if (transport) {
    agree(*transport, facts_in_common(task, config, options, 0));
    transport->awaited = true;
  }
  const Measured measured = measure_steps(task, owned_shards(transport ? transport->rank() : 0, ranks, shards), shards,
                                          transport != nullptr, pool);
  const double seconds = transport
                             ? static_cast<double>(batches) * report_exchange(config, task, measured, *transport, print)
                             : measured.per_token * static_cast<double>(task.units());
  if (transport) transport->awaited = false;
  // Weights, the best weights, two moments, perhaps the average and a copy; for dense ones also gradients and the
  // packed forms of recurrent weights; and the memory of a batch.
  Index dense = 0;
  task.visit([&](Parameter& p) { dense += p.sparse ? 0 : p.size(); });
  const double copies = config.training.average_from > 0 || config.training.average_after > 0 ? 6.0 : 4.0;
  const double memory = (static_cast<double>(parameters) * copies + static_cast<double>(dense) * 3.0) * 4.0 +
                        static_cast<double>(measured.arena_bytes);
  const double total = seconds * static_cast<double>(config.training.epochs);
  print(fmt::format("estimated: {:.0f} MB beside the data, {:.1f} s per epoch with {}, {} per epoch, {} at most",
                    memory * 1e-6, seconds, counted(pool.threads(), "thread"),
                    batches == 1 ? "1 batch" : fmt::format("{} batches", batches),
                    total < 60 ? fmt::format("{:.1f} s", total) : fmt::format("{:.1f} minutes", total / 60)));
}

}  // namespace

void dry_run(const Task& task, const Config& config, const ReadRequest& request, const TaskData& data,
             const TrainerOptions& options, ThreadPool& pool, const Log& print) {
  data.describe_labels(print);
  report_repeats(data, task.traits().record, print);
  const auto model = build_model(task, config, {request.config_path, request.invalid_utf8, print}, data, nullptr);
  for (const auto& [name, part] :
       {std::pair{"train", data.train.get()}, {"dev", data.dev.get()}, {"test", data.test.get()}})
    task.describe(name, *part, *model, print);
  report_cost(task, config, data, *model, options, pool, print);
}

void report_cost(const Task& task, const Config& config, const TaskData& data, TextModel& model,
                 const TrainerOptions& options, ThreadPool& pool, const Log& print) {
  const auto training = task.training(config, data, model);
  training->begin_epoch(0);
  report_training(config, *training, options, pool, print);
}

TrainingOutcome train_model(const Task& task, const Config& config, const TaskData& data, TextModel& model,
                            const TrainerOptions& options, ThreadPool& pool) {
  make_folders(options.folder);
  return train(*task.training(config, data, model), config, options, pool);
}

}  // namespace mnemo
