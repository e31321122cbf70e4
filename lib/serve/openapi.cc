#include "serve/openapi.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "checkpoint/model_file.h"

namespace mnemo {
namespace {

// The models that answer a route. Their skills have one name and the same keys, but may differ in what a text is, and
// in which keys the model can do.
struct Offered {
  const Skill* skill = nullptr;  // the first one's
  std::vector<std::string> models;
  Json of_models;                                                            // {name: {"text", "keys"}}
  std::vector<std::pair<std::string_view, std::vector<std::string>>> texts;  // what a text is, and for which models
};

Json taken_keys(const TextModel& model, const Skill& skill) {
  Json out = Json::array();
  for (const SkillKey& key : skill.keys)
    if (!skill.takes || skill.takes(model, key)) out.push_back(key.name);
  return out;
}

void add_model(const ServedModel& model, const Skill& skill, Offered& to) {
  if (!to.skill) to.skill = &skill;
  to.models.push_back(model.name);
  to.of_models[model.name] = {{"text", skill.text}, {"keys", taken_keys(*model.model, skill)}};
  const auto same =
      std::ranges::find(to.texts, std::string_view(skill.text), [](const auto& one) { return one.first; });
  if (same != to.texts.end())
    same->second.push_back(model.name);
  else
    to.texts.push_back({skill.text, {model.name}});
}

std::map<std::string, Offered> offered_by(const ServedModels::List& models) {
  std::map<std::string, Offered> out;
  for (const ServedModel& one : models)
    for (const Skill& skill : one.model->skills()) add_model(one, skill, out[skill.name]);
  return out;
}

// What a text is; with the models, where they differ in it.
std::string text_description(const Offered& offered) {
  if (offered.texts.size() == 1) return std::string(offered.texts.front().first);
  std::vector<std::string> parts;
  for (const auto& [text, models] : offered.texts)
    parts.push_back(fmt::format("{} ({})", text, fmt::join(models, ", ")));
  return fmt::format("{}", fmt::join(parts, "; "));
}

Json reference(const char* name) { return {{"$ref", fmt::format("#/components/schemas/{}", name)}}; }

Json content(const char* type, Json schema) { return {{type, {{"schema", std::move(schema)}}}}; }

Json error_response(const char* description) {
  return {{"description", description}, {"content", content("application/json", reference("Error"))}};
}

// The errors that any route may have.
Json common_responses(bool token, bool posts) {
  Json out{{"400", error_response("The request is not what the route takes")},
           {"405", error_response("Another method is expected")},
           {"408", error_response("The request took too long to arrive")},
           {"431", error_response("The headers are too large")},
           {"503", error_response("Overloaded or shutting down; try again later")}};
  if (token) out["401"] = error_response("The token is missing or wrong");
  if (!posts) return out;
  out["404"] = error_response("No such model, or one that does not answer this route");
  out["413"] = error_response("The body, or the number of texts or tokens, is too large");
  out["415"] = error_response("The body's type is neither JSON nor plain text");
  out["422"] = error_response("A text that cannot be answered: where and why");
  return out;
}

Json schema_of(const SkillKey& key) {
  using Type = SkillKey::Type;
  Json out{{"description", key.help}};
  switch (key.type) {
    case Type::kFlag:
      out["type"] = "boolean";
      out["default"] = false;
      break;
    case Type::kText:
      out["type"] = "string";
      if (!key.choices.empty()) out["enum"] = key.choices;
      break;
    default:
      out["type"] = key.type == Type::kWhole ? "integer" : "number";
      const auto value = [&](double number) {
        return key.type == Type::kWhole ? Json(static_cast<std::int64_t>(number)) : Json(number);
      };
      out["minimum"] = value(key.low);
      out["maximum"] = value(key.high);
      out["default"] = value(key.otherwise);
  }
  return out;
}

// The body of a request with "text", or with "texts".
Json body_schema(const Offered& offered, const ApiLimits& limits, bool many) {
  const Skill& skill = *offered.skill;
  Json text{{"type", "string"}, {"description", text_description(offered)}};
  if (skill.lines) text["pattern"] = "^[^\\n]*$";
  Json properties;
  if (many)
    properties["texts"] = {
        {"type", "array"}, {"items", std::move(text)}, {"description", fmt::format("At most {} texts", limits.texts)}};
  else
    properties["text"] = std::move(text);
  properties["model"] = {{"type", "string"}, {"enum", offered.models}};
  for (const SkillKey& key : skill.keys) properties[key.name] = schema_of(key);
  if (skill.streams)
    properties["stream"] = {{"type", "boolean"},
                            {"description", "Write the answer as it comes, as server-sent events"},
                            {"default", false}};
  if (skill.streams && many) properties["stream"]["const"] = false;
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", Json::array({many ? "texts" : "text"})},
          {"additionalProperties", false}};
}

Json operation(const std::string& name, const Offered& offered, const ApiLimits& limits, bool token) {
  const Skill& skill = *offered.skill;
  Json types =
      content("application/json",
              {{"oneOf", Json::array({body_schema(offered, limits, false), body_schema(offered, limits, true)})}});
  types.update(content("text/plain", {{"type", "string"}, {"description", "A text a line"}}));
  Json answers = content("application/json", {{"anyOf", Json::array({reference("Answer"), reference("Answers")})}});
  answers.update(
      content("application/x-ndjson", {{"type", "string"}, {"description", "A line of JSON for each text"}}));
  if (skill.streams)
    answers.update(
        content("text/event-stream",
                {{"type", "object"},
                 {"description",
                  "Events whose data are {\"piece\"}; at the end one that is named done, with the answer's object, or "
                  "error, with an error's"},
                 {"properties", {{"event", {{"type", "string"}}}, {"data", {{"type", "string"}}}}}}));
  Json responses = common_responses(token, true);
  responses["200"] = {{"description", fmt::format("What mnemo {} --format jsonl prints", name)},
                      {"content", std::move(answers)}};
  Json parameter{{"name", "model"},
                 {"in", "query"},
                 {"description", "The model, where the body does not name it"},
                 {"required", false},
                 {"schema", {{"type", "string"}, {"enum", offered.models}}}};
  return {{"operationId", name},
          {"summary", fmt::format("As mnemo {}", name)},
          {"parameters", Json::array({std::move(parameter)})},
          {"requestBody", {{"required", true}, {"content", std::move(types)}}},
          {"x-models", offered.of_models},
          {"responses", std::move(responses)}};
}

Json get(const char* id, const char* summary, const char* type, Json schema, bool token) {
  Json responses = common_responses(token, false);
  responses["200"] = {{"description", summary}, {"content", content(type, std::move(schema))}};
  Json out{{"get", {{"operationId", id}, {"summary", summary}, {"responses", std::move(responses)}}}};
  if (!token) return out;
  out["get"]["security"] = Json::array({Json::object({{"token", Json::array()}})});
  return out;
}

Json string_object(std::initializer_list<const char*> keys) {
  Json properties, required = Json::array();
  for (const char* key : keys) {
    properties[key] = {{"type", "string"}};
    required.push_back(key);
  }
  return {{"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

Json schemas() {
  Json error{{"type", "object"}, {"properties", {{"error", string_object({"code", "message", "field"})}}}};
  error["required"] = Json::array({"error"});
  Json answers{{"type", "object"}, {"properties", {{"answers", {{"type", "array"}, {"items", reference("Answer")}}}}}};
  answers["required"] = Json::array({"answers"});
  Json model = string_object({"name", "task", "sha256"});
  model["properties"]["routes"] = {{"type", "array"}, {"items", {{"type", "string"}}}};
  model["required"].push_back("routes");
  return {{"Answer", {{"type", "object"}}}, {"Answers", answers}, {"Error", error}, {"Model", model}};
}

}  // namespace

std::string openapi_body(const ServedModels::List& models, const ApiLimits& limits, bool token) {
  Json paths;
  for (const auto& [name, offered] : offered_by(models)) {
    Json one = operation(name, offered, limits, token);
    if (token) one["security"] = Json::array({Json::object({{"token", Json::array()}})});
    paths[fmt::format("/v1/{}", name)] = {{"post", std::move(one)}};
  }
  const Json text{{"type", "string"}}, status = string_object({"status"});
  Json list{{"type", "object"}, {"properties", {{"models", {{"type", "array"}, {"items", reference("Model")}}}}}};
  list["required"] = Json::array({"models"});
  paths["/v1/models"] = get("models", "The models", "application/json", list, token);
  paths["/healthz"] = get("health", "The process lives", "application/json", status, false);
  paths["/readyz"] = get("ready", "It answers", "application/json", status, false);
  paths["/metrics"] = get("metrics", "Counters in Prometheus' text form", "text/plain", text, token);
  paths["/openapi.json"] = get("description", "This description", "application/json", {{"type", "object"}}, token);
  Json out{{"openapi", "3.1.0"},
           {"info", {{"title", "mnemo serve"}, {"version", producer().substr(producer().find(' ') + 1)}}},
           {"paths", std::move(paths)},
           {"components", {{"schemas", schemas()}}}};
  if (token) out["components"]["securitySchemes"] = {{"token", {{"type", "http"}, {"scheme", "bearer"}}}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mnemo
