// Model files: old ones can always be loaded, and damaged ones do no harm.
#include "pipeline/text_classifier.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "tests/catch.h"
#include "tests/places.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

const std::string kModels = source_folder() + "/tests/golden/models";

std::vector<float> answers(TextClassifier& model, const std::vector<std::string>& texts) {
  ThreadPool pool(2);
  Workspace workspace(pool);
  Corpus corpus;
  EncodedText encoded;
  for (const std::string& text : texts) {
    model.encode(text, encoded);
    corpus.add(encoded);
  }
  return model.probabilities(model.logits(corpus, workspace), true);
}

std::unique_ptr<TextClassifier> parse(std::string bytes) {
  return model_as<TextClassifier>(
      TextModel::from_contents(parse_model(SafetensorsFile::parse(std::move(bytes), "model"), TextClassifier::kTask)));
}

}  // namespace

TEST_CASE("a model of every released format loads and gives the probabilities stored in it") {
  std::size_t models = 0;
  ThreadPool pool(1);
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    INFO(entry.path());
    const auto model = TextClassifier::load(entry.path().string());
    CHECK(model->verify(pool) < 1e-5);
    CHECK(model->labels() == std::vector<std::string>{"cooking", "money", "science", "sport"});
    CHECK(model->config().text.lowercase);
    const auto p = answers(*model, {"The team won the final match.", ""});
    CHECK(std::max_element(p.begin(), p.begin() + 4) - p.begin() == 3);
    ++models;
  }
  CHECK(models >= 3);
}

TEST_CASE("a saved model has the bytes of the one that was loaded") {
  const TemporaryFolder folder;
  ThreadPool pool(1);
  const std::string path = kModels + "/version-" + format::kVersion + ".safetensors", copy = folder / "copy";
  const auto model = TextClassifier::load(path);
  const ModelMetadata& m = model->metadata();
  model->save(copy, m.metrics, m.provenance, pool);
  const auto again = TextClassifier::load(copy);
  CHECK(again->verify(pool) == 0.0);
  again->save(folder / "twice", m.metrics, m.provenance, pool);
  CHECK(read_file(folder / "twice") == read_file(copy));
}

TEST_CASE("a model with any byte changed is refused, or harmless") {
  const std::string good = read_file(kModels + "/version-" + format::kVersion + ".safetensors");
  std::size_t refused = 0;
  ThreadPool pool(1);
  for (std::size_t i = 0; i < good.size(); ++i)
    for (const unsigned char flip : {0x01, 0x80}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ flip);
      try {
        const auto model = parse(bytes);
        const auto p = answers(*model, {"the team", "\xE9\x87\x91"});
        REQUIRE(p.size() == 2 * model->labels().size());
        for (float value : p) REQUIRE((std::isnan(value) || (value >= 0 && value <= 1)));
        model->verify(pool);
      } catch (const Error&) {
        ++refused;
      }
    }
  // Most of the file is text, where a flipped high bit makes invalid UTF-8 or JSON.
  CHECK(refused > good.size() / 2);
  CHECK(refused < 2 * good.size());
}

TEST_CASE("a model cut off anywhere is refused") {
  const std::string good = read_file(kModels + "/version-" + format::kVersion + ".safetensors");
  for (std::size_t size = 0; size < good.size(); size += 7) CHECK_THROWS_AS(parse(good.substr(0, size)), Error);
}

TEST_CASE("n-grams that training never saw contribute nothing") {
  Config config;
  config.text.ngrams.unit = 2;
  config.text.ngrams.buckets = 50;
  config.model.embedding = 3;
  config.model.hidden = 2;
  VocabularyBuilder builder;
  builder.add("a");
  builder.add("b");
  TextClassifier model(config, {"x", "y"}, builder.build(1, 0), nullptr);
  const Parameter& table = model.network().embedding().weight;
  REQUIRE(table.rows() == 3 + 50);
  for (Index i = 0; i < table.size(); ++i) CHECK((table.value[i] == 0.0f) == (i >= 3 * 3));
}

TEST_CASE("every cell can be chosen in a configuration") {
  CHECK(config_schema()["properties"]["model"]["properties"]["cell"]["enum"] == Json(cell_names()));
}
