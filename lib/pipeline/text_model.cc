#include "pipeline/text_model.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/shown.h"
#include "config/options.h"
#include "pipeline/attribution.h"
#include "pipeline/stored_model.h"
#include "pipeline/text_classifier.h"
#include "pipeline/text_language_model.h"
#include "pipeline/text_tagger.h"
#include "pipeline/text_translator.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// The one table of the kinds of model that a file can hold. `read` makes the model from the file's configuration and
// tables; the weights are filled in by from_contents, in the same way for all.
struct Kind {
  const char* task;
  std::unique_ptr<TextModel> (*read)(const ModelContents&);
};
constexpr std::array kKinds{
    Kind{TextClassifier::kTask, TextClassifier::read},
    Kind{TextTagger::kTask, TextTagger::read},
    Kind{TextLanguageModel::kTask, TextLanguageModel::read},
    Kind{TextTranslator::kTask, TextTranslator::read},
};

}  // namespace

std::unique_ptr<TextModel> TextModel::load(const std::string& path) { return from_contents(read_model(path, "")); }

std::unique_ptr<TextModel> TextModel::map(const std::string& path) { return from_contents(map_model(path, "")); }

std::unique_ptr<TextModel> TextModel::from_contents(ModelContents contents) {
  const auto kind = std::ranges::find_if(kKinds, [&](const Kind& k) { return k.task == contents.metadata.task; });
  // Tasks that the configuration's list lacks were refused when the file was parsed.
  if (kind == kKinds.end()) fail("{}: unknown task {}", contents.file.name(), shown(contents.metadata.task));
  std::unique_ptr<TextModel> out = kind->read(contents);
  Network& network = out->network();
  load_parameters(
      contents.file, [&](const ParameterVisitor& v) { network.visit(v); }, contents.metadata.precision,
      [&](const ParameterVisitor& v) { network.visit_matrices(v); });
  out->load_tables(contents);
  network.set_precision(contents.metadata.precision);
  out->metadata_ = std::move(contents.metadata);
  ThreadPool pool(1);
  network.prepare(pool);
  return out;
}

void TextModel::save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool,
                     Existing existing) {
  prepare(pool);
  ModelMetadata m;
  m.task = task();
  m.config = config_to_json(config_, Which::kStored);
  m.metrics = metrics;
  m.provenance = provenance;
  describe(m);
  const std::vector<std::string> texts = sample_texts();
  std::vector<std::size_t> lengths;
  const std::vector<float> expected = sample_probabilities(texts, pool, lengths);
  m.self_test = samples_json(texts, expected, lengths);
  m.precision = metadata_.precision;
  std::vector<TensorView> tensors;
  NarrowTensors narrow(m.precision);
  append_network(network(), narrow, tensors);
  std::deque<std::string> held;
  append_tables(tensors, narrow, held);
  write_model(path, m, std::move(tensors), existing);
}

void TextModel::quantize(kernels::Precision precision, ThreadPool& pool) {
  round_network(network(), precision, metadata_);
  round_tables(precision);
  network().set_precision(precision);
  prepare(pool);
}

double TextModel::verify(ThreadPool& pool) const {
  std::vector<std::string> texts;
  const std::vector<float> expected = self_test_values(metadata_, texts);
  std::vector<std::size_t> lengths;
  return largest_difference(sample_probabilities(texts, pool, lengths), expected);
}

std::vector<Json> answer_of(const TextModel& model, const std::vector<Json>& records, Workspace& workspace) {
  return model.answer(records, workspace);
}

std::vector<std::string> units_of(std::string_view text, const Tokens& tokens) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    out.emplace_back(text.substr(tokens.begin(i), tokens.end(i) - tokens.begin(i)));
  return out;
}

std::vector<std::pair<std::size_t, std::size_t>> places_of(const Tokens& tokens) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) out.emplace_back(tokens.begin(i), tokens.end(i));
  return out;
}

void check_has_units(std::size_t units) {
  if (units == 0) fail("the text has no units");
}

std::string text_of_record(const Json& record, std::size_t number, const char* key) {
  const auto found = record.is_object() ? record.find(key) : record.end();
  if (!record.is_object() || found == record.end() || !found->is_string())
    fail("record {}: expected an object with a string under \"{}\"", number, key);
  std::string text = found->get<std::string>();
  if (find_invalid_utf8(text)) fail("record {}: its {} is not valid UTF-8", number, key);
  return text;
}

std::string line_of_record(const Json& record, std::size_t number, const char* key) {
  std::string out = text_of_record(record, number, key);
  if (out.find('\n') != std::string::npos) fail("record {}: its text has a line break, expected one line", number);
  return out;
}

std::unique_ptr<Attributed> TextModel::attributed(const std::string&, const AttributionTarget&, Workspace&) {
  throw UsageError(fmt::format("no attribution for models of the task {}", task()));
}

}  // namespace mnemo
