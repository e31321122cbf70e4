// One model, many threads: to be run under the thread sanitizer.
#include <array>
#include <thread>

#include "pipeline/text_generator.h"
#include "pipeline/text_language_model.h"
#include "pipeline/translation.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"

using namespace mnemo;

namespace {

constexpr int kThreads = 8, kRounds = 4;

std::string generated(const TextLanguageModel& model, ThreadPool& pool, std::uint64_t seed) {
  GenerationRequest request;
  request.prompt = "one by";
  request.options.length = 12;
  request.options.samples = 3;
  request.options.seed = seed;
  TextGenerator generator(model, request, "model");
  std::string out;
  for (const GeneratedText& text : generator.run(pool)) out += generator.json(text, nullptr).dump() + "\n";
  return out;
}

// Translations under every kind of search.
std::string translated(const TextTranslator& model, ThreadPool& pool, std::uint64_t seed) {
  const std::vector<std::string> lines{"two dogs sing", "", "one cat", "a dog sings a cat"};
  TranslationOptions beam, greedy, sample;
  beam.beam = 3;
  beam.nbest = 2;
  beam.coverage_penalty = 0.2;
  greedy.beam = 1;
  sample.sampling = SamplingOptions{};
  sample.seed = seed;
  std::string out;
  for (const TranslationOptions& options : {beam, greedy, sample}) {
    const auto found = translate(model, lines, options, pool);
    for (std::size_t i = 0; i < lines.size(); ++i)
      out += translations_json(model, lines[i], found[i], options.nbest).dump() + "\n";
  }
  return out;
}

}  // namespace

TEST_CASE(
    "eight threads classify, tag, generate, score and translate at once with shared models, with a single call's "
    "bits") {
  std::vector<std::unique_ptr<TaskBench>> benches;
  std::vector<std::unique_ptr<const TextModel>> models;
  std::vector<std::vector<Json>> expected;
  const std::vector<TaskRow> rows = task_rows();
  const TextLanguageModel* language_model = nullptr;
  const TextTranslator* translator = nullptr;
  ThreadPool alone(1);
  for (const TaskRow& row : rows) {
    benches.push_back(std::make_unique<TaskBench>(row));
    auto model = benches.back()->build();
    model->prepare(alone);
    if (auto* generates = dynamic_cast<TextLanguageModel*>(model.get())) {
      generates->prepare_to_generate(alone);
      language_model = generates;
    }
    if (const auto* translates = dynamic_cast<const TextTranslator*>(model.get())) translator = translates;
    models.push_back(std::move(model));
    Workspace workspace(alone);
    expected.push_back(models.back()->answer(benches.back()->records(), workspace));
  }
  REQUIRE(language_model);
  REQUIRE(translator);
  std::array<std::string, kThreads> texts, translations;
  for (int t = 0; t < kThreads; ++t) {
    texts[t] = generated(*language_model, alone, static_cast<std::uint64_t>(t));
    translations[t] = translated(*translator, alone, static_cast<std::uint64_t>(t));
  }
  CHECK(translations[0] != translations[1]);

  std::array<int, kThreads> wrong{};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      ThreadPool pool(1 + t % 2);
      Workspace workspace(pool);
      for (int round = 0; round < kRounds; ++round)
        for (std::size_t k = 0; k < models.size(); ++k) {
          // Each thread begins with another model.
          const std::size_t at = (k + static_cast<std::size_t>(t)) % models.size();
          wrong[t] += models[at]->answer(benches[at]->records(), workspace) == expected[at] ? 0 : 1;
          wrong[t] += generated(*language_model, pool, static_cast<std::uint64_t>(t)) == texts[t] ? 0 : 1;
          wrong[t] += translated(*translator, pool, static_cast<std::uint64_t>(t)) == translations[t] ? 0 : 1;
        }
    });
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) CHECK(wrong[t] == 0);
}
