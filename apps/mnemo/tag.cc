// mnemo tag: every sentence comes out as it went in, in order, with its tags.
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "text/utf8.h"
#include "train/tagging.h"

namespace mnemo {
namespace {

// A block of sentences that is tagged at once: enough for the products, little enough for memory.
constexpr std::int64_t kBlockSentences = 512;
constexpr std::int64_t kBlockTokens = 1 << 14;

struct TagOptions {
  std::string model, format;
  std::vector<std::string> files;
  std::int64_t best = 0;
  double least = 0;
  bool raw = false, marginals = false;
  DataOptions input;
  int threads = 1;
};

class Tagging {
 public:
  explicit Tagging(const TagOptions& o) : options_(o), pool_(o.threads), model_(TextTagger::load(o.model)) {
    request_ = {o.marginals, o.best};
  }

  void run(const std::string& path) {
    const SentenceOptions options = input_options();
    if (options_.format.empty())
      format_ = options.format == SentenceFormat::kConllu && !predicts_words(model_->config()) ? "conllu" : "conll";
    else
      format_ = options_.format;
    if (format_ == "conllu" && options.format != SentenceFormat::kConllu)
      throw UsageError("--format conllu: the input is not conllu, of which the other columns would come");
    const auto reader = SentenceReader::open(path, options);
    Sentence sentence;
    try {
      while (reader->next(sentence)) {
        if (predicts_words(model_->config()) && options.format != SentenceFormat::kLines) cut_words(sentence);
        model_->encode(sentence.tokens, corpus_);
        sentences_.push_back(std::move(sentence));
        const bool full = corpus_.size() >= kBlockSentences || corpus_.words.units() >= kBlockTokens;
        if (full || !reader->next_is_ready()) answer();
      }
    } catch (...) {
      answer();  // what was read before the error
      throw;
    }
    answer();
  }

 private:
  SentenceOptions input_options() const {
    DataFile file;
    const bool raw = options_.raw || options_.input.format_in == "lines";
    if (raw)
      file.format = "lines";
    else if (!options_.input.format_in.empty())
      file.format = options_.input.format_in;
    Config config = model_->config();
    // Keys of the format that the model was trained on say nothing of another one.
    if (file.format && *file.format != config.data.format) forget_columns(config.data);
    return sentence_options(config, file, options_.input.policy(), false);
  }

  void answer() {
    if (!sentences_.empty()) {
      const auto predicted = model_->predict(corpus_, request_, pool_, arena_);
      for (std::size_t i = 0; i < sentences_.size(); ++i) append(sentences_[i], predicted[i]);
      corpus_ = TaggerCorpus();
      sentences_.clear();
    }
    if (std::fwrite(out_.data(), 1, out_.size(), stdout) != out_.size() || std::fflush(stdout) != 0)
      fail("standard output: cannot write: {}", std::strerror(errno));
    out_.clear();
  }

  void append(const Sentence& sentence, std::vector<PredictedTags> predicted) {
    for (std::size_t k = 0; k < predicted.size(); ++k) drop_unlikely(model_->columns()[k], predicted[k]);
    if (format_ == "jsonl")
      append_json(sentence, predicted);
    else if (format_ == "conllu")
      append_conllu(sentence, predicted);
    else
      append_conll(sentence, predicted);
  }

  // Spans, or where tags spell none tags, that are less probable than --min-confidence.
  void drop_unlikely(const TagColumn& column, PredictedTags& p) const {
    if (options_.least <= 0) return;
    if (column.data_scheme == TagScheme::kNone) {
      for (std::size_t t = 0; t < p.tags.size(); ++t)
        if (p.probabilities[t] < options_.least) p.tags[t] = "_";
      return;
    }
    std::erase_if(p.spans, [&](const auto& span) { return span.probability < options_.least; });
    std::vector<TagSpan> spans;
    for (const auto& span : p.spans) spans.push_back({span.type, span.begin, span.end});
    p.tags = spell_spans(spans, p.tags.size(), column.data_scheme);
  }

  std::string marginals_of(const TagColumn& column, const PredictedTags& p, std::size_t token) const {
    const std::size_t K = column.tags.size();
    std::string out;
    for (std::size_t k = 0; k < K; ++k)
      fmt::format_to(std::back_inserter(out), "{}{}={:.6f}", k == 0 ? "" : "|", column.tags[k],
                     p.marginals[token * K + k]);
    return out;
  }

  // A token's line: what was there, the tags, and what else was asked for.
  void append_token(const std::string& before, char separator, const std::vector<PredictedTags>& predicted,
                    std::size_t token) {
    out_ += before;
    for (std::size_t k = 0; k < predicted.size(); ++k) {
      const PredictedTags& p = predicted[k];
      out_.append(1, separator).append(p.tags[token]);
      if (options_.marginals) out_.append(1, separator).append(marginals_of(model_->columns()[k], p, token));
      for (std::size_t n = 1; n < p.best.size(); ++n) out_.append(1, separator).append(p.best[n].tags[token]);
    }
    out_ += '\n';
  }

  void append_conll(const Sentence& s, const std::vector<PredictedTags>& predicted) {
    const bool rows = std::any_of(s.line_tokens.begin(), s.line_tokens.end(), [](auto t) { return t >= 0; });
    if (rows) {
      for (std::size_t i = 0; i < s.lines.size(); ++i) {
        if (s.line_tokens[i] < 0) {
          out_ += s.lines[i] + "\n";
          continue;
        }
        const std::string& line = s.lines[i];
        append_token(line, line.find('\t') != std::string::npos ? '\t' : ' ', predicted, s.line_tokens[i]);
      }
    } else {
      for (std::size_t t = 0; t < s.tokens.size(); ++t) append_token(s.tokens[t], '\t', predicted, t);
    }
    out_ += '\n';
  }

  void append_conllu(const Sentence& s, const std::vector<PredictedTags>& predicted) {
    const auto columns = predicted_places();
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
      if (s.line_tokens[i] < 0) {
        out_ += s.lines[i] + "\n";
        continue;
      }
      std::size_t begin = 0;
      for (std::size_t place = 0; begin <= s.lines[i].size(); ++place) {
        const std::size_t end = std::min(s.lines[i].find('\t', begin), s.lines[i].size());
        if (place > 0) out_ += '\t';
        const auto column = std::find(columns.begin(), columns.end(), place);
        if (column == columns.end())
          out_.append(s.lines[i], begin, end - begin);
        else
          out_ += predicted[column - columns.begin()].tags[s.line_tokens[i]];
        begin = end + 1;
      }
      out_ += '\n';
    }
    out_ += '\n';
  }

  // Of the model's columns among conllu's ten.
  std::vector<std::size_t> predicted_places() const {
    std::vector<std::size_t> out;
    for (const TagColumn& column : model_->columns()) out.push_back(conllu_column(column.name));
    return out;
  }

  void append_json(const Sentence& s, const std::vector<PredictedTags>& predicted) {
    // The text of sentences that came as tokens is those between blanks, of characters one behind the other.
    std::string text;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> places = s.places;
    const bool plain = places.size() == s.tokens.size() && !s.lines.empty() && s.line_tokens[0] < 0 &&
                       (!s.tokens.empty() || s.lines.size() == 1);
    if (plain) {
      text = s.lines.front();
    } else {
      places.clear();
      const bool blank = model_->config().text.unit != "char";
      for (const std::string& token : s.tokens) {
        if (blank && !text.empty()) text += ' ';
        places.emplace_back(text.size(), text.size() + token.size());
        text += token;
      }
    }
    std::vector<std::uint32_t> code_points(text.size() + 1);  // before each byte
    for (std::size_t i = 0; i < text.size(); ++i)
      code_points[i + 1] = code_points[i] + (is_continuation(text[i]) ? 0 : 1);
    for (std::size_t i = text.size(); i-- > 0;)
      if (is_continuation(text[i])) code_points[i] = code_points[i + 1];
    Json record{{"text", text}};
    for (std::size_t k = 0; k < predicted.size(); ++k) {
      const TagColumn& column = model_->columns()[k];
      Json part = column_json(s, column, predicted[k], places, code_points);
      if (k == 0) record.update(part);
      if (predicted.size() > 1) record["columns"][column.name] = part;
    }
    out_ += record.dump() + "\n";
  }

  Json column_json(const Sentence& s, const TagColumn& column, const PredictedTags& p,
                   const std::vector<std::pair<std::uint32_t, std::uint32_t>>& places,
                   const std::vector<std::uint32_t>& code_points) const {
    Json tokens = Json::array(), spans = Json::array();
    for (std::size_t t = 0; t < s.tokens.size(); ++t) {
      Json token{{"text", s.tokens[t]},
                 {"start", code_points[places[t].first]},
                 {"end", code_points[places[t].second]},
                 {"tag", p.tags[t]},
                 {"probability", p.probabilities[t]}};
      if (options_.marginals)
        for (std::size_t j = 0; j < column.tags.size(); ++j)
          token["marginals"][column.tags[j]] = p.marginals[t * column.tags.size() + j];
      tokens.push_back(std::move(token));
    }
    for (const auto& span : p.spans) {
      const std::uint32_t begin = places[span.begin].first, end = places[span.end - 1].second;
      spans.push_back({{"type", span.type},
                       {"start", code_points[begin]},
                       {"end", code_points[end]},
                       {"byte_start", begin},
                       {"byte_end", end},
                       {"probability", span.probability}});
    }
    Json out{{"tokens", tokens}, {"spans", spans}};
    for (const auto& sequence : p.best)
      out["nbest"].push_back({{"tags", sequence.tags}, {"probability", sequence.probability}});
    return out;
  }

  const TagOptions& options_;
  ThreadPool pool_;
  Arena arena_;
  std::unique_ptr<TextTagger> model_;
  TagRequest request_;
  std::string format_;
  TaggerCorpus corpus_;
  std::vector<Sentence> sentences_;
  std::string out_;
};

int run_tag(const TagOptions& o) {
  Tagging tagging(o);
  const std::vector<std::string> standard_input{"-"};
  for (const std::string& file : o.files.empty() ? standard_input : o.files) tagging.run(file);
  return 0;
}

}  // namespace

void add_tag(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand("tag", "Tag the tokens of sentences: names, parts of speech, words");
  command->footer(
      "Examples:\n  mnemo tag run/model.safetensors eng.testb > tagged.conll\n"
      "  echo 'Li Bai was born in Suyab.' | mnemo tag run/model.safetensors --raw --format jsonl\n"
      "  mnemo tag run/model.safetensors --raw --nbest 3 --marginals --format jsonl < lines.txt\n\n"
      "conll: the input's columns with the prediction behind them. conllu: the predicted column replaced. --raw: plain "
      "text, a sentence a line, cut into tokens by the configuration's text.unit.");
  auto o = std::make_shared<TagOptions>();
  command->add_option("model", o->model, "Model file")->required()->type_name("MODEL");
  command
      ->add_option("files", o->files,
                   "Sentences in the format that the model was trained on; - or none is standard input")
      ->type_name("FILE");
  command->add_flag("--raw", o->raw, "The input is plain text, a sentence a line");
  command->add_option("--format", o->format, "conll, conllu or jsonl (default: conllu for conllu, else conll)")
      ->check(CLI::IsMember({"conll", "conllu", "jsonl"}));
  command->add_flag("--marginals", o->marginals, "Every tag's probability at every token");
  command->add_option("--nbest", o->best, "The N most probable sequences of tags")->check(CLI::Range(1, 1000));
  command->add_option("--min-confidence", o->least, "Leave spans out that are less probable; of tags without spans: _")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_data_options(command, o->input, kSentenceFormats, "Format of the data (default: the one of the configuration)");
  add_threads(command, o->threads);
  command->callback([&chosen, o] { chosen = [o] { return run_tag(*o); }; });
}

}  // namespace mnemo
