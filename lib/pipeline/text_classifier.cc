// A batch of texts is encoded into a Corpus, cut into batches of similar length and run through the network; logits are
// put back in the order of the texts. Probabilities are computed from the logits at the fitted temperature, which is
// stored as the model's calibration.
#include "pipeline/text_classifier.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/finite.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "kernels/elementwise.h"
#include "pipeline/attribution.h"
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

std::vector<PoolingKind> pooling_kinds(const Names& names) {
  std::vector<PoolingKind> out;
  for (const std::string& name : names.names) out.push_back(pooling_kind(name));
  return out;
}

ClassifierOptions network_options(const Config& c, std::int64_t rows, std::int64_t dimension, std::size_t classes) {
  const ModelConfig& m = c.model;
  const auto number = [](double value) { return static_cast<float>(value); };
  return {.table_rows = rows,
          .embedding = dimension,
          .classes = static_cast<Index>(classes),
          .recurrent = recurrent_options(c),
          .pooling = pooling_kinds(m.pooling),
          .convolution = convolution_options(c),
          .dropout = number(m.dropout),
          .embedding_dropout = number(m.embedding_dropout),
          .embedding_deviation = number(m.embedding_deviation),
          .training_piece = c.training.bptt};
}

}  // namespace

TextClassifier::TextClassifier(const Config& config, std::vector<std::string> labels, Vocabulary vocabulary,
                               std::int64_t dimension)
    : TextModel(config), labels_(std::move(labels)), words_(config.text, std::move(vocabulary)) {
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
  return model_as<TextClassifier>(from_contents(read_model(path, kTask)));
}

std::unique_ptr<TextClassifier> TextClassifier::map(const std::string& path) {
  return model_as<TextClassifier>(from_contents(map_model(path, kTask)));
}

std::unique_ptr<TextModel> TextClassifier::read(const ModelContents& contents) {
  const std::string& path = contents.file.name();
  const ModelMetadata& metadata = contents.metadata;
  const Config config = model_config(contents);
  Vocabulary vocabulary = WordTable::read_vocabulary(contents.file, config);
  if (metadata.labels.empty()) fail("{}: damaged model: no labels", path);
  const ClassifierOptions options = network_options(config, 0, config.model.embedding, metadata.labels.size());
  const Index input = options.embedding + options.convolution.added_before();
  check_stored_weights(contents, recurrent_parameters(with_input(options.recurrent, input)) +
                                     convolution_parameters(options.convolution, options.embedding));
  std::unique_ptr<TextClassifier> out(
      new TextClassifier(config, metadata.labels, std::move(vocabulary), config.model.embedding));
  const Json& calibration = metadata.calibration;
  if (calibration.contains("temperature") && calibration["temperature"].is_number())
    out->temperature = calibration["temperature"].get<double>();
  if (!(out->temperature >= kLeastTemperature && out->temperature <= kMostTemperature))
    fail("{}: damaged model: expected a temperature from {} to {}, found {}", path, kLeastTemperature, kMostTemperature,
         out->temperature);
  return out;
}

void TextClassifier::describe(ModelMetadata& metadata) const {
  metadata.labels = labels_;
  metadata.calibration["temperature"] = temperature;
}

std::vector<float> TextClassifier::logits(const Corpus& corpus, Workspace& workspace) const {
  const std::size_t K = labels_.size();
  std::vector<float> out(corpus.size() * K);
  std::int64_t number = 0;
  for (const auto& texts : inference_batches(corpus)) {
    if (!workspace.has_part(number++)) continue;
    const Corpus::Batch batch = corpus.batch(texts);
    workspace.arena.reset();
    Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
    const Activation result = network().forward(tape, batch.packing, batch.bags);
    for (std::size_t i = 0; i < texts.size(); ++i)
      std::copy_n(result.value + i * K, K, out.data() + static_cast<std::size_t>(texts[i]) * K);
  }
  return out;
}

std::vector<float> TextClassifier::probabilities(const std::vector<float>& values, bool calibrated) const {
  if (kernels::has_non_finite(values.data(), std::ssize(values))) fail_not_finite("the score of a label");
  return apply_temperature(values, static_cast<int>(labels_.size()), calibrated ? temperature : 1.0, multi_label());
}

std::vector<std::int32_t> TextClassifier::chosen_labels(const float* p, const LabelChoice& choice) const {
  std::vector<std::int32_t> order(labels_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
  const bool all = multi_label() && !choice.top;
  const std::size_t most = all ? order.size() : static_cast<std::size_t>(choice.top.value_or(1));
  const double least = choice.threshold.value_or(all ? 0.5 : 0.0);
  order.resize(std::min(order.size(), most));
  while (!order.empty() && static_cast<double>(p[order.back()]) < least) order.pop_back();
  return order;
}

Json TextClassifier::labels_json(const float* p, const std::vector<std::int32_t>& chosen) const {
  Json labels = Json::array();
  for (const std::int32_t id : chosen)
    labels.push_back({{"label", labels_[id]}, {"probability", static_cast<double>(p[id])}});
  return {{"labels", std::move(labels)}};
}

namespace {

using KeyType = SkillKey::Type;
const std::array kClassifyKeys{
    SkillKey{"top", KeyType::kWhole, "Number of labels to show, the most probable first", 1, 1e6, 1},
    SkillKey{"threshold", KeyType::kNumber, "Only labels of at least this probability", 0, 1, 0},
    SkillKey{"explain", KeyType::kFlag, "Add \"explain\", the units that weigh most for the first label, by occlusion"},
    SkillKey{"weights", KeyType::kFlag, "Add \"weights\", of all units with their places in code points, by occlusion"},
};
enum ClassifyKey : std::uint8_t { kTop, kThreshold, kExplain, kWeights };

// By occlusion the text is read once for each unit.
std::int64_t classify_work(const Json& record, std::int64_t units) {
  const bool occluded = flag_under(kClassifyKeys[kExplain], record) || flag_under(kClassifyKeys[kWeights], record);
  return occluded ? units * (units + 1) : units;
}

}  // namespace

std::vector<Json> TextClassifier::answer(const std::vector<Json>& records, Workspace& workspace) const {
  Corpus corpus;
  EncodedText encoded;
  for (std::size_t i = 0; i < records.size(); ++i) {
    encode(text_of_record(records[i], i + 1, "text"), encoded);
    corpus.add(encoded);
  }
  const std::vector<float> p = probabilities(logits(corpus, workspace), true);
  std::vector<Json> out;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const float* own = p.data() + i * labels_.size();
    LabelChoice choice;
    if (const auto top = number_under(kClassifyKeys[kTop], records[i])) choice.top = static_cast<int>(*top);
    choice.threshold = number_under(kClassifyKeys[kThreshold], records[i]);
    out.push_back(labels_json(own, chosen_labels(own, choice)));
    const auto text = records[i]["text"].get<std::string>();
    if (flag_under(kClassifyKeys[kExplain], records[i])) out.back()["explain"] = reasons_json(reasons(text, workspace));
    if (flag_under(kClassifyKeys[kWeights], records[i])) out.back()["weights"] = weights_json(text, workspace);
  }
  return out;
}

std::span<const Skill> TextClassifier::skills() const {
  static const std::array kSkills{
      Skill{.name = "classify", .answer = answer_of, .keys = kClassifyKeys, .work = classify_work}};
  return kSkills;
}

Observed TextClassifier::observe(const std::string& text, Workspace& workspace) const {
  Observed out;
  EncodedText encoded;
  encode(text, encoded);
  check_has_units(encoded.tokens.size());
  Corpus corpus;
  corpus.add(encoded);
  const std::vector<std::int64_t> only{0};
  const Corpus::Batch batch = corpus.batch(only);
  workspace.arena.reset();
  Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
  tape.trace = &out.trace;
  out.trace.wants_attention = true;
  network().forward(tape, batch.packing, batch.bags);
  out.units["rnn"] = units_of(text, encoded.tokens);
  out.add_self_attention("rnn");
  if (!out.trace.pooling.empty()) out.attention.push_back({"pooling", {"text"}, out.units["rnn"], {out.trace.pooling}});
  return out;
}

namespace {

class AttributedLabel : public Attributed {
 public:
  // `trained` is the same model, or null if gradients are never asked for.
  AttributedLabel(const TextClassifier& model, TextClassifier* trained, EncodedText encoded,
                  std::vector<std::string> units, std::int64_t label)
      : model_(model), trained_(trained), encoded_(std::move(encoded)), units_(std::move(units)), label_(label) {}

  std::string name() const override { return "logit of " + model_.labels()[static_cast<std::size_t>(label_)]; }
  const std::vector<std::string>& units() const override { return units_; }
  const char* network() const override { return "rnn"; }

  std::vector<double> forward(Tape& tape, std::int64_t copies) override {
    corpus_.clear();
    std::vector<std::int64_t> all;
    for (std::int64_t k = 0; k < copies; ++k) {
      corpus_.add(encoded_);
      all.push_back(k);
    }
    batch_ = std::make_unique<Corpus::Batch>(corpus_.batch(all));
    // Packed for one mode, weights of lower precision do not serve the other.
    if (trained_) trained_->network().prepare(tape);
    const Activation logits = model_.network().forward(tape, batch_->packing, batch_->bags);
    std::vector<double> out;
    for (std::int64_t k = 0; k < copies; ++k) {
      out.push_back(static_cast<double>(logits.value[k * logits.columns + label_]));
      if (logits.gradient) logits.gradient[k * logits.columns + label_] = 1.0f;
    }
    return out;
  }

 private:
  const TextClassifier& model_;
  TextClassifier* trained_;
  EncodedText encoded_;
  std::vector<std::string> units_;
  std::int64_t label_;
  Corpus corpus_;
  std::unique_ptr<Corpus::Batch> batch_;
};

// `trained` as AttributedLabel has it.
std::unique_ptr<Attributed> attributed_label(const TextClassifier& model, TextClassifier* trained,
                                             const std::string& text, EncodedText encoded,
                                             const std::optional<std::string>& wanted, Workspace& workspace) {
  std::int64_t label = 0;
  if (wanted) {
    const auto found = std::ranges::find(model.labels(), *wanted);
    if (found == model.labels().end())
      throw UsageError(fmt::format("--label {}: not a label of the model", shown(*wanted)));
    label = found - model.labels().begin();
  } else {
    Corpus corpus;
    corpus.add(encoded);
    const std::vector<float> values = model.logits(corpus, workspace);
    label = std::ranges::max_element(values) - values.begin();
  }
  std::vector<std::string> units = units_of(text, encoded.tokens);
  return std::make_unique<AttributedLabel>(model, trained, std::move(encoded), std::move(units), label);
}

}  // namespace

std::unique_ptr<Attributed> TextClassifier::attributed(const std::string& text, const AttributionTarget& target,
                                                       Workspace& workspace) {
  EncodedText encoded;
  encode(text, encoded);
  check_has_units(encoded.tokens.size());
  if (target.place) throw UsageError("--place: a classifier's answer belongs to the whole text; expected --label");
  return attributed_label(*this, this, text, std::move(encoded), target.label, workspace);
}

Attribution TextClassifier::explained(const std::string& text, const std::optional<std::string>& label,
                                      Workspace& workspace) const {
  EncodedText encoded;
  encode(text, encoded);
  if (encoded.tokens.empty()) return {};
  const auto attributed = attributed_label(*this, nullptr, text, std::move(encoded), label, workspace);
  AttributionOptions options;
  options.method = AttributionMethod::kOcclusion;
  options.most_occluded = kMostOccluded;
  options.deletion = false;
  Attribution out = attribute(*attributed, options, workspace.pool);
  if (config_.text.reverse) {
    std::ranges::reverse(out.units);
    std::ranges::reverse(out.weights);
  }
  return out;
}

std::vector<std::pair<std::size_t, std::size_t>> TextClassifier::unit_places(std::string_view line) const {
  Tokens tokens;
  tokenize(line, tokens);
  if (config_.text.reverse) tokens.reverse();
  return places_of(tokens);
}

TextClassifier::Reasons TextClassifier::reasons(const std::string& text, Workspace& workspace) const {
  constexpr std::size_t kReasons = 3;
  const Attribution found = explained(text, {}, workspace);
  Reasons out;
  for (std::size_t t = 0; t < found.units.size(); ++t)
    if (found.weights[t] > 0) out.emplace_back(found.units[t], found.weights[t]);
  std::ranges::stable_sort(out, std::greater<>(), [](const auto& one) { return one.second; });
  if (out.size() > kReasons) out.resize(kReasons);
  return out;
}

Json TextClassifier::weights_json(const std::string& text, Workspace& workspace) const {
  const auto places = unit_places(text);
  const Attribution found = explained(text, {}, workspace);
  Json out = Json::array();
  std::size_t bytes = 0, points = 0;  // of the text so far
  const auto points_before = [&](std::size_t byte) {
    points += count_code_points(std::string_view(text).substr(bytes, byte - bytes));
    bytes = byte;
    return points;
  };
  for (std::size_t t = 0; t < found.units.size(); ++t) {
    const std::size_t start = points_before(std::max(bytes, places[t].first)),
                      end = points_before(std::max(bytes, places[t].second));
    out.push_back({{"text", found.units[t]}, {"start", start}, {"end", end}, {"weight", found.weights[t]}});
  }
  return out;
}

Json TextClassifier::reasons_json(const Reasons& reasons) {
  Json out = Json::array();
  for (const auto& [unit, weight] : reasons) out.push_back({unit, weight});
  return out;
}

std::vector<float> TextClassifier::sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                        std::vector<std::size_t>& lengths) const {
  Corpus corpus;
  EncodedText encoded;
  for (const std::string& text : texts) {
    encode(text, encoded);
    corpus.add(encoded);
  }
  lengths.assign(texts.size(), labels_.size());
  Workspace workspace(pool);
  return probabilities(logits(corpus, workspace), true);
}

}  // namespace mnemo
