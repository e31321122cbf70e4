// The network predicts tags in the model's scheme (bioes by default); they are converted to and from the data's scheme
// by way of their spans, and the probabilities of model tags that become the same data tag are summed. Characters are
// encoded once per distinct word of a batch, not once per token.
#include "pipeline/text_tagger.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/finite.h"
#include "base/shown.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "kernels/elementwise.h"
#include "pipeline/attribution.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"
#include "pipeline/tag_writer.h"
#include "pipeline/tagger_input.h"
#include "text/line_reader.h"
#include "text/normalize.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

CharEncoderKind char_encoder_kind(const std::string& name) {
  return name == "cnn" ? CharEncoderKind::kCnn : name == "bilstm" ? CharEncoderKind::kBilstm : CharEncoderKind::kNone;
}

TaggerOptions network_options(const Config& c, const std::vector<TagColumn>& columns, std::int64_t rows,
                              std::int64_t dimension, std::int32_t letters) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  TaggerOptions out{.table_rows = rows,
                    .embedding = dimension,
                    .chars = {.kind = char_encoder_kind(m.char_encoder.kind),
                              .rows = letters,
                              .embedding = m.char_encoder.embedding,
                              .hidden = m.char_encoder.hidden,
                              .dropout = number(m.char_encoder.dropout),
                              .deviation = number(m.embedding_deviation)},
                    .shapes = TextTagger::kShapes,
                    .shape_embedding = m.shape_embedding,
                    .recurrent = recurrent_options(c),
                    .convolution = convolution_options(c),
                    .columns = {},
                    .crf = m.crf,
                    .dropout = number(m.dropout),
                    .embedding_dropout = number(m.embedding_dropout),
                    .embedding_deviation = number(m.embedding_deviation)};
  for (const TagColumn& column : columns) out.columns.push_back(allowed_transitions(column));
  return out;
}

// The shape of a word: 0 no letter, 1 lower case, 2 capitalised, 3 one capital, 4 all capitals, 5 mixed case; with
// digits: 6 no letter, 7 letters and digits.
std::int32_t shape_of(std::string_view word) {
  std::int32_t upper = 0, lower = 0, digits = 0, others = 0;
  bool first_upper = false;
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word.data() + at);
    const bool cased = to_lower(c.value) != c.value;
    if (at == 0) first_upper = cased;
    at += c.length;
    if (cased)
      ++upper;
    else if (is_decimal_digit(c.value))
      ++digits;
    else if (c.value >= 0x80 || (c.value >= 'a' && c.value <= 'z'))
      ++lower;
    else
      ++others;
  }
  if (digits > 0) return upper + lower == 0 ? 6 : 7;
  if (upper == 0) return lower == 0 ? 0 : 1;
  if (lower == 0) return upper == 1 && others == 0 ? 3 : 4;
  return first_upper && upper == 1 ? 2 : 5;
}

Json columns_json(const std::vector<TagColumn>& columns) {
  Json out = Json::array();
  for (const TagColumn& c : columns)
    out.push_back(
        {{"name", c.name}, {"data_scheme", name_of(c.data_scheme)}, {"scheme", name_of(c.scheme)}, {"tags", c.tags}});
  return out;
}

std::vector<TagColumn> parse_columns(const Json& json, const Config& config, const std::string& path) {
  std::vector<TagColumn> out;
  try {
    for (const Json& c : json) {
      const auto data_scheme = scheme_from_name(c.at("data_scheme").get<std::string>());
      const auto scheme = scheme_from_name(c.at("scheme").get<std::string>());
      TagColumn column{c.at("name").get<std::string>(), data_scheme.value_or(TagScheme::kNone),
                       scheme.value_or(TagScheme::kNone), c.at("tags").get<std::vector<std::string>>()};
      const std::set<std::string> distinct(column.tags.begin(), column.tags.end());
      const bool spelled = std::all_of(column.tags.begin(), column.tags.end(), [&](const std::string& tag) {
        return column.scheme == TagScheme::kNone || split_tag(tag, column.scheme).has_value();
      });
      const bool sound = data_scheme && scheme && *scheme == model_scheme(config, *data_scheme) && spelled &&
                         std::is_sorted(column.tags.begin(), column.tags.end()) &&
                         distinct.size() == column.tags.size();
      const AllowedTransitions allowed = allowed_transitions(column);
      bool alone = false;  // a tag that a sentence of one token can have
      for (std::size_t i = 0; i < column.tags.size(); ++i) alone = alone || (allowed.begin[i] && allowed.end[i]);
      if (!sound || !alone)
        fail("{}: damaged model: column \"{}\" has no tags of its scheme", path, shown(column.name));
      out.push_back(std::move(column));
    }
  } catch (const nlohmann::json::exception&) {
    fail("{}: damaged model: a column is not an object of name, data_scheme, scheme and tags", path);
  }
  if (out.size() != std::max<std::size_t>(1, config.data.columns.size()))
    fail("{}: damaged model: {} columns, the configuration has {}", path, out.size(), config.data.columns.size());
  return out;
}

// The number of sentences, or without a CRF of tokens, over which the loss of the first column is a mean.
Index counted(const Packing& packing, std::span<const std::vector<std::int32_t>> gold, bool sentences) {
  const auto& tags = gold.front();
  if (!sentences) return std::count_if(tags.begin(), tags.end(), [](std::int32_t tag) { return tag >= 0; });
  Index out = 0;
  for (Index b = 0; b < packing.rows_at(0); ++b) {
    bool known = true;
    for (Index t = 0; t < packing.length(b); ++t) known = known && tags[packing.row(b, t)] >= 0;
    out += known ? 1 : 0;
  }
  return out;
}

}  // namespace

TagScheme model_scheme(const Config& config, TagScheme data_scheme) {
  if (data_scheme == TagScheme::kNone || data_scheme == TagScheme::kBmes) return data_scheme;
  return *scheme_from_name(config.model.scheme);
}

TextTagger::TextTagger(const Config& config, std::vector<TagColumn> columns, Vocabulary words, Vocabulary letters,
                       std::int64_t dimension)
    : TextModel(config),
      columns_(std::move(columns)),
      words_(config.text, std::move(words)),
      letters_(std::move(letters)) {
  config_.model.embedding = dimension;
  network_ = std::make_unique<Tagger>(network_options(config_, columns_, words_.rows(), dimension, letters_.size()));
}

TextTagger::TextTagger(const Config& config, std::vector<TagColumn> columns, Vocabulary words, Vocabulary letters,
                       const PretrainedVectors* vectors)
    : TextTagger(config, std::move(columns), std::move(words), std::move(letters),
                 vectors ? vectors->dimension() : config.model.embedding) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
  words_.initialise(network_->embedding(), vectors);
}

std::unique_ptr<TextTagger> TextTagger::load(const std::string& path) {
  return model_as<TextTagger>(from_contents(read_model(path, kTask)));
}

std::unique_ptr<TextTagger> TextTagger::map(const std::string& path) {
  return model_as<TextTagger>(from_contents(map_model(path, kTask)));
}

std::unique_ptr<TextModel> TextTagger::read(const ModelContents& contents) {
  const SafetensorsFile& file = contents.file;
  const std::string& path = file.name();
  const Config config = model_config(contents);
  Vocabulary words = WordTable::read_vocabulary(file, config);
  Vocabulary letters = stored_vocabulary(file, format::kLetters);
  std::vector<TagColumn> columns = parse_columns(contents.metadata.columns, config, path);
  const TaggerOptions options = network_options(config, columns, 0, config.model.embedding, 1);
  const Index input = options.input() + options.convolution.added_before();
  double weights = recurrent_parameters(with_input(options.recurrent, input)) +
                   convolution_parameters(options.convolution, options.input());
  const double char_input = static_cast<double>(options.chars.embedding),
               hidden = static_cast<double>(options.chars.hidden);
  if (options.chars.kind == CharEncoderKind::kCnn) weights += 3.0 * char_input * hidden;
  if (options.chars.kind == CharEncoderKind::kBilstm) weights += 8.0 * hidden * (char_input + hidden);
  check_stored_weights(contents, weights);
  return std::unique_ptr<TextModel>(
      new TextTagger(config, std::move(columns), std::move(words), std::move(letters), config.model.embedding));
}

void TextTagger::describe(ModelMetadata& metadata) const {
  metadata.labels = columns_.front().tags;
  metadata.columns = columns_json(columns_);
}

void TextTagger::append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                               std::deque<std::string>& held) const {
  words_.append(tensors, narrow, held);
  tensors.push_back(byte_tensor(format::kLetters, held.emplace_back(letters_.serialize())));
}

void TaggerCorpus::append(const TaggerCorpus& other) {
  // As in `encode`: sentences without breaks get zeros beside those that have them.
  if (!breaks.empty() || !other.breaks.empty()) {
    breaks.resize(static_cast<std::size_t>(words.units()));
    breaks.insert(breaks.end(), other.breaks.begin(), other.breaks.end());
    breaks.resize(static_cast<std::size_t>(words.units() + other.words.units()));
  }
  words.append(other.words);
  shapes.insert(shapes.end(), other.shapes.begin(), other.shapes.end());
  gold.resize(other.gold.size());
  for (std::size_t k = 0; k < gold.size(); ++k)
    gold[k].insert(gold[k].end(), other.gold[k].begin(), other.gold[k].end());
  std::vector<std::int32_t> here;  // the other's types
  for (std::int32_t type = 0; type < static_cast<std::int32_t>(other.distinct_.size()); ++type) {
    const auto known = static_cast<std::int32_t>(distinct_.size());
    here.push_back(distinct_.insert(other.distinct_.text(type)));
    if (here.back() < known) continue;
    letters.insert(letters.end(), other.letters.begin() + other.letter_starts[static_cast<std::size_t>(type)],
                   other.letters.begin() + other.letter_starts[static_cast<std::size_t>(type) + 1]);
    letter_starts.push_back(std::ssize(letters));
  }
  for (const std::int32_t type : other.types) types.push_back(here[static_cast<std::size_t>(type)]);
}

std::int64_t TaggerCorpus::bytes() const {
  std::size_t tags = 0;
  for (const auto& column : gold) tags += column.capacity();
  // The table of distinct words: their bytes, a place in the pool and two slots each.
  const std::size_t words_of_table =
      distinct_.size() * (sizeof(std::size_t) + 2 * sizeof(std::int64_t)) + letters.size();
  return words.bytes() + static_cast<std::int64_t>(
                             sizeof(std::int32_t) * (types.capacity() + shapes.capacity() + letters.capacity() + tags) +
                             sizeof(std::int64_t) * letter_starts.capacity() + breaks.capacity() + words_of_table);
}

std::span<const std::uint8_t> TaggerCorpus::breaks_of(std::int64_t sentence) const {
  if (breaks.empty()) return {};
  return std::span(breaks).subspan(words.first_unit(sentence), words.length(sentence));
}

std::span<const std::int32_t> TaggerCorpus::gold_of(std::size_t column, std::int64_t sentence) const {
  if (gold.empty()) return {};
  return std::span(gold[column]).subspan(words.first_unit(sentence), words.length(sentence));
}

void TextTagger::encode(std::span<const std::string> tokens, TaggerCorpus& corpus, std::span<const std::uint8_t> breaks,
                        const MergeDropout& dropout) const {
  // Sentences with and without breaks may be mixed; those without get zeros.
  if (!breaks.empty()) corpus.breaks.resize(static_cast<std::size_t>(corpus.words.units()));
  if (!breaks.empty() || !corpus.breaks.empty()) {
    corpus.breaks.insert(corpus.breaks.end(), breaks.begin(), breaks.end());
    corpus.breaks.resize(static_cast<std::size_t>(corpus.words.units()) + tokens.size());
  }
  EncodedText encoded;
  words_.encode_units(tokens, encoded, dropout);
  corpus.words.add(encoded);
  for (const std::string& token : tokens) {
    const auto known = static_cast<std::int32_t>(corpus.distinct_.size());
    const std::int32_t type = corpus.distinct_.insert(token);
    corpus.types.push_back(type);
    corpus.shapes.push_back(shape_of(token));
    if (type < known) continue;
    for (std::size_t at = 0; at < token.size(); at += utf8_length(token[at]))
      corpus.letters.push_back(letters_.find(std::string_view(token).substr(at, utf8_length(token[at]))));
    corpus.letter_starts.push_back(std::ssize(corpus.letters));
  }
}

TaggerBatch TextTagger::batch(const TaggerCorpus& corpus, std::span<const std::int64_t> sentences,
                              const Corpus::UnknownUnits& unknown) const {
  Corpus::Batch base = corpus.words.batch(sentences, unknown);
  TaggerBatch out;
  out.packing = std::move(base.packing);
  out.words = std::move(base.bags);
  const auto add_row = [](Bags& bags, std::int32_t row) {
    bags.rows.push_back(row);
    bags.weights.push_back(1.0f);
    bags.starts.push_back(static_cast<std::int32_t>(bags.rows.size()));
  };
  const bool chars = network_->chars() != nullptr, shapes = network_->shapes() != nullptr;
  std::vector<std::int32_t> place(chars ? corpus.letter_starts.size() : 0, -1), distinct, lengths;
  for (Index t = 0; t < out.packing.steps(); ++t)
    for (Index b = 0; b < out.packing.rows_at(t); ++b) {
      const std::int64_t token = corpus.words.first_unit(sentences[out.packing.original(b)]) + t;
      if (shapes) add_row(out.shapes, corpus.shapes[token]);
      if (!chars) continue;
      const std::int32_t type = corpus.types[token];
      if (place[type] < 0) {
        place[type] = static_cast<std::int32_t>(distinct.size());
        distinct.push_back(type);
        lengths.push_back(static_cast<std::int32_t>(corpus.letter_starts[type + 1] - corpus.letter_starts[type]));
      }
      out.word.push_back(place[type]);
    }
  out.letters_packing = Packing(lengths);
  for (Index t = 0; t < out.letters_packing.steps(); ++t)
    for (Index b = 0; b < out.letters_packing.rows_at(t); ++b)
      add_row(out.letters, corpus.letters[corpus.letter_starts[distinct[out.letters_packing.original(b)]] + t]);
  return out;
}

std::int64_t TextTagger::for_scores(const TaggerCorpus& corpus, Workspace& workspace, const UseScores& use) const {
  // Very long words take memory by their letters, so that these count too.
  constexpr std::int64_t kLettersOfUnit = 32;
  std::vector<std::int64_t> costs(corpus.size());
  for (std::int64_t i = 0; i < corpus.size(); ++i)
    for (std::int64_t t = corpus.words.first_unit(i); t < corpus.words.first_unit(i) + corpus.words.length(i); ++t) {
      const std::int32_t type = corpus.types[t];
      costs[i] += 1 + (corpus.letter_starts[type + 1] - corpus.letter_starts[type]) / kLettersOfUnit;
    }
  std::int64_t number = 0;
  for (const auto& sentences : inference_batches(corpus.words, costs)) {
    const std::int64_t batch_number = number++;
    if (!workspace.has_part(batch_number)) continue;
    const TaggerBatch input = batch(corpus, sentences, {});
    workspace.arena.reset();
    Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
    const std::vector<Activation> scores = network().forward(tape, input);
    for (const Activation& one : scores)
      if (kernels::has_non_finite(one.value, one.size())) fail_not_finite("the score of a tag");
    use(batch_number, sentences, input.packing, scores);
  }
  return number;
}

std::vector<std::vector<std::int32_t>> TextTagger::gold(const TaggerCorpus& corpus,
                                                        std::span<const std::int64_t> sentences,
                                                        const Packing& packing) const {
  std::vector<std::vector<std::int32_t>> out(corpus.gold.size());
  for (std::size_t k = 0; k < out.size(); ++k)
    for (Index t = 0; t < packing.steps(); ++t)
      for (Index b = 0; b < packing.rows_at(t); ++b)
        out[k].push_back(corpus.gold[k][corpus.words.first_unit(sentences[packing.original(b)]) + t]);
  return out;
}

TextTagger::BestTags TextTagger::best_tags(const TaggerCorpus& corpus, Workspace& workspace) const {
  BestTags out;
  out.tags.assign(columns_.size(), std::vector<std::int32_t>(static_cast<std::size_t>(corpus.words.units())));
  const std::vector<TagDecoder> decoders = this->decoders();
  const auto use = [&](std::int64_t batch, std::span<const std::int64_t> sentences, const Packing& packing,
                       const std::vector<Activation>& scores) {
    workspace.pool.parallel_for(packing.rows_at(0), [&](std::int64_t b) {
      ChainScores sentence;
      const std::int64_t place = sentences[packing.original(b)];
      for (std::size_t k = 0; k < columns_.size(); ++k) {
        copy_scores(packing, b, scores[k], sentence);
        decoders[k].keep_breaks(corpus.breaks_of(place), sentence);
        std::ranges::copy(decoders[k].chain().best(sentence).tags,
                          out.tags[k].begin() + corpus.words.first_unit(place));
      }
    });
    if (corpus.gold.empty()) return;
    Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
    const auto tags = gold(corpus, sentences, packing);
    out.losses.resize(static_cast<std::size_t>(batch) + 1);
    out.weights.resize(out.losses.size());
    out.losses.back() = network_->loss(tape, packing, scores, tags, 0.0f);
    out.weights.back() = static_cast<double>(counted(packing, tags, config_.model.crf));
  };
  const auto batches = static_cast<std::size_t>(for_scores(corpus, workspace, use));
  out.losses.resize(batches);
  out.weights.resize(batches);
  return out;
}

double TextTagger::BestTags::loss() const {
  double sum = 0, weight = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    sum += weights[i] * losses[i];
    weight += weights[i];
  }
  return weight > 0 ? sum / weight : 0;
}

std::vector<TagDecoder> TextTagger::decoders() const {
  std::vector<TagDecoder> out;
  for (std::size_t k = 0; k < columns_.size(); ++k) out.emplace_back(columns_[k], network_->chain(k));
  return out;
}

void TextTagger::for_sentences(const TaggerCorpus& corpus, Workspace& workspace, const UseSentence& use) const {
  for_scores(corpus, workspace,
             [&](std::int64_t, std::span<const std::int64_t> sentences, const Packing& packing,
                 const std::vector<Activation>& scores) {
               workspace.pool.parallel_for(packing.rows_at(0), [&](std::int64_t b) {
                 ChainScores sentence;
                 for (std::size_t k = 0; k < columns_.size(); ++k) {
                   copy_scores(packing, b, scores[k], sentence);
                   use(sentences[packing.original(b)], k, sentence);
                 }
               });
             });
}

std::vector<std::vector<PredictedTags>> TextTagger::predict(const TaggerCorpus& corpus, const TagRequest& request,
                                                            Workspace& workspace) const {
  std::vector<std::vector<PredictedTags>> out(corpus.size(), std::vector<PredictedTags>(columns_.size()));
  const std::vector<TagDecoder> decoders = this->decoders();
  for_sentences(corpus, workspace, [&](std::int64_t i, std::size_t k, ChainScores& scores) {
    decoders[k].keep_breaks(corpus.breaks_of(i), scores);
    out[i][k] = decoders[k].decode(scores, request, corpus.gold_of(k, i));
  });
  return out;
}

SentenceOptions TextTagger::record_options() const {
  DataFile file;
  file.format = "jsonl";
  Config plain = config_;
  plain.data = DataConfig();
  plain.data.columns = config_.data.columns;
  return sentence_options(plain, file, InvalidUtf8::kError, false);
}

// Reads a record, the number-th, cuts its words where they are to be predicted, and adds it to the corpus.
Sentence TextTagger::add_record(const Json& record, std::size_t number, const SentenceOptions& options,
                                TaggerCorpus& corpus) const {
  const bool words = predicts_words(config_);
  const auto reader = SentenceReader::open(
      LineReader::from_memory(fmt::format("record {}", number), record.dump() + "\n", InvalidUtf8::kError), options);
  Sentence sentence;
  if (!reader->next(sentence)) fail("record {}: expected an object with \"text\" or \"tokens\"", number);
  if (words) cut_words(config_, sentence);
  encode(sentence.tokens, corpus, words ? blanks_before(sentence) : std::vector<std::uint8_t>());
  return sentence;
}

Observed TextTagger::observe(const std::string& text, Workspace& workspace) const {
  TaggerCorpus corpus;
  Sentence sentence = add_record({{"text", text}}, 1, record_options(), corpus);
  return observe(corpus, std::move(sentence.tokens), workspace);
}

Observed TextTagger::observe(const TaggerCorpus& corpus, std::vector<std::string> tokens, Workspace& workspace) const {
  Observed out;
  check_has_units(tokens.size());
  const std::vector<std::int64_t> only{0};
  const TaggerBatch input = batch(corpus, only, {});
  workspace.arena.reset();
  Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
  tape.trace = &out.trace;
  out.trace.wants_attention = true;
  network().forward(tape, input);
  out.units["rnn"] = std::move(tokens);
  out.add_self_attention("rnn");
  out.keep_networks_with_units();
  return out;
}

namespace {

// The sum of the first column's scores of the tags that were predicted for tokens [begin, end).
class AttributedSpan : public Attributed {
 public:
  AttributedSpan(TextTagger& model, Sentence sentence, std::vector<std::int32_t> tags, std::size_t begin,
                 std::string name)
      : model_(model), sentence_(std::move(sentence)), tags_(std::move(tags)), begin_(begin), name_(std::move(name)) {}

  std::string name() const override { return name_; }
  const std::vector<std::string>& units() const override { return sentence_.tokens; }
  const char* network() const override { return "rnn"; }

  std::vector<double> forward(Tape& tape, std::int64_t copies) override {
    TaggerCorpus corpus;
    std::vector<std::int64_t> all;
    for (std::int64_t k = 0; k < copies; ++k) {
      model_.encode(sentence_.tokens, corpus);
      all.push_back(k);
    }
    batch_ = model_.batch(corpus, all, {});
    model_.network().prepare(tape);
    const Activation scores = model_.network().forward(tape, batch_).front();
    std::vector<double> out(static_cast<std::size_t>(copies), 0.0);
    for (std::size_t t = 0; t < tags_.size(); ++t)
      for (std::int64_t k = 0; k < copies; ++k) {
        const Index at = batch_.packing.row(k, static_cast<Index>(begin_ + t)) * scores.columns + tags_[t];
        out[static_cast<std::size_t>(k)] += static_cast<double>(scores.value[at]);
        if (scores.gradient) scores.gradient[at] = 1.0f;
      }
    return out;
  }

 private:
  TextTagger& model_;
  Sentence sentence_;
  std::vector<std::int32_t> tags_;
  std::size_t begin_;
  std::string name_;
  TaggerBatch batch_;
};

}  // namespace

std::unique_ptr<Attributed> TextTagger::attributed(const std::string& text, const AttributionTarget& target,
                                                   Workspace& workspace) {
  if (target.label) throw UsageError("--label: a tagger's answers belong to tokens; expected --place");
  TaggerCorpus corpus;
  Sentence sentence = add_record({{"text", text}}, 1, record_options(), corpus);
  check_has_units(sentence.tokens.size());
  const PredictedTags predicted = predict(corpus, {}, workspace).front().front();
  const std::size_t tokens = sentence.tokens.size();
  if (target.place && *target.place >= std::ssize(sentence.tokens))
    throw UsageError(fmt::format("--place {}: the text has tokens 0 to {}", *target.place, tokens - 1));
  std::size_t begin = static_cast<std::size_t>(target.place.value_or(0)), end = begin + 1;
  for (const PredictedTags::Span& span : predicted.spans)
    if (!target.place || (span.begin <= begin && begin < span.end)) {
      begin = span.begin;
      end = span.end;
      break;
    }
  const std::vector<std::int32_t> ids = tag_ids(columns_.front(), predicted.tags);
  std::string name = "scores of";
  for (std::size_t t = begin; t < end; ++t) name += fmt::format(" {}/{}", sentence.tokens[t], predicted.tags[t]);
  return std::make_unique<AttributedSpan>(*this, std::move(sentence),
                                          std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                                                    ids.begin() + static_cast<std::ptrdiff_t>(end)),
                                          begin, std::move(name));
}

std::vector<Json> TextTagger::answer(const std::vector<Json>& records, Workspace& workspace) const {
  TaggerCorpus corpus;
  std::vector<Sentence> sentences;
  const SentenceOptions options = record_options();
  for (std::size_t i = 0; i < records.size(); ++i) sentences.push_back(add_record(records[i], i + 1, options, corpus));
  const TagWriter writer(columns_, config_.text.has_characters(), {.format = TagFormat::kJsonl});
  const auto predicted = predict(corpus, {}, workspace);
  std::vector<Json> out;
  for (std::size_t i = 0; i < sentences.size(); ++i) out.push_back(writer.json(sentences[i], predicted[i]));
  return out;
}

std::span<const Skill> TextTagger::skills() const {
  static const std::array kSkills{Skill{.name = "tag", .text = "A text, cut into words", .answer = answer_of}};
  return kSkills;
}

// The probabilities of the best tags of all samples, concatenated.
std::vector<float> TextTagger::sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                    std::vector<std::size_t>& lengths) const {
  const Tokenizer blanks({.unit = Unit::kWord, .normalize = Normalization::kNone});
  TaggerCorpus corpus;
  Tokens tokens;
  for (const std::string& text : texts) {
    blanks.tokenize(text, tokens);
    std::vector<std::string> words;
    for (std::size_t i = 0; i < tokens.size(); ++i) words.emplace_back(tokens.text(i));
    encode(words, corpus);
    lengths.push_back(words.size());
  }
  Workspace workspace(pool);
  std::vector<float> out;
  for (const auto& sentence : predict(corpus, {}, workspace))
    for (const double p : sentence.front().probabilities) out.push_back(static_cast<float>(p));
  return out;
}

}  // namespace mnemo
