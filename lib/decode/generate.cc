#include "decode/generate.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "decode/repeat_guard.h"
#include "kernels/softmax.h"
#include "nn/session.h"

namespace mnemo {
namespace {

// Units of a prompt that are read at once.
constexpr std::int64_t kPromptBlock = 256;
// Samples that one thread has in hand at a time: enough for the products, few enough for memory, as each has scores.
constexpr std::int64_t kSideBySide = 64;

constexpr const char* kNothingLeft = "no unit of the vocabulary is left that keeps the form";

// The state behind a prompt and the scores of what follows.
struct Read {
  SessionState state;         // of one sequence
  std::vector<float> scores;  // [V]
};

Read read_prompt(LanguageModel& model, std::span<const std::int32_t> prompt, ThreadPool& pool) {
  if (prompt.empty()) throw Error("a prompt needs a unit");
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
    const Recurrent::Output output = model.forward(tape, batch, done > 0 ? &initial : nullptr);
    const auto copy = [](const Activation& from, std::vector<float>& to) {
      to.assign(from.value, from.value + from.size());
    };
    copy(output.final.h, out.state.h);
    if (output.final.c.value) copy(output.final.c, out.state.c);
    std::copy_n(output.y.value + (output.y.rows - 1) * P, P, last.begin());
  }
  out.scores.resize(model.options().units);
  model.output().prepare(pool);
  model.output().scores(1, last.data(), out.scores.data());
  return out;
}

// What may not come next, by the caller and by a constraint.
void blocked_now(const std::vector<std::uint8_t>& always, const Constraint& constraint, Index units,
                 std::vector<std::uint8_t>& out) {
  out = always;
  out.resize(static_cast<std::size_t>(units), 0);
  constraint.block(out);
}

// Sequences that go on side by side, one unit at a time.
class Steps {
 public:
  Steps(LanguageModel& model, const Read& read, Index sequences, ThreadPool& pool)
      : model_(model),
        session_(model.recurrent(), pool, sequences),
        inputs_(sequences * model.options().embedding),
        scores_(sequences * model.options().units) {
    std::vector<Index> from(sequences, 0);
    reorder(read.state, from, 1);
    for (Index b = 0; b < sequences; ++b)
      std::copy(read.scores.begin(), read.scores.end(), scores_.begin() + b * model.options().units);
  }

  std::span<const float> scores(Index b) const {
    const Index V = model_.options().units;
    return {scores_.data() + b * V, static_cast<std::size_t>(V)};
  }

  /// Sequence b goes on as what was sequence `from[b]`.
  void reorder(std::span<const Index> from) { reorder(session_.state(), from, session_.sequences()); }

  void step(std::span<const std::int32_t> units) {
    const Index E = model_.options().embedding, B = std::ssize(units);
    for (Index b = 0; b < B; ++b)
      std::copy_n(model_.embedding().weight.value.data() + units[b] * E, E, inputs_.data() + b * E);
    const float* y = session_.step(inputs_.data());
    model_.output().scores(B, y, scores_.data());
  }

 private:
  // `state` is of `sequences`.
  void reorder(const SessionState& state, std::span<const Index> from, Index sequences) {
    SessionState out;
    const Index layers = model_.options().recurrent.layers;
    for (const auto& [source, target] : {std::pair{&state.h, &out.h}, {&state.c, &out.c}}) {
      const Index columns = std::ssize(*source) / (layers * sequences);
      for (Index l = 0; l < layers && columns > 0; ++l)
        for (const Index b : from) {
          const auto begin = source->begin() + (l * sequences + b) * columns;
          target->insert(target->end(), begin, begin + columns);
        }
    }
    session_.set_state(out);
  }

  LanguageModel& model_;
  RecurrentSession session_;
  std::vector<float> inputs_, scores_;
};

}  // namespace

std::vector<GeneratedText> generate(LanguageModel& model, std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options, ThreadPool& pool,
                                    const std::function<bool(std::int32_t)>& give) {
  const Read read = read_prompt(model, prompt, pool);
  model.recurrent().prepare(pool);
  std::vector<GeneratedText> out(options.samples);
  std::atomic<bool> stopped{false};
  // Each thread takes some samples to their end: nobody waits for another one's step.
  const std::int64_t groups = std::max(std::min<std::int64_t>(options.samples, pool.threads()),
                                       (options.samples + kSideBySide - 1) / kSideBySide);
  pool.parallel_for(groups, [&](std::int64_t group) {
    const std::int64_t first = group * options.samples / groups, last = (group + 1) * options.samples / groups;
    Steps steps(model, read, last - first, pool);
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

std::vector<GeneratedText> beam_search(LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool) {
  if (options.constraint && options.constraint->ended()) return {GeneratedText()};
  const Read read = read_prompt(model, prompt, pool);
  const Index V = model.options().units, B = options.beam;
  Steps steps(model, read, B, pool);
  struct Candidate {
    double log_probability;
    Index from;
    std::int32_t unit;
  };
  struct Hypothesis {
    GeneratedText text;
    std::unique_ptr<Constraint> constraint;
    RepeatGuard guard;
  };
  std::vector<Hypothesis> beam;
  beam.push_back({{}, options.constraint ? options.constraint->clone() : nullptr, RepeatGuard(options.no_repeat)});
  for (const std::int32_t unit : prompt) beam[0].guard.note(unit);
  std::vector<GeneratedText> ended;
  const auto worth = [&](const GeneratedText& text) {
    if (options.end < 0) return text.log_probability;
    return text.log_probability / static_cast<double>(std::max<std::size_t>(1, text.units.size()));
  };
  const auto keep_best = [&](std::vector<GeneratedText>& texts) {
    std::stable_sort(texts.begin(), texts.end(),
                     [&](const GeneratedText& a, const GeneratedText& b) { return worth(a) > worth(b); });
    if (std::ssize(texts) > B) texts.resize(B);
  };
  std::vector<std::uint8_t> blocked = options.blocked;
  std::vector<float> exponentials(V);
  std::vector<std::int32_t> order;
  // The units that may come next; what would repeat a sequence only if nothing else may.
  const auto choose_from = [&](const Hypothesis& one) {
    if (one.constraint) blocked_now(options.blocked, *one.constraint, V, blocked);
    for (const RepeatGuard::Units* repeating :
         {one.guard.repeating(), static_cast<const RepeatGuard::Units*>(nullptr)}) {
      order.clear();
      for (std::int32_t v = 0; v < V; ++v)
        if ((blocked.empty() || !blocked[v]) && (!repeating || !repeating->contains(v))) order.push_back(v);
      if (!order.empty()) return;
    }
  };
  for (std::int64_t at = 0; at < options.length && !beam.empty(); ++at) {
    std::vector<Candidate> candidates;
    for (Index b = 0; b < std::ssize(beam); ++b) {
      const auto scores = steps.scores(b);
      const float largest = kernels::largest_of_row(V, scores.data());
      const double log_sum =
          std::log(static_cast<double>(kernels::exp_row(V, scores.data(), largest, 1.0f, exponentials.data())));
      choose_from(beam[b]);
      // One may be an end, which takes no place in the beam.
      const auto wanted = std::min<std::ptrdiff_t>(std::ssize(order), B + 1);
      std::partial_sort(order.begin(), order.begin() + wanted, order.end(),
                        [&](auto a, auto c) { return scores[a] > scores[c] || (scores[a] == scores[c] && a < c); });
      for (std::ptrdiff_t i = 0; i < wanted; ++i)
        candidates.push_back(
            {beam[b].text.log_probability + static_cast<double>(scores[order[i]] - largest) - log_sum, b, order[i]});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.log_probability > b.log_probability; });
    std::vector<Hypothesis> next;
    std::vector<Index> from;
    std::vector<std::int32_t> units;
    for (const Candidate& c : candidates) {
      if (std::ssize(next) == B) break;
      GeneratedText text = beam[c.from].text;
      text.log_probability = c.log_probability;
      if (c.unit == options.end) {
        ended.push_back(std::move(text));
        continue;
      }
      text.units.push_back(c.unit);
      std::unique_ptr<Constraint> constraint;
      if (options.constraint) {
        constraint = beam[c.from].constraint->clone();
        constraint->note(c.unit);
        if (constraint->ended()) {
          ended.push_back(std::move(text));
          continue;
        }
      }
      RepeatGuard guard = beam[c.from].guard;
      guard.note(c.unit);
      next.push_back({std::move(text), std::move(constraint), std::move(guard)});
      from.push_back(c.from);
      units.push_back(c.unit);
    }
    beam = std::move(next);
    keep_best(ended);
    // As many as are wanted have ended, and no open text is worth more than the least of them as it stands. (Its mean
    // could still rise; to wait for that would be to search to the length's end.)
    const bool open = std::any_of(beam.begin(), beam.end(), [&](const Hypothesis& one) {
      return std::ssize(ended) < B || worth(one.text) > worth(ended.back());
    });
    if (!open) break;
    from.resize(B, 0);
    units.resize(B, units.front());
    steps.reorder(from);
    steps.step(units);
  }
  if (!options.constraint && std::ssize(ended) < B) {
    std::vector<GeneratedText> cut;
    cut.reserve(beam.size());
    for (Hypothesis& one : beam) cut.push_back(std::move(one.text));
    keep_best(cut);
    cut.resize(std::min<std::size_t>(cut.size(), static_cast<std::size_t>(B) - ended.size()));
    std::move(cut.begin(), cut.end(), std::back_inserter(ended));
  }
  if (ended.empty() && options.constraint) throw Error(kNothingLeft);
  return ended;
}

}  // namespace mnemo
