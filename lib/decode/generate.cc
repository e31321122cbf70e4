// The prompt is read as one packed sequence, in blocks, with batched products; generation then continues from its state
// with sessions of one step at a time. Samples are split among threads and run side by side within one, so a step's
// products have several rows; each sample has a random stream of its own, whatever the split.
#include "decode/generate.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "nn/session.h"

namespace mnemo {
namespace {

// Units of a prompt processed at once.
constexpr std::int64_t kPromptBlock = 256;
// Samples that one thread runs at a time: enough for efficient products, few enough for memory, as each has scores.
constexpr std::int64_t kSideBySide = 64;

// The state after a prompt and the scores of the next unit.
struct Read {
  SessionState state;         // of one sequence
  std::vector<float> scores;  // [V]
};

Read read_prompt(const LanguageModel& model, std::span<const std::int32_t> prompt, ThreadPool& pool) {
  if (prompt.empty()) throw Error("expected a prompt of at least one unit, found none");
  const Index P = model.options().recurrent.output();
  Read out;
  Arena arena;
  std::vector<float> last(P);
  for (std::size_t done = 0; done < prompt.size(); done += kPromptBlock) {
    const auto some = prompt.subspan(done, std::min<std::size_t>(kPromptBlock, prompt.size() - done));
    const std::int32_t length = static_cast<std::int32_t>(some.size());
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kInference);
    const auto batch = model.batch(Packing({&length, 1}), some, {}, false, 0, 0);
    RecurrentState initial;
    const auto rows = [&](std::vector<float>& values, Index columns) {
      return Activation{values.data(), nullptr, std::ssize(values) / columns, columns};
    };
    initial.h = done > 0 ? rows(out.state.h, P) : Activation();
    if (!out.state.c.empty()) initial.c = rows(out.state.c, model.options().recurrent.hidden);
    if (!out.state.seen.empty()) initial.memory = {rows(out.state.memory, P), rows(out.state.seen, 1)};
    const Recurrent::Output output = model.forward(tape, batch, done > 0 ? &initial : nullptr);
    const auto copy = [](const Activation& from, std::vector<float>& to) {
      to.assign(from.value, from.value + from.size());
    };
    copy(output.final.h, out.state.h);
    if (output.final.c.value) copy(output.final.c, out.state.c);
    if (output.final.memory.rows.value) {
      copy(output.final.memory.rows, out.state.memory);
      copy(output.final.memory.seen, out.state.seen);
    }
    std::copy_n(output.y.value + (output.y.rows - 1) * P, P, last.begin());
  }
  out.scores.resize(model.options().units);
  model.output().scores(1, last.data(), out.scores.data());
  return out;
}

// Sequences that continue side by side, one unit at a time.
class Steps : public StepScorer {
 public:
  Steps(const LanguageModel& model, const Read& read, Index sequences)
      : model_(model),
        session_(model.recurrent(), sequences),
        inputs_(sequences * model.options().embedding),
        scores_(sequences * model.options().units) {
    session_.set_state(repeated(read.state, sequences));
    for (Index b = 0; b < sequences; ++b)
      std::copy(read.scores.begin(), read.scores.end(), scores_.begin() + b * model.options().units);
  }

  Index units() const override { return model_.options().units; }

  std::span<const float> scores(Index b) const override {
    const Index V = model_.options().units;
    return {scores_.data() + b * V, static_cast<std::size_t>(V)};
  }

  void advance(std::span<const Index> from, std::span<const std::int32_t> units) override {
    session_.select(from);
    step(units);
  }

  void step(std::span<const std::int32_t> units) {
    const Index E = model_.options().embedding, B = std::ssize(units);
    for (Index b = 0; b < B; ++b)
      std::copy_n(model_.embedding().weight.value.data() + units[b] * E, E, inputs_.data() + b * E);
    const float* y = session_.step(inputs_.data());
    model_.output().scores(B, y, scores_.data());
  }

 private:
  // The state of one sequence, for `sequences` of them.
  SessionState repeated(const SessionState& state, Index sequences) const {
    SessionState out;
    const Index layers = model_.options().recurrent.layers;
    // A part has so many blocks, each of which is repeated.
    const auto repeat = [&](const std::vector<float>& from, std::vector<float>& to, Index blocks) {
      const Index columns = std::ssize(from) / blocks;
      for (Index k = 0; k < blocks; ++k)
        for (Index b = 0; b < sequences; ++b)
          to.insert(to.end(), from.begin() + k * columns, from.begin() + (k + 1) * columns);
    };
    repeat(state.h, out.h, layers);
    repeat(state.c, out.c, layers);
    repeat(state.memory, out.memory, 1);
    repeat(state.seen, out.seen, 1);
    return out;
  }

  const LanguageModel& model_;
  RecurrentSession session_;
  std::vector<float> inputs_, scores_;
};

}  // namespace

std::vector<GeneratedText> generate(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options, ThreadPool& pool,
                                    const std::function<bool(std::int32_t)>& give) {
  const Read read = read_prompt(model, prompt, pool);
  std::vector<GeneratedText> out(options.samples);
  std::atomic<bool> stopped{false};
  // Each thread runs some samples to their end, so no thread waits for another's step.
  const std::int64_t groups = std::max(std::min<std::int64_t>(options.samples, pool.threads()),
                                       (options.samples + kSideBySide - 1) / kSideBySide);
  pool.parallel_for(groups, [&](std::int64_t group) {
    const std::int64_t first = group * options.samples / groups, last = (group + 1) * options.samples / groups;
    Steps steps(model, read, last - first);
    std::vector<Sampler> samplers;
    std::vector<std::unique_ptr<Constraint>> constraints;
    std::vector<std::uint8_t> blocked;
    for (std::int64_t i = first; i < last; ++i) {
      samplers.emplace_back(options.sampling, model.options().units, options.seed, static_cast<std::uint64_t>(i));
      for (const std::int32_t unit : prompt) samplers.back().note(unit);
      if (options.constraint) constraints.push_back(options.constraint->clone());
    }
    std::vector<std::int32_t> units(last - first, prompt.back());
    std::vector<bool> ended(last - first, options.constraint && options.constraint->ended());
    for (std::int64_t at = 0; at < options.length && !stopped; ++at) {
      bool going = false;
      for (std::int64_t b = 0; b < last - first; ++b) {
        if (ended[b]) continue;
        if (options.constraint) blocked_now(options.blocked, *constraints[b], model.options().units, blocked);
        const std::int32_t unit = samplers[b].next(steps.scores(b), options.constraint ? blocked : options.blocked);
        if (unit < 0 && options.constraint) throw Error(kNothingLeft);
        GeneratedText& text = out[first + b];
        text.log_probability = samplers[b].log_probability();
        ended[b] = unit < 0 || unit == options.end;
        if (ended[b]) continue;
        going = true;
        units[b] = unit;
        text.units.push_back(unit);
        if (options.constraint) {
          constraints[b]->note(unit);
          ended[b] = constraints[b]->ended();
        }
        if (first + b == 0 && give && !give(unit)) stopped = true;
      }
      if (!going) break;
      if (at + 1 < options.length) steps.step(units);
    }
  });
  return out;
}

std::vector<GeneratedText> beam_search(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool) {
  if (options.constraint && options.constraint->ended()) return {GeneratedText()};
  const Read read = read_prompt(model, prompt, pool);
  Steps steps(model, read, options.beam);
  return run_beam_search(steps, prompt, options);
}

}  // namespace mnemo
