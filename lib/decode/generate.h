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
  std::int64_t length = 500;  ///< units of a sample at the most
  std::int64_t samples = 1;
  std::uint64_t seed = 1;
  std::vector<std::uint8_t> blocked;       ///< [V] 1: a unit that is never given; empty: none
  std::int32_t end = -1;                   ///< the unit that ends a sample, and is not part of it
  const Constraint* constraint = nullptr;  ///< each sample keeps to a copy of it, and ends with it
};

/// Goes on after `prompt`, of at least one unit, from the model's initial state. The model's network and its output's
/// scores must be prepared. A sample whose constraint has ended
/// already gets no unit. Throws Error where a constraint leaves no unit.
/// A sample depends on seed and number alone, not on how many are made or on threads. `give` is told of each unit of
/// sample 0 as soon as it is chosen; it returns false to stop.
std::vector<GeneratedText> generate(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options, ThreadPool& pool,
                                    const std::function<bool(std::int32_t)>& give = nullptr);

/// The most probable continuations that a `BeamSearch` finds. The model must be prepared as for `generate`.
std::vector<GeneratedText> beam_search(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool);

}  // namespace mnemo
