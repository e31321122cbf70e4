// mnemo generate: a text goes on.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "decode/generate.h"
#include "text/line_reader.h"
#include "train/text_language_model.h"

namespace mnemo {
namespace {

struct GenerateCommand {
  std::string model, prompt, prompt_file, format = "text", invalid_utf8 = "error";
  GenerateOptions options;
  std::int64_t beam = 0;
  int threads = 1;
};

void write(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("standard output: cannot write: {}", std::strerror(errno));
}

// The prompt as it was given, its last line without an end.
std::string read_prompt_text(const GenerateCommand& o) {
  if (o.prompt_file.empty()) {
    if (const auto bad = find_invalid_utf8(o.prompt)) throw UsageError("--prompt: is no valid UTF-8");
    return o.prompt;
  }
  LineReader lines(o.prompt_file, *invalid_utf8_from_name(o.invalid_utf8));
  std::string out, line;
  while (lines.next(line)) out += (lines.line_number() > 1 ? "\n" : "") + line;
  return out;
}

// Before the prompt stands a line's end. Throws Error that names the first unit that the model does not know.
std::vector<std::int32_t> encode_prompt(const TextLanguageModel& model, const std::string& prompt) {
  std::vector<std::int32_t> out{model.line_end()};
  Tokens tokens;
  const Tokenizer tokenizer(model.tokenizer_options());
  for (std::size_t at = 0, number = 1; at <= prompt.size() && !prompt.empty(); ++number) {
    const std::size_t end = std::min(prompt.find('\n', at), prompt.size());
    tokenizer.tokenize(std::string_view(prompt).substr(at, end - at), tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      out.push_back(model.vocabulary().find(tokens.text(i)));
      if (out.back() == Vocabulary::kUnknown && tokens.text(i) != Vocabulary::kUnknownText)
        fail("prompt, line {}, unit {}: the model does not know \"{}\"; it was not in its training data", number, i + 1,
             tokens.text(i));
    }
    if (end < prompt.size()) out.push_back(model.line_end());
    at = end + 1;
  }
  return out;
}

class Generation {
 public:
  explicit Generation(const GenerateCommand& o)
      : o_(o), pool_(o.threads), model_(TextLanguageModel::load(o.model)), prompt_(read_prompt_text(o)) {
    units_ = encode_prompt(*model_, prompt_);
  }

  void run() {
    GenerateOptions options = o_.options;
    options.blocked.assign(model_->vocabulary().size(), 0);
    options.blocked[Vocabulary::kUnknown] = 1;
    if (o_.beam > 0) {
      const BeamOptions beam{o_.beam, options.length, options.blocked, -1, options.sampling.no_repeat};
      auto texts = beam_search(model_->network(), units_, beam, pool_);
      texts.resize(std::min<std::size_t>(texts.size(), static_cast<std::size_t>(options.samples)));
      show(texts);
      return;
    }
    // The first sample is written as it grows.
    const bool grows = o_.format == "text" && options.samples == 1;
    if (!grows) return show(generate(model_->network(), units_, options, pool_));
    UnitJoiner joiner = begun();
    write(prompt_);
    const bool at_once = isatty(STDOUT_FILENO) != 0;
    std::string waiting;
    generate(model_->network(), units_, options, pool_, [&](std::int32_t unit) {
      waiting += joiner.add(unit);
      if (at_once || waiting.size() >= kWaiting) write(std::exchange(waiting, {}));
      return true;
    });
    write(waiting + "\n");
  }

 private:
  static constexpr std::size_t kWaiting = 1 << 12;

  // A joiner that has joined the prompt.
  UnitJoiner begun() const {
    UnitJoiner joiner(*model_);
    for (const std::int32_t unit : units_) joiner.add(unit);
    return joiner;
  }

  void show(const std::vector<GeneratedText>& texts) const {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      UnitJoiner joiner = begun();
      std::string text = prompt_;
      for (const std::int32_t unit : texts[i].units) text += joiner.add(unit);
      if (o_.format == "jsonl") {
        const nlohmann::ordered_json record{{"text", text},
                                            {"prompt", prompt_},
                                            {"units", texts[i].units.size()},
                                            {"log_prob", texts[i].log_probability}};
        write(record.dump() + "\n");
      } else {
        write((i > 0 ? "\n" : "") + text + "\n");
      }
    }
  }

  const GenerateCommand& o_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  std::string prompt_;
  std::vector<std::int32_t> units_;
};

int run_generate(const GenerateCommand& o) {
  Generation(o).run();
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand("generate", "Go on with a text by a language model");
  command->footer(
      "Examples:\n  mnemo generate run/model.safetensors --prompt 'ROMEO:' --length 300\n"
      "  mnemo generate run/model.safetensors --samples 8 --temperature 0.8 --top-p 0.95 --format jsonl\n"
      "  mnemo generate run/model.safetensors --prompt-file - --beam 8 < beginning.txt\n\n"
      "The same seed gives the same text, whatever else is generated beside it. log_prob is the model's own for what "
      "follows the prompt, whatever the options.");
  auto o = std::make_shared<GenerateCommand>();
  SamplingOptions& s = o->options.sampling;
  command->add_option("model", o->model, "Model file")->required()->type_name("MODEL");
  auto* prompt = command->add_option("--prompt", o->prompt, "What the text begins with")->type_name("TEXT");
  command->add_option("--prompt-file", o->prompt_file, "The same from a file; - is standard input")
      ->type_name("FILE")
      ->excludes(prompt);
  command->add_option("--length", o->options.length, "Units at the most: characters or words, as the model's")
      ->check(CLI::Range(0, 1000000000))
      ->capture_default_str();
  command->add_option("--samples", o->options.samples, "How many texts; generated side by side")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--seed", o->options.seed, "Seed of the choices")->capture_default_str();
  command->add_option("--temperature", s.temperature, "Below 1 likelier, above 1 less likely units; 0: the likeliest")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  command->add_option("--top-k", s.top_k, "Only the K most probable units; 0: all")
      ->check(CLI::Range(0, 1000000000))
      ->capture_default_str();
  command->add_option("--top-p", s.top_p, "The fewest units that together have this probability")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--min-p", s.min_p, "Units at least this share as probable as the most probable one")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--repetition-penalty", s.repetition_penalty, "Above 1: units that occurred become less probable")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  command->add_option("--no-repeat", s.no_repeat, "No sequence of N units occurs twice; 0: any may")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command
      ->add_option("--beam", o->beam, "Search the most probable texts with a beam of B instead of sampling; 0: sample")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_option("--format", o->format, "text or jsonl")
      ->check(CLI::IsMember({"text", "jsonl"}))
      ->capture_default_str();
  command
      ->add_option("--invalid-utf8", o->invalid_utf8,
                   "Of the prompt's file: error stops, replace puts U+FFFD, skip drops")
      ->check(CLI::IsMember({"error", "replace", "skip"}))
      ->capture_default_str();
  add_threads(command, o->threads);
  command->callback([&chosen, o] { chosen = [o] { return run_generate(*o); }; });
}

}  // namespace mnemo
