#include "train/text_classifier.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "text/normalize.h"
#include "text/utf8.h"
#include "train/calibration.h"

namespace mnemo {
namespace {

// Units of a batch in inference: enough for full tiles of the products.
constexpr std::int64_t kInferenceUnits = 4096;

constexpr const char* kExtraVocabulary = "embedding.frozen_vocabulary";

PoolingKind pooling_kind(const std::string& name) {
  if (name == "last") return PoolingKind::kLast;
  if (name == "mean") return PoolingKind::kMean;
  if (name == "max") return PoolingKind::kMax;
  return PoolingKind::kAttention;
}

Initialiser initialiser(const std::string& name) {
  return name == "orthogonal" ? Initialiser::kOrthogonal
         : name == "glorot"   ? Initialiser::kGlorot
                              : Initialiser::kUniform;
}

Residual residual(const std::string& name) {
  return name == "add" ? Residual::kAdd : name == "highway" ? Residual::kHighway : Residual::kNone;
}

RecurrentOptions recurrent_options(const Config& c) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  return {
      .cell = cell_kind(m.cell, {m.layer_norm, m.reset_after, m.activation == "relu"}),
      .hidden = m.hidden,
      .layers = m.layers,
      .bidirectional = m.bidirectional,
      .projection = m.projection,
      .initialiser = initialiser(m.initializer),
      .forget_bias = number(m.forget_bias),
      .layer_dropout = number(m.layer_dropout),
      .variational = m.variational,
      .residual = residual(m.residual),
      .state_dropout = number(m.state_dropout),
      .weight_dropout = number(m.weight_dropout),
      .zoneout_h = number(m.zoneout_h),
      .zoneout_c = number(m.zoneout_c),
      .training_numbers = c.training.numbers == "bfloat16" ? kernels::Numbers::kBfloat16 : kernels::Numbers::kFloat32,
      .learned_initial = m.learned_initial};
}

ClassifierOptions network_options(const Config& c, std::int64_t rows, std::int64_t dimension, std::size_t classes) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  return {.table_rows = rows,
          .embedding = dimension,
          .classes = static_cast<Index>(classes),
          .recurrent = recurrent_options(c),
          .pooling = pooling_kind(m.pooling),
          .dropout = number(m.dropout),
          .embedding_dropout = number(m.embedding_dropout),
          .embedding_deviation = number(m.embedding_deviation)};
}

}  // namespace

Config load_model_config(const std::string& path, const std::vector<std::string>& sets) {
  return load_config(path, sets, [](const Config& config, std::vector<std::string>& errors) {
    const ModelConfig& m = config.model;
    if (m.layer_norm && m.cell != "lstm") errors.push_back("model.layer_norm: only the lstm takes it");
    for (const std::string& conflict : recurrent_conflicts(recurrent_options(config)))
      errors.push_back("model." + conflict);
  });
}

TokenizerOptions tokenizer_options(const TextConfig& text) {
  return {.unit = *unit_from_name(text.unit),
          .normalize = *normalization_from_name(text.normalize),
          .lowercase = text.lowercase,
          .zero_digits = text.digits == "zero"};
}

NgramOptions ngram_options(const TextConfig& text) {
  return {.char_min = static_cast<int>(text.ngrams.char_min),
          .char_max = static_cast<int>(text.ngrams.char_max),
          .unit = static_cast<int>(text.ngrams.unit),
          .buckets = static_cast<std::uint32_t>(text.ngrams.buckets)};
}

TextClassifier::TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                               std::int64_t dimension)
    : config_(config), labels_(std::move(labels)), vocabulary_(std::move(vocabulary)) {
  config_.model.embedding = dimension;
  encoder_ = std::make_unique<TextEncoder>(Tokenizer(tokenizer_options(config_.text)), vocabulary_,
                                           ngram_options(config_.text));
  network_ = std::make_unique<Classifier>(network_options(config_, encoder_->table_rows(), dimension, labels_.size()));
}

TextClassifier::TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                               const PretrainedVectors* vectors)
    : TextClassifier(config, std::move(labels), std::move(vocabulary),
                     vectors ? vectors->dimension() : config.model.embedding) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
  // What training never sees, such as an n-gram of dev alone, must add nothing.
  Parameter& table = network_->embedding().weight;
  std::fill(table.value.data() + vocabulary_.size() * table.row_size(), table.value.data() + table.size(), 0.0f);
  if (vectors) use_vectors(*vectors);
}

// Known words begin with their vector; with pretrained_vocabulary "all" the others' are kept beside the table.
void TextClassifier::use_vectors(const PretrainedVectors& vectors) {
  Parameter& table = network_->embedding().weight;
  const Index E = table.row_size();
  for (std::int32_t id = 1; id < vocabulary_.size(); ++id) {
    const std::int64_t at = vectors.find_relaxed(vocabulary_.text(id));
    if (at < 0) continue;
    std::copy_n(vectors.vector(static_cast<std::size_t>(at)), E, table.value.data() + id * E);
    if (!config_.text.pretrained_tune) {
      table.fixed_rows.resize(table.rows());
      table.fixed_rows[id] = 1;
    }
  }
  if (config_.text.pretrained_vocabulary != "all") return;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    if (vocabulary_.contains(vectors.word(i)) || vectors.word(i) == Vocabulary::kUnknownText) continue;
    if (config_.text.pretrained_limit > 0 && extra_words() >= config_.text.pretrained_limit) break;
    extra_words_.insert(vectors.word(i));
    extra_values_.insert(extra_values_.end(), vectors.vector(i), vectors.vector(i) + E);
  }
  network_->embedding().set_frozen_rows(extra_values_);
}

std::unique_ptr<TextClassifier> TextClassifier::load(const std::string& path) {
  return from_contents(read_model(path, kTask));
}

std::unique_ptr<TextClassifier> TextClassifier::from_contents(ModelContents contents) {
  const SafetensorsFile& file = contents.file;
  const std::string& path = file.name();
  Config config;
  try {
    config = parse_config(contents.metadata.config.dump(), path);
  } catch (const UsageError& error) {
    std::string text = error.what();
    for (std::size_t at; (at = text.find('\n')) != std::string::npos;) text.replace(at, 1, "; ");
    fail("damaged model: {}", text);
  }
  const TensorView* vocabulary = file.find(format::kVocabulary);
  if (!vocabulary) fail("{}: damaged model: tensor {} is missing", path, format::kVocabulary);
  const TensorView* table = file.find(format::kEmbeddingWeight);
  // Sizes come from the tensors, so that no memory is asked for that the file does not have.
  if (!table || table->shape.size() != 2 || table->shape[1] != config.model.embedding)
    fail("{}: damaged model: tensor {} does not fit model.embedding", path, format::kEmbeddingWeight);
  if (contents.metadata.labels.empty()) fail("{}: damaged model: no labels", path);
  const ClassifierOptions options =
      network_options(config, table->shape[0], config.model.embedding, contents.metadata.labels.size());
  const double weights = recurrent_parameters(with_input(options.recurrent, options.embedding));
  std::int64_t stored = 0;
  for (const TensorView& tensor : file.tensors()) stored += static_cast<std::int64_t>(tensor.bytes);
  Vocabulary words = Vocabulary::parse(vocabulary->text());
  const NgramOptions ngrams = ngram_options(config.text);
  const std::int64_t rows = words.size() + (ngrams.any() ? std::int64_t{ngrams.buckets} : 0);
  const auto bytes = static_cast<double>(kernels::numbers_bytes(contents.metadata.numbers));
  if (weights * bytes > static_cast<double>(stored) || rows != table->shape[0])
    fail("{}: damaged model: the tensors are of another size than model.hidden, model.layers or the vocabulary say",
         path);
  std::unique_ptr<TextClassifier> out(
      new TextClassifier(config, contents.metadata.labels, std::move(words), config.model.embedding));
  load_parameters(file, [&](const ParameterVisitor& v) { out->network_->visit(v); });
  if (const TensorView* extra = file.find(kExtraVocabulary)) {
    const Vocabulary extra_words = Vocabulary::parse(extra->text());
    for (std::int32_t id = 1; id < extra_words.size(); ++id) out->extra_words_.insert(extra_words.text(id));
    out->extra_values_.resize(out->extra_words_.size() * static_cast<std::size_t>(config.model.embedding));
    if (const std::string error = load_matrix(file, format::kEmbeddingFrozen,
                                              {out->extra_words(), config.model.embedding}, out->extra_values_.data());
        !error.empty())
      fail("{}: tensors do not fit the configuration: {}", path, error);
    out->network_->embedding().set_frozen_rows(out->extra_values_);
  }
  out->network_->set_numbers(contents.metadata.numbers);
  const Json& calibration = contents.metadata.calibration;
  if (calibration.contains("temperature") && calibration["temperature"].is_number())
    out->temperature = calibration["temperature"].get<double>();
  if (!(out->temperature > 0 && std::isfinite(out->temperature)))
    fail("{}: damaged model: temperature {} is not above 0", path, out->temperature);
  out->metadata_ = std::move(contents.metadata);
  return out;
}

// Made of the vocabulary, so that no text of the training data is told by the model.
std::vector<std::string> TextClassifier::sample_texts() const {
  // A vocabulary's units can be as long as lines: of text without blanks, say. A sample is made of short ones.
  constexpr std::size_t kLongest = 64;
  const std::string between = config_.text.unit == "char" || config_.text.unit == "grapheme" ? "" : " ";
  std::vector<std::string> out{"", "\xEF\xBF\xBD"};
  constexpr std::int32_t kWords = 12;
  for (std::int32_t first = 1; first < vocabulary_.size() && out.size() < 6; first += 4 * kWords) {
    std::string text;
    for (std::int32_t id = first; id < std::min(vocabulary_.size(), first + kWords); ++id)
      if (vocabulary_.text(id).size() <= kLongest)
        text += (text.empty() ? "" : between) + std::string(vocabulary_.text(id));
    out.push_back(text);
  }
  return out;
}

void TextClassifier::save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool) {
  ModelMetadata m;
  m.task = kTask;
  m.config = config_to_json(config_, Which::kWithoutLocal);
  m.labels = labels_;
  m.metrics = metrics;
  m.calibration = {{"temperature", temperature}};
  m.provenance = provenance;
  Corpus corpus;
  EncodedText encoded;
  const std::vector<std::string> samples = sample_texts();
  for (const std::string& text : samples) {
    encode(text, encoded);
    corpus.add(encoded);
  }
  Arena arena;
  const std::vector<float> expected = probabilities(logits(corpus, pool, arena), true);
  const std::size_t K = labels_.size();
  for (std::size_t i = 0; i < samples.size(); ++i)
    m.self_test.push_back(
        {{"text", samples[i]},
         {"probabilities", std::vector<float>(expected.begin() + static_cast<std::ptrdiff_t>(i * K),
                                              expected.begin() + static_cast<std::ptrdiff_t>((i + 1) * K))}});
  m.numbers = metadata_.numbers;
  std::vector<TensorView> tensors;
  NarrowTensors narrow(m.numbers);
  std::set<const Parameter*> matrices;
  network_->visit_narrow([&](Parameter& p) { matrices.insert(&p); });
  network_->visit([&](Parameter& p) {
    if (matrices.count(&p) > 0)
      narrow.append(p.name, p.rows(), p.row_size(), p.value.data(), tensors);
    else
      tensors.push_back(float_tensor(p.name, p.shape, p.value.data()));
  });
  const std::string words = vocabulary_.serialize();
  tensors.push_back(byte_tensor(format::kVocabulary, words));
  std::string extra;
  if (extra_words() > 0) {
    Vocabulary table;
    for (std::int64_t i = 0; i < extra_words(); ++i) table.add(extra_words_.text(static_cast<std::int32_t>(i)));
    extra = table.serialize();
    tensors.push_back(byte_tensor(kExtraVocabulary, extra));
    narrow.append(format::kEmbeddingFrozen, extra_words(), config_.model.embedding, extra_values_.data(), tensors);
  }
  write_model(path, m, std::move(tensors));
}

void TextClassifier::quantize(kernels::Numbers numbers) {
  if (metadata_.numbers != kernels::Numbers::kFloat32)
    fail("the model's numbers are {} already; start from the float32 model", kernels::numbers_name(metadata_.numbers));
  network_->visit_narrow([&](Parameter& p) { round_matrix(numbers, p.rows(), p.row_size(), p.value.data()); });
  round_matrix(numbers, extra_words(), config_.model.embedding, extra_values_.data());
  network_->set_numbers(numbers);
  metadata_.numbers = numbers;
}

std::int32_t TextClassifier::extra_row(std::string_view word) const {
  std::int32_t at = extra_words_.find(word);
  if (at < 0) at = extra_words_.find(to_lower(word));
  if (at < 0) at = extra_words_.find(zero_digits(to_lower(word)));
  return at < 0 ? -1 : static_cast<std::int32_t>(encoder_->table_rows()) + at;
}

void TextClassifier::encode(std::string_view line, EncodedText& out) const {
  encoder_->encode(line, out);
  if (extra_words_.size() == 0 || out.unknown == 0) return;
  for (std::int32_t u = 0; u < out.units(); ++u) {
    std::int32_t& own = out.rows[out.starts[u]];
    if (own != Vocabulary::kUnknown) continue;
    if (const std::int32_t row = extra_row(out.tokens.text(u)); row >= 0) own = row;
  }
}

std::vector<float> TextClassifier::logits(const Corpus& corpus, ThreadPool& pool, Arena& arena) {
  std::vector<std::int64_t> order(corpus.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return corpus.length(a) < corpus.length(b); });
  const std::size_t K = labels_.size();
  std::vector<float> out(order.size() * K);
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    std::int64_t units = 0;
    while (end < order.size() && (end == begin || units + corpus.length(order[end]) <= kInferenceUnits))
      units += corpus.length(order[end++]);
    const std::span<const std::int64_t> texts(order.data() + begin, end - begin);
    const Corpus::Batch batch = corpus.batch(texts);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kInference);
    const Activation result = network_->forward(tape, batch.packing, batch.bags);
    for (std::size_t i = 0; i < texts.size(); ++i)
      std::copy_n(result.value + i * K, K, out.data() + static_cast<std::size_t>(texts[i]) * K);
    begin = end;
  }
  return out;
}

std::vector<float> TextClassifier::probabilities(const std::vector<float>& values, bool calibrated) const {
  return apply_temperature(values, static_cast<int>(labels_.size()), calibrated ? temperature : 1.0, multi_label());
}

double TextClassifier::verify(ThreadPool& pool) {
  if (metadata_.self_test.empty()) throw Error("the model holds no samples to verify");
  Corpus corpus;
  EncodedText encoded;
  std::vector<float> expected;
  try {
    for (const Json& sample : metadata_.self_test) {
      const auto text = sample.at("text").get<std::string>();
      if (find_invalid_utf8(text)) throw Error("damaged model: a sample's text is no UTF-8");
      encode(text, encoded);
      corpus.add(encoded);
      for (const Json& p : sample.at("probabilities")) expected.push_back(p.get<float>());
    }
  } catch (const nlohmann::json::exception&) {
    throw Error("damaged model: a sample is no object with text and probabilities");
  }
  Arena arena;
  const std::vector<float> now = probabilities(logits(corpus, pool, arena), true);
  if (now.size() != expected.size())
    throw Error("damaged model: a sample has another number of probabilities than labels");
  double largest = 0;
  for (std::size_t i = 0; i < now.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(now[i]) - static_cast<double>(expected[i])));
  return largest;
}

}  // namespace mnemo
