// A batch holds pairs whose targets are of similar length, as most of the work is done for target units. With
// text.merge_dropout the pairs are cut anew in each epoch, by seed, epoch and line, so that a resumed run sees the same
// units.
#include "tasks/translate/training.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "pipeline/corpus.h"
#include "pipeline/network_options.h"
#include "pipeline/translation.h"
#include "tasks/start_from.h"
#include "text/script.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

double mean_loss(const TextTranslator& model, const std::vector<EncodedPair>& pairs, ThreadPool& pool) {
  Workspace workspace(pool);
  double sum = 0;
  std::int64_t units = 0;
  for (const auto& log_p : model.log_probabilities(pairs, workspace)) {
    for (const double value : log_p) sum -= value;
    units += std::ssize(log_p);
  }
  return sum / static_cast<double>(std::max<std::int64_t>(1, units));
}

class TranslationTraining : public ModelTraining {
 public:
  TranslationTraining(const Config& config, const TranslationData& data, TextTranslator& model)
      : ModelTraining(config, data, model),
        model_(model),
        train_(data.train_pairs()),
        dev_pairs_(data.dev_pairs()),
        pairs_(encode_pairs(model, train_)),
        dev_(encode_pairs(model, dev_pairs_)),
        used_(usable_pairs(pairs_, train_, config.data).places),
        bleu_(bleu_tokens_for(config.data.bleu, config, dev_pairs_)) {
    if (used_.empty()) fail("{}: data.max_length and data.max_ratio leave no pair", data.train->files.front().path);
    std::int64_t sources = 0, targets = 0;
    for (const std::int64_t place : used_) {
      lengths_.push_back(static_cast<std::int32_t>(pairs_[place].target.size()));
      sources += std::ssize(pairs_[place].source);
      targets += std::ssize(pairs_[place].target);
    }
    units_ = sources + targets;
    if (sources > 0) model.length_ratio = static_cast<double>(targets) / static_cast<double>(sources);
    begin_epoch(0);
  }

  std::int64_t units() const override { return units_; }
  std::int64_t batches() const override { return std::ssize(batches_); }
  std::string metric() const override { return translation_metric(config_); }

  void begin_epoch(std::int64_t epoch) override {
    // The lengths are those without dropout, so that the number of batches is the same in every epoch.
    batches_ = make_batches(lengths_, config_.training.batch_size, config_.training.batch_tokens, seed(),
                            static_cast<std::uint64_t>(epoch));
    epoch_ = static_cast<std::uint64_t>(epoch);
  }

  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    const auto chosen = shard.dealt(batches_[batch]);
    std::vector<EncodedPair> cut;
    if (config_.text.merge_dropout > 0)
      for (const std::int64_t i : chosen) cut.push_back(cut_anew(used_[i]));
    std::vector<std::span<const std::int32_t>> sources, targets;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const EncodedPair& pair = cut.empty() ? pairs_[used_[chosen[i]]] : cut[i];
      sources.emplace_back(pair.source);
      targets.emplace_back(pair.target);
    }
    Translator& network = model_.network();
    batch_ = std::make_unique<Translator::Batch>(
        network.batch(sources, targets, model_.end(), true, seed(), shard.draw(step)));
    source_rows_ = distinct_rows(batch_->source_units, network.source_embedding().weight.rows());
    target_rows_ = distinct_rows(batch_->target_units, network.target_embedding().weight.rows());
    return batch_->source.tokens() + batch_->target.tokens();
  }

  double weight() const override { return static_cast<double>(batch_->target.tokens()); }

  void visit_sparse(const SparseVisitor& visitor) override {
    Parameter &source = model_.network().source_embedding().weight,
              &target = model_.network().target_embedding().weight;
    if (source.sparse && &source == &target) {
      std::vector<std::int32_t> both;
      std::ranges::set_union(source_rows_, target_rows_, std::back_inserter(both));
      return visitor(source, both);
    }
    if (source.sparse) visitor(source, source_rows_);
    if (target.sparse) visitor(target, target_rows_);
  }

  double forward(Tape& tape) override {
    Translator& network = model_.network();
    network.prepare(tape);
    return network.loss(tape, *batch_, network.forward(tape, *batch_));
  }

  // BLEU and chrF of greedy decoding.
  Metrics evaluate_dev(ThreadPool& pool) override {
    model_.prepare(pool);
    Metrics out{{"loss", mean_loss(model_, dev_, pool)}};
    TranslationOptions options;
    options.beam = 1;
    options.attention = false;
    const auto found = translate(model_, sources_of(dev_pairs_), options, pool);
    BleuCounts bleu_sum;
    ChrfCounts chrf_sum;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string &text = found[i].front().text, &reference = dev_pairs_.entries[i].target;
      bleu_sum += count_bleu(text, reference, bleu_);
      chrf_sum += count_chrf(text, reference);
    }
    out["bleu"] = bleu(bleu_sum);
    out["chrf"] = chrf(chrf_sum);
    return out;
  }

 private:
  EncodedPair cut_anew(std::int64_t place) {
    const PairSet::Entry& entry = train_.entries[place];
    RandomStream source(seed(), Purpose::kSubword, epoch_, static_cast<std::uint32_t>(2 * place)),
        target(seed(), Purpose::kSubword, epoch_, static_cast<std::uint32_t>(2 * place + 1));
    EncodedPair out;
    model_.encode_source(entry.source, tokens_, out.source, {config_.text.merge_dropout, &source});
    model_.encode_target(entry.target, tokens_, out.target, {config_.text.merge_dropout, &target});
    return out;
  }

  TextTranslator& model_;
  const PairSet &train_, &dev_pairs_;
  std::vector<EncodedPair> pairs_, dev_;
  std::vector<std::int64_t> used_;
  BleuTokens bleu_;
  std::vector<std::int32_t> lengths_;  // of the targets of the pairs that are used
  std::int64_t units_ = 0;
  std::vector<std::vector<std::int64_t>> batches_;
  std::uint64_t epoch_ = 0;
  Tokens tokens_;
  std::unique_ptr<Translator::Batch> batch_;
  std::vector<std::int32_t> source_rows_, target_rows_;
};

void add_units(const std::string& line, const Tokenizer& tokenizer, Tokens& tokens, VocabularyBuilder& builder) {
  tokenizer.tokenize(line, tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) builder.add(tokens.text(i));
}

bool without_blanks(const PairSet& pairs) {
  std::int64_t letters = 0, blanks = 0, wide = 0;
  for (const PairSet::Entry& entry : pairs.entries)
    for (std::size_t at = 0; at < entry.target.size(); at += utf8_length(entry.target[at])) {
      const char32_t c = decode_utf8(&entry.target[at]).value;
      ++letters;
      blanks += c == ' ' ? 1 : 0;
      wide += is_unsegmented(c) ? 1 : 0;
    }
  return 2 * wide > letters && 10 * blanks < letters;
}

// A new translator with the units of these pairs.
std::unique_ptr<TextTranslator> with_units_of(const PairSet& pairs, const Config& config, const Log& log) {
  const TextConfig source = source_text(config), target = target_text(config);
  const Tokenizer source_tokenizer(tokenizer_options(source)), target_tokenizer(tokenizer_options(target));
  VocabularyBuilder sources, targets;
  VocabularyBuilder& of_targets = config.text.joint ? sources : targets;
  Tokens tokens;
  for (const PairSet::Entry& entry : pairs.entries) {
    add_units(entry.source, source_tokenizer, tokens, sources);
    add_units(entry.target, target_tokenizer, tokens, of_targets);
  }
  of_targets.add(TextTranslator::kEnd, pairs.entries.size() + static_cast<std::uint64_t>(source.min_count));
  Vocabulary first = vocabulary_from(source, sources, nullptr, log, config.text.joint ? "source and target" : "source");
  Vocabulary second = config.text.joint ? first : vocabulary_from(target, targets, nullptr, log, "target");
  return std::make_unique<TextTranslator>(config, std::move(first), std::move(second));
}

void report_lengths(const TextTranslator& model, const PairSet& train, const Log& log) {
  const DataConfig& data = model.config().data;
  const std::vector<EncodedPair> pairs = encode_pairs(model, train);
  if (const std::int64_t extreme = data.max_ratio > 0 ? 0 : extreme_pairs(pairs); extreme > 0)
    log(fmt::format("pairs of train whose sides differ extremely in length: {}{}", extreme, kLeavesOut));
  const UsablePairs used = usable_pairs(pairs, train, data);
  if (used.too_long > 0) log(fmt::format("left out by data.max_length: {}", counted(used.too_long, "pair")));
  if (used.too_uneven > 0) log(fmt::format("left out by data.max_ratio: {}", counted(used.too_uneven, "pair")));
}

}  // namespace

std::string translation_metric(const Config& config) {
  const std::string& metric = config.training.early_stopping.metric;
  return metric == "auto" ? "bleu" : metric;
}

BleuTokens bleu_tokens_for(const std::string& name, const Config& config, const PairSet& pairs) {
  if (name != "auto") return *bleu_tokens_from_name(name);
  if (without_blanks(pairs)) return BleuTokens::kZh;
  return target_text(config).unit == "word" ? BleuTokens::kNone : BleuTokens::k13a;
}

std::unique_ptr<TextTranslator> build_translator(const Config& config, const ReadRequest& request,
                                                 const TranslationData& data, const TextModel* from) {
  if (from) {
    const auto& old = static_cast<const TextTranslator&>(*from);
    auto out = std::make_unique<TextTranslator>(config, old.source().vocabulary, old.target().vocabulary);
    report_lengths(*out, data.train_pairs(), request.log);
    return out;
  }
  const PairSet& train = data.train_pairs();
  std::vector<std::string> said;
  auto out = with_units_of(train, config, [&](const std::string& line) { said.push_back(line); });
  // Which pairs are left out depends on the units, which those pairs should have no part in.
  const bool leaves_out = config.data.max_length > 0 || config.data.max_ratio > 0;
  const UsablePairs used = leaves_out ? usable_pairs(encode_pairs(*out, train), train, config.data) : UsablePairs();
  if (used.places.empty() || std::ssize(used.places) == train.size())
    std::ranges::for_each(said, request.log);
  else
    out = with_units_of(static_cast<const PairSet&>(*train.select(used.places)), config, request.log);
  report_lengths(*out, train, request.log);
  return out;
}

std::unique_ptr<ModelTraining> translation_training(const Config& config, const TranslationData& data,
                                                    TextTranslator& model) {
  return std::make_unique<TranslationTraining>(config, data, model);
}

}  // namespace mnemo
