#include "pipeline/generation_record.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "decode/poem_constraint.h"
#include "decode/poem_form.h"
#include "decode/prompt_reader.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Of the model in messages, which begin with a key where one is to blame.
constexpr const char* kName = "title, author";
constexpr double kLargestSeed = 9e15;  // as training.seed

std::vector<SkillKey> declared_keys() {
  using enum SkillKey::Type;
  const GenerationRequest r;
  const SamplingOptions& s = r.options.sampling;
  const auto real = [](auto value) { return static_cast<double>(value); };
  return {
      {"length", kWhole, "Most units to generate: characters or words, as the model has", 0, 1e9,
       real(r.options.length)},
      {"seed", kWhole, "Seed of the sampling", 0, kLargestSeed, real(r.options.seed)},
      {"temperature", kNumber, "Below 1 favours likely units, above 1 unlikely ones; 0: the likeliest", 0, 1000,
       s.temperature},
      {"top_k", kWhole, "Only the K most probable units; 0: all", 0, 1e9, real(s.top_k)},
      {"top_p", kNumber, "Only the fewest units that together have this probability", 0, 1, s.top_p},
      {"min_p", kNumber, "Only units at least this fraction as probable as the most probable one", 0, 1, s.min_p},
      {"repetition_penalty", kNumber, "Above 1: units that have occurred become less probable", 0.01, 100,
       s.repetition_penalty},
      {"no_repeat", kWhole, "No sequence of N units occurs twice; 0: any may", 0, 1000, real(s.no_repeat)},
      {"beam", kWhole, "Search for the most probable texts with a beam of B instead of sampling; 0: sample", 0, 100,
       real(r.beam)},
      {"candidates", kWhole,
       "Write the best of N by log-probability per unit and, in regulated verse of eight lines, parallelism", 1, 100,
       real(r.candidates)},
      {"title", kText, "Title of the poem, for models trained on poems-json"},
      {"author", kText, "Author whose style it follows, for models trained on poems-json"},
      {"form", kText, "Write in this form", 0, 0, 0, form_names()},
      {"tones",
       kText,
       "With a form: strict as the pattern, loose with only even places and no lone level tone nor three level tones "
       "at the end, or off",
       0,
       0,
       0,
       {"strict", "loose", "off"}},
      {"rhyme", kText, "With a form: the rhyme book", 0, 0, 0, {"pingshui", "xinyun", "cilin"}},
      {"acrostic", kText, "With a form: characters that begin the lines or, half as many, every other line"},
  };
}

template <class Number>
void read_number(const Json& record, const char* key, Number& to) {
  if (const auto value = number_under(generation_key(key), record)) to = static_cast<Number>(*value);
}

void read_string(const Json& record, const char* key, std::string& to) {
  if (auto value = text_under(generation_key(key), record)) to = *std::move(value);
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
  out.form = form_from_name(out.form_name, *tone_rule_from_name(out.tones));
  out.book = out.form->is_tune() ? RhymeBook::kCilin : RhymeBook::kPingshui;
  if (!rhyme.empty()) out.book = *rhyme_book_from_name(rhyme);
}

class GenerationStreams : public TextStreams {
 public:
  explicit GenerationStreams(const TextLanguageModel& model) : model_(model), texts_(model.network()) {}

  void begin(std::int64_t key, const Json& record, Workspace&) override {
    auto one = std::make_unique<One>(model_, record);
    texts_.begin(key, one->generator.units(), one->generator.search());
    one->joiner.emplace(one->generator.joined_prompt());
    ones_[key] = std::move(one);
  }

  std::vector<StreamEvent> advance(std::span<const std::int64_t> keys, Workspace& workspace) override {
    // A long prompt is read over several steps, so that the other texts go on meanwhile.
    std::int64_t read = 0;
    std::vector<StreamEvent> out;
    std::vector<std::int64_t> open;
    for (const std::int64_t key : keys) {
      out.push_back({.key = key});
      try {
        while (!texts_.ready(key) && read < PromptReader::kBlock) read += texts_.read(key, workspace.pool);
        if (!texts_.ready(key)) continue;
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
    One(const TextLanguageModel& model, const Json& record) : generator(model, generation_request(record), kName) {}
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

bool writes_forms(const TextLanguageModel& model) {
  constexpr std::int64_t kShortestForm = 16;  // characters
  const Vocabulary& vocabulary = model.vocabulary();
  if (!model.config().text.has_characters() || !vocabulary.contains("，") || !vocabulary.contains("。")) return false;
  std::int64_t ideographs = 0;
  for (std::int32_t v = 0; v < vocabulary.size() && ideographs < kShortestForm; ++v) {
    const std::string_view text = vocabulary.text(v);
    if (!text.empty() && is_ideograph(decode_utf8(text.data()).value)) ++ideographs;
  }
  return ideographs >= kShortestForm;
}

}  // namespace

bool takes_generation_key(const TextModel& model, const SkillKey& key) {
  const auto& writer = static_cast<const TextLanguageModel&>(model);
  const std::string_view name = key.name;
  if (name == "title" || name == "author") return writer.has_conditions();
  if (name == "form" || name == "tones" || name == "rhyme" || name == "acrostic")
    return writes_forms(writer) && !writer.reads_backwards();
  return true;
}

std::unique_ptr<TextStreams> generation_streams(const TextModel& model) {
  return std::make_unique<GenerationStreams>(static_cast<const TextLanguageModel&>(model));
}

std::int64_t generation_work(const Json& record, std::int64_t units) {
  const auto number = [&](const char* name) {
    const SkillKey& key = generation_key(name);
    return static_cast<std::int64_t>(number_under(key, record).value_or(key.otherwise));
  };
  return units + number("length") * std::max({std::int64_t{1}, number("candidates"), number("beam")});
}

// Each hypothesis of a beam keeps scores of all units while others of the server's texts grow.
const char* not_streamed_generation(const TextModel& model, const Json& record) {
  constexpr std::int64_t kMostBeam = 16;
  const auto above = [&](const char* key, std::int64_t most) {
    const auto found = record.find(key);
    return found != record.end() && found->is_number_integer() && found->get<std::int64_t>() > most;
  };
  if (static_cast<const TextLanguageModel&>(model).reads_backwards())
    return "a model of texts that are read from their end (text.reverse), as their beginning is written last";
  if (above("candidates", 1)) return "candidates: the best of several texts is known at their end alone";
  if (above("beam", kMostBeam)) return "beam: expected at most 16";
  return nullptr;
}

std::span<const SkillKey> generation_keys() {
  static const std::vector<SkillKey> keys = declared_keys();
  return keys;
}

const SkillKey& generation_key(std::string_view name) {
  return *std::ranges::find(generation_keys(), name, [](const SkillKey& key) { return std::string_view(key.name); });
}

GenerationRequest generation_request(const Json& record) {
  GenerationRequest out;
  out.prompt = text_of_record(record, 1, "text");
  SamplingOptions& s = out.options.sampling;
  read_number(record, "length", out.options.length);
  read_number(record, "seed", out.options.seed);
  read_number(record, "temperature", s.temperature);
  read_number(record, "top_k", s.top_k);
  read_number(record, "top_p", s.top_p);
  read_number(record, "min_p", s.min_p);
  read_number(record, "repetition_penalty", s.repetition_penalty);
  read_number(record, "no_repeat", s.no_repeat);
  read_number(record, "beam", out.beam);
  read_number(record, "candidates", out.candidates);
  read_string(record, "title", out.title);
  read_string(record, "author", out.author);
  read_form_keys(record, out);
  return out;
}

std::vector<Json> generate_records(const TextLanguageModel& model, const std::vector<Json>& records,
                                   Workspace& workspace) {
  std::vector<Json> out;
  for (const Json& record : records) {
    TextGenerator generator(model, generation_request(record), kName);
    const std::vector<GeneratedText> texts = generator.run(workspace.pool);
    if (texts.empty()) fail("no text was found");
    out.push_back(generator.json(texts.front(), nullptr));
  }
  return out;
}

}  // namespace mnemo
