#include "tasks/tag/training.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "pipeline/network_options.h"
#include "tasks/start_from.h"
#include "tasks/trial.h"
#include "tasks/word_vectors.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

std::vector<TagEvaluation> evaluate_columns(const std::vector<TagColumn>& columns,
                                            const std::vector<std::vector<TaggedSentence>>& sentences) {
  std::vector<TagEvaluation> out;
  for (std::size_t k = 0; k < columns.size(); ++k) out.push_back(evaluate_tags(sentences[k], columns[k].data_scheme));
  return out;
}

DataPart part_of(const TaggedSentences& sentences) { return {sentences.files, std::ssize(sentences.entries)}; }

// Gold and predicted tags side by side, [columns][sentences].
std::vector<std::vector<TaggedSentence>> beside(const TaggedSentences& sentences, std::size_t columns,
                                                const std::vector<std::vector<std::vector<std::string>>>& predicted) {
  std::vector<std::vector<TaggedSentence>> out(columns);
  for (std::size_t i = 0; i < sentences.entries.size(); ++i)
    for (std::size_t k = 0; k < columns; ++k) out[k].push_back({sentences.entries[i].tags[k], predicted[i][k], {}});
  return out;
}

class TaggingTask : public TrainingTask {
 public:
  TaggingTask(const Config& config, const TaggingData& data, TextTagger& model)
      : config_(config),
        data_(data),
        model_(model),
        corpus_(encode_sentences(model, data.train)),
        dev_(encode_sentences(model, data.dev)) {
    plan(0);
  }

  void visit(const ParameterVisitor& visitor) override { model_.network().visit(visitor); }
  void weights_changed() override { model_.network().weights_changed(); }
  std::int64_t batches() const override { return std::ssize(batches_); }
  void begin_epoch(std::int64_t epoch) override { plan(epoch); }

  std::int64_t prepare(std::int64_t batch, std::int64_t step) override {
    const auto& sentences = batches_[batch];
    batch_ = model_.batch(corpus_, sentences,
                          {.rate = config_.model.word_dropout,
                           .singleton_rate = config_.model.singleton_dropout,
                           .vocabulary = &model_.words().vocabulary(),
                           .seed = static_cast<std::uint64_t>(config_.training.seed),
                           .step = static_cast<std::uint64_t>(step)});
    gold_ = model_.gold(corpus_, sentences, batch_.packing);
    Tagger& network = model_.network();
    word_rows_ = distinct_rows(batch_.words, network.embedding().weight.rows());
    if (network.chars()) letter_rows_ = distinct_rows(batch_.letters, network.chars()->embedding().weight.rows());
    if (network.shapes()) shape_rows_ = distinct_rows(batch_.shapes, network.shapes()->weight.rows());
    return batch_.packing.tokens();
  }

  void visit_sparse(const SparseVisitor& visitor) override {
    Tagger& network = model_.network();
    visitor(network.embedding().weight, word_rows_);
    if (network.chars()) visitor(network.chars()->embedding().weight, letter_rows_);
    if (network.shapes()) visitor(network.shapes()->weight, shape_rows_);
  }

  double forward(Tape& tape) override {
    const auto scores = model_.network().forward(tape, batch_);
    return model_.network().loss(tape, batch_.packing, scores, gold_,
                                 static_cast<float>(config_.training.label_smoothing));
  }

  std::string data_identity() const override {
    return mnemo::data_identity(data_.columns.front().tags, part_of(data_.train), part_of(data_.dev));
  }
  std::string data_identity(const ModelMetadata& model) const override { return mnemo::data_identity(model); }
  std::int64_t units() const { return corpus_.words.units(); }
  std::string metric() const override { return tagging_metric(config_, data_.columns); }
  bool has_dev() const override { return dev_.size() > 0; }

  Metrics evaluate_dev(ThreadPool& pool) override {
    Arena arena;
    const auto found = model_.best_tags(dev_, pool, arena);
    Metrics out = join_metrics(data_.columns,
                               evaluate_columns(data_.columns, beside(data_.dev, data_.columns.size(), found.tags)));
    out["loss"] = found.loss;
    return out;
  }

  void save_model(const std::string& path, const Json& metrics, const Json& progress, ThreadPool& pool) override {
    Json provenance{{"seed", config_.training.seed}};
    provenance.update(data_provenance(part_of(data_.train), part_of(data_.dev)));
    provenance["train_units"] = corpus_.words.units();
    provenance.update(progress);
    model_.save(path, metrics, provenance, pool);
  }

 private:
  void plan(std::int64_t epoch) {
    batches_ = make_batches(corpus_.words.lengths(), config_.training.batch_size, config_.training.batch_tokens,
                            static_cast<std::uint64_t>(config_.training.seed), static_cast<std::uint64_t>(epoch));
  }

  const Config& config_;
  const TaggingData& data_;
  TextTagger& model_;
  TaggerCorpus corpus_, dev_;
  std::vector<std::vector<std::int64_t>> batches_;
  TaggerBatch batch_;
  std::vector<std::vector<std::int32_t>> gold_;  // [columns][tokens], packed
  std::vector<std::int32_t> word_rows_, letter_rows_, shape_rows_;
};

// Says so where most tags of a column look as if they spelled spans but one does not, so that all stand for themselves;
// and where tokens have no tag but conllu's mark for none.
void report_near_scheme(const TaggedSentences& train, std::size_t k, const std::string& name, const Log& log) {
  const auto spells = [](const std::string& tag) {
    return tag == "O" || (tag.size() > 2 && tag[1] == '-' && std::string_view("BIESMLU").find(tag[0]) < 7);
  };
  std::int64_t spelled = 0, spans = 0, others = 0, missing = 0;
  std::string first;
  for (const auto& entry : train.entries)
    for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
      const std::string& tag = entry.tags[k][t];
      missing += tag == "_" ? 1 : 0;
      spelled += spells(tag) ? 1 : 0;
      spans += spells(tag) && tag != "O" ? 1 : 0;
      if (!spells(tag) && others++ == 0) first = fmt::format("\"{}\" at {}", tag, train.place(entry, t));
    }
  if (spans > 0 && spelled > 9 * others)
    log(fmt::format(
        "column {}: its tags stand for themselves, as they are of no scheme of spans ({}); data.scheme would "
        "name one: iob1, bio, bioes or bmes",
        name,
        others > 0 ? fmt::format("{} of {} are not, the first {}", others, others + spelled, first)
                   : "letters of several schemes"));
  if (missing > 0)
    log(fmt::format("column {}: {} tokens have the tag \"_\", which is learnt as any other", name, missing));
}

// The columns of train: their schemes, and the tags of the model.
std::vector<TagColumn> find_columns(const Config& config, const TaggedSentences& train, const Log& log) {
  std::vector<std::string> names = config.data.columns;
  if (names.empty()) names.emplace_back(config.data.format == "conllu" ? "upos" : "tag");
  std::vector<TagColumn> out;
  for (std::size_t k = 0; k < names.size(); ++k) {
    SchemeGuess guess;
    std::set<std::string> found;
    for (const auto& entry : train.entries) {
      guess.add(entry.tags[k]);
      found.insert(entry.tags[k].begin(), entry.tags[k].end());
    }
    TagColumn column{names[k], scheme_from_name(config.data.scheme).value_or(guess.scheme()), TagScheme::kNone, {}};
    if (column.data_scheme == TagScheme::kNone && config.data.scheme == "auto")
      report_near_scheme(train, k, names[k], log);
    column.scheme = model_scheme(config, column.data_scheme);
    column.tags = model_tags({found.begin(), found.end()}, column.data_scheme, column.scheme);
    out.push_back(std::move(column));
  }
  return out;
}

}  // namespace

void report_repairs(const TaggedSentences& sentences, const std::vector<TagColumn>& columns, const Log& log) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    if (columns[k].data_scheme == TagScheme::kNone) continue;
    std::int64_t repaired = 0;
    std::string first;
    for (const auto& entry : sentences.entries) {
      const auto& tags = entry.tags[k];
      const auto spelled = spell_spans(conlleval_spans(tags), tags.size(), columns[k].data_scheme);
      if (spelled == tags) continue;
      const auto at = std::mismatch(tags.begin(), tags.end(), spelled.begin()).first - tags.begin();
      if (repaired++ == 0) first = fmt::format("{}: {} read as {}", sentences.place(entry, at), tags[at], spelled[at]);
    }
    if (repaired > 0)
      log(fmt::format("sentences whose column {} is no sequence of {}, read by conlleval's rule: {}; the first: {}",
                      columns[k].name, name_of(columns[k].data_scheme), repaired, first));
  }
}

namespace {

std::vector<std::string> joined_sentences(const TaggedSentences& sentences) {
  std::vector<std::string> out;
  for (const auto& entry : sentences.entries) out.push_back(join_tokens(entry.tokens, " ").text);
  return out;
}

// The part of each sentence, equal ones staying together.
std::vector<int> split_sentences(const Config& config, const TaggedSentences& sentences,
                                 const std::vector<double>& shares) {
  const auto texts = joined_sentences(sentences);
  return split_by_text({texts.begin(), texts.end()}, shares, static_cast<std::uint64_t>(config.data.dev_seed));
}

TaggedSentences select(const TaggedSentences& sentences, const std::vector<int>& parts, int part, bool equal) {
  TaggedSentences out{{}, sentences.files};
  for (std::size_t i = 0; i < parts.size(); ++i)
    if ((parts[i] == part) == equal) out.entries.push_back(sentences.entries[i]);
  return out;
}

void keep_dev_out(const Config& config, TaggingData& data) {
  const double share = config.data.dev_fraction;
  if (share <= 0) return;
  const auto parts = split_sentences(config, data.train, {1.0 - share, share});
  data.dev = select(data.train, parts, 1, true);
  data.train = select(data.train, parts, 0, true);
}

}  // namespace

std::string TaggedSentences::place(const Entry& entry, std::size_t token) const {
  const std::string& path = files[entry.file].path;
  return fmt::format("{}:{}", path == "-" ? "standard input" : path, entry.lines[token]);
}

bool predicts_words(const Config& config) {
  const auto& columns = config.data.columns;
  return columns.size() == 1 && finds_words(columns.front());
}

namespace {

// Makes each span one token, whose tag is the span's type.
void join_spans(Sentence& s) {
  const std::vector<std::string> tags = std::move(s.tags[0]);
  const std::vector<std::string> pieces = std::move(s.tokens);
  const auto places = std::move(s.places);
  s.tags[0].clear();
  s.tokens.clear();
  s.places.clear();
  std::size_t done = 0;
  const auto add = [&](std::size_t begin, std::size_t end, std::string_view type) {
    s.tokens.push_back(s.text->substr(places[begin].first, places[end - 1].second - places[begin].first));
    s.tags[0].emplace_back(type);
    s.places.emplace_back(places[begin].first, places[end - 1].second);
    done = end;
  };
  for (const TagSpan& span : conlleval_spans(tags)) {
    while (done < span.begin) add(done, done + 1, "_");
    add(span.begin, span.end, span.type);
  }
  while (done < pieces.size()) add(done, done + 1, "_");
  s.by_spans = false;
}

}  // namespace

void cut_words(const Config& config, Sentence& s) {
  const bool tagged = config.data.columns.front() == kTaggedWordsColumn;
  if (s.by_spans) join_spans(s);
  Sentence out;
  out.lines = std::move(s.lines);
  out.line_tokens.assign(out.lines.size(), -1);
  out.line = s.line;
  out.tags.resize(1);
  out.text = std::move(s.text);
  for (std::size_t t = 0; t < s.tokens.size(); ++t) {
    const std::string& word = s.tokens[t];
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = at + utf8_length(word[at]);
      out.tokens.push_back(word.substr(at, end - at));
      const bool first = at == 0, last = end == word.size();
      const char letter = first && last ? 'S' : first ? 'B' : last ? 'E' : 'M';
      out.tags[0].push_back(letter_tag(letter, tagged ? s.tags[0][t] : ""));
      if (out.text) out.places.emplace_back(s.places[t].first + at, s.places[t].first + end);
      at = end;
    }
  }
  s = std::move(out);
}

SentenceOptions sentence_options(const Config& config, const DataFile& file, InvalidUtf8 invalid_utf8, bool tags) {
  const std::string format = file.format.value_or(config.data.format);
  const auto known = sentence_format_from_name(format);
  if (!known) throw UsageError(fmt::format("format \"{}\" is not one of sentences", format));
  SentenceOptions out;
  out.format = *known;
  out.invalid_utf8 = invalid_utf8;
  const bool words_alone = config.data.columns == std::vector<std::string>{kWordsColumn};
  out.require_tags = tags && !words_alone;
  out.read_tags = tags;
  out.spans_are_words = words_alone;
  const bool rows = out.format == SentenceFormat::kConll || out.format == SentenceFormat::kConllu;
  const bool objects = out.format == SentenceFormat::kJsonl;
  if (rows || objects) out.token = file.text.value_or(config.data.text);
  if (objects) out.spans = file.label.value_or(config.data.label);
  if (rows && tags && !predicts_words(config)) out.tags = config.data.columns;
  if (rows && tags && out.tags.empty() && !file.label.value_or(config.data.label).empty())
    out.tags = {file.label.value_or(config.data.label)};
  if (out.format == SentenceFormat::kConll) {
    out.separator = file.separator.value_or(config.data.separator);
    if (out.separator == "\\t") out.separator = "\t";
    out.strip_position = config.data.strip_position;
  }
  out.tokenizer = tokenizer_options(config.text);
  if (config.text.unit == "word") out.tokenizer.unit = Unit::kUnicodeWord;
  return out;
}

void report_reader(const SentenceReader& reader, const Log& log) {
  const SentenceCounts counts = reader.counts();
  if (counts.had_bom) log(fmt::format("{}: begins with a byte order mark, which was dropped", reader.name()));
  if (counts.crlf_lines > 0) log(fmt::format("{}: lines that end in CRLF: {}", reader.name(), counts.crlf_lines));
  if (counts.invalid_sequences > 0)
    log(fmt::format("{}: invalid UTF-8 sequences replaced or skipped: {}", reader.name(), counts.invalid_sequences));
  if (counts.widened_spans > 0)
    log(fmt::format("spans that cut a token, widened to it: {}; the first: {}", counts.widened_spans,
                    counts.first_widened));
}

TaggedSentences read_sentences(const std::vector<DataFile>& files, const Config& config, const std::string& config_path,
                               InvalidUtf8 invalid_utf8, const std::string& what, const Log& log) {
  TaggedSentences out;
  std::size_t tokens = 0;
  for (const DataFile& file : files) {
    const std::string path = data_path(file.file, config.data.dir, config_path);
    out.files.push_back(describe_file(path));
    const SentenceOptions options = sentence_options(config, file, invalid_utf8, true);
    const auto reader = SentenceReader::open(path, options);
    const std::size_t columns = std::max<std::size_t>(1, config.data.columns.size());
    Sentence s;
    while (reader->next(s)) {
      if (s.tags.size() != columns)
        fail("{}: {} has one column of tags, the model {}: {}", reader->name(), name_of(options.format), columns,
             fmt::join(config.data.columns, ", "));
      if (predicts_words(config)) cut_words(config, s);
      std::vector<std::uint8_t> breaks = predicts_words(config) ? blanks_before(s) : std::vector<std::uint8_t>();
      std::vector<std::size_t> lines(s.tokens.size(), s.line);
      for (std::size_t i = 0; i < s.line_tokens.size(); ++i)
        if (s.line_tokens[i] >= 0) lines[s.line_tokens[i]] = s.line + i;
      tokens += s.tokens.size();
      out.entries.push_back({std::move(s.tokens), std::move(s.tags), std::move(lines), std::move(breaks),
                             static_cast<std::uint32_t>(out.files.size() - 1), s.by_spans});
    }
    out.files.back().records = static_cast<std::int64_t>(reader->counts().sentences);
    report_reader(*reader, log);
  }
  if (tokens == 0)
    fail("{}: {} has no tokens",
         out.files.empty()               ? "data." + what
         : out.files.front().path == "-" ? "standard input"
                                         : out.files.front().path,
         what);
  return out;
}

void respell_spans(TaggedSentences& sentences, const std::vector<TagColumn>& columns) {
  const TagScheme scheme = columns.front().data_scheme;
  if (scheme == TagScheme::kNone || scheme == TagScheme::kBio) return;
  for (auto& entry : sentences.entries) {
    if (!entry.by_spans) continue;
    const std::vector<std::string> tags = std::move(entry.tags[0]);
    entry.tags[0] = spell_spans(conlleval_spans(tags), tags.size(), scheme);
  }
}

void check_tags(const TaggedSentences& sentences, const std::vector<TagColumn>& columns) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const TagColumn& column = columns[k];
    std::unordered_set<std::string> known(column.tags.begin(), column.tags.end()), types;
    for (const std::string& tag : column.tags)
      if (const auto parts = split_tag(tag, column.scheme)) types.insert(std::string(parts->type));
    for (const auto& entry : sentences.entries)
      for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
        const std::string& tag = entry.tags[k][t];
        const auto parts = split_tag(tag, column.data_scheme);
        if (column.data_scheme != TagScheme::kNone && !parts)
          fail("{}: tag \"{}\" is none of the scheme {}: {}", sentences.place(entry, t), tag,
               name_of(column.data_scheme), tags_of(column.data_scheme));
        const bool is_known = column.data_scheme == TagScheme::kNone ? known.count(tag) > 0
                              : parts->letter == 'O'                 ? known.count("O") > 0
                                                                     : types.count(std::string(parts->type)) > 0;
        if (!is_known)
          fail("{}: tag \"{}\" of column {} does not occur in train", sentences.place(entry, t), tag, column.name);
      }
  }
}

TaggerCorpus encode_sentences(const TextTagger& model, const TaggedSentences& sentences) {
  TaggerCorpus corpus;
  corpus.gold.resize(model.columns().size());
  for (const auto& entry : sentences.entries) {
    model.encode(entry.tokens, corpus, entry.breaks);
    for (std::size_t k = 0; k < corpus.gold.size(); ++k) {
      const auto ids = model.tag_ids(k, entry.tags[k]);
      corpus.gold[k].insert(corpus.gold[k].end(), ids.begin(), ids.end());
    }
  }
  return corpus;
}

TaggingData load_tagging_data(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8,
                              const Log& log) {
  const DataConfig& d = config.data;
  if (d.train.empty())
    throw UsageError("data.train: no training data; set it in the configuration or by --set data.train=FILE");
  for (const char* name : {kWordsColumn, kTaggedWordsColumn})
    if (d.columns.size() > 1 && std::find(d.columns.begin(), d.columns.end(), name) != d.columns.end())
      throw UsageError(fmt::format("data.columns: {} stands alone, as its tokens are characters", name));
  if (predicts_words(config) && config.text.unit != "char")
    throw UsageError(fmt::format("data.columns: {} are found in characters; set text.unit to char", d.columns.front()));
  TaggingData out;
  out.train = read_sentences(d.train, config, config_path, invalid_utf8, "train", log);
  out.columns = find_columns(config, out.train, log);
  if (!d.dev.empty()) out.dev = read_sentences(d.dev, config, config_path, invalid_utf8, "dev", log);
  if (!d.test.empty()) out.test = read_sentences(d.test, config, config_path, invalid_utf8, "test", log);
  for (TaggedSentences* part : {&out.train, &out.dev, &out.test}) respell_spans(*part, out.columns);
  check_tags(out.train, out.columns);
  for (const TagColumn& column : out.columns) {
    if (column.tags.size() < 2)
      fail("{}: column {} has the one tag \"{}\"; a tagger needs two", out.train.files.front().path, column.name,
           column.tags.front());
    log(fmt::format("column {}: {} tags, scheme {}", column.name, column.tags.size(), name_of(column.data_scheme)));
  }
  check_tags(out.dev, out.columns);
  check_tags(out.test, out.columns);
  for (const TaggedSentences* part : {&out.train, &out.dev, &out.test}) {
    report_repairs(*part, out.columns, log);
  }
  const std::string& metric = config.training.early_stopping.metric;
  if (metric == "f1" && out.columns.front().data_scheme == TagScheme::kNone)
    throw UsageError("training.early_stopping.metric: f1 is of spans, and the tags spell none; use token_accuracy");
  if (d.dev.empty()) {
    keep_dev_out(config, out);
    if (out.train.entries.empty())
      fail("{}: data.dev_fraction {} leaves nothing to train on", out.train.files.front().path, d.dev_fraction);
    if (d.dev_fraction > 0 && out.dev.entries.empty())
      log("no dev data: too few different sentences to keep any out; the last weights will be the model");
  }
  return out;
}

std::string tagging_metric(const Config& config, const std::vector<TagColumn>& columns) {
  const std::string& metric = config.training.early_stopping.metric;
  if (metric != "auto") return metric;
  return columns.front().data_scheme == TagScheme::kNone ? "token_accuracy" : "f1";
}

std::unique_ptr<TextTagger> build_tagger(const Config& config, const std::string& config_path, const TaggingData& data,
                                         const Log& log, const TextLanguageModel* units) {
  const Tokenizer tokenizer(tokenizer_options(config.text));
  VocabularyBuilder words, letters;
  Tokens folded;
  for (const auto& entry : data.train.entries) {
    tokenizer.take_units(entry.tokens, folded);
    for (std::size_t i = 0; i < folded.size(); ++i) words.add(folded.text(i));
    for (const std::string& token : entry.tokens)
      for (std::size_t at = 0; at < token.size(); at += utf8_length(token[at]))
        letters.add(std::string_view(token).substr(at, utf8_length(token[at])));
  }
  Vocabulary vocabulary =
      words.build(static_cast<std::uint64_t>(config.text.min_count), static_cast<std::size_t>(config.text.max_vocab));
  Vocabulary known_letters = letters.build(1, 0);
  log(fmt::format("vocabulary: {} of {} words, {} characters", vocabulary.size() - 1, words.distinct(),
                  known_letters.size() - 1));
  if (units) add_units(*units, vocabulary, log);
  if (config.text.pretrained.empty())
    return std::make_unique<TextTagger>(config, data.columns, std::move(vocabulary), std::move(known_letters), nullptr);
  const PretrainedVectors vectors = read_vectors(config, config_path, vocabulary, log);
  return std::make_unique<TextTagger>(config, data.columns, std::move(vocabulary), std::move(known_letters), &vectors);
}

TaggingResult train_tagger(const Config& config, const TaggingData& data, TextTagger& model,
                           const TrainerOptions& options, ThreadPool& pool) {
  make_folders(options.folder);
  TaggingTask task(config, data, model);
  TaggingResult out{train(task, config, options, pool), {}};
  if (out.outcome.end == TrainingOutcome::End::kSignal || data.test.entries.empty()) return out;
  const auto best = TextTagger::load(model_path(options.folder));
  out.test = evaluate_columns(data.columns, predict_tags(*best, data.test, pool));
  return out;
}

void dry_run(const Config& config, const std::string& config_path, const TaggingData& data, ThreadPool& pool,
             const Log& print) {
  for (std::size_t k = 0; k < data.columns.size(); ++k) {
    std::map<std::string, std::int64_t> counts;
    for (const auto& entry : data.train.entries)
      for (const std::string& tag : entry.tags[k]) ++counts[tag];
    std::vector<std::string> shown;
    shown.reserve(counts.size());
    for (const auto& [tag, count] : counts) shown.push_back(fmt::format("{} {}", tag, count));
    print(fmt::format("tags of column {} in train: {}", data.columns[k].name, fmt::join(shown, ", ")));
  }
  const std::pair<const char*, const TaggedSentences*> parts[] = {
      {"train", &data.train}, {"dev", &data.dev}, {"test", &data.test}};
  std::vector<std::vector<std::string>> texts;
  texts.reserve(std::size(parts));
  for (const auto& [name, sentences] : parts) texts.push_back(joined_sentences(*sentences));
  std::vector<RepeatedTexts> repeated;
  for (std::size_t i = 0; i < std::size(parts); ++i) {
    const TaggedSentences& sentences = *parts[i].second;
    repeated.push_back({parts[i].first, {texts[i].begin(), texts[i].end()}, [&sentences](std::size_t text) {
                          const auto& entry = sentences.entries[text];
                          return entry.tokens.empty() ? sentences.files[entry.file].path : sentences.place(entry, 0);
                        }});
  }
  report_repeats(repeated, print);
  const auto model = build_tagger(config, config_path, data, print);
  TaggingTask task(config, data, *model);
  for (const auto& [name, sentences] : parts) report_corpus(name, encode_sentences(*model, *sentences).words, print);
  report_cost(config, task, task.units(), pool, print);
}

std::vector<double> cross_validate(const Config& config, const std::string& config_path, const TaggingData& data,
                                   std::int64_t folds, const TrainerOptions& options, ThreadPool& pool,
                                   const Log& print) {
  TaggedSentences all = data.train;
  if (config.data.dev.empty()) all.entries.insert(all.entries.end(), data.dev.entries.begin(), data.dev.entries.end());
  const auto parts = split_sentences(config, all, std::vector<double>(folds, 1.0 / static_cast<double>(folds)));
  const std::string metric = tagging_metric(config, data.columns);
  if (metric == "loss") throw UsageError("--folds: training.early_stopping.metric loss is not measured on a fold");
  return run_folds(folds, metric, print, [&](std::int64_t fold) -> std::optional<double> {
    TaggingData part;
    part.columns = data.columns;
    part.test = select(all, parts, static_cast<int>(fold), true);
    part.train = select(all, parts, static_cast<int>(fold), false);
    part.dev = data.dev;
    if (config.data.dev.empty()) {
      part.dev.entries.clear();
      keep_dev_out(config, part);
    }
    if (part.train.entries.empty() || part.test.entries.empty()) fail("--folds {}: too few sentences", folds);
    TrainerOptions fold_options = options;
    fold_options.folder = fold_folder(options.folder, fold);
    const auto model = build_tagger(config, config_path, part, options.log);
    const auto result = train_tagger(config, part, *model, fold_options, pool);
    if (result.test.empty()) return std::nullopt;
    return result.test.front().metrics().at(metric);
  });
}

std::vector<std::vector<TaggedSentence>> predict_tags(TextTagger& model, const TaggedSentences& sentences,
                                                      ThreadPool& pool) {
  Arena arena;
  TaggerCorpus corpus;
  for (const auto& entry : sentences.entries) model.encode(entry.tokens, corpus);
  return beside(sentences, model.columns().size(), model.best_tags(corpus, pool, arena).tags);
}

Metrics join_metrics(const std::vector<TagColumn>& columns, const std::vector<TagEvaluation>& evaluations) {
  Metrics out = evaluations.front().metrics();
  for (std::size_t k = 0; k < columns.size() && columns.size() > 1; ++k)
    for (const auto& [name, value] : evaluations[k].metrics()) out[columns[k].name + "." + name] = value;
  return out;
}

}  // namespace mnemo
