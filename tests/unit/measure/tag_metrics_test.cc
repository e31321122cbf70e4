#include "measure/tag_metrics.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "tests/catch.h"
#include "tests/places.h"

using namespace mnemo;
using nlohmann::json;

TEST_CASE("tags: counts are those of conlleval and of seqeval's strict mode") {
  const json golden = json::parse(read_file(source_folder() + "/tests/golden/tags.json"));
  int with_conlleval = 0, with_strict = 0;
  for (const json& expected : golden["cases"]) {
    const TagScheme scheme = *scheme_from_name(expected["scheme"].get<std::string>());
    std::vector<TaggedSentence> sentences;
    for (std::size_t s = 0; s < expected["gold"].size(); ++s)
      sentences.push_back({expected["gold"][s], expected["predicted"][s], {}});
    const TagEvaluation found = evaluate_tags(sentences, scheme);
    const SpanCounts strict = found.strict.value_or(found.spans);
    CHECK(strict.precision() == Approx(expected["strict"]["precision"].get<double>()).epsilon(1e-12));
    CHECK(strict.recall() == Approx(expected["strict"]["recall"].get<double>()).epsilon(1e-12));
    CHECK(strict.gold == expected["strict"]["gold"].get<std::int64_t>());
    with_strict += found.strict ? 1 : 0;
    SpanCounts sum, types;
    for (const TaggedSentence& s : sentences) sum += count_spans(s);
    for (const auto& [type, counts] : found.per_type) types += counts;
    CHECK(sum == found.spans);
    CHECK(types == found.spans);
    if (!expected.contains("conlleval")) continue;
    ++with_conlleval;
    CHECK(found.token_accuracy() == Approx(expected["conlleval"]["accuracy"].get<double>()).epsilon(1e-12));
    REQUIRE(found.per_type.size() == expected["conlleval"]["types"].size());
    for (const auto& [type, counts] : found.per_type) {
      INFO(type);
      CHECK(json{counts.gold, counts.predicted, counts.correct} == expected["conlleval"]["types"][type]);
    }
  }
  CHECK(with_conlleval == 16);
  CHECK(with_strict > 8);
}

TEST_CASE("tags: confusion, unknown words and parts of speech") {
  const TagEvaluation names = evaluate_tags(
      {{{"B-A", "I-A", "O", "B-B", "O"}, {"B-B", "I-B", "O", "O", "B-A"}, {0, 1, 1, 0, 0}}}, TagScheme::kBio);
  CHECK(names.confusion.at({"A", "B"}) == 1);
  CHECK(names.confusion.at({"B", ""}) == 1);
  CHECK(names.confusion.at({"", "A"}) == 1);
  CHECK(names.unknown_accuracy() == 0.5);
  CHECK(names.token_accuracy() == 0.2);
  CHECK(names.metrics().at("f1") == 0.0);
  CHECK_FALSE(names.strict);

  const TagEvaluation words = evaluate_tags({{{"N", "V", "N"}, {"N", "N", "N"}, {}}}, TagScheme::kNone);
  CHECK(words.confusion.at({"V", "N"}) == 1);
  CHECK(words.per_type.at("N").precision() == Approx(2.0 / 3));
  CHECK(words.per_type.at("N").recall() == 1.0);
  CHECK_FALSE(words.unknown_accuracy());
  CHECK_FALSE(words.metrics().contains("f1"));

  CHECK_THROWS_AS(evaluate_tags({{{"N"}, {}, {}}}, TagScheme::kNone), Error);
}
