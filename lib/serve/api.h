// What requests ask and how they are answered, as text: bodies in, bodies out. Knows neither connections nor queues.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "config/config.h"
#include "serve/batcher.h"
#include "serve/served_models.h"

namespace mnemo {

/// The skills that have a route, /v1/NAME.
inline constexpr std::array kSkillRoutes{"classify", "tag", "score", "generate", "translate"};

/// Why a request is not answered: a status of HTTP, and the body's {"error": {"code", "message", "field"}}.
class ApiError : public std::exception {
 public:
  ApiError(int status, std::string code, std::string message, std::string field = "")
      : status_(status), code_(std::move(code)), message_(std::move(message)), field_(std::move(field)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  int status() const { return status_; }
  std::string body() const;

 private:
  int status_;
  std::string code_, message_, field_;
};

/// Of a submission that the batcher did not take.
inline ApiError overloaded() { return {503, "overloaded", "too much is waiting already"}; }

struct ApiLimits {
  std::int64_t texts = 1000;        ///< most of a request
  std::int64_t tokens = 1'000'000;  ///< most that may wait in the queue, and so of a request
};

/// How a request gave its texts, and gets its answers.
enum class BodyForm {
  kText,   ///< {"text"}: the answer's object
  kTexts,  ///< {"texts"}: {"answers": [...]}
  kLines,  ///< lines of plain text: a line of JSON each
};

/// The error of a submission that was not answered; `first_line`: the number of its first line in the body.
ApiError api_error(const BatchOutcome& outcome, BodyForm form = BodyForm::kText, std::int64_t first_line = 1);

/// A request for answers.
struct ApiRequest {
  BodyForm form = BodyForm::kText;
  bool stream = false;    ///< whether the text's pieces are wanted as they come
  Submission submission;  ///< without `done`
};

/// Reads the body of a POST to /v1/`route`. `name` (of a model) may be empty. Throws ApiError.
ApiRequest read_json_request(std::string_view body, std::string_view route, const std::string& name,
                             const ServedModels::List& models, const ApiLimits& limits);
/// `first`: the number of the first line, from 1.
ApiRequest read_lines_request(std::string_view body, std::string_view route, const std::string& name,
                              const ServedModels::List& models, const ApiLimits& limits, std::int64_t first = 1);

/// The body of the answers, of which the first has this number.
std::string answer_body(BodyForm form, const Skill& skill, std::vector<Json> answers, std::int64_t first = 1);

/// Server-sent events (WHATWG HTML, 9.2): {"piece"}, then "done" with the answer's object, or "error" with its body.
std::string piece_event(const std::string& piece);
std::string done_event(const Skill& skill, Json answer);
std::string error_event(const ApiError& error);
inline constexpr const char* kPing = ": ping\n\n";

/// {"models": [{"name", "task", "routes", "sha256"}]}.
std::string models_body(const ServedModels::List& models);

/// The tokens of a text as queue and metrics count them: code points where these are the model's units, else words
/// between blanks and, of scripts without blanks, code points. A quick estimate of the work.
std::int64_t count_tokens(const TextConfig& text, std::string_view of);

}  // namespace mnemo
