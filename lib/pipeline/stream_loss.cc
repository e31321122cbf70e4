#include "pipeline/stream_loss.h"

#include <algorithm>

#include "base/finite.h"

namespace mnemo {
namespace {

// Steps per forward pass.
constexpr std::int64_t kBlockSteps = 256;
// Lanes per batch.
constexpr std::ptrdiff_t kLanes = 128;

// Reads lanes, which are sorted by decreasing length, in one batch.
void measure_group(const TextLanguageModel& model, std::span<const StreamLoss::Lane> lanes, const ReadUnits& read,
                   ThreadPool& pool, Arena& arena, const StreamLoss::Use& use) {
  const LanguageModel& network = model.network();
  const auto count = std::ssize(lanes);
  CarriedState state(network.options().recurrent, count);
  std::vector<std::int32_t> lengths(count), ids, targets;
  for (std::int64_t done = 0; done < lanes.front().end - lanes.front().begin; done += kBlockSteps) {
    for (std::ptrdiff_t b = 0; b < count; ++b)
      lengths[b] =
          static_cast<std::int32_t>(std::clamp<std::int64_t>(lanes[b].end - lanes[b].begin - done, 0, kBlockSteps));
    Packing packing(lengths);
    ids.assign(packing.tokens(), 0);
    targets.assign(packing.tokens(), 0);
    for (std::ptrdiff_t b = 0; b < count; ++b)
      place_units(read, lanes[b].begin + done, lengths[b], model.text_end(), packing, b, ids, targets);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kInference);
    const LanguageModel::Batch batch = network.batch(std::move(packing), ids, targets, false, 0, 0);
    const RecurrentState initial = state.view();
    const Recurrent::Output output = network.forward(tape, batch, done > 0 ? &initial : nullptr);
    std::vector<double> log_p(targets.size());
    network.output().log_probabilities(pool, arena, output.y.value, targets, log_p.data());
    state.take(output.final);
    for (std::ptrdiff_t b = 0; b < count; ++b)
      for (std::int64_t t = 0; t < lengths[b]; ++t) {
        const std::int64_t place = lanes[b].begin + done + t;
        const std::int64_t row = batch.packing.row(b, t);
        if (place >= lanes[b].counted) use(targets[row], place, finite(log_p[row], "the probability of a unit"));
      }
  }
}

Index cell_columns(const RecurrentOptions& o) { return cell_traits(o.cell).cell_state ? o.hidden : 0; }

}  // namespace

CarriedState::CarriedState(const RecurrentOptions& options, Index sequences)
    : sequences_(sequences),
      h_columns_(options.output()),
      c_columns_(cell_columns(options)),
      h_(options.layers * options.directions() * sequences * h_columns_),
      c_(options.layers * options.directions() * sequences * c_columns_),
      memory_(options.attention.memory * sequences * h_columns_),
      seen_(options.attention.causal() ? sequences : 0) {}

RecurrentState CarriedState::view() {
  RecurrentState out;
  out.h = {h_.data(), nullptr, std::ssize(h_) / std::max<Index>(1, h_columns_), h_columns_};
  if (!c_.empty()) out.c = {c_.data(), nullptr, std::ssize(c_) / c_columns_, c_columns_};
  if (!seen_.empty()) {
    out.memory.rows = {memory_.data(), nullptr, std::ssize(memory_) / h_columns_, h_columns_};
    out.memory.seen = {seen_.data(), nullptr, sequences_, 1};
  }
  return out;
}

void CarriedState::take(const RecurrentState& state) {
  std::copy_n(state.h.value, h_.size(), h_.begin());
  if (!c_.empty()) std::copy_n(state.c.value, c_.size(), c_.begin());
  if (seen_.empty()) return;
  std::copy_n(state.memory.rows.value, memory_.size(), memory_.begin());
  std::copy_n(state.memory.seen.value, seen_.size(), seen_.begin());
}

void CarriedState::clear() {
  for (std::vector<float>* part : {&h_, &c_, &memory_, &seen_}) std::fill(part->begin(), part->end(), 0.0f);
}

void place_units(const ReadUnits& read, std::int64_t first, std::int64_t length, std::int32_t text_end,
                 const Packing& packing, Index b, std::vector<std::int32_t>& ids, std::vector<std::int32_t>& targets) {
  if (length == 0) return;
  std::vector<std::int32_t> units(length + 1, text_end);
  const std::int64_t before = first > 0 ? 1 : 0;
  read(first - before, std::span(units).subspan(1 - before));
  for (std::int64_t t = 0; t < length; ++t) {
    ids[packing.row(b, t)] = units[t];
    targets[packing.row(b, t)] = units[t + 1];
  }
}

StreamLoss::StreamLoss(std::int64_t units, std::int64_t lanes, std::int64_t warm_up) {
  lanes = std::max<std::int64_t>(1, std::min(lanes, units / std::max<std::int64_t>(1, warm_up)));
  for (std::int64_t i = 0; i < lanes; ++i) {
    const std::int64_t first = i * units / lanes;
    lanes_.push_back({std::max<std::int64_t>(0, first - warm_up), first, (i + 1) * units / lanes});
  }
  sort();
}

StreamLoss::StreamLoss(std::vector<Lane> lanes) : lanes_(std::move(lanes)) { sort(); }

void StreamLoss::sort() {
  std::stable_sort(lanes_.begin(), lanes_.end(),
                   [](const Lane& a, const Lane& b) { return a.end - a.begin > b.end - b.begin; });
}

StreamLoss StreamLoss::dealt(std::int64_t part, std::int64_t parts) const {
  std::vector<Lane> own;
  for (std::int64_t i = part; i < std::ssize(lanes_); i += parts) own.push_back(lanes_[static_cast<std::size_t>(i)]);
  return StreamLoss(std::move(own));
}

// In the order in which `measure` adds.
double StreamLoss::mean(std::span<const double> log_p) const {
  double sum = 0;
  std::int64_t counted = 0;
  for (std::ptrdiff_t first = 0; first < std::ssize(lanes_); first += kLanes) {
    const auto group = std::span(lanes_).subspan(first, std::min(kLanes, std::ssize(lanes_) - first));
    for (std::int64_t done = 0; done < group.front().end - group.front().begin; done += kBlockSteps)
      for (const Lane& lane : group)
        for (std::int64_t place = std::max(lane.counted, lane.begin + done);
             place < std::min(lane.end, lane.begin + done + kBlockSteps); ++place, ++counted)
          sum -= log_p[static_cast<std::size_t>(place)];
  }
  return counted > 0 ? sum / static_cast<double>(counted) : 0;
}

double StreamLoss::measure(const TextLanguageModel& model, const ReadUnits& read, ThreadPool& pool,
                           const Use& use) const {
  double sum = 0;
  std::int64_t counted = 0;
  Arena arena;
  for (std::ptrdiff_t first = 0; first < std::ssize(lanes_); first += kLanes) {
    const auto group = std::span(lanes_).subspan(first, std::min(kLanes, std::ssize(lanes_) - first));
    measure_group(model, group, read, pool, arena, [&](std::int32_t unit, std::int64_t place, double log_p) {
      sum -= log_p;
      ++counted;
      if (use) use(unit, place, log_p);
    });
  }
  return counted > 0 ? sum / static_cast<double>(counted) : 0;
}

}  // namespace mnemo
