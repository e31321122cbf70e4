// A text begins with the unit that ends the previous one; then come the conditions (a control unit each, and its text),
// then the prompt. A form is a constraint on the units that may follow; it consumes the prompt first, so that
// generation continues from there. A backward model reads the prompt from its end and writes the text's beginning last,
// so that texts are joined when they are complete.
#include "pipeline/text_generator.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "text/utf8.h"

namespace mnemo {

TextGenerator::TextGenerator(const TextLanguageModel& model, GenerationRequest request, const std::string& model_name)
    : model_(model), request_(std::move(request)), units_{model.text_end()} {
  add_conditions(model_name);
  prompt_begins_ = units_.size();
  add_prompt();
  if (request_.form) constrain(model_name);
  block_controls();
  request_.options.constraint = constraint_.get();
  if (request_.form) request_.options.length = 4 * request_.form->characters();
  if (request_.form && !parallel_couplets(*request_.form).empty()) {
    std::vector<bool> characters;
    for (const PoemUnits::Unit& unit : poem_units_->units()) characters.push_back(unit.character != 0);
    vectors_ = std::make_unique<CentredVectors>(model.network().embedding().weight, characters);
  }
}

void TextGenerator::add_conditions(const std::string& model_name) {
  if (!model_.has_conditions()) {
    if (request_.title.empty() && request_.author.empty()) return;
    throw UsageError(
        fmt::format("{}: the model is not conditioned on titles and authors, as models of poems-json are", model_name));
  }
  Tokens tokens;
  const Poem conditions{.title = request_.title,
                        .author = request_.author,
                        .form = request_.form ? request_.form->name : request_.form_name,
                        .body = {}};
  for_record_units(conditions, true, model_.tokenizer(), tokens, [&](Section section, const SourceUnit& unit) {
    if (section == Section::kForm && !model_.vocabulary().contains(unit.text)) return;
    if (section == Section::kBody) return;
    add_unit(unit.text, section == Section::kAuthor ? "--author" : "--title");
  });
}

void TextGenerator::add_prompt() {
  if (request_.prompt.empty()) return;
  const bool reverse = model_.reads_backwards();
  const std::vector<std::string_view> lines = lines_in_order(request_.prompt, reverse);
  Tokens tokens;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    if (l > 0) units_.push_back(model_.line_end());
    model_.tokenizer().tokenize(lines[l], tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      add_unit(tokens.text(i), fmt::format("prompt, line {}, unit {}", reverse ? lines.size() - l : l + 1,
                                           reverse ? tokens.size() - i : i + 1));
  }
}

void TextGenerator::add_unit(std::string_view unit, const std::string& where) {
  units_.push_back(model_.vocabulary().find(unit));
  if (units_.back() == Vocabulary::kUnknown && unit != Vocabulary::kUnknownText)
    fail("{}: the model does not know \"{}\"; it was not in its training data", where, shown(unit));
}

// Sets up the form's constraint and lets it consume the prompt.
void TextGenerator::constrain(const std::string& model_name) {
  if (model_.reads_backwards())
    throw UsageError(
        fmt::format("--form: a poem is written from its beginning; {} reads texts from their end "
                    "(text.reverse)",
                    model_name));
  const std::string& unit = model_.config().text.unit;
  if (unit != "char" && unit != "grapheme")
    throw UsageError(fmt::format("--form: the units of {} are words or parts of them; poems need a model of characters",
                                 model_name));
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(model_.vocabulary().size()));
  for (std::int32_t v = 0; v < model_.vocabulary().size(); ++v) texts.push_back(model_.vocabulary().text(v));
  poem_units_ = std::make_unique<PoemUnits>(texts, RhymeTable::of(request_.book, script_of(model_.vocabulary())));
  constraint_ = std::make_unique<PoemConstraint>(
      *poem_units_, *request_.form,
      PoemOptions{.acrostic = to_code_points(request_.acrostic), .allow_repeats = request_.allow_repeats});
  std::vector<std::uint8_t> blocked(texts.size());
  constraint_->of_poet(true);
  for (std::size_t i = 0; i < prompt().size(); ++i) note_prompt(i, blocked);
  constraint_->of_poet(false);
}

void TextGenerator::note_prompt(std::size_t place, std::vector<std::uint8_t>& blocked) {
  const std::int32_t unit = prompt()[place];
  const std::string_view text = model_.vocabulary().text(unit);
  std::fill(blocked.begin(), blocked.end(), std::uint8_t{0});
  if (constraint_->ended())
    fail("prompt, unit {}: \"{}\" is after the end of {}", place + 1, shown(text), request_.form->name);
  constraint_->block(blocked);
  if (blocked[static_cast<std::size_t>(unit)] != 0)
    fail(
        "prompt, unit {}: \"{}\" does not keep the form {}: here it breaks the length, --tones {}, the rhyme or the "
        "acrostic, or is a repetition",
        place + 1, shown(text), request_.form->name, request_.tones);
  constraint_->note(unit);
}

// The unknown unit and the control units are never generated, except a record's end, which ends the text.
void TextGenerator::block_controls() {
  GenerateOptions& options = request_.options;
  options.blocked.assign(static_cast<std::size_t>(model_.vocabulary().size()), 0);
  options.blocked[Vocabulary::kUnknown] = 1;
  for (std::int32_t v = 1; v < model_.vocabulary().size(); ++v)
    if (model_.vocabulary().text(v).size() > 1 && model_.vocabulary().text(v).front() == '\n')
      options.blocked[static_cast<std::size_t>(v)] = 1;
  if (!model_.has_records() || request_.form) return;
  options.end = model_.text_end();
  options.blocked[static_cast<std::size_t>(options.end)] = 0;
}

BeamOptions TextGenerator::beam_options() const {
  const GenerateOptions& o = request_.options;
  return {request_.beam, o.length, o.blocked, o.end, o.sampling.no_repeat, o.constraint};
}

std::unique_ptr<Search> TextGenerator::search() {
  const Index V = model_.vocabulary().size();
  if (request_.beam > 0) {
    beam_ = beam_options();
    return std::make_unique<BeamSearch>(V, units_, beam_);
  }
  sample_ = options_of_sample(request_.options, 0);
  return std::make_unique<SingleSearch>(V, units_, sample_);
}

std::vector<GeneratedText> TextGenerator::run(ThreadPool& pool, const std::function<void(const std::string&)>& give) {
  GenerateOptions options = request_.options;
  if (request_.beam > 0) {
    auto texts = beam_search(model_.network(), units_, beam_options(), pool);
    texts.resize(std::min<std::size_t>(texts.size(), static_cast<std::size_t>(options.samples)));
    return texts;
  }
  options.samples *= request_.candidates;
  if (!give) return best(generate(model_.network(), units_, options, pool));
  UnitJoiner joiner = joined_prompt();
  auto texts = generate(model_.network(), units_, options, pool, [&](std::int32_t unit) {
    give(joiner.add(unit));
    return true;
  });
  give(joiner.end());
  return texts;
}

UnitJoiner TextGenerator::joined_prompt() const {
  UnitJoiner joiner(model_);
  for (const std::int32_t unit : prompt()) joiner.add(unit);
  return joiner;
}

std::vector<std::int32_t> TextGenerator::in_order(const GeneratedText& text) const {
  std::vector<std::int32_t> out = text.units;
  if (model_.reads_backwards()) std::ranges::reverse(out);
  return out;
}

// The prompt stays as it was given; the blank before its first unit, if there is one, is the joiner's.
std::string TextGenerator::text_before_prompt(const GeneratedText& text) const {
  UnitJoiner joiner(model_);
  std::string out;
  for (const std::int32_t unit : in_order(text)) out += joiner.add(unit);
  UnitJoiner alone = joiner;
  const std::string rest = alone.end();
  out += rest;
  if (prompt().empty()) return out;
  const std::string next = joiner.add(prompt().back()).erase(0, rest.size());
  return next.starts_with(' ') && !request_.prompt.starts_with(' ') ? out + ' ' : out;
}

std::string TextGenerator::text(const GeneratedText& text) const {
  if (model_.reads_backwards()) return text_before_prompt(text) + request_.prompt;
  UnitJoiner joiner = joined_prompt();
  std::string out = request_.prompt;
  for (const std::int32_t unit : text.units) out += joiner.add(unit);
  return out + joiner.end();
}

// The mean over the couplets that the form requires to be parallel.
double TextGenerator::parallelism_of(const GeneratedText& text) const {
  if (!vectors_) return 0;
  const auto couplets = parallel_couplets(*request_.form);
  std::vector<std::int32_t> units;
  const auto add = [&](std::int32_t unit) {
    if (poem_units_->units()[static_cast<std::size_t>(unit)].character != 0) units.push_back(unit);
  };
  for (const std::int32_t unit : prompt()) add(unit);
  for (const std::int32_t unit : text.units) add(unit);
  double sum = 0;
  for (const std::size_t first : couplets) {
    std::size_t at = 0;
    for (std::size_t l = 0; l < first; ++l) at += static_cast<std::size_t>(request_.form->lines[l].length);
    const auto length = static_cast<std::size_t>(request_.form->lines[first].length);
    sum += parallelism(*vectors_, std::span(units).subspan(at, length), std::span(units).subspan(at + length, length));
  }
  return sum / static_cast<double>(couplets.size());
}

// The best of each group of candidates: by log p per unit plus, if the form requires it, parallelism.
std::vector<GeneratedText> TextGenerator::best(std::vector<GeneratedText> texts) const {
  const auto group = static_cast<std::size_t>(request_.candidates);
  if (group == 1) return texts;
  std::vector<GeneratedText> out;
  for (std::size_t first = 0; first < texts.size(); first += group) {
    std::size_t chosen = first;
    double most = -INFINITY;
    for (std::size_t i = first; i < first + group && i < texts.size(); ++i) {
      const double score =
          texts[i].log_probability / static_cast<double>(std::max<std::size_t>(1, texts[i].units.size())) +
          parallelism_of(texts[i]);
      if (score > most) {
        most = score;
        chosen = i;
      }
    }
    out.push_back(std::move(texts[chosen]));
  }
  return out;
}

Json TextGenerator::json(const GeneratedText& text, const Overlap* overlap) const {
  Json out{{"text", this->text(text)},
           {"prompt", request_.prompt},
           {"units", text.units.size()},
           {"log_prob", text.log_probability}};
  if (model_.has_conditions()) {
    out["title"] = request_.title;
    out["author"] = request_.author;
  }
  if (request_.form) out["form"] = request_.form->name;
  if (vectors_) out["parallelism"] = parallelism_of(text);
  if (!overlap) return out;
  UnitJoiner joiner(model_);
  std::string run;
  const std::vector<std::int32_t> units = in_order(text);
  for (std::int64_t i = 0; i < overlap->longest; ++i)
    run += joiner.add(units[static_cast<std::size_t>(overlap->begin + i)]);
  out["overlap"] = {{"longest", overlap->longest}, {"run", run}};
  for (std::size_t n = 0; n < overlap->known.size(); ++n)
    out["overlap"]["known"][std::to_string(Overlap::kLengths[n])] =
        overlap->ngrams[n] > 0 ? static_cast<double>(overlap->known[n]) / static_cast<double>(overlap->ngrams[n]) : 0.0;
  return out;
}

}  // namespace mnemo
