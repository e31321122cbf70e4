#include "serve/api.h"

#include "config/options.h"
#include "pipeline/text_language_model.h"
#include "serve/listener.h"
#include "tests/catch.h"
#include "tests/serve/served.h"

using namespace mnemo;

namespace {

const ServedModels::List kServed{{"topics", "", "", topics()}};

// Status, code and field of the refusal of a body; 0 if it is accepted.
std::string refusal(const std::string& body, const std::string& route = "classify", const std::string& name = "",
                    const ServedModels::List& models = kServed, bool lines = false) {
  try {
    const ApiLimits limits{.texts = 3, .tokens = 100};
    lines ? read_lines_request(body, route, name, models, limits)
          : read_json_request(body, route, name, models, limits);
  } catch (const ApiError& error) {
    const Json content = parse_json(error.body());
    const Json& e = content["error"];
    CHECK(e.size() == 3);
    return fmt::format("{} {} {}", error.status(), e["code"].get<std::string>(), e["field"].get<std::string>());
  }
  return "0";
}

}  // namespace

TEST_CASE("bodies that are not requests are refused by name") {
  CHECK(refusal("") == "400 invalid_json ");
  CHECK(refusal("[]") == "400 invalid_json ");
  CHECK(refusal("{\"text\": \"a\"") == "400 invalid_json ");
  CHECK(refusal("{\"text\": \"a\", \"text\": \"b\"}") == "400 invalid_json ");
  CHECK(refusal("{\"text\": " + std::string(100'000, '[')) == "400 invalid_json ");
  // Too many values, of which only those of "texts" are texts.
  const std::string many = "[" + std::string(200'000, ' ') + "0" + [] {
    std::string out;
    for (int i = 0; i < 1000; ++i) out += ",0";
    return out;
  }() + "]";
  CHECK(refusal("{\"texts\": " + many + "}") == "413 too_many_texts texts");
  CHECK(refusal("{\"texts\": [" + many + "]}") == "400 invalid_json ");
  CHECK(refusal("{\"text\": " + many + "}") == "400 invalid_json ");
  CHECK(refusal("{}") == "400 missing_key text");
  CHECK(refusal(R"({"text": "a", "texts": []})") == "400 invalid_value text");
  CHECK(refusal(R"({"text": 1})") == "400 invalid_value text");
  CHECK(refusal(R"({"texts": "a"})") == "400 invalid_value texts");
  CHECK(refusal(R"({"texts": ["a", null]})") == "400 invalid_value texts[1]");
  CHECK(refusal(R"({"text": "a", "length": 3})") == "400 unknown_key length");
  CHECK(refusal(R"({"text": "a", "model": 3})") == "400 invalid_value model");
  CHECK(refusal("{\"text\": \"a\xff\"}") == "422 invalid_utf8 ");
  CHECK(refusal("a\nb\xff", "classify", "", kServed, true) == "422 invalid_utf8 line 2");
  CHECK(refusal(R"({"texts": ["a", "b", "c", "d"]})") == "413 too_many_texts texts");
  CHECK(refusal("a\nb\nc\nd", "classify", "", kServed, true) == "413 too_many_texts ");
  std::string words;
  for (int i = 0; i < 100; ++i) words += "a ";
  CHECK(refusal(R"({"text": ")" + words + "\"}") == "413 too_many_tokens ");
  CHECK(refusal(R"({"text": "a"})") == "0");
  CHECK(refusal("", "classify", "", kServed, true) == "0");
}

TEST_CASE("a request goes to the model that it names, or to the only one that can answer") {
  const ServedModels::List two{{"a", "", "", topics()}, {"b", "", "", topics()}};
  CHECK(refusal(R"({"text": "a"})", "tag") == "404 not_supported ");
  CHECK(refusal(R"({"text": "a", "model": "topics"})", "tag") == "404 not_supported ");
  CHECK(refusal(R"({"text": "a", "model": "x"})") == "404 unknown_model model");
  CHECK(refusal(R"({"text": "a"})", "classify", "x") == "404 unknown_model model");
  CHECK(refusal(R"({"text": "a"})", "classify", "", two) == "400 model_required model");
  CHECK(refusal(R"({"text": "a", "model": "b"})", "classify", "", two) == "0");
  CHECK(refusal("a", "classify", "b", two, true) == "0");
}

TEST_CASE("a request's form decides that of its answers") {
  const auto one = read_json_request(R"({"text": "a"})", "classify", "", kServed, {});
  const auto many = read_json_request(R"({"texts": ["a", ""]})", "classify", "", kServed, {});
  const auto lines = read_lines_request(
      "\xEF\xBB\xBF"
      "a\r\n\nb",
      "classify", "", kServed, {});
  CHECK(one.submission.records == std::vector<Json>{{{"text", "a"}}});
  CHECK(many.submission.records.size() == 2);
  CHECK(lines.submission.records == std::vector<Json>{{{"text", "a"}}, {{"text", ""}}, {{"text", "b"}}});
  const Skill& skill = topics()->skills().front();
  Skill numbered = skill;
  numbered.numbered = true;
  const std::vector<Json> answers{{{"x", 1}}, {{"x", 2}}};
  CHECK(answer_body(one.form, skill, {answers[0]}) == "{\"x\":1}\n");
  CHECK(answer_body(many.form, skill, answers) == "{\"answers\":[{\"x\":1},{\"x\":2}]}\n");
  CHECK(answer_body(lines.form, numbered, answers) == "{\"line\":1,\"x\":1}\n{\"line\":2,\"x\":2}\n");
  CHECK(answer_body(BodyForm::kTexts, skill, {}) == "{\"answers\":[]}\n");
}

TEST_CASE("tokens are counted as words, or as characters") {
  TextConfig words, characters;
  characters.unit = "char";
  CHECK(count_tokens(words, "") == 0);
  CHECK(count_tokens(words, "  a fine\tfilm ") == 3);
  CHECK(count_tokens(words, "一部好电影") == 5);
  CHECK(count_tokens(characters, "naïve") == 5);
}

TEST_CASE("only names of the loopback interface are taken for it") {
  for (const char* host : {"localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:9"})
    CHECK(is_loopback_host(host));
  for (const char* host : {"", "evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "128.0.0.1", "[::2]", "[::1",
                           "localhost:80:80", "localhost:x", "::1", "[::1]x"}) {
    INFO(host);
    CHECK_FALSE(is_loopback_host(host));
  }
}

TEST_CASE("texts of a model that reads from the end are not streamed") {
  for (const bool reverse : {false, true}) {
    Config config = parse_config(R"({"task": "generate", "model": {"embedding": 4, "hidden": 4}})", "test");
    config.text.reverse = reverse;
    VocabularyBuilder builder;
    for (const char* unit : {"a", "b", "\n"}) builder.add(unit);
    const ServedModels::List models{
        {"writer", "", "", std::make_shared<TextLanguageModel>(config, builder.build(1, 0))}};
    const std::string streamed = refusal(R"({"text": "a", "length": 3, "stream": true})", "generate", "", models);
    CHECK(streamed == (reverse ? "400 invalid_value stream" : "0"));
    CHECK(refusal(R"({"text": "a", "length": 3})", "generate", "", models) == "0");
  }
}
