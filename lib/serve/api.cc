#include "serve/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/shown.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kMostOptions = 16384;
constexpr int kBodyDepth = 8;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string one_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// A skill of one of the models.
struct Chosen {
  const ServedModel* model;
  const Skill* skill;
};

const Skill* skill_named(const TextModel& model, std::string_view name) {
  for (const Skill& skill : model.skills())
    if (name == skill.name) return &skill;
  return nullptr;
}

std::vector<std::string> routes_of(const TextModel& model) {
  std::vector<std::string> out;
  for (const Skill& skill : model.skills()) out.push_back(fmt::format("/v1/{}", skill.name));
  return out;
}

Chosen choose(std::string_view route, const std::string& name, const ServedModels::List& models) {
  std::vector<Chosen> able;
  std::vector<std::string> names, all;
  for (const ServedModel& one : models) {
    all.push_back(one.name);
    const Skill* const skill = skill_named(*one.model, route);
    if (name == one.name && !skill)
      throw ApiError(404, "not_supported",
                     fmt::format("the model \"{}\" does not answer /v1/{}; it answers {}", name, route,
                                 listed(routes_of(*one.model), "and")));
    if (!skill || (!name.empty() && name != one.name)) continue;
    able.push_back({&one, skill});
    names.push_back(one.name);
  }
  if (able.size() == 1) return able.front();
  if (!name.empty())
    throw ApiError(404, "unknown_model", fmt::format("no model \"{}\"; expected {}", shown(name), listed(all, "or")),
                   "model");
  if (able.empty()) throw ApiError(404, "not_supported", fmt::format("no model that is served answers /v1/{}", route));
  throw ApiError(400, "model_required", fmt::format("expected the name of a model: {}", listed(names, "or")), "model");
}

std::string byte_text(std::string_view text, const InvalidSequence& at) {
  return fmt::format("byte {}: {} is not UTF-8", at.offset + 1, shown(text.substr(at.offset, at.length)));
}

void check_text(const Skill& skill, std::string_view text, const std::string& field) {
  if (const auto invalid = find_invalid_utf8(text))
    throw ApiError(422, "invalid_utf8", byte_text(text, *invalid), field);
  if (!skill.lines) return;
  if (const std::size_t at = text.find('\n'); at != std::string_view::npos)
    throw ApiError(422, "invalid_text", fmt::format("byte {}: a line break, expected one line", at + 1), field);
}

// What the record adds to the queue.
std::int64_t work_of(const Chosen& chosen, const Json& record, std::string_view text) {
  const std::int64_t units = count_tokens(chosen.model->model->config().text, text) + 1;
  return chosen.skill->work ? chosen.skill->work(record, units) : units;
}

void add_record(const Chosen& chosen, Json record, std::string_view text, const ApiLimits& limits, Submission& to,
                std::int64_t& tokens) {
  to.tokens.push_back(work_of(chosen, record, text));
  to.records.push_back(std::move(record));
  tokens += to.tokens.back();
  if (tokens > limits.tokens)
    throw ApiError(413, "too_many_tokens", fmt::format("more than {} tokens of work in one request", limits.tokens));
}

void check_count(std::int64_t count, const ApiLimits& limits, const std::string& field) {
  if (count > limits.texts)
    throw ApiError(413, "too_many_texts", fmt::format("{} texts, expected at most {}", count, limits.texts), field);
}

Submission submission_of(const Chosen& chosen) {
  return {.model = chosen.model->model, .skill = chosen.skill, .records = {}, .tokens = {}, .done = {}};
}

// Counts the items of "texts", however many: nothing is kept.
class TextsCounter : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return value() && ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return value() && ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) inside_ = name == "texts";
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

  std::int64_t count() const { return count_; }

 private:
  bool value() {
    if (inside_ && depth_ == 2) ++count_;
    return true;
  }

  int depth_ = 0;
  bool inside_ = false;
  std::int64_t count_ = 0;
};

Json parse_body(std::string_view body, const ApiLimits& limits) {
  if (const auto invalid = find_invalid_utf8(body)) throw ApiError(422, "invalid_utf8", byte_text(body, *invalid));
  try {
    Json out = parse_json(body, {.depth = kBodyDepth, .values = static_cast<std::size_t>(limits.texts) + 100});
    if (!out.is_object())
      throw ApiError(400, "invalid_json", fmt::format("expected an object, found {}", described_type(out)));
    return out;
  } catch (const JsonError& error) {
    TextsCounter texts;
    Json::sax_parse(body, &texts);
    check_count(texts.count(), limits, "texts");
    const std::string place = error.offset() ? fmt::format("byte {}: ", *error.offset() + 1) : "";
    throw ApiError(400, "invalid_json", place + error.what());
  }
}

// "text" or "texts" of the body.
Json& texts_of(Json& body, BodyForm& form) {
  const bool one = body.contains("text"), many = body.contains("texts");
  if (one == many)
    throw ApiError(400, one ? "invalid_value" : "missing_key",
                   one ? "expected text or texts, found both" : "expected text, a string, or texts, a list of them",
                   "text");
  form = one ? BodyForm::kText : BodyForm::kTexts;
  Json& out = body[one ? "text" : "texts"];
  if (one ? !out.is_string() : !out.is_array())
    throw ApiError(400, "invalid_value",
                   fmt::format("expected {}, found {}", one ? "a string" : "a list of strings", described_type(out)),
                   one ? "text" : "texts");
  return out;
}

// That of the body or, if it has none, that of the query.
std::string name_of_model(const Json& body, const std::string& queried) {
  const auto found = body.find("model");
  if (found == body.end()) return queried;
  if (!found->is_string())
    throw ApiError(400, "invalid_value", fmt::format("expected a string, found {}", described_type(*found)), "model");
  return found->get<std::string>();
}

bool wants_stream(const Json& body, BodyForm form, const Skill& skill) {
  const auto found = body.find("stream");
  if (found == body.end() || !skill.streams) return false;  // which options_of refuses
  if (!found->is_boolean())
    throw ApiError(400, "invalid_value", fmt::format("expected true or false, found {}", described_type(*found)),
                   "stream");
  if (found->get<bool>() && form != BodyForm::kText)
    throw ApiError(400, "invalid_value", "only of one text, not of texts", "stream");
  return found->get<bool>();
}

// Whether the records, all with the same options, are answered unit by unit.
bool is_by_unit(const TextModel& model, const Skill& skill, const Json& options, bool stream) {
  if (!skill.streams) return false;
  const char* const reason = skill.not_streamed ? skill.not_streamed(model, options) : nullptr;
  if (stream && reason) throw ApiError(400, "invalid_value", fmt::format("not with {}", reason), "stream");
  return stream || (!reason && skill.length > 0);
}

// The keys of the body that go into each record.
Json options_of(const Json& body, const Skill& skill) {
  Json out = Json::object();
  for (const auto& [key, value] : body.items()) {
    if (key == "text" || key == "texts" || key == "model" || (key == "stream" && skill.streams)) continue;
    const auto declared = std::ranges::find(skill.keys, key, [](const SkillKey& one) { return std::string(one.name); });
    if (declared == skill.keys.end())
      throw ApiError(400, "unknown_key", fmt::format("/v1/{} has no such key", skill.name), shown(key));
    out[key] = value;
    try {
      check_value(*declared, out);
    } catch (const UsageError& error) {
      throw ApiError(400, "invalid_value", error.what(), key);
    }
  }
  return out;
}

// With its number, where the command prints one.
Json numbered(const Skill& skill, Json answer, std::int64_t number) {
  if (!skill.numbered) return answer;
  Json out{{"line", number}};
  out.update(answer);
  return out;
}

// Messages that name an option of the command line name a key here.
std::string without_dashes(const std::string& message) {
  return message.starts_with("--") ? message.substr(2) : message;
}

// Messages that number the records of a call: a call with a record that is refused has no other one.
std::string without_number(const std::string& message) {
  constexpr std::string_view kNumber = "record 1: ";
  return message.starts_with(kNumber) ? message.substr(kNumber.size()) : message;
}

std::string place_of(std::size_t record, BodyForm form, std::int64_t first_line) {
  switch (form) {
    case BodyForm::kText:
      return "text";
    case BodyForm::kTexts:
      return fmt::format("texts[{}]", record);
    default:
      return fmt::format("line {}", first_line + static_cast<std::int64_t>(record));
  }
}

}  // namespace

std::string piece_event(const std::string& piece) { return "data: " + one_line({{"piece", piece}}) + "\n\n"; }

std::string done_event(const Skill& skill, Json answer) {
  return "event: done\ndata: " + one_line(numbered(skill, std::move(answer), 1)) + "\n\n";
}

std::string error_event(const ApiError& error) { return "event: error\ndata: " + error.body() + "\n"; }

std::string ApiError::body() const {
  return one_line({{"error", {{"code", code_}, {"message", message_}, {"field", field_}}}}) + "\n";
}

ApiError api_error(const BatchOutcome& outcome, BodyForm form, std::int64_t first_line) {
  using End = BatchOutcome::End;
  switch (outcome.end) {
    case End::kBadRecord:
      return {422, "invalid_text", without_number(outcome.message), place_of(outcome.record, form, first_line)};
    case End::kBadRequest: {
      const std::string message = without_dashes(outcome.message);
      return {400, "invalid_value", message, message.substr(0, message.find_first_of(":,"))};
    }
    case End::kExpired:
      return {503, "overloaded", outcome.message};
    case End::kFailed:
      return {503, "failed", outcome.message};
    default:
      return {503, "stopping", outcome.message};
  }
}

ApiRequest read_json_request(std::string_view body, std::string_view route, const std::string& name,
                             const ServedModels::List& models, const ApiLimits& limits) {
  Json content = parse_body(body, limits);
  ApiRequest out;
  Json& texts = texts_of(content, out.form);
  if (!name.empty()) choose(route, name, models);  // which must exist, too
  const Chosen chosen = choose(route, name_of_model(content, name), models);
  const Json options = options_of(content, *chosen.skill);
  if (one_line(options).size() > kMostOptions)  // each text has a copy of them
    throw ApiError(413, "body_too_large", fmt::format("options of more than {} bytes", kMostOptions));
  out.stream = wants_stream(content, out.form, *chosen.skill);
  out.submission = submission_of(chosen);
  out.submission.by_unit = is_by_unit(*chosen.model->model, *chosen.skill, options, out.stream);
  std::int64_t tokens = 0;
  const auto add = [&](Json& text, const std::string& field) {
    if (!text.is_string())
      throw ApiError(400, "invalid_value", fmt::format("expected a string, found {}", described_type(text)), field);
    check_text(*chosen.skill, text.get_ref<const std::string&>(), field);
    Json record{{"text", text}};
    record.update(options);
    add_record(chosen, std::move(record), text.get_ref<const std::string&>(), limits, out.submission, tokens);
  };
  if (out.form == BodyForm::kText) {
    add(texts, "text");
    return out;
  }
  check_count(std::ssize(texts), limits, "texts");
  for (std::size_t i = 0; i < texts.size(); ++i) add(texts[i], fmt::format("texts[{}]", i));
  return out;
}

ApiRequest read_lines_request(std::string_view body, std::string_view route, const std::string& name,
                              const ServedModels::List& models, const ApiLimits& limits, std::int64_t first) {
  if (first == 1 && body.starts_with(kByteOrderMark)) body.remove_prefix(kByteOrderMark.size());
  const Chosen chosen = choose(route, name, models);
  ApiRequest out{.form = BodyForm::kLines, .stream = false, .submission = submission_of(chosen)};
  out.submission.by_unit = is_by_unit(*chosen.model->model, *chosen.skill, Json::object(), false);
  check_count(std::ranges::count(body, '\n') + (body.empty() || body.ends_with('\n') ? 0 : 1), limits, "");
  std::int64_t tokens = 0, number = first;
  for (std::size_t begin = 0; begin < body.size();) {
    const std::size_t end = std::min(body.find('\n', begin), body.size());
    std::string_view line = body.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    check_text(*chosen.skill, line, fmt::format("line {}", number++));
    add_record(chosen, {{"text", std::string(line)}}, line, limits, out.submission, tokens);
    begin = end + 1;
  }
  return out;
}

std::string answer_body(BodyForm form, const Skill& skill, std::vector<Json> answers, std::int64_t first) {
  std::string out;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Json answer = numbered(skill, std::move(answers[i]), first + static_cast<std::int64_t>(i));
    if (form == BodyForm::kTexts && i > 0) out += ",";
    out += one_line(answer);
    if (form == BodyForm::kLines) out += "\n";
  }
  if (form == BodyForm::kTexts) out = R"({"answers":[)" + out + "]}";
  if (form != BodyForm::kLines) out += "\n";
  return out;
}

std::string models_body(const ServedModels::List& models) {
  Json list = Json::array();
  for (const ServedModel& one : models)
    list.push_back(
        {{"name", one.name}, {"task", one.model->task()}, {"routes", routes_of(*one.model)}, {"sha256", one.sha256}});
  return one_line({{"models", std::move(list)}}) + "\n";
}

std::int64_t count_tokens(const TextConfig& text, std::string_view of) {
  if (text.has_characters()) return static_cast<std::int64_t>(count_code_points(of));
  // Code points from U+3000 on are of scripts that mostly have no blanks between words.
  constexpr unsigned char kWideLead = 0xE3;
  std::int64_t out = 0;
  bool inside = false;
  for (const char c : of) {
    const auto byte = static_cast<unsigned char>(c);
    const bool blank = byte <= ' ';
    if (byte >= kWideLead || (!blank && !inside)) ++out;
    inside = !blank;
  }
  return out;
}

}  // namespace mnemo
