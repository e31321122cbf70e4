// Reads the prompt of a text as one packed sequence, block by block, with batched products.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/language_model.h"

namespace mnemo {

/// The state after a prompt and the scores of the next unit.
struct ReadPrompt {
  SessionState state;         ///< of one sequence
  std::vector<float> scores;  ///< [V]
};

/// The model must be prepared as for `generate`; model and prompt must outlive the reader.
class PromptReader {
 public:
  /// Throws Error if the prompt has no unit.
  PromptReader(const LanguageModel& model, std::span<const std::int32_t> prompt);

  static constexpr std::int64_t kBlock = 256;
  /// Reads at most kBlock units, and returns how many.
  std::int64_t read_block(ThreadPool& pool);
  bool done() const { return left_.empty(); }
  /// Once, when done.
  ReadPrompt take() { return std::move(out_); }

 private:
  RecurrentState state();
  void keep(const RecurrentState& final);

  const LanguageModel& model_;
  std::span<const std::int32_t> left_;
  ReadPrompt out_;
};

/// All of a prompt at once.
ReadPrompt read_prompt(const LanguageModel& model, std::span<const std::int32_t> prompt, ThreadPool& pool);

}  // namespace mnemo
