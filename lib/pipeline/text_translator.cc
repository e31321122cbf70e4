// The two sides have a vocabulary and a tokenizer each. Their texts never meet: a pair is encoded side by side, and the
// network sees ids alone.
#include "pipeline/text_translator.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "pipeline/corpus.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"
#include "pipeline/translation.h"

namespace mnemo {
namespace {

constexpr int kSamplePairs = 2, kUnitsOfSample = 8;
constexpr std::int64_t kBatchUnits = 4096;
// Between source and target of a sample text: no unit but the end begins with it.
constexpr char kBetween = '\n';
constexpr const char* kLengthRatio = "length_ratio";
constexpr double kMostRatio = 1e6;

AttentionKind attention_kind(const std::string& name) {
  return name == "dot" ? AttentionKind::kDot : name == "additive" ? AttentionKind::kAdditive : AttentionKind::kGeneral;
}

}  // namespace

TranslatorOptions translator_options(const Config& c, std::int32_t source_units, std::int32_t target_units) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  TranslatorOptions out{.source_units = source_units,
                        .target_units = target_units,
                        .embedding = m.embedding,
                        .encoder = recurrent_options(c),
                        .decoder = recurrent_options(c),
                        .attention = attention_kind(m.attention),
                        .heads = m.heads,
                        .bridge = m.bridge == "mean" ? BridgeKind::kMean : BridgeKind::kLast,
                        .input_feeding = m.input_feeding,
                        .joint = c.text.joint,
                        .tied = m.tied,
                        .embedding_dropout = number(m.embedding_dropout),
                        .context_dropout = number(m.context_dropout),
                        .dropout = number(m.dropout),
                        .source_unit_dropout = number(m.source_dropout),
                        .target_unit_dropout = number(m.target_dropout),
                        .label_smoothing = number(c.training.label_smoothing),
                        .embedding_deviation = number(m.embedding_deviation)};
  out.decoder.bidirectional = out.decoder.learned_initial = false;
  out.decoder.layers = m.decoder_layers;
  if (m.decoder_hidden > 0) {
    out.decoder.hidden = m.decoder_hidden;
  } else if (const AttentionOptions a = out.attention_options(); a.kind == AttentionKind::kDot && a.query != a.memory) {
    // A dot product needs vectors of the same size; a projection has to be smaller than the hidden size.
    out.decoder.hidden = a.memory;
    out.decoder.projection = 0;
  }
  return out;
}

namespace {

// Text from the first units of a vocabulary, so that the file discloses no text of the training data.
std::string sample_of(const TextTranslator::Side& side, int number) {
  std::string out;
  const std::int32_t first = 1 + number * kUnitsOfSample;
  for (std::int32_t id = first; id < std::min(side.vocabulary.size(), first + kUnitsOfSample); ++id) {
    if (side.vocabulary.text(id).front() == '\n') continue;
    if (side.text.blanks_between_units() && !out.empty()) out += ' ';
    out += side.vocabulary.text(id);
  }
  return out;
}

}  // namespace

TextConfig source_text(const Config& config) { return config.text; }

TextConfig target_text(const Config& config) {
  TextConfig out = config.text;
  if (!out.target_unit.empty()) out.unit = out.target_unit;
  return out;
}

TextTranslator::Side::Side(const TextConfig& its_text, Vocabulary its_vocabulary)
    : text(its_text), vocabulary(std::move(its_vocabulary)), tokenizer(tokenizer_of(text, vocabulary)) {}

TextTranslator::TextTranslator(const Config& config, Vocabulary source, Vocabulary target, Unfilled)
    : TextModel(config),
      source_(source_text(config), std::move(source)),
      target_(target_text(config), std::move(target)),
      end_(target_.vocabulary.find(kEnd)),
      network_(std::make_unique<Translator>(
          translator_options(config_, source_.vocabulary.size(), target_.vocabulary.size()))) {}

TextTranslator::TextTranslator(const Config& config, Vocabulary source, Vocabulary target)
    : TextTranslator(config, std::move(source), std::move(target), Unfilled()) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
}

std::unique_ptr<TextTranslator> TextTranslator::load(const std::string& path) {
  return model_as<TextTranslator>(from_contents(read_model(path, kTask)));
}

std::unique_ptr<TextTranslator> TextTranslator::map(const std::string& path) {
  return model_as<TextTranslator>(from_contents(map_model(path, kTask)));
}

std::unique_ptr<TextModel> TextTranslator::read(const ModelContents& contents) {
  const SafetensorsFile& file = contents.file;
  const Config config = model_config(contents);
  Vocabulary source = stored_vocabulary(file, format::kVocabulary),
             target = stored_vocabulary(file, config.text.joint ? format::kVocabulary : format::kTargetVocabulary);
  if (!target.contains(kEnd)) fail("{}: damaged model: its vocabulary lacks the end", file.name());
  for (const auto& [side, text] : {std::pair{&source, source_text(config)}, {&target, target_text(config)}})
    if ((side->subwords() != nullptr) != (text.unit == "subword"))
      fail("{}: damaged model: its vocabulary is not of the units of text.unit", file.name());
  const TranslatorOptions o = translator_options(config, source.size(), target.size());
  if (const auto conflicts = attention_conflicts(o.attention_options()); !conflicts.empty())
    fail("{}: damaged model: {}", file.name(), conflicts.front());
  const auto size = [](Index value) { return static_cast<double>(value); };
  check_stored_weights(contents, recurrent_parameters(with_input(o.encoder, o.embedding)) +
                                     recurrent_parameters(with_input(o.decoder, o.embedding)) +
                                     size(o.target_units + (o.joint ? 0 : o.source_units)) * size(o.embedding) +
                                     size(o.attention_options().memory) * size(o.embedding + o.decoder.output()));
  std::unique_ptr<TextTranslator> out(new TextTranslator(config, std::move(source), std::move(target), Unfilled()));
  const Json& calibration = contents.metadata.calibration;
  if (calibration.contains(kLengthRatio) && calibration[kLengthRatio].is_number())
    out->length_ratio = calibration[kLengthRatio].get<double>();
  if (!(out->length_ratio >= 0 && out->length_ratio <= kMostRatio))
    fail("{}: damaged model: expected a {} from 0 to {}, found {}", file.name(), kLengthRatio, kMostRatio,
         out->length_ratio);
  return out;
}

void TextTranslator::describe(ModelMetadata& metadata) const { metadata.calibration[kLengthRatio] = length_ratio; }

void TextTranslator::append_tables(std::vector<TensorView>& tensors, NarrowTensors&,
                                   std::deque<std::string>& held) const {
  tensors.push_back(byte_tensor(format::kVocabulary, held.emplace_back(source_.vocabulary.serialize())));
  if (!config_.text.joint)
    tensors.push_back(byte_tensor(format::kTargetVocabulary, held.emplace_back(target_.vocabulary.serialize())));
}

void TextTranslator::Side::encode(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids,
                                  const MergeDropout& dropout) const {
  tokenizer.tokenize(line, tokens, dropout);
  for (std::size_t i = 0; i < tokens.size(); ++i) ids.push_back(vocabulary.find(tokens.text(i)));
}

void TextTranslator::encode_target(std::string_view line, Tokens& tokens, std::vector<std::int32_t>& ids,
                                   const MergeDropout& dropout) const {
  target_.encode(line, tokens, ids, dropout);
  ids.push_back(end_);
}

EncodedPair TextTranslator::encode(std::string_view source, std::string_view target) const {
  EncodedPair out;
  Tokens tokens;
  encode_source(source, tokens, out.source);
  encode_target(target, tokens, out.target);
  return out;
}

std::string TextTranslator::Joiner::add(std::int32_t unit) {
  const std::string_view text = target_.vocabulary.text(unit);
  if (target_.vocabulary.subwords()) return pieces_.add(text);
  const bool blank = target_.text.blanks_between_units() && !begins_;
  begins_ = begins_ && text.empty();
  return (blank ? " " : "") + std::string(text);
}

std::pair<std::string, TextTranslator::Places> TextTranslator::join_with_places(
    std::span<const std::int32_t> units) const {
  std::string out;
  Places places;
  Joiner joiner(target_);
  for (const std::int32_t id : units) {
    const auto begin = static_cast<std::uint32_t>(out.size());
    out += joiner.add(id);
    places.emplace_back(begin, static_cast<std::uint32_t>(out.size()));
  }
  return {out + joiner.end(), std::move(places)};
}

std::vector<std::vector<double>> TextTranslator::log_probabilities(std::span<const EncodedPair> pairs,
                                                                   Workspace& workspace) const {
  std::vector<std::vector<double>> out(pairs.size());
  std::vector<std::int64_t> lengths;
  lengths.reserve(pairs.size());
  for (const EncodedPair& pair : pairs) lengths.push_back(std::ssize(pair.source) + std::ssize(pair.target));
  for (const auto& chosen : batches_by_length(lengths, lengths, kBatchUnits)) {
    std::vector<std::span<const std::int32_t>> sources, targets;
    for (const std::int64_t i : chosen) {
      sources.emplace_back(pairs[i].source);
      targets.emplace_back(pairs[i].target);
    }
    workspace.arena.reset();
    Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
    const Translator::Batch batch = network().batch(sources, targets, end_, false, 0, 0);
    const Activation v = network().forward(tape, batch);
    std::vector<double> log_p(batch.targets.size());
    network().output().log_probabilities(workspace.pool, workspace.arena, v.value, batch.targets, log_p.data());
    for (Index b = 0; b < batch.target.sequences(); ++b)
      for (Index t = 0; t < batch.target.length(b); ++t)
        out[chosen[batch.target.original(b)]].push_back(log_p[batch.target.row(b, t)]);
  }
  return out;
}

std::vector<std::string> TextTranslator::sample_texts() const {
  std::vector<std::string> out;
  out.reserve(kSamplePairs);
  for (int number = 0; number < kSamplePairs; ++number)
    out.push_back(sample_of(source_, number) + kBetween + sample_of(target_, number));
  return out;
}

std::vector<float> TextTranslator::sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                        std::vector<std::size_t>& lengths) const {
  std::vector<EncodedPair> pairs;
  pairs.reserve(texts.size());
  for (const std::string& text : texts) {
    const std::size_t between = std::min(text.find(kBetween), text.size());
    pairs.push_back(encode(text.substr(0, between), text.substr(std::min(between + 1, text.size()))));
  }
  Workspace workspace(pool);
  std::vector<float> out;
  for (const auto& values : log_probabilities(pairs, workspace)) {
    for (const double log_p : values) out.push_back(static_cast<float>(std::exp(log_p)));
    lengths.push_back(values.size());
  }
  return out;
}

Observed TextTranslator::observe(const std::string& text, Workspace& workspace) const {
  if (text.find('\n') != std::string::npos) fail("the text has a line break, expected one line");
  Observed out;
  EncodedPair pair;
  Tokens tokens;
  encode_source(text, tokens, pair.source);
  check_has_units(tokens.size());
  const std::vector<std::string> lines{text};
  const Translation best = translate(*this, lines, {}, workspace.pool)[0].at(0);
  pair.target = best.units;
  pair.target.push_back(end_);
  // The decoder reads the unit before each of those that it predicts.
  std::vector<std::string> read{std::string(kEnd)};
  for (const std::int32_t id : best.units) read.emplace_back(target_.vocabulary.text(id));
  workspace.arena.reset();
  Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
  tape.trace = &out.trace;
  const std::vector<std::span<const std::int32_t>> sources{pair.source}, targets{pair.target};
  network().forward(tape, network().batch(sources, targets, end_, false, 0, 0));
  out.units["encoder"] = units_of(text, tokens);
  std::vector<std::string> written(read.begin() + 1, read.end());
  std::vector<std::vector<float>> shares;
  for (const AttentionRow& row : best.attention) shares.push_back(row.shares());
  out.attention.push_back({"translation", std::move(written), out.units["encoder"], std::move(shares)});
  out.units["decoder"] = out.units["decoder.further"] = std::move(read);
  return out;
}

std::vector<Json> TextTranslator::answer(const std::vector<Json>& records, Workspace& workspace) const {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < records.size(); ++i) lines.push_back(line_of_record(records[i], i + 1, "text"));
  std::vector<Json> out;
  const auto found = translate(*this, lines, {}, workspace.pool);
  for (std::size_t i = 0; i < lines.size(); ++i) out.push_back(translations_json(*this, lines[i], found[i], 1));
  return out;
}

namespace {

// The output of `score --format jsonl` for each record's pair.
std::vector<Json> score_pairs(const TextModel& model, const std::vector<Json>& records, Workspace& workspace) {
  const auto& translator = static_cast<const TextTranslator&>(model);
  std::vector<EncodedPair> pairs;
  std::vector<std::string> targets;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::string line = line_of_record(records[i], i + 1, "text");
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos)
      fail("record {}: expected a line, a tab and its translation, found {} tabs", i + 1,
           std::ranges::count(line, '\t'));
    targets.push_back(line.substr(tab + 1));
    pairs.push_back(translator.encode(line.substr(0, tab), targets.back()));
  }
  const auto scores = translator.log_probabilities(pairs, workspace);
  std::vector<Json> out;
  for (std::size_t i = 0; i < records.size(); ++i)
    out.push_back(pair_score_json(translator, targets[i], pairs[i], scores[i]));
  return out;
}

}  // namespace

std::span<const Skill> TextTranslator::skills() const {
  static const std::array kSkills{
      Skill{.name = "translate", .text = "A line", .answer = answer_of, .lines = true, .streams = translation_streams},
      Skill{.name = "score",
            .text = "A line, a tab, and its translation",
            .answer = score_pairs,
            .lines = true,
            .numbered = true}};
  return kSkills;
}

}  // namespace mnemo
