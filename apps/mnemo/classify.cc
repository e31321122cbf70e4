// mnemo classify: one record out for each record in, in order, in constant memory.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "apps/mnemo/answering.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "pipeline/averaged_classifiers.h"
#include "pipeline/text_classifier.h"
#include "tasks/classify/data.h"
#include "text/records.h"

namespace mnemo {
namespace {

// Records are classified in blocks: large enough for efficient products, small enough for memory.
constexpr std::int64_t kBlockRecords = 1024;
constexpr std::int64_t kBlockUnits = 1 << 15;

struct ClassifyOptions {
  std::string model, format = "tsv";
  std::vector<std::string> files, with;
  std::optional<int> top;
  std::optional<double> threshold;
  bool raw = false, explain = false;
  DataOptions input;
  AnsweringOptions answering;
  int threads = 1;

  std::vector<std::string> models() const {
    std::vector<std::string> out = with;
    out.push_back(model);
    return out;
  }
};

// A label as one field of a line: control characters become blanks.
std::string one_field(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

class Classification {
 public:
  explicit Classification(const ClassifyOptions& o)
      : options_(o),
        answers_(o.answering, o.models(), o.files),
        pool_(o.threads),
        model_(TextClassifier::map(o.model)),
        all_(*model_) {
    for (const std::string& path : o.with) {
      others_.push_back(TextClassifier::map(path));
      all_.add(*others_.back(), path, o.model);
    }
    corpora_.resize(all_.models().size());
    for (const std::string& label : model_->labels()) fields_.push_back(one_field(label));
  }

  void run(const std::string& path) {
    RecordOptions record_options;
    const DataConfig& trained = model_->config().data;
    if (options_.input.format_in.empty()) {
      record_options.format = Format::kLines;
      record_options.invalid_utf8 = options_.input.policy();
    } else {
      DataFile file;
      file.format = options_.input.format_in;
      DataConfig data = trained;
      if (options_.input.format_in != trained.format) forget_columns(data, options_.input.format_in);
      record_options = mnemo::record_options(data, file, options_.input.policy());
      record_options.phrases = false;
    }
    record_options.require_label = false;
    record_options.ids = options_.answering.ids;
    record_options.part = options_.answering.part();
    const auto reader = open_records(path, record_options);
    Record record;
    try {
      while (reader->next(record)) {
        for (std::size_t m = 0; m < corpora_.size(); ++m) {
          all_.models()[m]->encode(record.text, encoded_);
          corpora_[m].add(encoded_);
        }
        if (options_.explain) texts_.push_back(record.text);
        ids_.push_back(std::move(record.id));
        const bool full = corpora_[0].size() >= kBlockRecords || corpora_[0].units() >= kBlockUnits;
        if (full || !reader->next_is_ready()) answer();
      }
    } catch (...) {
      answer();  // what was read before the error
      throw;
    }
    answer();
    answers_.count_replaced(reader->counts().invalid_bytes);
  }

  void finish() { answers_.finish(); }

 private:
  void answer() {
    if (corpora_[0].size() > 0) {
      std::vector<std::vector<float>> logits;
      for (std::size_t m = 0; m < corpora_.size(); ++m)
        logits.push_back(all_.models()[m]->logits(corpora_[m], workspace_));
      const auto p = all_.probabilities(logits, !options_.raw);
      const auto K = static_cast<std::int64_t>(model_->labels().size());
      for (std::int64_t i = 0; i < corpora_[0].size(); ++i) append(i, p.data() + i * K);
      answers_.count(corpora_[0].size(), corpora_[0].units());
      for (Corpus& corpus : corpora_) corpus.clear();
      texts_.clear();
      ids_.clear();
    }
    answers_.put(out_);
    out_.clear();
  }

  void append(std::int64_t text, const float* p) {
    const auto ids = model_->chosen_labels(p, {options_.top, options_.threshold});
    const std::optional<RecordId>& id = ids_[static_cast<std::size_t>(text)];
    const auto why = options_.explain ? model_->reasons(texts_[static_cast<std::size_t>(text)], workspace_)
                                      : TextClassifier::Reasons();
    if (options_.format == "jsonl") {
      Json line = model_->labels_json(p, ids);
      if (options_.explain) line["explain"] = TextClassifier::reasons_json(why);
      out_ += with_id(id, std::move(line)).dump() + "\n";
      return;
    }
    out_ += id_column(id);
    for (std::size_t i = 0; i < ids.size(); ++i)
      fmt::format_to(std::back_inserter(out_), "{}{}\t{:.6f}", i == 0 ? "" : "\t", fields_[ids[i]], p[ids[i]]);
    if (ids.empty()) out_ += "-";
    if (options_.explain) {
      out_ += "\t";
      for (std::size_t k = 0; k < why.size(); ++k) out_ += (k == 0 ? "" : " ") + one_field(why[k].first);
    }
    out_ += "\n";
  }

  const ClassifyOptions& options_;
  Answers answers_;
  ThreadPool pool_;
  Workspace workspace_{pool_};
  std::unique_ptr<TextClassifier> model_;
  std::vector<std::unique_ptr<TextClassifier>> others_;
  AveragedClassifiers all_;
  std::vector<std::string> fields_, texts_;
  std::vector<std::optional<RecordId>> ids_;  // of the same texts
  std::vector<Corpus> corpora_;               // the same texts, as each model has them
  EncodedText encoded_;
  std::string out_;
};

int run_classify(const ClassifyOptions& o) {
  Classification classification(o);
  for (const std::string& file : or_standard_input(o.files)) classification.run(file);
  classification.finish();
  return 0;
}

}  // namespace

void add_classify(Command& program) {
  Command& command = program.add("classify", "label texts, one per line");
  command.examples = {"mnemo classify run/model.safetensors reviews.txt",
                      "echo 'a fine film' | mnemo classify run/model.safetensors --top 2",
                      "mnemo classify run/model.safetensors --format-in jsonl -f jsonl < texts.jsonl",
                      "mnemo classify run/model.safetensors --part 3/8 -o part3.tsv reviews.txt"};
  command.notes = "tsv: LABEL<TAB>PROBABILITY, repeated with --top; - if no label reaches the threshold.";
  auto o = std::make_shared<ClassifyOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("FILE", &o->files, "Texts, one per line; - or no file: standard input");
  add_data_options(command, o->input, kTextFormats, "lines");
  add_part(command, o->answering,
           "Of csv it is the first column. Answers have it as the first column of tsv, or as the key id of jsonl");
  command.group("Output");
  command.option("-k,--top", "K", &o->top, "Number of labels to show, the most probable first")
      .range(1, 1 << 20)
      .by_default("1; those at the threshold if texts have several labels");
  command.option("--threshold", "P", &o->threshold, "Lowest probability of a label that is shown")
      .range(0, 1)
      .by_default("0.5 if texts have several labels, else 0");
  command
      .option("--with", "MODEL", &o->with,
              "Another classifier of the same labels, to answer together: the probabilities are the means of those of "
              "all, calibrated each by itself; may be given repeatedly")
      .excludes({"--explain"});
  command.flag("--raw", &o->raw, "Probabilities before calibration");
  command.flag(
      "--explain", &o->explain,
      "The three words, or units of other kinds, that speak most for the first label, with their part of its "
      "logit in jsonl; fewer if fewer speak for it. Each is left out once; in texts of over 1000 words runs of "
      "them are, which is about 300 times the work");
  command.option("-f,--format", "", &o->format, "Output format").one_of({"tsv", "jsonl"});
  add_output(command, o->answering);
  add_running(command, o->threads);
  command.run = [o] { return run_classify(*o); };
}

}  // namespace mnemo
