// The interface of a search for one text, unit by unit. It is independent of the model, and does not run it: whoever
// drives searches scores the hypotheses of many of them at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/index.h"
#include "decode/attention_links.h"
#include "decode/constraint.h"

namespace mnemo {

/// A sequence of units and the model's log p of it, given the prompt.
struct GeneratedText {
  std::vector<std::int32_t> units;
  double log_probability = 0;
  double score = 0;  ///< by which a search ranks it
  /// Of the step of each unit, and of the end unit if that ended the text; null if the driver of the search keeps none.
  AttentionChain attention = {};
};

/// Scores [V] of what may follow hypothesis b: their softmax is its probability. Valid until the next call.
using HypothesisScores = std::function<std::span<const float>(Index b)>;

class Search {
 public:
  virtual ~Search() = default;

  /// Hypotheses that wait for scores; none: the search has ended. At first there is one, the prompt.
  virtual Index open() const = 0;
  /// Continues every open hypothesis by one unit, or ends it. Throws Error if a constraint leaves no unit. `attention`,
  /// of each open hypothesis up to this step, or empty, goes to the texts that it becomes a part of.
  virtual void extend(const HypothesisScores& scores, std::span<const AttentionChain> attention = {}) = 0;
  /// After `extend`: for each hypothesis that is open now, the place of the one that it continues, and its last unit.
  std::span<const Index> from() const { return from_; }
  std::span<const std::int32_t> units() const { return units_; }
  /// Units that the best text is certain to begin with; they only become more. Valid until the next call.
  virtual std::span<const std::int32_t> settled() = 0;
  /// The texts that were found, the best first. Call once, when the search has ended.
  virtual std::vector<GeneratedText> take() = 0;

 protected:
  std::vector<Index> from_;
  std::vector<std::int32_t> units_;
};

/// The units that may not come next, by the caller's list and by a constraint: [units], 1 where blocked.
void blocked_now(const std::vector<std::uint8_t>& always, const Constraint& constraint, Index units,
                 std::vector<std::uint8_t>& out);

/// The message if a constraint leaves no unit.
inline constexpr const char* kNothingLeft = "no unit of the vocabulary fits here";

}  // namespace mnemo
