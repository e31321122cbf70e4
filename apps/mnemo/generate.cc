// mnemo generate: continues a text with a language model. A single sample in text format is written as it is drawn; all
// other results (several samples, a beam, candidates, a comparison with a corpus) when the texts are complete.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/poem_options.h"
#include "apps/mnemo/sampling_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "pipeline/generation_record.h"
#include "pipeline/text_generator.h"
#include "tasks/generate/data.h"
#include "text/line_reader.h"

namespace mnemo {
namespace {

struct GenerateCommand {
  std::string model, prompt, prompt_file, format = "text", format_in, invalid_utf8 = "error";
  std::string title, author, acrostic, overlap;
  PoemFormOptions poem;
  bool repeats = false;
  GenerateOptions options;
  std::int64_t beam = 0, candidates = 1;
  int threads = 1;
};

// The prompt as given, without the end of its last line.
std::string read_prompt_text(const GenerateCommand& o) {
  if (o.prompt_file.empty()) return o.prompt;
  LineReader lines(o.prompt_file, *invalid_utf8_from_name(o.invalid_utf8));
  std::string out, line;
  while (lines.next(line)) out += (lines.line_number() > 1 ? "\n" : "") + line;
  return out;
}

GenerationRequest request_of(const GenerateCommand& o) {
  GenerationRequest out{.prompt = read_prompt_text(o),
                        .title = o.title,
                        .author = o.author,
                        .form_name = o.poem.form,
                        .form = read_form(o.poem),
                        .tones = o.poem.tones,
                        .acrostic = o.acrostic,
                        .allow_repeats = o.repeats,
                        .options = o.options,
                        .beam = o.beam,
                        .candidates = o.candidates};
  if (out.form) out.book = rhyme_book(o.poem, *out.form);
  return out;
}

class Generation {
 public:
  explicit Generation(const GenerateCommand& o)
      : o_(o), pool_(o.threads), model_(TextLanguageModel::load(o.model)), request_(request_of(o)) {
    model_->prepare_to_generate(pool_);
  }

  void run() {
    TextGenerator generator(*model_, request_, o_.model);
    if (o_.format != "text" || !generator.streams() || !o_.overlap.empty())
      return show(generator, generator.run(pool_));
    put(request_.prompt);
    const bool at_once = isatty(STDOUT_FILENO) != 0;
    std::string waiting;
    generator.run(pool_, [&](const std::string& piece) {
      waiting += piece;
      if (at_once || waiting.size() >= kWaiting) put(std::exchange(waiting, {}));
    });
    put(waiting + "\n");
  }

 private:
  static constexpr std::size_t kWaiting = 1 << 12;

  // The overlap of each text, without its prompt, with the corpus.
  std::vector<Overlap> overlaps(const TextGenerator& generator, const std::vector<GeneratedText>& texts) const {
    std::vector<std::vector<std::int32_t>> units;
    units.reserve(texts.size());
    for (const GeneratedText& text : texts) units.push_back(generator.in_order(text));
    OverlapFinder finder(units);
    for_corpus_units(o_.overlap, *model_, {*invalid_utf8_from_name(o_.invalid_utf8), o_.format_in}, say,
                     [&](std::int32_t unit) {
                       if (unit == Vocabulary::kUnknown || (model_->has_records() && unit == model_->text_end()))
                         finder.end_text();
                       else
                         finder.read(unit);
                     });
    std::vector<Overlap> out = finder.find();
    report_overlaps(out);
    return out;
  }

  void report_overlaps(const std::vector<Overlap>& each) const {
    std::int64_t longest = 0;
    Overlap all;
    for (const Overlap& one : each) {
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
  }

  void show(const TextGenerator& generator, const std::vector<GeneratedText>& texts) const {
    const std::vector<Overlap> shared = o_.overlap.empty() ? std::vector<Overlap>() : overlaps(generator, texts);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (o_.format == "jsonl")
        put(generator.json(texts[i], shared.empty() ? nullptr : &shared[i]).dump() + "\n");
      else
        put((i > 0 ? "\n" : "") + generator.text(texts[i]) + "\n");
    }
  }

  const GenerateCommand& o_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  GenerationRequest request_;
};

int run_generate(const GenerateCommand& o) {
  for (const auto& [name, text] :
       {std::pair{"--prompt", &o.prompt}, {"--title", &o.title}, {"--author", &o.author}, {"--acrostic", &o.acrostic}})
    if (find_invalid_utf8(*text)) throw UsageError(fmt::format("{}: is not valid UTF-8", name));
  if (o.beam > 0 && o.options.samples > o.beam)
    throw UsageError(
        fmt::format("--samples {}: a beam of {} finds at most {} texts", o.options.samples, o.beam, o.beam));
  Generation(o).run();
  return 0;
}

}  // namespace

// Long because it is a list: one statement per option.
void add_generate(Command& program) {
  Command& command = program.add("generate", "continue a text with a language model");
  command.examples = {"mnemo generate run/model.safetensors --prompt 'ROMEO:' --length 300",
                      "mnemo generate run/model.safetensors -n 8 -t 0.8 --top-p 0.95 -f jsonl",
                      "mnemo generate run/model.safetensors --prompt-file - --beam 8 < beginning.txt",
                      "mnemo generate tang/model.safetensors --form 七律 --title 秋思 --candidates 16"};
  command.notes =
      "The same seed gives the same text, whatever else is generated beside it. log_prob is that of the text after the "
      "prompt under the model itself, whatever the options.";
  auto o = std::make_shared<GenerateCommand>();
  SamplingOptions& s = o->options.sampling;
  command.argument("MODEL", &o->model, "Model file").required();
  command.group("Input");
  command.option("-p,--prompt", "TEXT", &o->prompt,
                 "Beginning of the text; for a model with text.reverse its end, from the beginning of a word on");
  command.option("--prompt-file", "FILE", &o->prompt_file, "The same from a file; - is standard input")
      .excludes({"--prompt"});
  add_invalid_utf8(command, o->invalid_utf8, "Bytes of the prompt file and the corpus that are not UTF-8");
  command.group("Sampling");
  const auto add = [&](const char* flags, const char* placeholder, auto* to, const char* name) -> CommandOption& {
    const SkillKey& key = generation_key(name);
    return command.option(flags, placeholder, to, key.help).range(key.low, key.high);
  };
  add("-l,--length", "N", &o->options.length, "length");
  command.option("-n,--samples", "N", &o->options.samples, "Number of texts, generated side by side").range(1, 1000000);
  add_sampling(command, s, o->options.seed);
  add("--repetition-penalty", "R", &s.repetition_penalty, "repetition_penalty");
  add("--no-repeat", "N", &s.no_repeat, "no_repeat");
  add("--candidates", "N", &o->candidates, "candidates").range(1, 100000);
  // Excludes what has no effect on a beam, which draws nothing.
  add("-b,--beam", "B", &o->beam, "beam")
      .range(0, 1000)
      .excludes({"--seed", "--temperature", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--candidates"});
  add_poem_form(command, o->poem, "Write in this form").excludes({"--length"});
  command.option("--title", "TEXT", &o->title, generation_key("title").help);
  command.option("--author", "NAME", &o->author, generation_key("author").help);
  command
      .option("--acrostic", "TEXT", &o->acrostic,
              "With --form: characters that begin the lines or, half as many, every other line")
      .needs("--form");
  command.flag("--allow-repeats", &o->repeats, "With --form: characters may occur twice in a poem").needs("--form");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"text", "jsonl"});
  command.option("--overlap", "CORPUS", &o->overlap,
                 "Report the longest run that each text shares with this corpus and the fraction of known n-grams");
  command.option("--format-in", "", &o->format_in, "With --overlap: format of the corpus")
      .one_of({"lines", "poems-json"})
      .needs("--overlap")
      .by_default("that of the training data");
  add_running(command, o->threads);
  command.run = [o] { return run_generate(*o); };
}

}  // namespace mnemo
