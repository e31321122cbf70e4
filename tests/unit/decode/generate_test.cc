// Beam search and sampling on tiny random language models, whose texts can all be enumerated and scored by
// whole-sequence forward passes.
#include "decode/generate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "tests/catch.h"

using namespace mnemo;

namespace {

constexpr std::int32_t kEnd = 1;
constexpr std::int64_t kUnits = 5;

// A block of self-attention remembers fewer steps than a text has, or more.
const std::vector<SelfAttentionOptions> kBlocks{{}, {1, 2, 5}, {1, 300, 0}};

LanguageModel small_model(const SelfAttentionOptions& attention = {}) {
  LanguageModel model({.units = kUnits,
                       .embedding = 3,
                       .recurrent = {.input = 3,
                                     .hidden = 6,
                                     .layers = attention.layer + 1,
                                     .initialiser = Initialiser::kUniform,
                                     .attention = attention},
                       .embedding_deviation = 2.0f});
  model.initialise(3);
  // Peaked enough that the orders differ from step to step.
  model.visit([](Parameter& p) {
    for (Index i = 0; i < p.size(); ++i) p.value[i] *= 4.0f;
  });
  model.weights_changed();
  ThreadPool pool(1);
  model.prepare(pool);
  model.output().prepare_scores(pool);
  return model;
}

// Sum of log p of the units after the prompt, from the whole sequence.
double log_probability(LanguageModel& model, ThreadPool& pool, std::vector<std::int32_t> units, std::size_t prompt) {
  std::vector<std::int32_t> targets(units.begin() + 1, units.end());
  units.pop_back();
  const auto length = static_cast<std::int32_t>(units.size());
  Arena arena;
  Tape tape(pool, arena, Tape::Mode::kInference);
  const auto batch = model.batch(Packing({&length, 1}), units, targets, false, 0, 0);
  model.prepare(pool);
  const Recurrent::Output output = model.forward(tape, batch, nullptr);
  std::vector<double> log_p(targets.size());
  model.output().log_probabilities(pool, arena, output.y.value, targets, log_p.data());
  return std::accumulate(log_p.begin() + static_cast<std::ptrdiff_t>(prompt) - 1, log_p.end(), 0.0);
}

// All texts of at most `length` units that end, or if there is no end those of that length, with their log p.
std::map<std::vector<std::int32_t>, double> all_texts(LanguageModel& model, ThreadPool& pool,
                                                      const std::vector<std::int32_t>& prompt, std::size_t length,
                                                      std::int32_t end) {
  std::map<std::vector<std::int32_t>, double> out;
  const std::function<void(std::vector<std::int32_t>)> grow = [&](const std::vector<std::int32_t>& text) {
    std::vector<std::int32_t> all = prompt;
    all.insert(all.end(), text.begin(), text.end());
    if (end >= 0 && text.size() < length) {
      all.push_back(end);
      out[text] = log_probability(model, pool, all, prompt.size());
    } else if (end < 0 && text.size() == length) {
      out[text] = log_probability(model, pool, all, prompt.size());
    }
    for (std::int32_t v = 0; v < kUnits && text.size() < length; ++v)
      if (v != end) {
        auto longer = text;
        longer.push_back(v);
        grow(longer);
      }
  };
  grow({});
  return out;
}

}  // namespace

TEST_CASE("a beam wide enough finds the most probable of all texts, in order") {
  const SelfAttentionOptions block = kBlocks[GENERATE(0, 1, 2)];
  INFO("memory " << block.memory);
  ThreadPool pool(2);
  LanguageModel model = small_model(block);
  const std::vector<std::int32_t> prompt{2, 4};
  const auto worth = [](const auto& text, std::int32_t end) {
    return end < 0 ? text.second : text.second / static_cast<double>(std::max<std::size_t>(1, text.first.size()));
  };
  for (const std::int32_t end : {-1, kEnd}) {
    const auto every = all_texts(model, pool, prompt, 3, end);
    std::vector<std::pair<std::vector<std::int32_t>, double>> order(every.begin(), every.end());
    std::stable_sort(order.begin(), order.end(),
                     [&](const auto& a, const auto& b) { return worth(a, end) > worth(b, end); });
    const auto found = beam_search(model, prompt, {.beam = 125, .length = 3, .blocked = {}, .end = end}, pool);
    REQUIRE(found.size() >= order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      CHECK(found[i].units == order[i].first);
      CHECK(found[i].log_probability == Approx(order[i].second).epsilon(1e-5));
    }
    // Those that ended are followed by those cut off at the length.
    for (std::size_t i = order.size(); i < found.size(); ++i) CHECK(found[i].units.size() == 3);
  }
}

TEST_CASE("texts of a narrow beam with an end have ended, and their log p is that of the whole text") {
  const SelfAttentionOptions block = kBlocks[GENERATE(0, 1, 2)];
  INFO("memory " << block.memory);
  ThreadPool pool(1);
  LanguageModel model = small_model(block);
  const std::vector<std::int32_t> prompt{3};
  for (const std::int64_t width : {1, 2, 3}) {
    const auto found = beam_search(model, prompt, {.beam = width, .length = 60, .blocked = {}, .end = kEnd}, pool);
    REQUIRE_FALSE(found.empty());
    CHECK(std::ssize(found) <= width);
    for (const GeneratedText& text : found) {
      if (text.units.size() == 60) continue;
      std::vector<std::int32_t> all = prompt;
      all.insert(all.end(), text.units.begin(), text.units.end());
      all.push_back(kEnd);
      CHECK(text.log_probability == Approx(log_probability(model, pool, all, 1)).epsilon(1e-5));
    }
    const auto mean = [](const GeneratedText& text) {
      return text.log_probability / static_cast<double>(text.units.size());
    };
    for (std::size_t i = 1; i < found.size(); ++i)
      if (found[i].units.size() < 60) CHECK(mean(found[i - 1]) >= mean(found[i]));
  }
}

TEST_CASE("a beam repeats a sequence only if nothing else is left") {
  ThreadPool pool(1);
  LanguageModel model = small_model();
  const auto found = beam_search(model, std::vector<std::int32_t>{0},
                                 {.beam = 3, .length = 12, .blocked = {}, .end = -1, .no_repeat = 2}, pool);
  REQUIRE(found.size() == 3);
  for (const GeneratedText& text : found) {
    std::vector<std::int32_t> all{0};
    all.insert(all.end(), text.units.begin(), text.units.end());
    std::map<std::pair<std::int32_t, std::int32_t>, int> pairs;
    for (std::size_t i = 1; i < all.size(); ++i) CHECK(++pairs[{all[i - 1], all[i]}] == 1);
  }
  // With five units no more than five can be new.
  const auto forced = beam_search(model, std::vector<std::int32_t>{0},
                                  {.beam = 2, .length = 9, .blocked = {}, .end = -1, .no_repeat = 1}, pool);
  REQUIRE(forced.size() == 2);
  for (const GeneratedText& text : forced) {
    REQUIRE(text.units.size() == 9);
    std::vector<std::int32_t> first(text.units.begin(), text.units.begin() + 4);
    std::sort(first.begin(), first.end());
    CHECK(first == std::vector<std::int32_t>{1, 2, 3, 4});
  }
}

TEST_CASE("a sample does not depend on how many are made") {
  const SelfAttentionOptions block = kBlocks[GENERATE(0, 1, 2)];
  INFO("memory " << block.memory);
  ThreadPool one(1), two(2);
  LanguageModel model = small_model(block);
  const std::vector<std::int32_t> prompt{2};
  const auto many = generate(model, prompt, {.sampling = {}, .length = 9, .samples = 150, .blocked = {}}, two);
  const auto few = generate(model, prompt, {.sampling = {}, .length = 9, .samples = 3, .blocked = {}}, one);
  REQUIRE(many.size() == 150);
  for (std::size_t i = 0; i < few.size(); ++i) {
    CHECK(many[i].units == few[i].units);
    CHECK(many[i].log_probability == few[i].log_probability);
  }
  CHECK(many[0].units != many[149].units);
}

TEST_CASE("a prompt that is read over several steps gives the text of one that is read at once") {
  const SelfAttentionOptions block = kBlocks[GENERATE(0, 1, 2)];
  INFO("memory " << block.memory);
  LanguageModel model = small_model(block);
  ThreadPool pool(1);
  std::vector<std::int32_t> prompt;
  for (std::int32_t i = 0; i < 600; ++i) prompt.push_back(i * i % kUnits);
  GenerateOptions options;
  options.seed = 7;
  options.length = 20;
  const auto expected = generate(model, prompt, options, pool);
  const SingleSearch::Options sample = options_of_sample(options, 0);
  GrowingTexts texts(model);
  const std::vector<std::int64_t> both{3, 8};
  texts.begin(3, prompt, std::make_unique<SingleSearch>(kUnits, prompt, sample));
  texts.begin(8, std::span(prompt).first(1),
              std::make_unique<SingleSearch>(kUnits, std::span(prompt).first(1), sample));
  CHECK(texts.read(8, pool) == 1);
  CHECK(texts.ready(8));
  // The short one is on its way before the long one has been read.
  for (const std::int64_t units : {256, 256, 88}) {
    CHECK_FALSE(texts.ready(3));
    CHECK(texts.read(3, pool) == units);
    texts.extend(8);
    texts.step(std::span(both).last(1));
  }
  CHECK(texts.ready(3));
  while (texts.search(3).open() > 0) {
    for (const std::int64_t key : both)
      if (texts.search(key).open() > 0) texts.extend(key);
    texts.step(both);
  }
  CHECK(texts.search(3).take().front().units == expected.front().units);
  CHECK(texts.search(8).take().front().units ==
        generate(model, std::span(prompt).first(1), options, pool).front().units);
}

TEST_CASE(
    "texts that grow side by side, begin and end between steps and are searched in two ways are those of each alone") {
  const SelfAttentionOptions block = kBlocks[GENERATE(0, 1, 2)];
  INFO("memory " << block.memory);
  ThreadPool pool(1);
  LanguageModel model = small_model(block);
  const std::vector<std::vector<std::int32_t>> prompts{{2}, {0, 3, 3, 4, 2, 0}, {4, 4}, {3}, {2, 0, 1}};
  const BeamOptions beam{.beam = 3, .length = 11, .blocked = {}, .end = kEnd, .no_repeat = 2};
  GenerateOptions options;
  options.seed = 5;
  std::vector<SingleSearch::Options> samples;
  std::vector<GeneratedText> expected;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    options.length = 6 + 5 * static_cast<std::int64_t>(i);
    samples.push_back(options_of_sample(options, 0));
    expected.push_back(i % 2 == 1 ? beam_search(model, prompts[i], beam, pool).front()
                                  : generate(model, prompts[i], options, pool).front());
  }
  GrowingTexts texts(model);
  std::vector<std::int64_t> keys;
  std::size_t ended = 0;
  // Every second step another text begins.
  for (std::size_t step = 0; ended < prompts.size(); ++step) {
    if (const std::size_t i = step / 2; step % 2 == 0 && i < prompts.size()) {
      const auto key = static_cast<std::int64_t>(i);
      std::unique_ptr<Search> search;
      if (i % 2 == 1)
        search = std::make_unique<BeamSearch>(kUnits, prompts[i], beam);
      else
        search = std::make_unique<SingleSearch>(kUnits, prompts[i], samples[i]);
      texts.begin(key, prompts[i], std::move(search));
      while (!texts.ready(key)) texts.read(key, pool);
      keys.push_back(key);
    }
    std::vector<std::int64_t> open;
    for (const std::int64_t key : keys) {
      texts.extend(key);
      if (texts.search(key).open() > 0) {
        open.push_back(key);
        continue;
      }
      INFO("text " << key);
      const auto& alone = expected[static_cast<std::size_t>(key)];
      const GeneratedText found = texts.search(key).take().front();
      CHECK(found.units == alone.units);
      CHECK(found.log_probability == alone.log_probability);
      texts.end(key);
      ++ended;
    }
    keys = open;
    texts.step(keys);
  }
}
