// Conditions are ordinary units of the sequence: control units of the vocabulary, marked by a leading newline, precede
// the form, author and title, and another precedes the text itself. So one network serves texts with and without
// conditions, and needs no further inputs.
#include "pipeline/text_language_model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "checkpoint/format.h"
#include "config/options.h"
#include "pipeline/attribution.h"
#include "pipeline/generation_record.h"
#include "pipeline/line_scorer.h"
#include "pipeline/network_options.h"
#include "pipeline/stored_model.h"
#include "pipeline/stream_loss.h"

namespace mnemo {
namespace {

constexpr int kSampleUnits = 8;  // in a text of the self-test

LanguageModelOptions network_options(const Config& c, std::int32_t units) {
  const ModelConfig& m = c.model;
  if (!m.cutoffs.empty() && m.cutoffs.back() >= units)
    throw Error(
        fmt::format("model.cutoffs: expected less than the vocabulary's {} units, found {}", units, m.cutoffs.back()));
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

}  // namespace

std::vector<std::string_view> lines_in_order(std::string_view text, bool reverse) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (reverse) std::ranges::reverse(out);
  return out;
}

std::string_view for_source_units(std::string_view line, const Tokens& tokens,
                                  const std::function<void(const SourceUnit& unit)>& use) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::size_t begin = std::max<std::size_t>(tokens.begin(i), done);
    const std::size_t end = std::max<std::size_t>(tokens.end(i), begin);
    use({tokens.text(i), line.substr(done, begin - done), line.substr(begin, end - begin)});
    done = end;
  }
  return line.substr(done);
}

void SpelledUnits::add(const SourceUnit& unit) {
  text_ += unit.before;
  text_ += unit.spelled;
  places_.emplace_back(text_.size() - unit.spelled.size(), text_.size());
}

SpelledUnits SpelledUnits::part(std::int64_t first, std::int64_t last, bool rest) const {
  SpelledUnits out;
  if (first >= last) return out;
  if (last > size()) fail("the spelling of {} units was kept, not of {}", size(), last);
  const std::size_t begin = first == 0 ? 0 : places_[static_cast<std::size_t>(first) - 1].second;
  const std::size_t end = rest ? text_.size() : places_[static_cast<std::size_t>(last) - 1].second;
  out.text_ = text_.substr(begin, end - begin);
  for (std::int64_t i = first; i < last; ++i) {
    const auto& [from, to] = places_[static_cast<std::size_t>(i)];
    out.places_.emplace_back(from - begin, to - begin);
  }
  return out;
}

void for_record_units(const Poem& record, bool conditioned, const Tokenizer& tokenizer, Tokens& tokens,
                      const std::function<void(Section, const SourceUnit& unit)>& use) {
  const bool reverse = tokenizer.options().reverse;
  const auto add = [&](Section section, std::string_view text) {
    tokenizer.tokenize(text, tokens);
    if (!reverse) {
      for_source_units(text, tokens, [&](const SourceUnit& unit) { use(section, unit); });
      return;
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) use(section, {tokens.text(i)});
  };
  if (conditioned) {
    if (!record.form.empty()) use(Section::kForm, {std::string(TextLanguageModel::kForm) + record.form});
    for (const auto& [section, name, text] :
         {std::tuple{Section::kAuthor, TextLanguageModel::kAuthor, std::string_view(record.author)},
          {Section::kTitle, TextLanguageModel::kTitle, std::string_view(record.title)}})
      if (!text.empty()) {
        use(section, {name, "", section == Section::kTitle ? "\n" : ""});
        add(section, text);
      }
    use(Section::kTitle, {TextLanguageModel::kBody, "", "\n"});
  }
  const std::vector<std::string_view> lines = lines_in_order(record.body, reverse);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) use(Section::kBody, {TextLanguageModel::kLineEnd, "", "\n"});
    add(Section::kBody, lines[i]);
  }
  use(Section::kBody, {TextLanguageModel::kRecordEnd});
}

TextLanguageModel::TextLanguageModel(const Config& config, Vocabulary vocabulary, Unfilled)
    : TextModel(config),
      vocabulary_(std::move(vocabulary)),
      tokenizer_(tokenizer_of(config.text, vocabulary_)),
      line_end_(vocabulary_.find(kLineEnd)),
      network_(std::make_unique<LanguageModel>(network_options(config_, vocabulary_.size()))) {}

TextLanguageModel::TextLanguageModel(const Config& config, Vocabulary vocabulary)
    : TextLanguageModel(config, std::move(vocabulary), Unfilled()) {
  network_->initialise(static_cast<std::uint64_t>(config.training.seed));
}

std::unique_ptr<TextLanguageModel> TextLanguageModel::load(const std::string& path) {
  return model_as<TextLanguageModel>(from_contents(read_model(path, kTask)));
}

std::unique_ptr<TextModel> TextLanguageModel::read(const ModelContents& contents) {
  const SafetensorsFile& file = contents.file;
  const Config config = model_config(contents);
  Vocabulary vocabulary = stored_vocabulary(file, format::kVocabulary);
  if (!vocabulary.contains(kLineEnd)) fail("{}: damaged model: its vocabulary lacks the end of line", file.name());
  const LanguageModelOptions options = network_options(config, vocabulary.size());
  check_stored_weights(contents, recurrent_parameters(with_input(options.recurrent, options.embedding)) +
                                     static_cast<double>(options.units) * static_cast<double>(options.embedding));
  return std::unique_ptr<TextModel>(new TextLanguageModel(config, std::move(vocabulary), Unfilled()));
}

std::vector<std::string> TextLanguageModel::sample_texts() const {
  std::vector<std::string> texts{""};
  for (std::int32_t id = 1; id < std::min(vocabulary_.size(), 1 + 2 * kSampleUnits); ++id) {
    if (vocabulary_.text(id).front() == '\n') continue;
    if (id == 1 + kSampleUnits) texts.emplace_back();
    if (config_.text.blanks_between_units() && !texts.back().empty()) texts.back() += ' ';
    texts.back() += vocabulary_.text(id);
  }
  return texts;
}

std::vector<std::string> TextLanguageModel::output_rows() const {
  std::vector<std::string> out;
  for (std::int32_t id = 0; config_.model.cutoffs.empty() && id < vocabulary_.size(); ++id)
    out.emplace_back(vocabulary_.text(id));
  return out;
}

void TextLanguageModel::append_tables(std::vector<TensorView>& tensors, NarrowTensors&,
                                      std::deque<std::string>& held) const {
  tensors.push_back(byte_tensor(format::kVocabulary, held.emplace_back(vocabulary_.serialize())));
}

std::int64_t TextLanguageModel::encode_line(std::string_view line, Tokens& tokens,
                                            std::vector<std::int32_t>& ids) const {
  std::int64_t unknown = 0;
  if (has_conditions()) ids.push_back(vocabulary_.find(kBody));
  tokenizer_.tokenize(line, tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(vocabulary_.find(tokens.text(i)));
    unknown += ids.back() == Vocabulary::kUnknown ? 1 : 0;
  }
  ids.push_back(text_end());
  return unknown;
}

std::vector<double> TextLanguageModel::log_probabilities(std::span<const std::int32_t> ids, ThreadPool& pool) const {
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
                                                           std::vector<std::size_t>& lengths) const {
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

std::vector<Json> TextLanguageModel::answer(const std::vector<Json>& records, Workspace& workspace) const {
  LineScorer scorer(*this, {}, workspace.pool);
  for (std::size_t i = 0; i < records.size(); ++i) scorer.add(text_of_record(records[i], i + 1, "text"));
  std::vector<Json> out;
  for (const LineScore& score : scorer.take()) out.push_back(score.json(vocabulary_));
  return out;
}

std::span<const Skill> TextLanguageModel::skills() const {
  static constexpr auto kTexts = [](const TextModel& model, const std::vector<Json>& records, Workspace& workspace) {
    return generate_records(static_cast<const TextLanguageModel&>(model), records, workspace);
  };
  static const std::array kSkills{
      Skill{.name = "score", .text = "A line", .answer = answer_of, .lines = true, .numbered = true},
      Skill{.name = "generate",
            .text = "The beginning of the text, which may be empty",
            .answer = kTexts,
            .keys = generation_keys(),
            .takes = takes_generation_key,
            .streams = generation_streams,
            .not_streamed = not_streamed_generation,
            .length = GenerateOptions().length,
            .work = generation_work}};
  return kSkills;
}

TextLanguageModel::ReadText TextLanguageModel::read_text(const std::string& text) const {
  if (has_records() && text.find('\n') != std::string::npos)
    fail("the text has a line break, expected one line: the model reads records");
  ReadText out;
  std::vector<std::int32_t> ids;
  Tokens tokens;
  for (const std::string_view line : lines_in_order(text, reads_backwards())) {
    encode_line(line, tokens, ids);
    out.units.emplace_back("\n");
    if (has_conditions()) out.units.emplace_back(kBody);
    for (std::string& unit : units_of(line, tokens)) out.units.push_back(std::move(unit));
  }
  // The network reads the unit before each of those that it predicts.
  out.read.push_back(text_end());
  out.read.insert(out.read.end(), ids.begin(), ids.end() - 1);
  out.predicted = std::move(ids);
  return out;
}

Observed TextLanguageModel::observe(const std::string& text, Workspace& workspace) const {
  Observed out;
  ReadText given = read_text(text);
  const std::vector<std::int32_t> lengths{static_cast<std::int32_t>(given.read.size())};
  workspace.arena.reset();
  Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
  tape.trace = &out.trace;
  out.trace.wants_attention = true;
  const LanguageModel::Batch batch =
      network().batch(Packing(lengths), given.read, std::move(given.predicted), false, 0, 0);
  network().forward(tape, batch, nullptr);
  out.units["rnn"] = std::move(given.units);
  out.add_self_attention("rnn");
  return out;
}

namespace {

// log p of the unit after the last that is read.
class AttributedUnit : public Attributed {
 public:
  AttributedUnit(TextLanguageModel& model, std::vector<std::string> units, std::vector<std::int32_t> read,
                 std::int32_t target)
      : model_(model), units_(std::move(units)), read_(std::move(read)), target_(target) {}

  std::string name() const override { return "log p of " + std::string(model_.vocabulary().text(target_)); }
  const std::vector<std::string>& units() const override { return units_; }
  const char* network() const override { return "rnn"; }

  std::vector<double> forward(Tape& tape, std::int64_t copies) override {
    const auto steps = std::ssize(read_);
    const std::vector<std::int32_t> lengths(static_cast<std::size_t>(copies), static_cast<std::int32_t>(steps));
    std::vector<std::int32_t> ids;
    for (const std::int32_t id : read_) ids.insert(ids.end(), static_cast<std::size_t>(copies), id);
    targets_.assign(static_cast<std::size_t>(copies), target_);
    LanguageModel& network = model_.network();
    batch_ = network.batch(Packing(lengths), ids, std::vector<std::int32_t>(ids.size(), target_), false, 0, 0);
    network.prepare(tape);
    network.output().prepare(tape.pool);
    const Activation y = network.forward(tape, batch_, nullptr).y;
    const Index skipped = (steps - 1) * copies * y.columns;
    const Activation last{y.value + skipped, y.gradient ? y.gradient + skipped : nullptr, copies, y.columns};
    std::vector<double> out(static_cast<std::size_t>(copies));
    network.output().log_probabilities(tape.pool, tape.arena, last.value, targets_, out.data());
    // The loss is the mean of -log p; wanted are the gradients of the sum of log p.
    if (tape.training()) network.output().loss(tape, last, targets_, -static_cast<double>(copies));
    return out;
  }

 private:
  TextLanguageModel& model_;
  std::vector<std::string> units_;
  std::vector<std::int32_t> read_, targets_;
  std::int32_t target_;
  LanguageModel::Batch batch_{Packing({}), {}, {}};
};

}  // namespace

std::unique_ptr<Attributed> TextLanguageModel::attributed(const std::string& text, const AttributionTarget& target,
                                                          Workspace&) {
  if (target.label) throw UsageError("--label: a language model has units; expected --place");
  ReadText given = read_text(text);
  // Of the units that are read, the first is the end of a text; the last predicted one is the end of this text.
  const auto last = static_cast<std::int64_t>(given.units.size()) - 2;
  check_has_units(static_cast<std::size_t>(std::max<std::int64_t>(0, last + 1)));
  // Places are those of all units that are read; what a line, and the body of a record, begin with is no unit of the
  // text.
  const std::int64_t first = has_conditions() ? 1 : 0, place = target.place ? *target.place - 1 : last;
  if (place < first || place > last)
    throw UsageError(
        fmt::format("--place {}: the text's units have the places {} to {}", *target.place, first + 1, last + 1));
  const auto count = static_cast<std::size_t>(place) + 1;
  given.units.resize(count);
  given.read.resize(count);
  return std::make_unique<AttributedUnit>(*this, std::move(given.units), std::move(given.read),
                                          given.predicted[count - 1]);
}

std::string UnitJoiner::add(std::int32_t id) {
  const std::string_view text = model_.vocabulary().text(id);
  if (model_.vocabulary().subwords())
    return id == model_.line_end() ? pieces_.end() + std::string(text) : pieces_.add(text);
  const bool blank = model_.config().text.blanks_between_units() && !line_begins_ && id != model_.line_end();
  line_begins_ = id == model_.line_end();
  return (blank ? " " : "") + std::string(text);
}

}  // namespace mnemo
