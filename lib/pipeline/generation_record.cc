#include "pipeline/generation_record.h"

#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

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

class GenerationStreams : public TextStreams {
 public:
  explicit GenerationStreams(const TextLanguageModel& model) : model_(model), texts_(model.network()) {}

  void begin(std::int64_t key, const Json& record, Workspace& workspace) override {
    auto one = std::make_unique<One>(TextGenerator(model_, generation_request(record), "generate"));
    texts_.begin(key, one->generator.units(), one->generator.search(), workspace.pool);
    one->joiner.emplace(one->generator.joined_prompt());
    ones_[key] = std::move(one);
  }

  std::vector<StreamEvent> advance(std::span<const std::int64_t> keys, Workspace&) override {
    std::vector<StreamEvent> out;
    std::vector<std::int64_t> open;
    for (const std::int64_t key : keys) {
      out.push_back({.key = key});
      try {
        if (extend(key, out.back())) open.push_back(key);
      } catch (const Error& error) {
        out.back().error = error.what();
      }
    }
    texts_.step(open);
    return out;
  }

  void end(std::int64_t key) override {
    texts_.end(key);
    ones_.erase(key);
  }

 private:
  struct One {
    explicit One(TextGenerator its_generator) : generator(std::move(its_generator)) {}
    TextGenerator generator;
    std::optional<UnitJoiner> joiner;
    std::size_t joined = 0;  // units
  };

  // False if the text has ended.
  bool extend(std::int64_t key, StreamEvent& event) {
    One& one = *ones_.at(key);
    Search& search = texts_.search(key);
    if (search.open() > 0) texts_.extend(key);
    const auto join = [&](std::span<const std::int32_t> units) {
      for (; one.joined < units.size(); ++one.joined) event.piece += one.joiner->add(units[one.joined]);
    };
    if (search.open() > 0) {
      join(search.settled());
      return true;
    }
    const std::vector<GeneratedText> texts = search.take();
    if (texts.empty()) fail("no text was found");
    join(texts.front().units);
    event.piece += one.joiner->end();
    event.answer = one.generator.json(texts.front(), nullptr);
    return false;
  }

  const TextLanguageModel& model_;
  GrowingTexts texts_;
  std::unordered_map<std::int64_t, std::unique_ptr<One>> ones_;
};

}  // namespace

std::unique_ptr<TextStreams> generation_streams(const TextModel& model) {
  return std::make_unique<GenerationStreams>(static_cast<const TextLanguageModel&>(model));
}

// Each hypothesis of a beam keeps scores of all units while others of the server's texts grow.
const char* not_streamed_generation(const Json& record) {
  constexpr std::int64_t kMostBeam = 16;
  const auto above = [&](const char* key, std::int64_t most) {
    const auto found = record.find(key);
    return found != record.end() && found->is_number_integer() && found->get<std::int64_t>() > most;
  };
  if (above("candidates", 1)) return "candidates: the best of several texts is known at their end alone";
  if (above("beam", kMostBeam)) return "beam: expected at most 16";
  return nullptr;
}

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
