// mnemo score: log-probability and perplexity of each line under a language model. Lines are scored in blocks and
// written in order, at the latest when the input pauses; with --form, poems are checked against a form instead.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "apps/mnemo/adaptation_options.h"
#include "apps/mnemo/answering.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/poem_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "pipeline/line_scorer.h"
#include "pipeline/poem_score.h"
#include "pipeline/translation.h"
#include "tasks/task.h"
#include "text/line_reader.h"
#include "text/pairs.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Lines are scored in blocks: large enough for efficient products, small enough for memory.
constexpr std::int64_t kScoredLines = 512;
constexpr std::int64_t kScoredUnits = 1 << 15;
constexpr const char* kBlanks = " \t\u3000";  // a line of these alone separates poems
constexpr std::string_view kBar = " ||| ", kLastBar = " |||";

struct ScoreOptions {
  std::string model, nbest, source, format_in, format = "tsv", invalid_utf8 = "error";
  PoemFormOptions poem;
  AdaptationOptions adaptation;
  AnsweringOptions answering;
  std::vector<std::string> files;
  int threads = 1;

  /// The files that are read: that of an n-best list, or those given, or standard input.
  std::vector<std::string> inputs() const {
    return nbest.empty() ? or_standard_input(files) : std::vector<std::string>{nbest};
  }
};

// ID and text of a line of an n-best list.
std::pair<std::string_view, std::string_view> nbest_entry(std::string_view line, const LineReader& lines) {
  std::size_t begin = line.find(kBar);
  if (begin == std::string_view::npos && line.ends_with(kLastBar)) begin = line.size() - kLastBar.size();
  if (begin == std::string_view::npos)
    fail("{}:{}: expected ID{}TEXT, found no{}", lines.name(), lines.line_number(), kBar, kBar);
  // The bars of an empty text may have one blank between them.
  std::string_view text = line.substr(begin + kBar.size() - 1);
  text = text.substr(0, text.find(kBar));
  return {line.substr(0, begin), text.substr(std::min<std::size_t>(1, text.size()))};
}

class Scoring {
 public:
  Scoring(const ScoreOptions& o, std::unique_ptr<TextLanguageModel> model, Answers& answers)
      : o_(o), answers_(answers), pool_(o.threads), model_(std::move(model)), scorer_(*model_, o.adaptation, pool_) {}

  void run() {
    for (const std::string& file : o_.inputs()) {
      LineReader lines(file, *invalid_utf8_from_name(o_.invalid_utf8), o_.answering.part());
      lines.enter_lines();
      if (o_.answering.part()) lines_before_ = static_cast<std::int64_t>(lines.line_number());
      std::string line;
      try {
        while (lines.next(line)) {
          ids_.emplace_back();
          if (o_.answering.ids) ids_.back() = take_id(line, lines);
          scorer_.add(scored_part(line, lines));
          lines_.push_back(line);
          if (scorer_.lines() >= kScoredLines || scorer_.units() >= kScoredUnits || !lines.next_is_ready()) answer();
        }
      } catch (...) {
        answer();  // what was read before the error
        throw;
      }
      answer();
      answers_.count_replaced(lines.invalid_bytes());
    }
    if (units_ == 0) return say("no lines");
    const double nats = -log_probability_ / static_cast<double>(units_);
    say(fmt::format("{}, {}, {} unknown; perplexity {:.3f}, {:.4f} nats or {:.4f} bits per unit",
                    counted(line_number_, "line"), counted(units_, "unit"), unknown_, std::exp(nats), nats,
                    nats / std::log(2.0)));
  }

 private:
  // The whole line or, in an n-best list, the text.
  std::string_view scored_part(const std::string& line, const LineReader& lines) const {
    return o_.nbest.empty() ? line : nbest_entry(line, lines).second;
  }

  void answer() {
    std::string out;
    const std::vector<LineScore> scores = scorer_.take();
    for (std::size_t i = 0; i < scores.size(); ++i) append(lines_[i], ids_[i], scores[i], out);
    lines_.clear();
    ids_.erase(ids_.begin(), ids_.begin() + std::ssize(scores));
    answers_.put(out);
  }

  void append(const std::string& line, const std::optional<RecordId>& id, const LineScore& score, std::string& out) {
    const double sum = score.log_probability();
    const std::int64_t number = lines_before_ + ++line_number_;
    answers_.count(1, std::ssize(score.units));
    units_ += std::ssize(score.units);
    unknown_ += score.unknown;
    log_probability_ += sum;
    if (!o_.nbest.empty()) {
      out += fmt::format("{}{}{:.6f}\n", line, kBar, sum);
    } else if (o_.format == "jsonl") {
      Json record{{"line", number}};
      record.update(score.json(model_->vocabulary()));
      out += with_id(id, std::move(record)).dump() + "\n";
    } else {
      out +=
          fmt::format("{}{}\t{}\t{:.6f}\t{:.4f}\n", id_column(id), number, score.units.size(), sum, score.perplexity());
    }
  }

  const ScoreOptions& o_;
  Answers& answers_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  LineScorer scorer_;
  std::vector<std::string> lines_;
  std::vector<std::optional<RecordId>> ids_;  // of these
  std::int64_t line_number_ = 0, lines_before_ = 0, units_ = 0, unknown_ = 0;
  double log_probability_ = 0;
};

// Pairs of a line and its translation, for a translator: log p of the translation given the line.
class PairScoring {
 public:
  PairScoring(const ScoreOptions& o, std::unique_ptr<TextTranslator> model, Answers& answers)
      : o_(o),
        answers_(answers),
        policy_(*invalid_utf8_from_name(o.invalid_utf8)),
        pool_(o.threads),
        model_(std::move(model)) {}

  void run() {
    try {
      if (!o_.nbest.empty())
        rescore();
      else
        for (const std::string& file : o_.inputs()) score_file(file);
    } catch (...) {
      answer();  // what was read before the error
      throw;
    }
    answer();
    if (units_ == 0) return say("no pairs");
    const double nats = -log_probability_ / static_cast<double>(units_);
    say(fmt::format("{}, {}; perplexity {:.3f}, {:.4f} nats per unit", counted(number_, "pair"),
                    counted(units_, "unit"), std::exp(nats), nats));
  }

 private:
  void score_file(const std::string& path) {
    const DataConfig& trained = model_->config().data;
    std::string format = !o_.format_in.empty() ? o_.format_in : trained.format == "jsonl" ? "jsonl" : "tsv";
    if (o_.format_in.empty() && names_two_files(path)) format = "parallel";
    PairOptions options{*pair_format_from_name(format), "", "", policy_, o_.answering.ids, o_.answering.part()};
    // Columns and keys of the training data belong to their format.
    if (format == trained.format) options.source = trained.source, options.target = trained.target;
    const auto [source, target] =
        options.format == PairFormat::kParallel ? two_paths(path) : std::pair(path, std::string());
    const auto reader = PairReader::open(source, target, options);
    TextPair pair;
    std::int64_t line = 0;
    while (reader->next(pair)) {
      line = static_cast<std::int64_t>(pair.line);
      ids_.push_back(std::move(pair.id));
      add("", lines_before_ + line, pair.source, pair.target);
      if (!reader->next_is_ready()) answer();
    }
    lines_before_ += line;
    for (const PairReader::File& file : reader->files()) answers_.count_replaced(file.counts.invalid_bytes);
  }

  // Each entry's ID is the number of its line in the file of sources, from 0.
  void rescore() {
    if (o_.source.empty()) throw UsageError("--nbest: with a translator, only with --source FILE");
    std::vector<std::string> sources;
    LineReader source_lines(o_.source, policy_), lines(o_.nbest, policy_, o_.answering.part());
    lines.enter_lines();
    std::string line;
    while (source_lines.next(line)) sources.push_back(line);
    while (lines.next(line)) {
      const auto [id, text] = nbest_entry(line, lines);
      std::size_t number = 0;
      const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
      if (error != std::errc() || end != id.data() + id.size() || number >= sources.size())
        fail("{}:{}: expected the number of a line of {}, which has {}, found \"{}\"", lines.name(),
             lines.line_number(), source_lines.name(), sources.size(), shown(id));
      ids_.emplace_back();
      add(line, static_cast<std::int64_t>(lines.line_number()), sources[number], text);
      if (!lines.next_is_ready()) answer();
    }
    answers_.count_replaced(source_lines.invalid_bytes() + lines.invalid_bytes());
  }

  void add(const std::string& entry, std::int64_t line, std::string_view source, std::string_view target) {
    entries_.push_back(entry);
    lines_.push_back(line);
    targets_.emplace_back(target);
    pairs_.push_back(model_->encode(source, target));
    waiting_ += std::ssize(pairs_.back().source) + std::ssize(pairs_.back().target);
    if (std::ssize(pairs_) >= kScoredLines || waiting_ >= kScoredUnits) answer();
  }

  void answer() {
    Workspace workspace(pool_);
    const auto scores = model_->log_probabilities(pairs_, workspace);
    std::string out;
    for (std::size_t i = 0; i < pairs_.size(); ++i) append(i, scores[i], out);
    pairs_.clear();
    entries_.clear();
    lines_.clear();
    targets_.clear();
    ids_.clear();
    waiting_ = 0;
    answers_.put(out);
  }

  void append(std::size_t i, const std::vector<double>& log_p, std::string& out) {
    LineScore score{pairs_[i].target, log_p, std::ranges::count(pairs_[i].target, Vocabulary::kUnknown)};
    const double sum = score.log_probability();
    ++number_;
    answers_.count(1, std::ssize(log_p));
    units_ += std::ssize(log_p);
    log_probability_ += sum;
    if (!entries_[i].empty()) {
      out += fmt::format("{}{}{:.6f}\n", entries_[i], kBar, sum);
    } else if (o_.format == "jsonl") {
      Json record{{"line", lines_[i]}};
      record.update(pair_score_json(*model_, targets_[i], pairs_[i], log_p));
      out += with_id(ids_[i], std::move(record)).dump() + "\n";
    } else {
      out += fmt::format("{}{}\t{}\t{:.6f}\t{:.4f}\n", id_column(ids_[i]), lines_[i], score.units.size(), sum,
                         score.perplexity());
    }
  }

  const ScoreOptions& o_;
  Answers& answers_;
  InvalidUtf8 policy_;
  ThreadPool pool_;
  std::unique_ptr<TextTranslator> model_;
  std::vector<std::string> entries_, targets_;
  std::vector<std::int64_t> lines_;  // of the pairs that wait, from 1, over all files
  std::vector<EncodedPair> pairs_;
  std::vector<std::optional<RecordId>> ids_;  // of these
  std::int64_t waiting_ = 0, number_ = 0, units_ = 0, lines_before_ = 0;
  double log_probability_ = 0;
};

// Checks poems, which empty lines separate in a file, against a form.
class PoemScoring {
 public:
  PoemScoring(const ScoreOptions& o, Answers& answers)
      : o_(o),
        answers_(answers),
        form_(*read_form(o.poem)),
        book_(rhyme_book(o.poem, form_)),
        pool_(o.threads),
        model_(TextLanguageModel::load(o.model)) {}

  void run() {
    for (const std::string& file : o_.inputs()) {
      LineReader lines(file, *invalid_utf8_from_name(o_.invalid_utf8));
      std::string line, poem;
      const auto check_one = [&] {
        if (!poem.empty()) check(poem);
        poem.clear();
      };
      while (lines.next(line)) {
        if (line.find_first_not_of(kBlanks) == std::string::npos)
          check_one();
        else
          poem += (poem.empty() ? "" : "\n") + line;
        if (poem.size() > kMaxLineBytes)
          fail("{}:{}: a poem of more than {} MiB; poems are separated by empty lines", lines.name(),
               lines.line_number(), kMaxLineBytes >> 20);
      }
      check_one();
      answers_.count_replaced(lines.invalid_bytes());
    }
    say(fmt::format("{} poems, {} keep the form {} with --tones {}; {} unknown units", poems_, kept_, form_.name,
                    o_.poem.tones, unknown_));
  }

 private:
  void check(const std::string& text) {
    const PoemScore score = score_poem(*model_, form_, book_, text, pool_);
    ++poems_;
    kept_ += score.ok() ? 1 : 0;
    unknown_ += score.unknown;
    answers_.count(1, score.units);
    answers_.put(o_.format == "jsonl" ? score.json(poems_).dump() + "\n" : score.tsv(poems_));
  }

  const ScoreOptions& o_;
  Answers& answers_;
  PoemForm form_;
  RhymeBook book_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  std::int64_t poems_ = 0, kept_ = 0, unknown_ = 0;
};

int run_score(const ScoreOptions& o) {
  if (!o.poem.form.empty() && (!o.nbest.empty() || o.adaptation.any()))
    throw UsageError("--form: not with --nbest, --cache or --dynamic");
  if (!o.nbest.empty() && o.format != "tsv") throw UsageError("--nbest: writes its lines back, and takes no --format");
  if (!o.poem.form.empty()) o.answering.refuse_with("--form", "which numbers the poems of the whole input");
  if (!o.nbest.empty() && o.answering.ids) throw UsageError("--id: not with --nbest, whose lines have an ID");
  if (o.adaptation.any() && o.answering.part())
    throw UsageError("--part: not with --cache or --dynamic, where each line depends on those before it");
  std::vector<std::string> others{o.model};
  for (const std::string& beside : {o.source, o.poem.form})
    if (!beside.empty()) others.push_back(beside);
  Answers answers(o.answering, others, o.inputs());
  if (!o.poem.form.empty()) {
    PoemScoring(o, answers).run();
    answers.finish();
    return 0;
  }
  auto model = TextModel::map(o.model);
  const TaskTraits& task = task_of(*model).traits();
  if (task.scored == Scored::kNothing)
    fail("{}: a model for the task \"{}\"; score needs a language model or a translator", o.model, task.name);
  if (task.scored == Scored::kPairs) {
    if (o.adaptation.any()) throw UsageError("--cache, --dynamic: only for language models");
    PairScoring(o, model_as<TextTranslator>(std::move(model)), answers).run();
    answers.finish();
    return 0;
  }
  for (const auto& [given, name] : {std::pair{!o.source.empty(), "--source"}, {!o.format_in.empty(), "--format-in"}})
    if (given) throw UsageError(fmt::format("{}: only for translators", name));
  Scoring(o, model_as<TextLanguageModel>(std::move(model)), answers).run();
  answers.finish();
  return 0;
}

}  // namespace

void add_score(Command& program) {
  Command& command =
      program.add("score", "log-probability of each line under a language model, or of each pair under a translator");
  command.examples = {"mnemo score run/model.safetensors lines.txt",
                      "mnemo score run/model.safetensors -f jsonl < lines.txt  # of every unit, too",
                      "mnemo score run/model.safetensors --part 3/8 -o part3.tsv lines.txt",
                      "mnemo score run/model.safetensors --nbest list.txt  # lines of ID ||| TEXT",
                      "mnemo score tang/model.safetensors --form 七绝 poems.txt  # which rules are broken"};
  command.notes =
      "tsv: LINE, UNITS, LOG_PROB, PERPLEXITY, separated by tabs, in nats. Each line is scored by itself, as the "
      "beginning of a text, and its end counts as a unit; with --cache or --dynamic the model adapts to earlier lines. "
      "Totals over all lines go to standard error.\n"
      "For a translator FILE has pairs: source, tab, target on each line, or objects with source and target; or it is "
      "SOURCE,TARGET, two files line by line. LINE counts empty lines, too, which have no record.\n"
      "With --form, poems are separated by empty lines; tsv: POEM, 0, LOG_PROB, PERPLEXITY, RHYME, FAULTS, then for "
      "each line of verse POEM, LINE, TEXT, TONES, FAULTS, with 平 level, 仄 oblique, 通 either, ？ unknown, and ok "
      "where no rule is broken.";
  auto o = std::make_shared<ScoreOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("FILE", &o->files, "Lines of text; - or no file: standard input");
  command.group("Input");
  command
      .option("--nbest", "FILE", &o->nbest,
              "Lines of ID ||| TEXT to be rescored, with or without more after another |||")
      .excludes({"FILE"});
  command.option("--source", "FILE", &o->source, "For a translator: the lines whose numbers, from 0, are the IDs")
      .needs("--nbest");
  command.option("--format-in", "", &o->format_in, "For a translator: format of the pairs")
      .one_of({"parallel", "tsv", "jsonl"})
      .by_default("parallel if FILE is SOURCE,TARGET; else jsonl if the model was trained on it; else tsv");
  add_invalid_utf8(command, o->invalid_utf8, "Bytes that are not UTF-8");
  add_part(command, o->answering, "It is the first column of tsv, or the key id of jsonl");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"tsv", "jsonl"});
  add_output(command, o->answering);
  add_poem_form(command, o->poem, "Check poems of this form", "loose");
  add_adaptation(command, o->adaptation);
  add_running(command, o->threads);
  command.run = [o] { return run_score(*o); };
}

}  // namespace mnemo
