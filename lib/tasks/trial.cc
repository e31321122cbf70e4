#include "tasks/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "nn/optimizer.h"

namespace mnemo {

void report_repeats(const std::vector<RepeatedTexts>& parts, const Log& print) {
  const RepeatedTexts& train = parts.front();
  std::unordered_map<std::string_view, std::size_t> seen;
  std::int64_t repeats = 0;
  std::string first;
  for (std::size_t i = 0; i < train.texts.size(); ++i) {
    const auto [match, fresh] = seen.emplace(train.texts[i], i);
    if (fresh) continue;
    if (repeats++ == 0) first = fmt::format("{} repeats {}", train.place(i), train.place(match->second));
  }
  print(repeats == 0 ? "repeated in train: none"
                     : fmt::format("repeated in train: {} texts, first {}", repeats, first));
  for (std::size_t k = 1; k < parts.size(); ++k) {
    const RepeatedTexts& part = parts[k];
    std::int64_t shared = 0;
    for (std::size_t i = 0; i < part.texts.size(); ++i) {
      const auto match = seen.find(part.texts[i]);
      if (match == seen.end()) continue;
      if (shared++ == 0) first = fmt::format("{} is {}", part.place(i), train.place(match->second));
    }
    if (!part.texts.empty())
      print(shared == 0 ? fmt::format("{} texts that occur in train: none", part.name)
                        : fmt::format("{} texts that occur in train: {}, first {}", part.name, shared, first));
  }
}

void report_corpus(const char* name, const Corpus& corpus, const Log& print) {
  if (corpus.size() == 0) return;
  std::vector<std::int32_t> lengths;
  for (std::int64_t i = 0; i < corpus.size(); ++i) lengths.push_back(corpus.length(i));
  std::sort(lengths.begin(), lengths.end());
  const auto quantile = [&](double q) {
    return lengths[std::min(lengths.size() - 1, static_cast<std::size_t>(q * static_cast<double>(lengths.size())))];
  };
  print(fmt::format("{}: {} texts, {} units; length min {}, median {}, 90% {}, 99% {}, max {}; unknown units {:.2f}%",
                    name, corpus.size(), corpus.units(), lengths.front(), quantile(0.5), quantile(0.9), quantile(0.99),
                    lengths.back(),
                    100.0 * static_cast<double>(corpus.unknown_units()) /
                        static_cast<double>(std::max<std::int64_t>(1, corpus.units()))));
}

void report_cost(const Config& config, TrainingTask& task, std::int64_t units, ThreadPool& pool, const Log& print) {
  Index parameters = 0;
  task.visit([&](Parameter& p) { parameters += p.size(); });
  print(
      fmt::format("parameters: {} ({:.1f} MB in the model file)", parameters, static_cast<double>(parameters) * 4e-6));

  Optimizer optimizer({}, [&](const ParameterVisitor& v) { task.visit(v); });
  Arena arena;
  const std::int64_t batches = task.batches(), tried = std::min<std::int64_t>(batches, 12);
  std::vector<double> per_token;
  for (std::int64_t i = 0; i < tried; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::int64_t tokens = task.prepare(i * batches / tried, i);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kTraining);
    task.forward(tape);
    tape.backward();
    optimizer.step(0.0, 1.0, pool);
    task.weights_changed();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (tokens > 0) per_token.push_back(seconds / static_cast<double>(tokens));
  }
  std::sort(per_token.begin(), per_token.end());
  const double seconds = per_token.empty() ? 0 : per_token[per_token.size() / 2] * static_cast<double>(units);
  // Weights, gradients of the dense ones, the best weights, perhaps their mean and a copy, two moments, the packed
  // forms of the recurrent weights, and what a batch needs.
  Index dense = 0;
  task.visit([&](Parameter& p) { dense += p.sparse ? 0 : p.size(); });
  const double copies = config.training.average_from > 0 || config.training.average_after > 0 ? 6.0 : 4.0;
  const double memory = (static_cast<double>(parameters) * copies + static_cast<double>(dense) * 3.0) * 4.0 +
                        static_cast<double>(arena.bytes());
  print(fmt::format(
      "estimated: {:.0f} MB beside the data, {:.1f} s an epoch with {} threads, {} batches an epoch, {:.1f} "
      "minutes at the most",
      memory * 1e-6, seconds, pool.threads(), batches, seconds * static_cast<double>(config.training.epochs) / 60.0));
}

std::string fold_folder(const std::string& folder, std::int64_t fold) {
  return fmt::format("{}/fold-{}", folder, fold + 1);
}

std::vector<double> run_folds(std::int64_t folds, const std::string& metric, const Log& print,
                              const std::function<std::optional<double>(std::int64_t fold)>& run) {
  std::vector<double> values;
  for (std::int64_t fold = 0; fold < folds; ++fold) {
    const auto value = run(fold);
    if (!value) return values;
    values.push_back(*value);
    print(fmt::format("fold {} of {}: {} {:.4f}", fold + 1, folds, metric, *value));
  }
  const auto n = static_cast<double>(folds);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  print(fmt::format("{} folds: {} mean {:.4f}, standard deviation {:.4f}", folds, metric, mean,
                    std::sqrt(squares / std::max(1.0, n - 1))));
  return values;
}

}  // namespace mnemo
