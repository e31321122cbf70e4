// mnemo tag: writes every sentence as it was read, in order, with its tags. Sentences are tagged in blocks; with more
// than one thread, a block is tagged and written while the next one is read.
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <system_error>
#include <utility>

#include "apps/mnemo/answering.h"
#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/shown.h"
#include "base/thread_pool.h"
#include "pipeline/averaged_taggers.h"
#include "pipeline/tag_writer.h"
#include "pipeline/tagger_input.h"
#include "tasks/tag/data.h"

namespace mnemo {
namespace {

// Limits of a block: large enough for efficient products, small enough for memory.
constexpr std::int64_t kBlockSentences = 2048;
constexpr std::int64_t kBlockTokens = 1 << 14;
constexpr std::int64_t kBlockLetters = 1 << 20;  // of the distinct tokens

struct TagOptions {
  std::string model, format;
  std::vector<std::string> files, with;
  std::int64_t best = 0;
  double least = 0;
  bool raw = false, marginals = false;
  DataOptions input;
  AnsweringOptions answering;
  int threads = 1;

  std::vector<std::string> models() const {
    std::vector<std::string> out = with;
    out.push_back(model);
    return out;
  }
};

class Tagging {
 public:
  explicit Tagging(const TagOptions& o)
      : options_(o),
        answers_(o.answering, o.models(), o.files),
        pool_(o.threads),
        model_(TextTagger::map(o.model)),
        all_(*model_),
        words_(predicts_words(model_->config())),
        input_(input_options()),
        writer_(model_->columns(), model_->config().text.has_characters(), writer_options()) {
    for (const std::string& path : o.with) {
      others_.push_back(TextTagger::map(path));
      all_.add(*others_.back(), path, o.model);
    }
  }

  void run() {
    out_.text = writer_.head();
    for (const std::string& file : or_standard_input(options_.files)) tag(file);
    out_.text += writer_.tail();
    answers_.put(out_.text, out_.highlights);
    answers_.finish();
  }

 private:
  SentenceOptions input_options() const {
    DataFile file;
    const bool typed = options_.files.empty() && options_.input.format_in.empty() && isatty(STDIN_FILENO) != 0;
    if (options_.raw || typed)
      file.format = "lines";
    else if (!options_.input.format_in.empty())
      file.format = options_.input.format_in;
    Config config = model_->config();
    // Keys for the format of the training data do not apply to another one.
    if (file.format && *file.format != config.data.format) forget_columns(config.data, *file.format);
    SentenceOptions out = sentence_options(config, file, options_.input.policy(), false);
    out.ids = options_.answering.ids;
    out.part = options_.answering.part();
    return out;
  }

  TagWriterOptions writer_options() const {
    const bool columns =
        input_.format == SentenceFormat::kConllu && !words_ && model_->config().data.format == "conllu";
    TagWriterOptions out{.format = columns ? TagFormat::kConllu : TagFormat::kConll,
                         .marginals = options_.marginals,
                         .least = options_.least};
    if (input_.format == SentenceFormat::kJsonl) out.format = TagFormat::kJsonl;
    if (options_.format == "conll") out.format = TagFormat::kConll;
    if (options_.format == "jsonl") out.format = TagFormat::kJsonl;
    if (options_.format == "html") options_.answering.refuse_with("--format html", "which is one document");
    if (options_.format == "html") out.format = TagFormat::kHtml;
    if (options_.format == "slashed") out.format = TagFormat::kSlashed;
    if (options_.format == "conllu" && !columns)
      throw UsageError("--format conllu: needs conllu as input, and a model of columns of conllu rather than of words");
    const bool has_more = out.format == TagFormat::kConll || out.format == TagFormat::kJsonl;
    for (const auto& [given, name] : {std::pair{options_.marginals, "--marginals"}, {options_.best > 0, "--nbest"}})
      if (given && !has_more) throw UsageError(fmt::format("{}: only with --format conll or jsonl", name));
    out.separator = input_.separator;
    out.rows = (input_.format == SentenceFormat::kConll || input_.format == SentenceFormat::kConllu) && !words_;
    out.keys = input_.format == SentenceFormat::kJsonl;
    if (out.keys && !input_.token.empty()) out.text_key = input_.token;
    if (out.keys && !input_.spans.empty()) out.spans_key = input_.spans;
    out.best = options_.best;
    out.colour = answers_.in_colour();
    return out;
  }

  // Sentences that are tagged at once.
  struct Block {
    std::vector<TaggerCorpus> corpora;  // of each model
    std::vector<Sentence> sentences;

    bool full(std::int64_t best) const {
      const TaggerCorpus& corpus = corpora.front();
      return corpus.size() >= kBlockSentences ||
             corpus.words.units() * std::max<std::int64_t>(1, best / 8) >= kBlockTokens ||
             std::ssize(corpus.letters) >= kBlockLetters;
    }
  };

  Block new_block() const { return {std::vector<TaggerCorpus>(all_.models().size()), {}}; }

  void tag(const std::string& path) {
    const auto reader = SentenceReader::open(path, input_);
    Sentence sentence;
    Block block = new_block();
    try {
      while (reader->next(sentence)) {
        if (const std::string* token = writer_.unwritable(sentence))
          fail("{}:{}: the token \"{}\" contains blanks, which this --format cannot hold; jsonl can", reader->name(),
               sentence.line, shown(*token));
        if (words_ && input_.format != SentenceFormat::kLines) cut_words(model_->config(), sentence);
        const auto breaks = words_ ? blanks_before(sentence) : std::vector<std::uint8_t>();
        for (std::size_t m = 0; m < block.corpora.size(); ++m)
          all_.models()[m]->encode(sentence.tokens, block.corpora[m], breaks);
        block.sentences.push_back(std::move(sentence));
        if (!reader->next_is_ready())
          answer(std::exchange(block, new_block()));
        else if (block.full(options_.best))
          answer_meanwhile(std::exchange(block, new_block()));
      }
    } catch (...) {
      answer(block);  // what was read before the error
      throw;
    }
    answer(block);
    answers_.count_replaced(reader->counts().invalid_bytes);
    report_reader(*reader, say);
  }

  // Tags and writes a block while the next one is read, if there is more than one thread.
  void answer_meanwhile(Block block) {
    finish();
    if (options_.threads == 1) return write(block);
    const auto shared = std::make_shared<const Block>(std::move(block));
    try {
      meanwhile_ = std::async(std::launch::async, [this, shared] { write(*shared); });
    } catch (const std::system_error&) {  // no thread is available
      write(*shared);
    }
  }

  void answer(const Block& block) {
    finish();
    write(block);
  }

  void finish() {
    if (meanwhile_.valid()) meanwhile_.get();
  }

  void write(const Block& block) {
    // The replacement of a tag that is left out has a probability, too.
    const bool marginals = options_.marginals || options_.least > 0;
    const auto predicted =
        all_.predict(block.corpora, {marginals, options_.best, writer_.needs_tags_alone()}, workspace_);
    for (std::size_t i = 0; i < block.sentences.size(); ++i) writer_.append(block.sentences[i], predicted[i], out_);
    answers_.count(block.corpora.front().size(), block.corpora.front().words.units());
    const TaggedText written = std::exchange(out_, {});
    answers_.put(written.text, written.highlights);
  }

  const TagOptions& options_;
  Answers answers_;
  ThreadPool pool_;
  Workspace workspace_{pool_};
  std::unique_ptr<TextTagger> model_;
  AveragedTaggers all_;
  std::vector<std::unique_ptr<TextTagger>> others_;
  bool words_;
  SentenceOptions input_;
  TagWriter writer_;
  TaggedText out_;
  std::future<void> meanwhile_;  // the last member, so that it ends before what it uses
};

int run_tag(const TagOptions& o) {
  Tagging(o).run();
  return 0;
}

}  // namespace

void add_tag(Command& program) {
  Command& command = program.add("tag", "tag the tokens of sentences: names, parts of speech, words");
  command.examples = {"mnemo tag run/model.safetensors eng.testb > tagged.conll",
                      "echo 'Li Bai was born in Suyab.' | mnemo tag run/model.safetensors --raw -f jsonl",
                      "mnemo tag run/model.safetensors --raw -n 3 --marginals -f jsonl < lines.txt",
                      "mnemo tag run/model.safetensors eng.testb --with other/model.safetensors",
                      "mnemo tag run/model.safetensors --part 3/8 -o part3.conll eng.testb"};
  command.notes =
      "conll: the input's columns with the prediction after them. conllu: the predicted column replaced. slashed: "
      "token/tag between blanks, or the words found. --raw: plain text, one sentence per line, split into tokens by "
      "the configuration's text.unit or, where that is word or subword, by Unicode's rules for words.";
  auto o = std::make_shared<TagOptions>();
  command.argument("MODEL", &o->model, "Model file").required();
  command.argument("FILE", &o->files, "Sentences in the format of the training data; - or no file: standard input");
  add_data_options(command, o->input, kSentenceFormats, "that of the model's configuration");
  command.flag("--raw", &o->raw, "The input is plain text, one sentence per line, as it always is from a terminal");
  add_part(command, o->answering,
           "conllu has it in the comment sent_id. Answers have it in that comment, as the first column of slashed, or "
           "as the key id of jsonl");
  command.group("Output");
  command.option("-f,--format", "FORMAT", &o->format, "Output format")
      .one_of({"conll", "conllu", "jsonl", "html", "slashed"})
      .by_default("conllu for conllu, jsonl for jsonl, else conll");
  command.option("-n,--nbest", "N", &o->best, "Write the N most probable tag sequences, too")
      .range(1, 1000)
      .by_default("only the best");
  command.flag("--marginals", &o->marginals, "Write the probability of every tag at every token");
  command.option("--min-confidence", "P", &o->least, "Leave out less probable spans; tags without spans become _")
      .range(0, 1);
  command.option(
      "--with", "MODEL", &o->with,
      "Another tagger of the same tags, to answer together: the scores of tags and transitions are the means "
      "of those of all, formats and tokens are those of MODEL; may be given repeatedly");
  add_output(command, o->answering);
  add_running(command, o->threads);
  command.run = [o] { return run_tag(*o); };
}

}  // namespace mnemo
