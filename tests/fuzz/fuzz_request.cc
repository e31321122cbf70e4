// For any body of a request: an answer that is JSON, or an ApiError whose body is. The first byte chooses the route and
// the body's form, the rest is the body.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "config/options.h"
#include "pipeline/text_language_model.h"
#include "pipeline/text_streams.h"
#include "pipeline/text_translator.h"
#include "serve/api.h"

namespace {

using namespace mnemo;

void require(bool truth) {
  if (!truth) __builtin_trap();
}

Vocabulary letters() {
  VocabularyBuilder builder;
  for (const char* unit : {"\n", "a", "b", "c", " ", "月", "，"}) builder.add(unit);
  return builder.build(1, 0);
}

Config config_of(const std::string& task, const std::string& train) {
  return parse_config(R"({"task": ")" + task + R"(", "data": {"train": )" + train + R"(}, "text": {"unit": "char"},
                        "model": {"hidden": 4, "embedding": 4}})",
                      "fuzz", {});
}

const ServedModels::List& models() {
  static const ServedModels::List list = [] {
    ThreadPool pool(1);
    std::shared_ptr<TextModel> writer = std::make_shared<TextLanguageModel>(config_of("generate", R"("a")"), letters());
    std::shared_ptr<TextModel> translator = std::make_shared<TextTranslator>(
        config_of("translate", R"({"source": "a", "target": "b"})"), letters(), letters());
    for (const auto& model : {writer, translator}) {
      model->prepare(pool);
      model->prepare_skills(pool);
    }
    return ServedModels::List{{"writer", "", "", writer}, {"translator", "", "", translator}};
  }();
  return list;
}

void answer(const ApiRequest& request) {
  ThreadPool pool(1);
  Workspace workspace(pool);
  const Submission& s = request.submission;
  if (s.records.empty()) return;
  std::vector<Json> answers;
  try {
    if (s.by_unit) {
      const auto streams = s.skill->streams(*s.model);
      for (std::size_t i = 0; i < s.records.size(); ++i) {
        streams->begin(static_cast<std::int64_t>(i), s.records[i], workspace);
        const std::array keys{static_cast<std::int64_t>(i)};
        for (StreamEvent event; !event.answer && !event.error;) {
          event = streams->advance(keys, workspace).at(0);
          if (event.answer) answers.push_back(*event.answer);
          if (event.error) return;
          parse_json(piece_event(event.piece).substr(6));
        }
      }
    } else {
      answers = s.skill->answer(*s.model, s.records, workspace);
    }
  } catch (const Error& error) {
    parse_json(api_error({.end = BatchOutcome::End::kBadRecord, .answers = {}, .message = error.what()}).body());
    return;
  }
  require(answers.size() == s.records.size());
  const std::string body = answer_body(request.form, *s.skill, std::move(answers));
  if (request.form != BodyForm::kLines) parse_json(body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* const route = kSkillRoutes.at(data[0] % kSkillRoutes.size());
  const std::string name = data[0] & 64 ? "writer" : data[0] & 32 ? "translator" : "";
  constexpr ApiLimits kLimits{.texts = 8, .tokens = 100};
  try {
    answer(data[0] & 128 ? read_lines_request(body, route, name, models(), kLimits)
                         : read_json_request(body, route, name, models(), kLimits));
  } catch (const ApiError& error) {
    require(error.status() >= 400 && error.status() <= 503 && error.status() != 500);
    require(parse_json(error.body()).contains("error"));
  }
  return 0;
}
