#include "pipeline/generation_record.h"

#include <fmt/ranges.h>

#include <optional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "decode/poem_form.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr double kLargestSeed = 9e15;  // as training.seed

// The value under `key` as a number in [low, high]; nothing if the record does not have it.
std::optional<double> number_of(const Json& record, const char* key, double low, double high, bool whole) {
  const auto found = record.find(key);
  if (found == record.end()) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : low - 1;
  if (!(value >= low && value <= high) || (whole && !found->is_number_integer()))
    throw UsageError(fmt::format("{}: expected {} from {} to {}, found {}", key, whole ? "a whole number" : "a number",
                                 low, high, shown(found->dump(-1, ' ', true, Json::error_handler_t::replace))));
  return value;
}

void read_whole(const Json& record, const char* key, double low, double high, std::int64_t& to) {
  if (const auto value = number_of(record, key, low, high, true)) to = static_cast<std::int64_t>(*value);
}

void read_number(const Json& record, const char* key, double low, double high, double& to) {
  if (const auto value = number_of(record, key, low, high, false)) to = *value;
}

void read_string(const Json& record, const char* key, std::string& to) {
  const auto found = record.find(key);
  if (found == record.end()) return;
  if (!found->is_string())
    throw UsageError(fmt::format("{}: expected a string, found {}", key, described_type(*found)));
  to = found->get<std::string>();
  if (find_invalid_utf8(to)) throw UsageError(fmt::format("{}: is not valid UTF-8", key));
}

void read_form_keys(const Json& record, GenerationRequest& out) {
  std::string rhyme;
  read_string(record, "form", out.form_name);
  read_string(record, "tones", out.tones);
  read_string(record, "rhyme", rhyme);
  read_string(record, "acrostic", out.acrostic);
  if (out.form_name.empty()) {
    for (const char* key : {"tones", "rhyme", "acrostic"})
      if (record.contains(key)) throw UsageError(fmt::format("{}: only with form", key));
    return;
  }
  const auto tones = tone_rule_from_name(out.tones);
  if (!tones) throw UsageError(fmt::format("tones: expected strict, loose or off, found \"{}\"", shown(out.tones)));
  out.form = form_from_name(out.form_name, *tones);
  if (!out.form)
    throw UsageError(
        fmt::format("form: \"{}\" is not a form; forms are {}", shown(out.form_name), fmt::join(form_names(), ", ")));
  out.book = out.form->is_tune() ? RhymeBook::kCilin : RhymeBook::kPingshui;
  if (rhyme.empty()) return;
  const auto book = rhyme_book_from_name(rhyme);
  if (!book) throw UsageError(fmt::format("rhyme: expected pingshui, xinyun or cilin, found \"{}\"", shown(rhyme)));
  out.book = *book;
}

}  // namespace

GenerationRequest generation_request(const Json& record) {
  GenerationRequest out;
  out.prompt = text_of_record(record, 1, "text");
  SamplingOptions& s = out.options.sampling;
  std::int64_t seed = static_cast<std::int64_t>(out.options.seed);
  read_whole(record, "length", 0, 1e9, out.options.length);
  read_whole(record, "seed", 0, kLargestSeed, seed);
  out.options.seed = static_cast<std::uint64_t>(seed);
  read_number(record, "temperature", 0, 1000, s.temperature);
  read_whole(record, "top_k", 0, 1e9, s.top_k);
  read_number(record, "top_p", 0, 1, s.top_p);
  read_number(record, "min_p", 0, 1, s.min_p);
  read_number(record, "repetition_penalty", 0.01, 100, s.repetition_penalty);
  read_whole(record, "no_repeat", 0, 1000, s.no_repeat);
  read_whole(record, "beam", 0, 100, out.beam);
  read_whole(record, "candidates", 1, 100, out.candidates);
  read_string(record, "title", out.title);
  read_string(record, "author", out.author);
  read_form_keys(record, out);
  return out;
}

std::vector<Json> generate_records(const TextLanguageModel& model, const std::vector<Json>& records,
                                   Workspace& workspace) {
  std::vector<Json> out;
  for (const Json& record : records) {
    TextGenerator generator(model, generation_request(record), "generate");
    const std::vector<GeneratedText> texts = generator.run(workspace.pool);
    if (texts.empty()) fail("no text was found");
    out.push_back(generator.json(texts.front(), nullptr));
  }
  return out;
}

}  // namespace mnemo
