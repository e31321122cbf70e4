// mnemo translate: one line out for each line in, in order, in constant memory. Lines are translated in blocks, and
// written at the latest when the input pauses.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "apps/mnemo/answering.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/sampling_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "decode/required.h"
#include "pipeline/translation_writer.h"
#include "text/line_reader.h"
#include "text/records.h"

namespace mnemo {
namespace {

// Limits of a block: large enough for batches of similar length, small enough for memory.
constexpr std::int64_t kBlockLines = 2048;
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

struct TranslateCommand {
  std::string model, format = "text", prefix, glossary, unknown, alignment;
  std::vector<std::string> files;
  TranslationOptions options;
  SamplingOptions sampling;
  DataOptions input;
  AnsweringOptions answering;
  bool sample = false;
  int threads = 1;

  /// What is read but for the lines.
  std::vector<std::string> read_beside() const {
    std::vector<std::string> out{model};
    for (const std::string* file : {&prefix, &glossary, &unknown})
      if (!file->empty()) out.push_back(*file);
    return out;
  }
};

// Beginnings of translations in a file beside the input, one for each line of it.
class Prefixes {
 public:
  Prefixes(const std::string& path, InvalidUtf8 policy, const RequiredText& required)
      : reader_(path, policy), required_(required) {}

  std::string next() {
    std::string line;
    if (!reader_.next(line))
      fail("{}: has {}, expected one for each line of the input", reader_.name(),
           counted(static_cast<std::int64_t>(reader_.line_number()), "line"));
    try {
      required_.constraint(line, {});
    } catch (const Error& error) {
      fail("{}:{}: {}", reader_.name(), reader_.line_number(), error.what());
    }
    return line;
  }

  void check_end(std::int64_t lines) {
    std::string rest;
    if (!reader_.next(rest)) return;
    while (reader_.next(rest)) {
    }
    fail("{}: has {}, the input has {}: expected one for each", reader_.name(),
         counted(static_cast<std::int64_t>(reader_.line_number()), "line"), lines);
  }

 private:
  LineReader reader_;
  const RequiredText& required_;
};

class Translating {
 public:
  explicit Translating(const TranslateCommand& o)
      : o_(o),
        answers_(o.answering, o.read_beside(), o.files),
        policy_(o.input.policy()),
        pool_(o.threads),
        model_(TextTranslator::map(o.model)),
        options_(o.options),
        required_(std::make_shared<const RequiredText>(required_text(*model_))),
        writer_(*model_, writer_options()) {
    options_.required = required_;
    if (o.sample) options_.sampling = o.sampling;
    options_.unknown = !o.unknown.empty();
    options_.attention = o.format != "text" || !o.alignment.empty() || replaces_unknown();
    if (!o.glossary.empty())
      options_.glossary = read_term_pairs(o.glossary, policy_,
                                          [this](const std::string& target) { required_->constraint("", {target}); });
    if (!o.prefix.empty()) prefixes_.emplace(o.prefix, policy_, *required_);
    if (o.alignment.empty()) return;
    check_is_no_input("--alignment", o.alignment, o.read_beside());
    check_is_no_input("--alignment", o.alignment, or_standard_input(o.files));
    alignment_ = std::make_unique<AtomicFile>(o.alignment);
    alignment_->remove_on_signal();
  }

  void run() {
    answers_.put(writer_.head());
    for (const std::string& file : or_standard_input(o_.files)) translate_file(file);
    if (prefixes_) prefixes_->check_end(number_);
    answers_.put(writer_.tail());
    if (alignment_) alignment_->commit();
    answers_.finish();
  }

 private:
  bool replaces_unknown() const { return !o_.unknown.empty() && o_.unknown != "keep"; }

  TranslationWriterOptions writer_options() const {
    TranslationWriterOptions out;
    out.format = o_.format == "jsonl"  ? TranslationFormat::kJsonl
                 : o_.format == "html" ? TranslationFormat::kHtml
                                       : TranslationFormat::kText;
    out.nbest = o_.options.nbest;
    if (!replaces_unknown()) return out;
    if (!model_->target().text.blanks_between_units())
      throw UsageError(fmt::format(
          "--unknown: only where words are the units of the translation, which they are not in {}", o_.model));
    out.replace_unknown = true;
    if (o_.unknown != "source")
      for (auto& [source, target] : read_term_pairs(o_.unknown, policy_)) out.entries.emplace(source, target);
    return out;
  }

  // How the lines are found in a file: there is no label, for which the source stands in.
  RecordOptions record_options() const {
    const std::string& format = o_.input.format_in;
    RecordOptions out;
    out.format = format.empty() ? Format::kLines : *format_from_name(format);
    out.invalid_utf8 = policy_;
    out.require_label = false;
    out.ids = o_.answering.ids;
    out.part = o_.answering.part();
    if (out.format == Format::kLines) return out;
    // Columns and keys of the training data belong to their format.
    const DataConfig& trained = model_->config().data;
    if (format == trained.format) out.text = trained.source;
    if (out.text.empty()) out.text = out.format == Format::kTsv ? "1" : "source";
    out.label = out.text;
    return out;
  }

  void translate_file(const std::string& path) {
    const auto reader = open_records(path, record_options());
    for (bool more = true; more;) {
      bool wait = false;
      try {
        more = take_line(*reader);
        wait = more && std::ssize(lines_) < kBlockLines && bytes_ < kBlockBytes && reader->next_is_ready();
      } catch (...) {
        answer();  // what was read before the error
        throw;
      }
      if (!wait) answer();
    }
    answers_.count_replaced(reader->counts().invalid_bytes);
  }

  // Reads a line and what belongs to it; false at the end.
  bool take_line(RecordReader& reader) {
    Record record;
    if (!reader.next(record)) return false;
    if (record.text.find('\n') != std::string::npos)
      fail("{}:{}: the text has a line break, expected one line", reader.name(), record.line);
    // A part's lines have the numbers of the whole file: there is one record in each.
    if (o_.answering.part() && number_ == 0 && lines_.empty())
      number_ = static_cast<std::int64_t>(record.line - 1 - reader.header_lines());
    if (prefixes_) options_.prefixes.push_back(prefixes_->next());
    bytes_ += record.text.size();
    lines_.push_back(std::move(record.text));
    ids_.push_back(std::move(record.id));
    return true;
  }

  void answer() {
    std::string out;
    auto translations = translate(*model_, lines_, options_, pool_, number_);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      writer_.replace_unknown(lines_[i], translations[i]);
      if (alignment_) alignment_->write(writer_.alignment(lines_[i], translations[i].front()) + "\n");
      answers_.count(1, std::ssize(translations[i].front().units));
      writer_.write(lines_[i], translations[i], number_++, ids_[i], [&](std::string_view part) {
        out += part;
        if (out.size() < kBlockBytes) return;
        answers_.put(out);
        out.clear();
      });
      translations[i] = {};
    }
    lines_.clear();
    ids_.clear();
    options_.prefixes.clear();
    bytes_ = 0;
    answers_.put(out);
  }

  const TranslateCommand& o_;
  Answers answers_;
  InvalidUtf8 policy_;
  ThreadPool pool_;
  std::unique_ptr<TextTranslator> model_;
  TranslationOptions options_;
  std::shared_ptr<const RequiredText> required_;
  TranslationWriter writer_;
  std::optional<Prefixes> prefixes_;
  std::unique_ptr<AtomicFile> alignment_;
  std::vector<std::string> lines_;
  std::vector<std::optional<RecordId>> ids_;  // of these
  std::size_t bytes_ = 0;
  std::int64_t number_ = 0;
};

int run_translate(const TranslateCommand& o) {
  if (!o.glossary.empty() && (o.sample || o.options.beam == 1))
    throw UsageError("--glossary: needs a beam of two or more, and no --sample");
  if (o.format == "html") o.answering.refuse_with("--format html", "which is one document");
  if (!o.prefix.empty() && o.answering.part())
    throw UsageError("--part: not with --prefix, a file that has a line for each line of the whole input");
  if (!o.alignment.empty() && o.alignment == o.answering.output)
    throw UsageError(fmt::format("--alignment {}: is the file of -o, too; name another file", o.alignment));
  if (o.alignment == "-") throw UsageError("--alignment -: standard output has the translations; expected a file");
  const bool reads_input = o.files.empty() || std::ranges::count(o.files, "-") > 0;
  for (const auto& [name, path] : {std::pair{"--prefix", &o.prefix}, {"--glossary", &o.glossary}})
    if (*path == "-" && reads_input)
      throw UsageError(fmt::format("{} -: standard input has the lines to translate; expected a file", name));
  if (o.options.nbest > 1 && (o.sample || o.options.beam < o.options.nbest))
    throw UsageError(fmt::format("--nbest {}: a beam of {} finds at most {}", o.options.nbest,
                                 o.sample ? 1 : o.options.beam, o.sample ? 1 : o.options.beam));
  if (o.options.shortest > o.options.longest)
    throw UsageError(fmt::format("--shortest {}: more than --longest {}", o.options.shortest, o.options.longest));
  Translating(o).run();
  return 0;
}

}  // namespace

// Long because it is a list: one statement per option.
void add_translate(Command& program) {
  Command& command = program.add("translate", "translate lines");
  command.examples = {"mnemo translate run/model.safetensors lines.de > lines.en",
                      "echo 'ein Hund läuft im Schnee .' | mnemo translate run/model.safetensors --nbest 3",
                      "mnemo translate run/model.safetensors -f html lines.de > attention.html",
                      "mnemo translate run/model.safetensors --part 3/8 -o part3.en lines.de"};
  command.notes =
      "One line in, one line out, in order; an empty line gives an empty one. A line's translation does not depend on "
      "the lines around it.\n"
      "--format-in tsv takes column 1 of each line and jsonl the key source of each object, or the column or key that "
      "the model was trained on.";
  auto o = std::make_shared<TranslateCommand>();
  TranslationOptions& t = o->options;
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("FILE", &o->files, "Lines of text; - or no file: standard input");
  add_data_options(command, o->input, {"lines", "tsv", "jsonl"}, "lines");
  add_part(command, o->answering, "It is the first column of text, or the key id of jsonl");
  command.group("Search");
  command.option("-b,--beam", "B", &t.beam, "Hypotheses of a line that are kept at each step; 1: greedy")
      .range(1, 1000);
  command
      .option("-n,--nbest", "N", &t.nbest,
              "Translations of each line with different texts, the best first; fewer if the beam finds no more. With N "
              "above 1, text output is NUMBER ||| TEXT ||| SCORE, lines numbered from 0")
      .range(1, 1000);
  command
      .option("--length-penalty", "A", &t.length_penalty,
              "Translations of n units compete by log-probability / ((5 + n) / 6)^A: higher favours longer ones")
      .range(0, 10);
  command
      .option("--coverage-penalty", "B", &t.coverage_penalty,
              "Weight of the penalty for parts of the source that got little attention (Wu et al. 2016)")
      .range(0, 100);
  command
      .option("--longest", "F", &t.longest,
              "Most units of a translation, as a factor of what train had on average for as long a source, beside ten")
      .range(0, 100);
  command.option("--shortest", "F", &t.shortest, "Fewest units of a translation, as such a factor").range(0, 100);
  command
      .option("--no-repeat", "N", &t.no_repeat,
              "No sequence of N units occurs twice in a translation, except for what --prefix and --glossary require; "
              "0: any may")
      .range(0, 1000);
  command.group("Sampling");
  command.flag("--sample", &o->sample, "Draw one translation of each line instead of searching")
      .excludes({"--beam", "--nbest", "--length-penalty", "--coverage-penalty"});
  add_sampling(command, o->sampling, t.seed, "--sample");
  command.group("Requirements");
  command.option("--prefix", "FILE", &o->prefix,
                 "What the translation of each line must begin with, line by line; an empty line asks for nothing");
  command.option("--glossary", "FILE", &o->glossary,
                 "SOURCE, tab, TARGET on each line: a translation has TARGET if its line has SOURCE");
  command
      .option("--unknown", "keep|source|FILE", &o->unknown,
              "For models of words: let a translation have unknown words, kept as <unk>, or replaced by the word of "
              "the source that they stand for or by its entry in a file of SOURCE, tab, TARGET")
      .by_default("no unknown word is chosen");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "Output format: html has a matrix of attention for each line")
      .one_of({"text", "jsonl", "html"});
  command.option("--alignment", "FILE", &o->alignment,
                 "Write links i-j between words of the line and of its translation, from 0; FILE appears at the end");
  add_output(command, o->answering);
  add_running(command, o->threads);
  command.run = [o] { return run_translate(*o); };
}

}  // namespace mnemo
