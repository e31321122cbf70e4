#include "tasks/start_from.h"

#include <map>

#include "base/error.h"
#include "config/options.h"
#include "pipeline/text_classifier.h"
#include "tests/catch.h"

using namespace mnemo;
using Catch::Matchers::Contains;

namespace {

Vocabulary vocabulary(const std::vector<std::string>& units) {
  Vocabulary out;
  for (const std::string& unit : units) out.add(unit);
  return out;
}

Config config(const std::string& task, const std::string& model, const std::string& text = "") {
  return parse_config(R"({"task": ")" + task + R"(", "text": {"unit": "word")" + text + R"(}, "model": {"hidden": 6,
 "embedding": 4)" + model +
                          "}}",
                      "test");
}

std::map<std::string, Parameter*> parameters(TextClassifier& model) {
  std::map<std::string, Parameter*> out;
  model.network().visit([&](Parameter& p) { out[p.name] = &p; });
  return out;
}

CarriedOver start(const TextLanguageModel& from, TextModel& model) {
  return start_from(model, from, "lm", [](const std::string&) {});
}

}  // namespace

TEST_CASE("a classifier starts from a language model: vectors by unit, forward layers from the first on") {
  TextLanguageModel from(config("generate", R"(, "layers": 2)"), vocabulary({"b", "c", "\n", "x"}));
  std::map<std::string, Parameter*> theirs;
  from.network().visit([&](Parameter& p) { theirs[p.name] = &p; });
  const Config c = config("classify", R"(, "layers": 3, "bidirectional": true)");
  VocabularyBuilder counted;
  for (const char* unit : {"a", "b", "c"}) counted.add(unit);
  const Vocabulary units = vocabulary_from(c.text, counted, &from, [](const std::string&) {});
  CHECK(units.size() == 5);
  CHECK(units.contains("x"));
  CHECK_FALSE(units.contains("\n"));
  TextClassifier model(c, {"n", "y"}, units, nullptr);
  const auto mine = parameters(model);
  const float before = mine.at("rnn.weight_ih_l1")->value[4];
  const float a = mine.at("embedding.weight")->value[4];
  const CarriedOver carried = start(from, model);
  CHECK(carried.units == 3);
  CHECK(carried.layers == 2);
  const auto vector = [&](Parameter* table, std::int32_t id) {
    return std::vector<float>(table->value.data() + id * 4, table->value.data() + id * 4 + 4);
  };
  for (const char* unit : {"b", "c", "x"})
    CHECK(vector(mine.at("embedding.weight"), units.find(unit)) ==
          vector(theirs.at("embedding.weight"), from.vocabulary().find(unit)));
  CHECK(mine.at("embedding.weight")->value[4] == a);
  for (Index i = 0; i < 24 * 6; ++i)
    REQUIRE(mine.at("rnn.weight_hh_l1")->value[i] == theirs.at("rnn.weight_hh_l1")->value[i]);
  // The second layer reads both directions: the forward one's columns come first.
  CHECK(mine.at("rnn.weight_ih_l1")->value[0] == theirs.at("rnn.weight_ih_l1")->value[0]);
  CHECK(mine.at("rnn.weight_ih_l1")->value[12] == theirs.at("rnn.weight_ih_l1")->value[6]);
  CHECK(mine.at("rnn.weight_ih_l1")->value[4] != before);
  CHECK(mine.at("rnn.weight_hh_l0_reverse")->value[0] != theirs.at("rnn.weight_hh_l0")->value[0]);
}

TEST_CASE("parts of a language model that have other sizes are left out as a whole") {
  const std::string more = R"(, "layers": 2, "residual": "highway", "mogrifier": {"rounds": 2, "rank": 3},
 "self_attention": {"layer": 1})";
  const TextLanguageModel from(config("generate", more), vocabulary({"b", "\n"}));
  TextClassifier model(config("classify", more), {"n", "y"}, vocabulary({"b"}), nullptr);
  const auto mine = parameters(model);
  std::map<std::string, std::vector<float>> before;
  for (const auto& [name, p] : mine) before[name].assign(p->value.data(), p->value.data() + p->size());
  std::string logged;
  const CarriedOver carried = start_from(model, from, "lm", [&](const std::string& line) { logged += line + "\n"; });
  CHECK(carried.layers == 2);
  CHECK_THAT(logged,
             Contains("rnn.attention_l0 ([12] for [6]), rnn.highway_l1 ([12, 12] for [6, 6]), rnn.mogrifier_l1"));
  const auto stays = [&](const std::string& name) {
    const Parameter& p = *mine.at(name);
    return std::equal(before.at(name).begin(), before.at(name).end(), p.value.data());
  };
  for (const auto& [name, p] : mine)
    if (name.starts_with("rnn.attention") || name.starts_with("rnn.highway")) {
      INFO(name);
      CHECK(stays(name));
    }
  // Of equal shape in both, but of a mogrifier whose other matrices differ.
  CHECK(stays("rnn.mogrifier1_down_l1"));
  CHECK_FALSE(stays("rnn.mogrifier1_down_l0"));
  CHECK_FALSE(stays("rnn.weight_ih_l1"));
}

TEST_CASE("a language model starts from another: outputs are matched by unit, too") {
  TextLanguageModel from(config("generate", ""), vocabulary({"b", "c", "\n", "x"}));
  std::map<std::string, Parameter*> theirs, mine;
  from.network().visit([&](Parameter& p) { theirs[p.name] = &p; });
  for (Index i = 0; i < 5; ++i) theirs.at("output.bias")->value[i] = static_cast<float>(i + 1);
  const Config c = config("generate", "");
  TextLanguageModel model(c, vocabulary({"x", "\n", "a", "b", "c"}));
  model.network().visit([&](Parameter& p) { mine[p.name] = &p; });
  const float a = mine.at("output.weight")->value[3 * 6], own_bias = mine.at("output.bias")->value[3];
  const CarriedOver carried = start(from, model);
  CHECK(carried.units == 4);
  CHECK(carried.layers == 1);
  // Of <unk> x \n a b c: the rows of <unk> x \n b c.
  CHECK(mine.at("output.bias")->value[0] == 1);
  CHECK(mine.at("output.bias")->value[1] == 5);
  CHECK(mine.at("output.bias")->value[2] == 4);
  CHECK(mine.at("output.bias")->value[3] == own_bias);
  CHECK(mine.at("output.bias")->value[4] == 2);
  for (Index j = 0; j < 6; ++j)
    CHECK(mine.at("output.weight")->value[5 * 6 + j] == theirs.at("output.weight")->value[2 * 6 + j]);
  CHECK(mine.at("output.weight")->value[3 * 6] == a);
}

TEST_CASE("with the same units all weights are carried over: clusters and the initial state") {
  const Config c = config("generate", R"(, "cutoffs": [2])");
  Config with_records = c;
  with_records.data.records = true;
  with_records.model.learned_initial = true;
  TextLanguageModel from(with_records, vocabulary({"b", "c", "\n", "x"})),
      to(with_records, vocabulary({"b", "c", "\n", "x"}));
  TextLanguageModel others(with_records, vocabulary({"b", "\n", "c", "x"}));
  const auto values = [](TextLanguageModel& model) {
    std::map<std::string, std::vector<float>> out;
    model.network().visit([&](Parameter& p) { out[p.name].assign(p.value.data(), p.value.data() + p.size()); });
    return out;
  };
  from.network().visit([](Parameter& p) {
    for (Index i = 0; i < p.size(); ++i) p.value[i] += 0.5f;
  });
  const auto start_to = [&](TextLanguageModel& model) { return start(from, model); };
  CHECK(start_to(to).output);
  CHECK(values(to) == values(from));
  // Clusters of other units mean something else.
  CHECK_FALSE(start_to(others).output);
}

TEST_CASE("a language model of other sizes or units is refused") {
  TextLanguageModel from(config("generate", ""), vocabulary({"b", "\n"}));
  const auto refused = [&](const Config& c) {
    TextClassifier model(c, {"n", "y"}, vocabulary({"b"}), nullptr);
    try {
      start(from, model);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refused(config("classify", "")).empty());
  CHECK_THAT(refused(config("classify", "", R"(, "lowercase": true)")),
             Contains("text.lowercase is true, the model's is false"));
  CHECK_THAT(refused(config("classify", R"(, "cell": "gru")")), Contains("model.cell"));
  Config wide = config("classify", "");
  wide.model.hidden = 7;
  CHECK_THAT(refused(wide), Contains("model.hidden is 7, the model's is 6"));
  const auto sru = [](const std::string& task) {
    Config c = config(task, R"(, "cell": "sru")");
    c.model.embedding = 6;
    return c;
  };
  const TextLanguageModel as_wide(sru("generate"), vocabulary({"b", "\n"}));
  TextClassifier model(sru("classify"), {"n", "y"}, vocabulary({"b"}), nullptr);
  CHECK_THROWS_WITH(start(as_wide, model), Contains("train the language model with another model.embedding"));
}
