// The prompt is read as one packed sequence, in blocks, with batched products; generation then continues from its state
// with sessions of one step at a time. Samples are split among threads and run side by side within one, so a step's
// products have several rows; each sample has a random stream of its own, whatever the split.
#include "decode/generate.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <utility>

#include "decode/prompt_reader.h"

namespace mnemo {
namespace {

// Samples that one thread runs at a time: enough for efficient products, few enough for memory, as each has scores.
constexpr std::int64_t kSideBySide = 64;

// The parts of a session's state, and how many blocks of a row a sequence each has.
using Parts = std::array<std::pair<std::vector<float> SessionState::*, Index>, 4>;
Parts parts_of_state(Index layers) {
  return {
      {{&SessionState::h, layers}, {&SessionState::c, layers}, {&SessionState::memory, 1}, {&SessionState::seen, 1}}};
}

// Sequences that continue side by side, one unit at a time.
class Steps : public StepScorer {
 public:
  Steps(const LanguageModel& model, const ReadPrompt& read, Index sequences, const ThreadPool& pool)
      : model_(model),
        pool_(pool),
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
    pool_.check();
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
    for (const auto& [part, blocks] : parts_of_state(model_.options().recurrent.layers)) {
      const std::vector<float>& from = state.*part;
      const Index columns = std::ssize(from) / blocks;
      for (Index k = 0; k < blocks; ++k)
        for (Index b = 0; b < sequences; ++b)
          (out.*part).insert((out.*part).end(), from.begin() + k * columns, from.begin() + (k + 1) * columns);
    }
    return out;
  }

  const LanguageModel& model_;
  const ThreadPool& pool_;
  RecurrentSession session_;
  std::vector<float> inputs_, scores_;
};

}  // namespace

SingleSearch::Options options_of_sample(const GenerateOptions& options, std::uint64_t number) {
  return {.sampling = options.sampling,
          .seed = options.seed,
          .stream = number,
          .length = options.length,
          .blocked = options.blocked,
          .end = options.end,
          .constraint = options.constraint};
}

std::vector<GeneratedText> generate(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options, ThreadPool& pool,
                                    const std::function<bool(std::int32_t)>& give) {
  const ReadPrompt read = read_prompt(model, prompt, pool);
  const Index V = model.options().units;
  std::vector<GeneratedText> out(options.samples);
  std::atomic<bool> stopped{false};
  // Each thread runs some samples to their end, so no thread waits for another's step.
  const std::int64_t groups = std::max(std::min<std::int64_t>(options.samples, pool.threads()),
                                       (options.samples + kSideBySide - 1) / kSideBySide);
  pool.parallel_for(groups, [&](std::int64_t group) {
    const std::int64_t first = group * options.samples / groups, last = (group + 1) * options.samples / groups;
    Steps steps(model, read, last - first, pool);
    std::deque<SingleSearch::Options> own;  // which the searches refer to
    std::deque<SingleSearch> searches;
    for (std::int64_t i = first; i < last; ++i)
      searches.emplace_back(V, prompt, own.emplace_back(options_of_sample(options, static_cast<std::uint64_t>(i))));
    std::vector<std::int32_t> units(last - first, prompt.back());
    for (bool going = true; going && !stopped;) {
      going = false;
      for (std::int64_t b = 0; b < last - first; ++b) {
        SingleSearch& search = searches[b];
        if (search.open() == 0) continue;
        const std::size_t before = search.settled().size();
        search.extend([&](Index) { return steps.scores(b); });
        if (first + b == 0 && give && search.settled().size() > before && !give(search.settled().back()))
          stopped = true;
        if (search.open() == 0) continue;
        units[b] = search.units()[0];
        going = true;
      }
      if (going) steps.step(units);
    }
    for (std::int64_t b = 0; b < last - first; ++b) out[first + b] = std::move(searches[b].take().front());
  });
  return out;
}

std::vector<GeneratedText> beam_search(const LanguageModel& model, std::span<const std::int32_t> prompt,
                                       const BeamOptions& options, ThreadPool& pool) {
  const ReadPrompt read = read_prompt(model, prompt, pool);
  Steps steps(model, read, options.beam, pool);
  return run_beam_search(steps, prompt, options);
}

struct GrowingTexts::Text {
  std::unique_ptr<Search> search;
  std::optional<PromptReader> reader;  // until the prompt has been read
  SessionState state;                  // of its open hypotheses: h [L, hypotheses, P], c [L, hypotheses, H]
  std::vector<float> scores;           // [hypotheses, V]
};

GrowingTexts::GrowingTexts(const LanguageModel& model) : model_(model) {}
GrowingTexts::~GrowingTexts() = default;

void GrowingTexts::begin(std::int64_t key, std::span<const std::int32_t> prompt, std::unique_ptr<Search> search) {
  texts_[key] = std::make_unique<Text>();
  texts_[key]->reader.emplace(model_, prompt);
  texts_[key]->search = std::move(search);
}

std::int64_t GrowingTexts::read(std::int64_t key, ThreadPool& pool) {
  Text& text = *texts_.at(key);
  const std::int64_t units = text.reader->read_block(pool);
  if (!text.reader->done()) return units;
  ReadPrompt read = text.reader->take();
  text.reader.reset();
  text.state = std::move(read.state);
  text.scores = std::move(read.scores);
  return units;
}

bool GrowingTexts::ready(std::int64_t key) const { return !texts_.at(key)->reader; }

Search& GrowingTexts::search(std::int64_t key) { return *texts_.at(key)->search; }

void GrowingTexts::end(std::int64_t key) { texts_.erase(key); }

void GrowingTexts::extend(std::int64_t key) {
  Text& text = *texts_.at(key);
  const Index V = model_.options().units;
  text.search->extend([&](Index b) {
    return std::span<const float>(text.scores).subspan(static_cast<std::size_t>(b * V), static_cast<std::size_t>(V));
  });
}

void GrowingTexts::step(std::span<const std::int64_t> keys) {
  std::vector<Text*> texts;
  for (const std::int64_t key : keys)
    if (Text* const text = texts_.at(key).get(); text->search->open() > 0) texts.push_back(text);
  for (std::size_t begin = 0, end = 0; begin < texts.size(); begin = end) {
    Index rows = 0;
    while (end < texts.size() && (end == begin || rows + texts[end]->search->open() <= kSideBySide))
      rows += texts[end++]->search->open();
    step_together(std::span(texts).subspan(begin, end - begin), rows);
  }
}

void GrowingTexts::step_together(std::span<Text* const> texts, Index rows) {
  const Index L = model_.options().recurrent.layers, V = model_.options().units, E = model_.options().embedding;
  if (!session_)
    session_.emplace(model_.recurrent(), rows);
  else if (session_->sequences() != rows)
    session_->select(std::vector<Index>(static_cast<std::size_t>(rows), 0));
  // Block by block, the rows of all texts.
  SessionState all;
  const Parts parts = parts_of_state(L);
  for (const auto& [part, blocks] : parts)
    for (Index k = 0; k < blocks; ++k)
      for (const Text* text : texts) {
        const std::vector<float>& from = text->state.*part;
        const Index before = std::ssize(text->scores) / V, columns = std::ssize(from) / (blocks * before);
        for (const Index b : text->search->from()) {
          const auto row = from.begin() + (k * before + b) * columns;
          (all.*part).insert((all.*part).end(), row, row + columns);
        }
      }
  session_->set_state(all);
  std::vector<float> inputs(rows * E), scores(rows * V);
  Index row = 0;
  for (const Text* text : texts)
    for (const std::int32_t unit : text->search->units())
      std::copy_n(model_.embedding().weight.value.data() + unit * E, E, inputs.data() + row++ * E);
  model_.output().scores(rows, session_->step(inputs.data()), scores.data());
  all = session_->state();
  Index first = 0;
  for (Text* text : texts) {
    const Index open = text->search->open();
    text->scores.assign(scores.begin() + first * V, scores.begin() + (first + open) * V);
    for (const auto& [part, blocks] : parts) {
      const Index columns = std::ssize(all.*part) / (blocks * rows);
      (text->state.*part).clear();
      for (Index k = 0; k < blocks; ++k) {
        const auto begin = (all.*part).begin() + (k * rows + first) * columns;
        (text->state.*part).insert((text->state.*part).end(), begin, begin + open * columns);
      }
    }
    first += open;
  }
}

}  // namespace mnemo
