// Text from a language model, unit by unit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/thread_pool.h"
#include "decode/beam_search.h"
#include "decode/constraint.h"
#include "decode/sampler.h"
#include "models/language_model.h"
#include "nn/session.h"

namespace mnemo {

struct GenerateOptions {
  SamplingOptions sampling;
  std::int64_t length = 500;  ///< most units of a sample
  std::int64_t samples = 1;
  std::uint64_t seed = 1;
  std::vector<std::uint8_t> blocked;       ///< [V] 1: a unit that is never chosen; empty: none
  std::int32_t end = -1;                   ///< the unit that ends a sample, and is not part of it
  const Constraint* constraint = nullptr;  ///< each sample follows a copy of it, and ends with it
};

/// Continues `prompt`, of at least one unit, from the model's initial state. The model's network and its output's
/// scores must be prepared. A sample whose constraint has already ended gets no unit. Throws Error if a constraint
/// leaves no unit. A sample depends only on seed and number, not on how many are generated or on threads. `give`
/// receives each unit of sample 0 as soon as it is chosen; it returns false to stop.
std::vector<GeneratedText> generate(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options, ThreadPool& pool,
                                    const std::function<bool(std::int32_t)>& give = nullptr);

/// The search that makes a sample of `generate`.
SingleSearch::Options options_of_sample(const GenerateOptions& options, std::uint64_t number);

/// The most probable continuations that a `BeamSearch` finds. The model must be prepared as for `generate`.
std::vector<GeneratedText> beam_search(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool);

/// Texts that grow side by side, each after a prompt of its own and by a search of its own; any of them may begin or
/// end between two steps. A text is the one that `generate` or `beam_search` makes, whatever grows beside it. The model
/// must be prepared as for `generate`, and outlive them. Of one thread.
class GrowingTexts {
 public:
  explicit GrowingTexts(const LanguageModel& model);
  ~GrowingTexts();

  /// A text after a prompt of at least one unit, which must outlive it, by a search that has taken no step.
  void begin(std::int64_t key, std::span<const std::int32_t> prompt, std::unique_ptr<Search> search);
  /// Reads some of the prompt, and returns how many units. To be called until the text is ready.
  std::int64_t read(std::int64_t key, ThreadPool& pool);
  /// Whether the prompt has been read, so that the search can take steps.
  bool ready(std::int64_t key) const;
  Search& search(std::int64_t key);
  /// Takes a step of the search. Throws as Search::extend does.
  void extend(std::int64_t key);
  /// After `extend` of each: makes the scores for the next step of those that are open.
  void step(std::span<const std::int64_t> keys);
  void end(std::int64_t key);

 private:
  struct Text;

  void step_together(std::span<Text* const> texts, Index rows);

  const LanguageModel& model_;
  std::unordered_map<std::int64_t, std::unique_ptr<Text>> texts_;
  std::optional<RecurrentSession> session_;
};

}  // namespace mnemo
