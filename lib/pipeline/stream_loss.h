// The loss of a language model on rows of units, each unit predicted from those before it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/packing.h"
#include "nn/recurrent.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

/// Copies of the state of some sequences, laid out as in RecurrentState.
class CarriedState {
 public:
  CarriedState(const RecurrentOptions& options, Index sequences);

  RecurrentState view();
  void take(const RecurrentState& state);
  void clear();
  Index sequences() const { return sequences_; }
  std::vector<float>& h() { return h_; }
  std::vector<float>& c() { return c_; }
  /// Empty without self-attention.
  std::vector<float>& memory() { return memory_; }
  std::vector<float>& seen() { return seen_; }

 private:
  Index sequences_, h_columns_, c_columns_;
  std::vector<float> h_, c_, memory_, seen_;
};

/// Gives units [first, first + out.size()) of a row of them.
using ReadUnits = std::function<void(std::int64_t first, std::span<std::int32_t> out)>;

/// Puts units [first, first + length) of a row into `targets` at the rows of sequence b, and the unit before each into
/// `ids`; the unit before the row's first is `text_end`.
void place_units(const ReadUnits& read, std::int64_t first, std::int64_t length, std::int32_t text_end,
                 const Packing& packing, Index b, std::vector<std::int32_t>& ids, std::vector<std::int32_t>& targets);

/// The loss on a row of units, parts of which may be read in parallel.
class StreamLoss {
 public:
  /// Reads `lanes` equal parts of a stream of `units` in parallel. Each but the first begins `warm_up` units earlier,
  /// uncounted, so that its state is close to the state after everything before it; with one lane the loss is exact.
  StreamLoss(std::int64_t units, std::int64_t lanes, std::int64_t warm_up);
  /// Units [begin, end) of a row are read; those from `counted` on are measured.
  struct Lane {
    std::int64_t begin, counted, end;
  };
  /// Reads each lane as if nothing preceded it. The unit before each must be a text's end.
  explicit StreamLoss(std::vector<Lane> lanes);

  /// Called with a unit, its index and its log p; in order within a lane.
  using Use = std::function<void(std::int32_t unit, std::int64_t place, double log_p)>;
  /// The mean of -log p over all measured units, in nats; 0 if there are none.
  double measure(const TextLanguageModel& model, const ReadUnits& read, ThreadPool& pool,
                 const Use& use = nullptr) const;
  /// The lanes at positions part, part + parts, ... alone, each with the values that it has among all.
  StreamLoss dealt(std::int64_t part, std::int64_t parts) const;
  /// What `measure` gives, from the log p of each place.
  double mean(std::span<const double> log_p) const;

 private:
  void sort();

  std::vector<Lane> lanes_;  // longest first
};

}  // namespace mnemo
