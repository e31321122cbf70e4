#include "decode/prompt_reader.h"

#include <algorithm>

#include "base/error.h"

namespace mnemo {

PromptReader::PromptReader(const LanguageModel& model, std::span<const std::int32_t> prompt)
    : model_(model), left_(prompt) {
  if (prompt.empty()) throw Error("expected a prompt of at least one unit, found none");
}

std::int64_t PromptReader::read_block(ThreadPool& pool) {
  const auto some = left_.first(std::min(static_cast<std::size_t>(kBlock), left_.size()));
  const std::int32_t length = static_cast<std::int32_t>(some.size());
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kInference);
  const auto batch = model_.batch(Packing({&length, 1}), some, {}, false, 0, 0);
  const RecurrentState initial = state();
  const Recurrent::Output output = model_.forward(tape, batch, initial.h.value ? &initial : nullptr);
  keep(output.final);
  left_ = left_.subspan(some.size());
  if (left_.empty()) {
    out_.scores.resize(model_.options().units);
    model_.output().scores(1, output.y.value + (output.y.rows - 1) * output.y.columns, out_.scores.data());
  }
  return length;
}

// What the block before has left; null before the first one.
RecurrentState PromptReader::state() {
  const RecurrentOptions& options = model_.options().recurrent;
  const auto rows = [](std::vector<float>& values, Index columns) {
    return values.empty() ? Activation() : Activation{values.data(), nullptr, std::ssize(values) / columns, columns};
  };
  SessionState& s = out_.state;
  return {.h = rows(s.h, options.output()),
          .c = rows(s.c, options.hidden),
          .memory = {rows(s.memory, options.output()), rows(s.seen, 1)}};
}

void PromptReader::keep(const RecurrentState& final) {
  const auto copy = [](const Activation& from, std::vector<float>& to) {
    if (from.value) to.assign(from.value, from.value + from.size());
  };
  copy(final.h, out_.state.h);
  copy(final.c, out_.state.c);
  copy(final.memory.rows, out_.state.memory);
  copy(final.memory.seen, out_.state.seen);
}

ReadPrompt read_prompt(const LanguageModel& model, std::span<const std::int32_t> prompt, ThreadPool& pool) {
  PromptReader reader(model, prompt);
  while (!reader.done()) reader.read_block(pool);
  return reader.take();
}

}  // namespace mnemo
