// mnemo generate: a text goes on.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/poem_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "decode/generate.h"
#include "decode/overlap.h"
#include "decode/parallelism.h"
#include "decode/poem_constraint.h"
#include "pipeline/text_language_model.h"
#include "tasks/generate/data.h"
#include "text/line_reader.h"

namespace mnemo {
namespace {

constexpr std::int64_t kLargestSeed = 9'000'000'000'000'000;  // as training.seed

struct GenerateCommand {
  std::string model, prompt, prompt_file, format = "text", format_in, invalid_utf8 = "error";
  std::string title, author, acrostic, overlap;
  PoemFormOptions poem;
  bool repeats = false;
  GenerateOptions options;
  std::int64_t beam = 0, candidates = 1;
  int threads = 1;
};

// The prompt as it was given, its last line without an end.
std::string read_prompt_text(const GenerateCommand& o) {
  if (o.prompt_file.empty()) return o.prompt;
  LineReader lines(o.prompt_file, *invalid_utf8_from_name(o.invalid_utf8));
  std::string out, line;
  while (lines.next(line)) out += (lines.line_number() > 1 ? "\n" : "") + line;
  return out;
}

// What the text goes on from: its end as the unit before it, what is told of it, and the prompt. Throws Error that
// names the first unit that the model does not know.
class Beginning {
 public:
  Beginning(const TextLanguageModel& model, const GenerateCommand& o, const std::string& form)
      : model_(model), units_{model.text_end()} {
    if (model.tells()) {
      Tokens tokens;
      const Tokenizer tokenizer(model.tokenizer_options());
      const Poem told{.title = o.title, .author = o.author, .form = form, .body = {}};
      for_record_units(told, true, tokenizer, tokens, [&](Section section, std::string_view unit) {
        if (section == Section::kForm && !model.vocabulary().contains(unit)) return;
        if (section == Section::kBody) return;
        add(unit, section == Section::kAuthor ? "--author" : "--title");
      });
    } else if (!o.title.empty() || !o.author.empty()) {
      throw UsageError(
          fmt::format("{}: was not told titles and authors in training, as models of poems-json are", o.model));
    }
    prompt_begins_ = units_.size();
  }

  // In lines; the last one goes on.
  void add_prompt(const std::string& prompt) {
    Tokens tokens;
    const Tokenizer tokenizer(model_.tokenizer_options());
    for (std::size_t at = 0, number = 1; at <= prompt.size() && !prompt.empty(); ++number) {
      const std::size_t end = std::min(prompt.find('\n', at), prompt.size());
      tokenizer.tokenize(std::string_view(prompt).substr(at, end - at), tokens);
      for (std::size_t i = 0; i < tokens.size(); ++i)
        add(tokens.text(i), fmt::format("prompt, line {}, unit {}", number, i + 1));
      if (end < prompt.size()) units_.push_back(model_.line_end());
      at = end + 1;
    }
  }

  const std::vector<std::int32_t>& units() const { return units_; }
  std::span<const std::int32_t> prompt() const { return std::span(units_).subspan(prompt_begins_); }

 private:
  void add(std::string_view unit, const std::string& where) {
    units_.push_back(model_.vocabulary().find(unit));
    if (units_.back() == Vocabulary::kUnknown && unit != Vocabulary::kUnknownText)
      fail("{}: the model does not know \"{}\"; it was not in its training data", where, unit);
  }

  const TextLanguageModel& model_;
  std::vector<std::int32_t> units_;
  std::size_t prompt_begins_ = 0;
};

class Generation {
 public:
  explicit Generation(const GenerateCommand& o)
      : o_(o),
        form_(read_form(o.poem)),
        pool_(o.threads),
        model_(TextLanguageModel::load(o.model)),
        prompt_(read_prompt_text(o)),
        beginning_(*model_, o, form_ ? form_->name : o.poem.form) {
    beginning_.add_prompt(prompt_);
    if (form_) constrain();
    options_ = o.options;
    options_.blocked.assign(static_cast<std::size_t>(model_->vocabulary().size()), 0);
    options_.blocked[Vocabulary::kUnknown] = 1;
    for (std::int32_t v = 1; v < model_->vocabulary().size(); ++v)
      if (model_->vocabulary().text(v).size() > 1 && model_->vocabulary().text(v).front() == '\n')
        options_.blocked[static_cast<std::size_t>(v)] = 1;
    if (model_->has_records() && !form_) {
      options_.end = model_->text_end();
      options_.blocked[static_cast<std::size_t>(options_.end)] = 0;
    }
    options_.constraint = constraint_.get();
    if (form_) options_.length = 4 * form_->characters();
  }

  void run() {
    if (o_.beam > 0) {
      const BeamOptions beam{
          o_.beam, options_.length, options_.blocked, options_.end, options_.sampling.no_repeat, options_.constraint};
      auto texts = beam_search(model_->network(), beginning_.units(), beam, pool_);
      texts.resize(std::min<std::size_t>(texts.size(), static_cast<std::size_t>(options_.samples)));
      show(texts);
      return;
    }
    // The first sample is written as it grows.
    const bool grows = o_.format == "text" && options_.samples == 1 && o_.candidates == 1 && o_.overlap.empty();
    if (!grows) {
      options_.samples *= o_.candidates;
      return show(generate(model_->network(), beginning_.units(), options_, pool_));
    }
    UnitJoiner joiner = begun();
    put(prompt_);
    const bool at_once = isatty(STDOUT_FILENO) != 0;
    std::string waiting;
    generate(model_->network(), beginning_.units(), options_, pool_, [&](std::int32_t unit) {
      waiting += joiner.add(unit);
      if (at_once || waiting.size() >= kWaiting) put(std::exchange(waiting, {}));
      return true;
    });
    put(waiting + "\n");
  }

 private:
  static constexpr std::size_t kWaiting = 1 << 12;

  // Units that may come, by the form and by what stands there already.
  void constrain() {
    if (model_->config().text.unit != "char" && model_->config().text.unit != "grapheme")
      throw UsageError(fmt::format("--form: {} is a model of words; poems are made of characters", o_.model));
    std::vector<std::string_view> texts;
    texts.reserve(static_cast<std::size_t>(model_->vocabulary().size()));
    for (std::int32_t v = 0; v < model_->vocabulary().size(); ++v) texts.push_back(model_->vocabulary().text(v));
    poem_units_ = std::make_unique<PoemUnits>(texts, rhyme_book(o_.poem, *form_));
    constraint_ = std::make_unique<PoemConstraint>(
        *poem_units_, *form_, PoemOptions{.acrostic = to_code_points(o_.acrostic), .allow_repeats = o_.repeats});
    std::vector<std::uint8_t> blocked(texts.size());
    for (std::size_t i = 0; i < beginning_.prompt().size(); ++i) {
      const std::int32_t unit = beginning_.prompt()[i];
      std::fill(blocked.begin(), blocked.end(), std::uint8_t{0});
      if (!constraint_->ended()) constraint_->block(blocked);
      const std::string_view text = texts[static_cast<std::size_t>(unit)];
      if (constraint_->ended()) fail("prompt, unit {}: \"{}\" stands behind the end of {}", i + 1, text, form_->name);
      if (blocked[static_cast<std::size_t>(unit)] != 0)
        fail(
            "prompt, unit {}: \"{}\" does not keep the form {}: there it breaks its length, --tones {}, the rhyme, the "
            "acrostic, or stands twice",
            i + 1, text, form_->name, o_.poem.tones);
      constraint_->note(unit);
    }
  }

  // A joiner that has joined the prompt.
  UnitJoiner begun() const {
    UnitJoiner joiner(*model_);
    for (const std::int32_t unit : beginning_.prompt()) joiner.add(unit);
    return joiner;
  }

  // The mean over the couplets that the form wants parallel.
  double parallelism_of(const GeneratedText& text) {
    const auto couplets = parallel_couplets(*form_);
    if (couplets.empty()) return 0;
    if (!vectors_) {
      std::vector<bool> characters;
      for (const PoemUnits::Unit& unit : poem_units_->units()) characters.push_back(unit.character != 0);
      vectors_ = std::make_unique<CentredVectors>(model_->network().embedding().weight, characters);
    }
    std::vector<std::int32_t> units;
    const auto add = [&](std::int32_t unit) {
      if (poem_units_->units()[static_cast<std::size_t>(unit)].character != 0) units.push_back(unit);
    };
    for (const std::int32_t unit : beginning_.prompt()) add(unit);
    for (const std::int32_t unit : text.units) add(unit);
    double sum = 0;
    for (const std::size_t first : couplets) {
      std::size_t at = 0;
      for (std::size_t l = 0; l < first; ++l) at += static_cast<std::size_t>(form_->lines[l].length);
      const auto length = static_cast<std::size_t>(form_->lines[first].length);
      sum +=
          parallelism(*vectors_, std::span(units).subspan(at, length), std::span(units).subspan(at + length, length));
    }
    return sum / static_cast<double>(couplets.size());
  }

  // The best of each number of candidates: by log p a unit and, where the form wants it, parallelism.
  std::vector<GeneratedText> best(std::vector<GeneratedText> texts) {
    if (o_.candidates == 1) return texts;
    std::vector<GeneratedText> out;
    for (std::size_t first = 0; first < texts.size(); first += static_cast<std::size_t>(o_.candidates)) {
      std::size_t chosen = first;
      double most = -INFINITY;
      for (std::size_t i = first; i < first + static_cast<std::size_t>(o_.candidates) && i < texts.size(); ++i) {
        const double worth =
            texts[i].log_probability / static_cast<double>(std::max<std::size_t>(1, texts[i].units.size())) +
            (form_ ? parallelism_of(texts[i]) : 0);
        if (worth > most) {
          most = worth;
          chosen = i;
        }
      }
      out.push_back(std::move(texts[chosen]));
    }
    return out;
  }

  // What each text, its prompt left out, shares with the corpus.
  std::vector<Overlap> overlaps(const std::vector<GeneratedText>& texts) {
    std::vector<std::vector<std::int32_t>> units;
    units.reserve(texts.size());
    for (const GeneratedText& text : texts) units.push_back(text.units);
    OverlapFinder finder(units);
    for_corpus_units(o_.overlap, *model_, {*invalid_utf8_from_name(o_.invalid_utf8), o_.format_in}, say,
                     [&](std::int32_t unit) {
                       if (unit == Vocabulary::kUnknown || (model_->has_records() && unit == model_->text_end()))
                         finder.end_text();
                       else
                         finder.read(unit);
                     });
    std::vector<Overlap> out = finder.find();
    std::int64_t longest = 0;
    Overlap all;
    for (const Overlap& one : out) {
      longest = std::max(longest, one.longest);
      for (std::size_t n = 0; n < one.known.size(); ++n) {
        all.known[n] += one.known[n];
        all.ngrams[n] += one.ngrams[n];
      }
    }
    std::string line = fmt::format("shared with {}: longest run {} units; known", o_.overlap, longest);
    for (std::size_t n = 0; n < all.known.size(); ++n)
      line += fmt::format(
          "{} {}-grams {:.1f}%", n > 0 ? "," : "", Overlap::kLengths[n],
          100.0 * static_cast<double>(all.known[n]) / static_cast<double>(std::max<std::int64_t>(1, all.ngrams[n])));
    say(line);
    return out;
  }

  nlohmann::ordered_json overlap_json(const Overlap& overlap, const GeneratedText& text) const {
    UnitJoiner joiner(*model_);
    std::string run;
    for (std::int64_t i = 0; i < overlap.longest; ++i)
      run += joiner.add(text.units[static_cast<std::size_t>(overlap.begin + i)]);
    nlohmann::ordered_json out{{"longest", overlap.longest}, {"run", run}};
    for (std::size_t n = 0; n < overlap.known.size(); ++n)
      out["known"][std::to_string(Overlap::kLengths[n])] =
          overlap.ngrams[n] > 0 ? static_cast<double>(overlap.known[n]) / static_cast<double>(overlap.ngrams[n]) : 0.0;
    return out;
  }

  void show(std::vector<GeneratedText> all) {
    const std::vector<GeneratedText> texts = best(std::move(all));
    const std::vector<Overlap> shared = o_.overlap.empty() ? std::vector<Overlap>() : overlaps(texts);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      UnitJoiner joiner = begun();
      std::string text = prompt_;
      for (const std::int32_t unit : texts[i].units) text += joiner.add(unit);
      if (o_.format == "jsonl") {
        nlohmann::ordered_json record{{"text", text},
                                      {"prompt", prompt_},
                                      {"units", texts[i].units.size()},
                                      {"log_prob", texts[i].log_probability}};
        if (model_->tells()) {
          record["title"] = o_.title;
          record["author"] = o_.author;
        }
        if (form_) {
          record["form"] = form_->name;
          if (!parallel_couplets(*form_).empty()) record["parallelism"] = parallelism_of(texts[i]);
        }
        if (!shared.empty()) record["overlap"] = overlap_json(shared[i], texts[i]);
        put(record.dump() + "\n");
      } else {
        put((i > 0 ? "\n" : "") + text + "\n");
      }
    }
  }

  const GenerateCommand& o_;
  std::optional<PoemForm> form_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  std::string prompt_;
  Beginning beginning_;
  GenerateOptions options_;
  std::unique_ptr<PoemUnits> poem_units_;
  std::unique_ptr<PoemConstraint> constraint_;
  std::unique_ptr<CentredVectors> vectors_;
};

int run_generate(const GenerateCommand& o) {
  for (const auto& [name, text] :
       {std::pair{"--prompt", &o.prompt}, {"--title", &o.title}, {"--author", &o.author}, {"--acrostic", &o.acrostic}})
    if (find_invalid_utf8(*text)) throw UsageError(fmt::format("{}: is no valid UTF-8", name));
  if (o.beam > 0 && o.options.samples > o.beam)
    throw UsageError(
        fmt::format("--samples {}: a beam of {} finds no more than {} texts", o.options.samples, o.beam, o.beam));
  Generation(o).run();
  return 0;
}

}  // namespace

void add_generate(Command& program) {
  Command& command = program.add("generate", "go on with a text by a language model");
  command.examples = {"mnemo generate run/model.safetensors --prompt 'ROMEO:' --length 300",
                      "mnemo generate run/model.safetensors -n 8 -t 0.8 --top-p 0.95 -f jsonl",
                      "mnemo generate run/model.safetensors --prompt-file - --beam 8 < beginning.txt",
                      "mnemo generate tang/model.safetensors --form 七律 --title 秋思 --candidates 16"};
  command.notes =
      "The same seed gives the same text, whatever else is generated beside it. log_prob is the model's own for what "
      "follows the prompt, whatever the options.";
  auto o = std::make_shared<GenerateCommand>();
  SamplingOptions& s = o->options.sampling;
  command.argument("MODEL", &o->model, "Model file").required();
  command.group("Input");
  command.option("-p,--prompt", "TEXT", &o->prompt, "What the text begins with");
  command.option("--prompt-file", "FILE", &o->prompt_file, "The same from a file; - is standard input")
      .excludes({"--prompt"});
  add_invalid_utf8(command, o->invalid_utf8, "Bytes of the prompt's file and the corpus that are not UTF-8");
  command.group("Sampling");
  command.option("-l,--length", "N", &o->options.length, "Units at the most: characters or words, as the model's")
      .range(0, 1000000000);
  command.option("-n,--samples", "N", &o->options.samples, "How many texts; generated side by side").range(1, 1000000);
  command.option("-s,--seed", "S", &o->options.seed, "Seed of the choices").range(0, kLargestSeed);
  command
      .option("-t,--temperature", "T", &s.temperature, "Below 1 likelier, above 1 less likely units; 0: the likeliest")
      .range(0, 1000);
  command.option("-k,--top-k", "K", &s.top_k, "Only the K most probable units; 0: all").range(0, 1000000000);
  command.option("--top-p", "P", &s.top_p, "The fewest units that together have this probability").range(0, 1);
  command.option("--min-p", "P", &s.min_p, "Units at least this share as probable as the most probable one")
      .range(0, 1);
  command
      .option("--repetition-penalty", "R", &s.repetition_penalty, "Above 1: units that occurred become less probable")
      .range(0.01, 100);
  command.option("--no-repeat", "N", &s.no_repeat, "No sequence of N units occurs twice; 0: any may").range(0, 1000);
  command
      .option("--candidates", "N", &o->candidates,
              "Give the best of N, by log-probability a unit and, in regulated verse of eight lines, parallelism")
      .range(1, 100000);
  // What a beam, which draws nothing, would leave without effect.
  command
      .option("-b,--beam", "B", &o->beam,
              "Search the most probable texts with a beam of B instead of sampling; 0: sample")
      .range(0, 1000)
      .excludes({"--seed", "--temperature", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--candidates"});
  add_poem_form(command, o->poem, "Write in this form").excludes({"--length"});
  command.option("--title", "TEXT", &o->title, "Title of the poem, for models of poems-json");
  command.option("--author", "NAME", &o->author, "Author whose manner it has, for models of poems-json");
  command
      .option("--acrostic", "TEXT", &o->acrostic,
              "With --form: characters that begin the lines, or with half as many every other line")
      .needs("--form");
  command.flag("--allow-repeats", &o->repeats, "With --form: a character may stand in the poem twice").needs("--form");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "How results are written").one_of({"text", "jsonl"});
  command.option("--overlap", "CORPUS", &o->overlap,
                 "Tell the longest run that each text shares with this corpus, and the share of known n-grams");
  command.option("--format-in", "", &o->format_in, "With --overlap, format of the corpus")
      .one_of({"lines", "poems-json"})
      .needs("--overlap")
      .by_default("that of the training data");
  add_running(command, o->threads);
  command.run = [o] { return run_generate(*o); };
}

}  // namespace mnemo
