#include "pipeline/text_classifier.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "kernels/elementwise.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"
#include "pipeline/temperature.h"

namespace mnemo {
namespace {

PoolingKind pooling_kind(const std::string& name) {
  if (name == "last") return PoolingKind::kLast;
  if (name == "mean") return PoolingKind::kMean;
  if (name == "max") return PoolingKind::kMax;
  return PoolingKind::kAttention;
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

TextClassifier::TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                               std::int64_t dimension)
    : config_(config), labels_(std::move(labels)), words_(config.text, std::move(vocabulary)) {
  config_.model.embedding = dimension;
  network_ = std::make_unique<Classifier>(network_options(config_, words_.rows(), dimension, labels_.size()));
}

TextClassifier::TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                               const PretrainedVectors* vectors)
    : TextClassifier(config, std::move(labels), std::move(vocabulary),
                     vectors ? vectors->dimension() : config.model.embedding) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
  words_.initialise(network_->embedding(), vectors);
}

std::unique_ptr<TextClassifier> TextClassifier::load(const std::string& path) {
  return from_contents(read_model(path, kTask));
}

std::unique_ptr<TextClassifier> TextClassifier::from_contents(ModelContents contents) {
  const SafetensorsFile& file = contents.file;
  const std::string& path = file.name();
  const Config config = model_config(contents);
  Vocabulary vocabulary = WordTable::read_vocabulary(file, config);
  if (contents.metadata.labels.empty()) fail("{}: damaged model: no labels", path);
  const ClassifierOptions options = network_options(config, 0, config.model.embedding, contents.metadata.labels.size());
  check_stored_weights(contents, recurrent_parameters(with_input(options.recurrent, options.embedding)));
  std::unique_ptr<TextClassifier> out(
      new TextClassifier(config, contents.metadata.labels, std::move(vocabulary), config.model.embedding));
  load_parameters(
      contents.file, [&](const ParameterVisitor& v) { out->network_->visit(v); }, contents.metadata.precision,
      [&](const ParameterVisitor& v) { out->network_->visit_matrices(v); });
  out->words_.load(contents, out->network_->embedding());
  out->network_->set_precision(contents.metadata.precision);
  const Json& calibration = contents.metadata.calibration;
  if (calibration.contains("temperature") && calibration["temperature"].is_number())
    out->temperature = calibration["temperature"].get<double>();
  if (!(out->temperature > 0 && std::isfinite(out->temperature)))
    fail("{}: damaged model: temperature {} is not above 0", path, out->temperature);
  out->metadata_ = std::move(contents.metadata);
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
  const std::vector<std::string> samples = words_.sample_texts();
  for (const std::string& text : samples) {
    encode(text, encoded);
    corpus.add(encoded);
  }
  Arena arena;
  const std::vector<float> expected = probabilities(logits(corpus, pool, arena), true);
  m.self_test = samples_json(samples, expected, std::vector<std::size_t>(samples.size(), labels_.size()));
  m.precision = metadata_.precision;
  std::vector<TensorView> tensors;
  NarrowTensors narrow(m.precision);
  append_network([&](const ParameterVisitor& v) { network_->visit(v); },
                 [&](const ParameterVisitor& v) { network_->visit_matrices(v); }, narrow, tensors);
  std::deque<std::string> held;
  words_.append(tensors, narrow, held);
  write_model(path, m, std::move(tensors));
}

void TextClassifier::quantize(kernels::Precision precision) {
  round_network([&](const ParameterVisitor& v) { network_->visit(v); },
                [&](const ParameterVisitor& v) { network_->visit_matrices(v); }, precision, metadata_);
  words_.round(precision);
  network_->set_precision(precision);
}

void TextClassifier::encode(std::string_view line, EncodedText& out) const { words_.encode(line, out); }

std::vector<float> TextClassifier::logits(const Corpus& corpus, ThreadPool& pool, Arena& arena) {
  const std::size_t K = labels_.size();
  std::vector<float> out(corpus.size() * K);
  for (const auto& texts : inference_batches(corpus)) {
    const Corpus::Batch batch = corpus.batch(texts);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kInference);
    const Activation result = network_->forward(tape, batch.packing, batch.bags);
    for (std::size_t i = 0; i < texts.size(); ++i)
      std::copy_n(result.value + i * K, K, out.data() + static_cast<std::size_t>(texts[i]) * K);
  }
  return out;
}

std::vector<float> TextClassifier::probabilities(const std::vector<float>& values, bool calibrated) const {
  return apply_temperature(values, static_cast<int>(labels_.size()), calibrated ? temperature : 1.0, multi_label());
}

double TextClassifier::verify(ThreadPool& pool) {
  std::vector<std::string> texts;
  const std::vector<float> expected = self_test_values(metadata_, texts);
  Corpus corpus;
  EncodedText encoded;
  for (const std::string& text : texts) {
    encode(text, encoded);
    corpus.add(encoded);
  }
  Arena arena;
  return largest_difference(probabilities(logits(corpus, pool, arena), true), expected);
}

}  // namespace mnemo
