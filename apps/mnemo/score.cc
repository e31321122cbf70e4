// mnemo score: what a language model says of each line.
#include <fmt/ranges.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/mnemo/adaptation_options.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/poem_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "tasks/generate/training.h"
#include "text/line_reader.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// Lines that are scored at once: enough for the products, little enough for memory.
constexpr std::size_t kBlockLines = 512;
constexpr std::size_t kBlockUnits = 1 << 15;
constexpr const char* kBlanks = " \t\u3000";  // of which a line that parts poems may consist
constexpr std::string_view kBar = " ||| ";

struct ScoreOptions {
  std::string model, nbest, format = "tsv", invalid_utf8 = "error";
  PoemFormOptions poem;
  AdaptationOptions adaptation;
  std::vector<std::string> files;
  int threads = 1;
};

class Scoring {
 public:
  explicit Scoring(const ScoreOptions& o)
      : o_(o),
        pool_(o.threads),
        model_(load_for(o.adaptation, read_model(o.model, TextLanguageModel::kTask))),
        before_(model_->tells() ? 1 : 0) {
    if (o.adaptation.any()) adaptive_.emplace(*model_, o.adaptation, pool_);
  }

  void run() {
    std::vector<std::string> files = o_.files;
    if (!o_.nbest.empty()) files = {o_.nbest};
    if (files.empty()) files = {"-"};
    for (const std::string& file : files) {
      LineReader lines(file, *invalid_utf8_from_name(o_.invalid_utf8));
      std::string line;
      try {
        while (lines.next(line)) {
          add(line, lines);
          if (lines_.size() >= kBlockLines || ids_.size() >= kBlockUnits || !lines.next_is_ready()) answer();
        }
      } catch (...) {
        answer();  // what was read before the error
        throw;
      }
      answer();
    }
    if (units_ == 0) return say("no lines");
    const double nats = -log_probability_ / static_cast<double>(units_);
    say(fmt::format("{} lines, {} units, {} unknown; perplexity {:.3f}, {:.4f} nats or {:.4f} bits a unit",
                    line_number_, units_, unknown_, std::exp(nats), nats, nats / std::log(2.0)));
  }

 private:
  void add(const std::string& line, const LineReader& lines) {
    std::string_view text = line;
    if (!o_.nbest.empty()) {
      const std::size_t begin = line.find(kBar);
      if (begin == std::string::npos)
        fail("{}:{}: expected ID{}TEXT, found no{}", lines.name(), lines.line_number(), kBar, kBar);
      text = text.substr(begin + kBar.size());
      text = text.substr(0, text.find(kBar));
    }
    line_unknown_.push_back(model_->encode_line(text, tokens_, ids_));
    starts_.push_back(std::ssize(ids_));
    lines_.push_back(line);
  }

  void answer() {
    std::vector<double> log_p(ids_.size());
    std::vector<StreamLoss::Lane> lanes;
    for (std::size_t i = 0; i < lines_.size(); ++i) lanes.push_back({starts_[i], starts_[i] + before_, starts_[i + 1]});
    const ReadUnits read = [&](std::int64_t first, std::span<std::int32_t> out) {
      std::copy_n(ids_.begin() + first, out.size(), out.begin());
    };
    const StreamLoss::Use use = [&](std::int32_t, std::int64_t place, double one) { log_p[place] = one; };
    if (adaptive_)
      for (const StreamLoss::Lane& lane : lanes) adaptive_->measure(read, lane, use);
    else
      StreamLoss(std::move(lanes)).measure(*model_, read, pool_, use);
    for (std::size_t i = 0; i < lines_.size(); ++i)
      show(i, std::span(log_p).subspan(starts_[i] + before_, starts_[i + 1] - starts_[i] - before_));
    lines_.clear();
    line_unknown_.clear();
    ids_.clear();
    starts_.assign(1, 0);
    put(out_);
    out_.clear();
  }

  void show(std::size_t i, std::span<const double> log_p) {
    double sum = 0;
    for (const double one : log_p) sum += one;
    ++line_number_;
    units_ += std::ssize(log_p);
    unknown_ += line_unknown_[i];
    log_probability_ += sum;
    const double perplexity = std::exp(-sum / static_cast<double>(log_p.size()));
    if (!o_.nbest.empty()) {
      out_ += fmt::format("{}{}{:.6f}\n", lines_[i], kBar, sum);
    } else if (o_.format == "jsonl") {
      nlohmann::ordered_json record{{"line", line_number_},
                                    {"units", log_p.size()},
                                    {"unknown", line_unknown_[i]},
                                    {"log_prob", sum},
                                    {"perplexity", perplexity}};
      for (std::size_t t = 0; t < log_p.size(); ++t)
        record["unit_log_probs"].push_back(
            {model_->vocabulary().text(ids_[static_cast<std::size_t>(starts_[i] + before_) + t]), log_p[t]});
      out_ += record.dump() + "\n";
    } else {
      out_ += fmt::format("{}\t{}\t{:.6f}\t{:.4f}\n", line_number_, log_p.size(), sum, perplexity);
    }
  }

  const ScoreOptions& o_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  std::int64_t before_;  // units of a line that are not scored
  std::optional<AdaptiveLoss> adaptive_;
  Tokens tokens_;
  std::vector<std::string> lines_;
  std::vector<std::int64_t> line_unknown_, starts_{0};
  std::vector<std::int32_t> ids_;
  std::string out_;
  std::int64_t line_number_ = 0, units_ = 0, unknown_ = 0;
  double log_probability_ = 0;
};

// Poems against a form: those of a file are parted by empty lines.
class PoemScoring {
 public:
  explicit PoemScoring(const ScoreOptions& o)
      : o_(o),
        form_(*read_form(o.poem)),
        book_(rhyme_book(o.poem, form_)),
        pool_(o.threads),
        model_(TextLanguageModel::load(o.model)) {}

  void run() {
    for (const std::string& file : o_.files.empty() ? std::vector<std::string>{"-"} : o_.files) {
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
      }
      check_one();
    }
    say(fmt::format("{} poems, {} keep the form {} with --tones {}; {} unknown units", poems_, kept_, form_.name,
                    o_.poem.tones, unknown_));
  }

 private:
  void check(const std::string& text) {
    ++poems_;
    const std::string body = without_marks(text);
    const auto lines = lines_of(form_, body);
    const PoemCheck found = check_poem(form_, lines, book_, true);
    kept_ += found.faults.empty() ? 1 : 0;
    const auto [log_p, units, unknown] = log_probability(body);
    unknown_ += unknown;
    const auto faults_of = [&](int line) {
      std::vector<std::string> out;
      for (const PoemFault& fault : found.faults)
        if (fault.line == line) out.push_back(fault.message);
      return out;
    };
    const double perplexity = std::exp(-log_p / static_cast<double>(units));
    if (o_.format == "jsonl") {
      nlohmann::ordered_json record{{"poem", poems_},
                                    {"ok", found.faults.empty()},
                                    {"rhyme", found.rhyme},
                                    {"faults", faults_of(-1)},
                                    {"units", units},
                                    {"unknown", unknown},
                                    {"log_prob", log_p},
                                    {"perplexity", perplexity},
                                    {"lines", nlohmann::ordered_json::array()}};
      for (std::size_t l = 0; l < lines.size(); ++l)
        record["lines"].push_back(
            {{"text", to_utf8(lines[l])}, {"tones", found.tones[l]}, {"faults", faults_of(static_cast<int>(l))}});
      return put(record.dump() + "\n");
    }
    const auto verdict = [](const std::vector<std::string>& faults) {
      return faults.empty() ? std::string("ok") : fmt::format("{}", fmt::join(faults, "; "));
    };
    std::string out =
        fmt::format("{}\t0\t{:.6f}\t{:.4f}\t{}\t{}\n", poems_, log_p, perplexity, found.rhyme, verdict(faults_of(-1)));
    for (std::size_t l = 0; l < lines.size(); ++l)
      out += fmt::format("{}\t{}\t{}\t{}\t{}\n", poems_, l + 1, to_utf8(lines[l]), found.tones[l],
                         verdict(faults_of(static_cast<int>(l))));
    put(out);
  }

  struct Judged {
    double log_probability = 0;
    std::int64_t units = 0, unknown = 0;
  };

  // What the model says of the poem, of which it is told nothing but the form.
  Judged log_probability(const std::string& body) {
    std::vector<std::int32_t> ids;
    std::int64_t before = 0;
    Tokens tokens;
    const Tokenizer tokenizer(model_->tokenizer_options());
    const Poem poem{.title = {}, .author = {}, .form = form_.name, .body = body};
    Judged out;
    for_record_units(poem, model_->tells(), tokenizer, tokens, [&](Section section, std::string_view unit) {
      if (section == Section::kForm && !model_->vocabulary().contains(unit)) return;
      if (unit == TextLanguageModel::kRecordEnd) return ids.push_back(model_->text_end());
      ids.push_back(model_->vocabulary().find(unit));
      if (section != Section::kBody) ++before;
      if (ids.back() == Vocabulary::kUnknown) ++out.unknown;
    });
    const std::vector<double> log_p = model_->log_probabilities(ids, pool_);
    for (const double one : std::span(log_p).subspan(static_cast<std::size_t>(before))) out.log_probability += one;
    out.units = std::ssize(ids) - before;
    return out;
  }

  const ScoreOptions& o_;
  PoemForm form_;
  RhymeBook book_;
  ThreadPool pool_;
  std::unique_ptr<TextLanguageModel> model_;
  std::int64_t poems_ = 0, kept_ = 0, unknown_ = 0;
};

int run_score(const ScoreOptions& o) {
  if (!o.poem.form.empty() && (!o.nbest.empty() || o.adaptation.any()))
    throw UsageError("--form: not with --nbest, --cache or --dynamic");
  if (!o.nbest.empty() && o.format != "tsv") throw UsageError("--nbest: gives its lines back, whatever --format says");
  if (o.poem.form.empty())
    Scoring(o).run();
  else
    PoemScoring(o).run();
  return 0;
}

}  // namespace

void add_score(Command& program) {
  Command& command = program.add("score", "log-probability and perplexity of each line by a language model");
  command.examples = {"mnemo score run/model.safetensors lines.txt",
                      "mnemo score run/model.safetensors -f jsonl < lines.txt  # of every unit too",
                      "mnemo score run/model.safetensors --nbest list.txt  # lines of ID ||| TEXT",
                      "mnemo score tang/model.safetensors --form 七绝 poems.txt  # which rules are broken"};
  command.notes =
      "tsv: LINE, UNITS, LOG_PROB, PERPLEXITY between tabs, in nats. Each line is scored by itself, as if it began the "
      "text, its end being a unit; with --cache or --dynamic the later ones by what the earlier ones taught. What all "
      "lines have together goes to standard error.\n"
      "With --form, poems are parted by empty lines; tsv: POEM, 0, LOG_PROB, PERPLEXITY, RHYME, FAULTS, then for each "
      "line of verse POEM, LINE, TEXT, TONES, FAULTS, with 平 level, 仄 oblique, 通 either, ？ unknown, and ok where "
      "no "
      "rule is broken.";
  auto o = std::make_shared<ScoreOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("FILE", &o->files, "Lines of text; - or none is standard input");
  command.group("Input");
  command
      .option("--nbest", "FILE", &o->nbest,
              "Lines of ID ||| TEXT, with or without more behind another |||, to be rescored")
      .excludes({"FILE"});
  add_invalid_utf8(command, o->invalid_utf8, "Bytes that are not UTF-8");
  command.group("Output");
  command.option("-f,--format", "", &o->format, "How results are written").one_of({"tsv", "jsonl"});
  add_poem_form(command, o->poem, "Check poems of this form", "loose");
  add_adaptation(command, o->adaptation);
  add_running(command, o->threads);
  command.run = [o] { return run_score(*o); };
}

}  // namespace mnemo
