#include "pipeline/text_language_model.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"

namespace mnemo {
namespace {

// Steps that are read at once where nothing is learned, and units of a sample of the self-test.
constexpr std::int64_t kBlockSteps = 256;
// Lanes that are read side by side.
constexpr std::ptrdiff_t kLanes = 128;
constexpr int kSampleUnits = 8;

LanguageModelOptions network_options(const Config& c, std::int32_t units) {
  const ModelConfig& m = c.model;
  if (!m.cutoffs.empty() && m.cutoffs.back() >= units)
    throw Error(fmt::format("model.cutoffs: {} is no less than the vocabulary's {} units", m.cutoffs.back(), units));
  const auto number = [](double value) { return static_cast<float>(value); };
  return {.units = units,
          .embedding = m.embedding,
          .recurrent = recurrent_options(c),
          .cutoffs = m.cutoffs,
          .tied = m.tied,
          .dropout = number(m.dropout),
          .embedding_dropout = number(m.embedding_dropout),
          .unit_dropout = number(m.unit_dropout),
          .activation_penalty = number(m.activation_penalty),
          .slowness_penalty = number(m.slowness_penalty),
          .embedding_deviation = number(m.embedding_deviation)};
}

// Reads lanes, the longest first, side by side.
void measure_group(TextLanguageModel& model, std::span<const StreamLoss::Lane> lanes, const ReadUnits& read,
                   ThreadPool& pool, Arena& arena, const StreamLoss::Use& use) {
  LanguageModel& network = model.network();
  const auto count = std::ssize(lanes);
  CarriedState state(network.options().recurrent, count);
  std::vector<std::int32_t> lengths(count), ids, targets;
  for (std::int64_t done = 0; done < lanes.front().end - lanes.front().begin; done += kBlockSteps) {
    for (std::ptrdiff_t b = 0; b < count; ++b)
      lengths[b] =
          static_cast<std::int32_t>(std::clamp<std::int64_t>(lanes[b].end - lanes[b].begin - done, 0, kBlockSteps));
    Packing packing(lengths);
    ids.assign(packing.tokens(), 0);
    targets.assign(packing.tokens(), 0);
    for (std::ptrdiff_t b = 0; b < count; ++b)
      place_units(read, lanes[b].begin + done, lengths[b], model.text_end(), packing, b, ids, targets);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kInference);
    const LanguageModel::Batch batch = network.batch(std::move(packing), ids, targets, false, 0, 0);
    const RecurrentState initial = state.view();
    const Recurrent::Output output = network.forward(tape, batch, done > 0 ? &initial : nullptr);
    std::vector<double> log_p(targets.size());
    network.output().log_probabilities(pool, output.y.value, targets, log_p.data());
    state.take(output.final);
    for (std::ptrdiff_t b = 0; b < count; ++b)
      for (std::int64_t t = 0; t < lengths[b]; ++t) {
        const std::int64_t place = lanes[b].begin + done + t;
        const std::int64_t row = batch.packing.row(b, t);
        if (place >= lanes[b].counted) use(targets[row], place, log_p[row]);
      }
  }
}

Index cell_columns(const RecurrentOptions& o) { return cell_traits(o.cell).cell_state ? o.hidden : 0; }

}  // namespace

CarriedState::CarriedState(const RecurrentOptions& options, Index sequences)
    : sequences_(sequences),
      h_columns_(options.output()),
      c_columns_(cell_columns(options)),
      h_(options.layers * options.directions() * sequences * h_columns_),
      c_(options.layers * options.directions() * sequences * c_columns_) {}

RecurrentState CarriedState::view() {
  RecurrentState out;
  out.h = {h_.data(), nullptr, std::ssize(h_) / std::max<Index>(1, h_columns_), h_columns_};
  if (!c_.empty()) out.c = {c_.data(), nullptr, std::ssize(c_) / c_columns_, c_columns_};
  return out;
}

void CarriedState::take(const RecurrentState& state) {
  std::copy_n(state.h.value, h_.size(), h_.begin());
  if (!c_.empty()) std::copy_n(state.c.value, c_.size(), c_.begin());
}

void CarriedState::clear() {
  std::fill(h_.begin(), h_.end(), 0.0f);
  std::fill(c_.begin(), c_.end(), 0.0f);
}

void for_record_units(const Poem& record, bool told, const Tokenizer& tokenizer, Tokens& tokens,
                      const std::function<void(Section, std::string_view unit)>& use) {
  const auto add = [&](Section section, std::string_view text) {
    tokenizer.tokenize(text, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) use(section, tokens.text(i));
  };
  if (told) {
    if (!record.form.empty()) use(Section::kForm, std::string(TextLanguageModel::kForm) + record.form);
    for (const auto& [section, control, text] :
         {std::tuple{Section::kAuthor, TextLanguageModel::kAuthor, std::string_view(record.author)},
          {Section::kTitle, TextLanguageModel::kTitle, std::string_view(record.title)}})
      if (!text.empty()) {
        use(section, control);
        add(section, text);
      }
    use(Section::kTitle, TextLanguageModel::kBody);
  }
  for (std::size_t at = 0; at <= record.body.size();) {
    const std::size_t end = std::min(record.body.find('\n', at), record.body.size());
    add(Section::kBody, std::string_view(record.body).substr(at, end - at));
    if (end < record.body.size()) use(Section::kBody, TextLanguageModel::kLineEnd);
    at = end + 1;
  }
  use(Section::kBody, TextLanguageModel::kRecordEnd);
}

TextLanguageModel::TextLanguageModel(const Config& config, Vocabulary vocabulary, Unfilled)
    : config_(config),
      vocabulary_(std::move(vocabulary)),
      tokenizer_(mnemo::tokenizer_options(config.text)),
      line_end_(vocabulary_.find(kLineEnd)),
      network_(std::make_unique<LanguageModel>(network_options(config_, vocabulary_.size()))) {}

TextLanguageModel::TextLanguageModel(const Config& config, Vocabulary vocabulary)
    : TextLanguageModel(config, std::move(vocabulary), Unfilled()) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
}

std::unique_ptr<TextLanguageModel> TextLanguageModel::load(const std::string& path) {
  return from_contents(read_model(path, kTask));
}

std::unique_ptr<TextLanguageModel> TextLanguageModel::from_contents(ModelContents contents) {
  const SafetensorsFile& file = contents.file;
  const Config config = model_config(contents);
  const TensorView* bytes = file.find(format::kVocabulary);
  if (!bytes) fail("{}: damaged model: tensor {} is missing", file.name(), format::kVocabulary);
  Vocabulary vocabulary = Vocabulary::parse(bytes->text());
  if (!vocabulary.contains(kLineEnd)) fail("{}: damaged model: its vocabulary lacks the line's end", file.name());
  const LanguageModelOptions options = network_options(config, vocabulary.size());
  check_stored_weights(contents, recurrent_parameters(with_input(options.recurrent, options.embedding)) +
                                     static_cast<double>(options.units) * static_cast<double>(options.embedding));
  std::unique_ptr<TextLanguageModel> out(new TextLanguageModel(config, std::move(vocabulary), Unfilled()));
  load_parameters(
      file, [&](const ParameterVisitor& v) { out->network_->visit(v); }, contents.metadata.precision,
      [&](const ParameterVisitor& v) { out->network_->visit_matrices(v); });
  out->network_->set_precision(contents.metadata.precision);
  out->metadata_ = std::move(contents.metadata);
  return out;
}

void TextLanguageModel::save(const std::string& path, const Json& metrics, const Json& provenance, ThreadPool& pool) {
  ModelMetadata m;
  m.task = kTask;
  m.config = config_to_json(config_, Which::kWithoutLocal);
  m.metrics = metrics;
  m.provenance = provenance;
  std::vector<std::string> texts{""};
  for (std::int32_t id = 1; id < std::min(vocabulary_.size(), 1 + 2 * kSampleUnits); ++id) {
    if (vocabulary_.text(id).front() == '\n') continue;
    if (id == 1 + kSampleUnits) texts.emplace_back();
    if (config_.text.unit == "word" && !texts.back().empty()) texts.back() += ' ';
    texts.back() += vocabulary_.text(id);
  }
  std::vector<std::size_t> lengths;
  const std::vector<float> expected = sample_probabilities(texts, pool, lengths);
  m.self_test = samples_json(texts, expected, lengths);
  m.precision = metadata_.precision;
  std::vector<TensorView> tensors;
  NarrowTensors narrow(m.precision);
  append_network([&](const ParameterVisitor& v) { network_->visit(v); },
                 [&](const ParameterVisitor& v) { network_->visit_matrices(v); }, narrow, tensors);
  const std::string bytes = vocabulary_.serialize();
  tensors.push_back(byte_tensor(format::kVocabulary, bytes));
  write_model(path, m, std::move(tensors));
}

void TextLanguageModel::quantize(kernels::Precision precision) {
  round_network([&](const ParameterVisitor& v) { network_->visit(v); },
                [&](const ParameterVisitor& v) { network_->visit_matrices(v); }, precision, metadata_);
  network_->set_precision(precision);
}

std::int64_t TextLanguageModel::encode_line(std::string_view line, Tokens& tokens,
                                            std::vector<std::int32_t>& ids) const {
  std::int64_t unknown = 0;
  if (tells()) ids.push_back(vocabulary_.find(kBody));
  tokenizer_.tokenize(line, tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(vocabulary_.find(tokens.text(i)));
    unknown += ids.back() == Vocabulary::kUnknown ? 1 : 0;
  }
  ids.push_back(text_end());
  return unknown;
}

std::vector<double> TextLanguageModel::log_probabilities(std::span<const std::int32_t> ids, ThreadPool& pool) {
  std::vector<double> out(ids.size());
  StreamLoss(std::ssize(ids), 1, 0)
      .measure(
          *this,
          [&](std::int64_t first, std::span<std::int32_t> to) {
            std::copy_n(ids.begin() + first, to.size(), to.begin());
          },
          pool, [&](std::int32_t, std::int64_t place, double log_p) { out[place] = log_p; });
  return out;
}

std::vector<float> TextLanguageModel::sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                                           std::vector<std::size_t>& lengths) {
  std::vector<float> out;
  Tokens tokens;
  for (const std::string& text : texts) {
    std::vector<std::int32_t> ids;
    encode_line(text, tokens, ids);
    for (const double log_p : log_probabilities(ids, pool)) out.push_back(static_cast<float>(std::exp(log_p)));
    lengths.push_back(ids.size());
  }
  return out;
}

double TextLanguageModel::verify(ThreadPool& pool) {
  std::vector<std::string> texts;
  const std::vector<float> expected = self_test_values(metadata_, texts);
  std::vector<std::size_t> lengths;
  return largest_difference(sample_probabilities(texts, pool, lengths), expected);
}

std::string UnitJoiner::add(std::int32_t id) {
  const std::string_view text = model_.vocabulary().text(id);
  const bool blank = model_.config().text.unit == "word" && !line_begins_ && id != model_.line_end();
  line_begins_ = id == model_.line_end();
  return (blank ? " " : "") + std::string(text);
}

void place_units(const ReadUnits& read, std::int64_t first, std::int64_t length, std::int32_t text_end,
                 const Packing& packing, Index b, std::vector<std::int32_t>& ids, std::vector<std::int32_t>& targets) {
  if (length == 0) return;
  std::vector<std::int32_t> units(length + 1, text_end);
  const std::int64_t before = first > 0 ? 1 : 0;
  read(first - before, std::span(units).subspan(1 - before));
  for (std::int64_t t = 0; t < length; ++t) {
    ids[packing.row(b, t)] = units[t];
    targets[packing.row(b, t)] = units[t + 1];
  }
}

StreamLoss::StreamLoss(std::int64_t units, std::int64_t lanes, std::int64_t warm_up) {
  lanes = std::max<std::int64_t>(1, std::min(lanes, units / std::max<std::int64_t>(1, warm_up)));
  for (std::int64_t i = 0; i < lanes; ++i) {
    const std::int64_t first = i * units / lanes;
    lanes_.push_back({std::max<std::int64_t>(0, first - warm_up), first, (i + 1) * units / lanes});
  }
  sort();
}

StreamLoss::StreamLoss(std::vector<Lane> lanes) : lanes_(std::move(lanes)) { sort(); }

void StreamLoss::sort() {
  std::stable_sort(lanes_.begin(), lanes_.end(),
                   [](const Lane& a, const Lane& b) { return a.end - a.begin > b.end - b.begin; });
}

double StreamLoss::measure(TextLanguageModel& model, const ReadUnits& read, ThreadPool& pool, const Use& use) const {
  double sum = 0;
  std::int64_t counted = 0;
  Arena arena;
  for (std::ptrdiff_t first = 0; first < std::ssize(lanes_); first += kLanes) {
    const auto group = std::span(lanes_).subspan(first, std::min(kLanes, std::ssize(lanes_) - first));
    measure_group(model, group, read, pool, arena, [&](std::int32_t unit, std::int64_t place, double log_p) {
      sum -= log_p;
      ++counted;
      if (use) use(unit, place, log_p);
    });
  }
  return counted > 0 ? sum / static_cast<double>(counted) : 0;
}

}  // namespace mnemo
