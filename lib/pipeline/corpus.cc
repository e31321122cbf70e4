#include "pipeline/corpus.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "text/vocabulary.h"

namespace mnemo {

void Corpus::add(const EncodedText& text) {
  const auto base = static_cast<std::int64_t>(rows_.size());
  for (std::int32_t u = 0; u < text.units(); ++u) unit_starts_.push_back(base + text.starts[u + 1]);
  rows_.insert(rows_.end(), text.rows.begin(), text.rows.end());
  weights_.insert(weights_.end(), text.weights.begin(), text.weights.end());
  text_starts_.push_back(static_cast<std::int64_t>(unit_starts_.size()) - 1);
  unknown_ += text.unknown;
}

void Corpus::clear() { *this = Corpus(); }

double Corpus::UnknownUnits::rate_of(std::int32_t row) const {
  const bool once = singleton_rate > 0 && row > 0 && row < vocabulary->size() && vocabulary->count(row) == 1;
  return once ? std::max(rate, singleton_rate) : rate;
}

bool Corpus::UnknownUnits::is_own(std::int32_t row) const { return vocabulary && row < vocabulary->size(); }

Corpus::Batch Corpus::batch(std::span<const std::int64_t> texts, const UnknownUnits& unknown) const {
  std::vector<std::int32_t> lengths;
  for (std::int64_t text : texts) lengths.push_back(length(text));
  Batch out{Packing(lengths), {}};
  RandomStream random(unknown.seed, Purpose::kUnknown, unknown.step);
  for (Index t = 0; t < out.packing.steps(); ++t)
    for (Index b = 0; b < out.packing.rows_at(t); ++b) {
      const std::int64_t unit = text_starts_[texts[out.packing.original(b)]] + t;
      const auto from = unit_starts_[unit], to = unit_starts_[unit + 1];
      std::size_t place = out.bags.rows.size();
      out.bags.rows.insert(out.bags.rows.end(), rows_.begin() + from, rows_.begin() + to);
      out.bags.weights.insert(out.bags.weights.end(), weights_.begin() + from, weights_.begin() + to);
      do {
        std::int32_t& own = out.bags.rows[place];
        const double rate = unknown.rate_of(own);
        if (rate > 0 && random.uniform() < rate) own = Vocabulary::kUnknown;
      } while (++place < out.bags.rows.size() && unknown.is_own(out.bags.rows[place]));
      out.bags.starts.push_back(static_cast<std::int32_t>(out.bags.rows.size()));
    }
  return out;
}

std::vector<std::int32_t> Corpus::lengths() const {
  std::vector<std::int32_t> out;
  for (std::int64_t text = 0; text < size(); ++text) out.push_back(length(text));
  return out;
}

std::vector<std::vector<std::int64_t>> make_batches(std::span<const std::int32_t> lengths, std::int64_t batch_size,
                                                    std::int64_t batch_tokens, std::uint64_t seed,
                                                    std::uint64_t epoch) {
  RandomStream random(seed, Purpose::kShuffle, epoch);
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return lengths[a] < lengths[b]; });
  std::vector<std::vector<std::int64_t>> batches;
  std::int64_t units = 0;
  for (std::int64_t text : order) {
    units += lengths[text];
    const bool full =
        batches.empty() || (batch_tokens > 0 ? units > batch_tokens : std::ssize(batches.back()) >= batch_size);
    if (full) {
      batches.emplace_back();
      units = lengths[text];
    }
    batches.back().push_back(text);
  }
  random.shuffle(batches);
  return batches;
}

std::vector<std::vector<std::int64_t>> batches_by_length(std::span<const std::int64_t> lengths,
                                                         std::span<const std::int64_t> costs, std::int64_t most) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return lengths[a] < lengths[b]; });
  std::vector<std::vector<std::int64_t>> out;
  std::int64_t sum = 0;
  for (const std::int64_t i : order) {
    sum += costs[i];
    if (out.empty() || sum > most) {
      out.emplace_back();
      sum = costs[i];
    }
    out.back().push_back(i);
  }
  return out;
}

std::vector<std::vector<std::int64_t>> inference_batches(const Corpus& corpus, std::span<const std::int64_t> costs) {
  constexpr std::int64_t kUnits = 4096;
  const std::vector<std::int32_t> units = corpus.lengths();
  const std::vector<std::int64_t> lengths(units.begin(), units.end());
  return batches_by_length(lengths, costs.empty() ? lengths : costs, kUnits);
}

}  // namespace mnemo
