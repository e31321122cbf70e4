#include "pipeline/corpus.h"

#include <algorithm>
#include <iterator>
#include <map>
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

void Corpus::append(const Corpus& other) {
  const auto rows = std::ssize(rows_), units = std::ssize(unit_starts_) - 1;
  for (std::size_t u = 1; u < other.unit_starts_.size(); ++u) unit_starts_.push_back(rows + other.unit_starts_[u]);
  for (std::size_t t = 1; t < other.text_starts_.size(); ++t) text_starts_.push_back(units + other.text_starts_[t]);
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  weights_.insert(weights_.end(), other.weights_.begin(), other.weights_.end());
  unknown_ += other.unknown_;
}

std::int64_t Corpus::bytes() const {
  return static_cast<std::int64_t>(sizeof(std::int64_t) * (text_starts_.capacity() + unit_starts_.capacity()) +
                                   sizeof(std::int32_t) * rows_.capacity() + sizeof(float) * weights_.capacity());
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

namespace {

// How many texts have each length.
using LengthHistogram = std::map<std::int32_t, std::int64_t>;

// Puts the texts of `order` whose lengths are those of [begin, end) into order of length, ties as they are in `order`.
std::vector<std::uint32_t> sorted_range(const std::vector<std::uint32_t>& order, std::span<const std::int32_t> lengths,
                                        LengthHistogram::const_iterator begin, LengthHistogram::const_iterator end) {
  LengthHistogram places;
  std::int64_t texts = 0;
  for (auto at = begin; at != end; ++at) {
    places[at->first] = texts;
    texts += at->second;
  }
  const std::int32_t least = begin->first, most = std::prev(end)->first;
  std::vector<std::uint32_t> out(static_cast<std::size_t>(texts));
  for (const std::uint32_t text : order)
    if (least <= lengths[text] && lengths[text] <= most)
      out[static_cast<std::size_t>(places.find(lengths[text])->second++)] = text;
  return out;
}

}  // namespace

// The texts are sorted by one range of lengths after the other, so that only a part of them is held twice.
Batches make_batches(const StoredArray<std::int32_t>& stored_lengths, std::int64_t batch_size,
                     std::int64_t batch_tokens, std::uint64_t seed, std::uint64_t epoch,
                     std::shared_ptr<Storage> storage) {
  std::vector<std::int32_t> copy;
  if (stored_lengths.in_file())
    for (std::int64_t i = 0; i < stored_lengths.size(); ++i) copy.push_back(stored_lengths[i]);
  const std::span<const std::int32_t> lengths =
      stored_lengths.in_file() ? copy : stored_lengths.values(0, stored_lengths.size());
  RandomStream random(seed, Purpose::kShuffle, epoch);
  std::vector<std::uint32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  Batches out;
  out.records_ = StoredArray<std::uint32_t>(std::move(storage));
  std::int64_t units = 0;
  const auto place = [&](std::uint32_t text) {
    units += lengths[text];
    const std::int64_t placed = out.records_.size();
    const bool full =
        out.starts_.empty() || (batch_tokens > 0 ? units > batch_tokens : placed - out.starts_.back() >= batch_size);
    if (full) {
      out.starts_.push_back(placed);
      units = lengths[text];
    }
    out.records_.push_back(text);
  };
  LengthHistogram histogram;
  for (const std::int32_t length : lengths) ++histogram[length];
  constexpr std::int64_t kMost = std::int64_t{1} << 24;  // of a range with more than one length
  for (auto begin = histogram.cbegin(); begin != histogram.cend();) {
    auto end = std::next(begin);
    for (std::int64_t texts = begin->second; end != histogram.cend() && texts + end->second <= kMost; ++end)
      texts += end->second;
    if (begin->second > kMost)
      std::ranges::for_each(order, [&](std::uint32_t text) {
        if (lengths[text] == begin->first) place(text);
      });
    else
      std::ranges::for_each(sorted_range(order, lengths, begin, end), place);
    begin = end;
  }
  out.records_.finish();
  out.order_.resize(out.starts_.size());
  std::iota(out.order_.begin(), out.order_.end(), 0);
  random.shuffle(out.order_);
  out.starts_.push_back(out.records_.size());
  return out;
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
