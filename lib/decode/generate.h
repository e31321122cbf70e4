// Text from a language model, unit by unit.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "decode/beam_search.h"
#include "decode/constraint.h"
#include "decode/sampler.h"
#include "models/language_model.h"

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

/// The most probable continuations that a `BeamSearch` finds. The model must be prepared as for `generate`.
std::vector<GeneratedText> beam_search(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool);

}  // namespace mnemo
