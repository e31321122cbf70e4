// A batch holds pairs whose targets are of similar length, as most of the work is done for target units. Pairs are
// encoded once, unless there is too little memory for that or text.merge_dropout cuts them anew in each epoch, by seed,
// epoch and line, so that a resumed run sees the same units: then by batch.
#include "tasks/translate/training.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "pipeline/corpus.h"
#include "pipeline/network_options.h"
#include "pipeline/translation.h"
#include "tasks/counted_units.h"
#include "tasks/cut_anew.h"
#include "tasks/encoded_records.h"
#include "tasks/start_from.h"
#include "text/script.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// A range of records in a row.
template <class Record>
std::span<const Record> own_part(std::span<const Record> records, const DevShare& share) {
  const ShardRange range = share.part().range(std::ssize(records));
  return records.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.size()));
}

double mean_loss(const TextTranslator& model, std::span<const EncodedPair> pairs, const DevShare& share,
                 ThreadPool& pool) {
  Workspace workspace(pool);
  std::vector<double> values;  // by unit
  for (const auto& log_p : model.log_probabilities(own_part(pairs, share), workspace))
    values.insert(values.end(), log_p.begin(), log_p.end());
  values = share.joined(values);
  return -std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max(std::size_t{1}, values.size()));
}

// Encoded pairs, as EncodedRecords takes them.
class EncodedPairs {
 public:
  void add(EncodedPair pair) {
    bytes_ += static_cast<std::int64_t>(sizeof(EncodedPair) + 32 +
                                        sizeof(std::int32_t) * (pair.source.capacity() + pair.target.capacity()));
    pairs_.push_back(std::move(pair));
  }
  void append(const EncodedPairs& other) {
    pairs_.insert(pairs_.end(), other.pairs_.begin(), other.pairs_.end());
    bytes_ += other.bytes_;
  }
  std::int64_t size() const { return std::ssize(pairs_); }
  std::int64_t bytes() const { return bytes_; }
  const EncodedPair& operator[](std::int64_t place) const { return pairs_[static_cast<std::size_t>(place)]; }

 private:
  std::vector<EncodedPair> pairs_;
  std::int64_t bytes_ = 0;
};

class TranslationTraining : public ModelTraining {
 public:
  TranslationTraining(const Config& config, const TranslationData& data, TextTranslator& model)
      : ModelTraining(config, data, model),
        model_(model),
        train_(data.train_pairs()),
        dev_pairs_(data.dev_pairs()),
        encoded_(train_, config.text.merge_dropout == 0, encoder()),
        dev_(encode_pairs(model, dev_pairs_)),
        used_(train_.storage()),
        bleu_(bleu_tokens_for(config.data.bleu, config, dev_pairs_)),
        lengths_(train_.storage()) {
    std::int64_t sources = 0, targets = 0;
    for (std::int64_t i = 0; i < train_.size(); ++i) {
      const PairLengths n = encoded_.lengths()[i];
      if (usable(n, train_, i, config.data) != Usable::kYes) continue;
      used_.push_back(static_cast<std::uint32_t>(i));
      lengths_.push_back(n.target);
      sources += n.source;
      targets += n.target;
    }
    used_.finish();
    lengths_.finish();
    if (used_.size() == 0) fail("{}: data.max_length and data.max_ratio leave no pair", data.train->files.front().path);
    units_ = sources + targets;
    if (sources > 0) model.length_ratio = static_cast<double>(targets) / static_cast<double>(sources);
    begin_epoch(0);
  }

  std::int64_t units() const override { return units_; }
  std::int64_t batches() const override { return batches_.size(); }
  std::string metric() const override { return translation_metric(config_); }

  void begin_epoch(std::int64_t epoch) override {
    // The lengths are those without dropout, so that the number of batches is the same in every epoch.
    batches_ = make_batches(lengths_, config_.training.batch_size, config_.training.batch_tokens, seed(),
                            static_cast<std::uint64_t>(epoch), train_.storage());
    epoch_ = epoch;
  }

  std::int64_t prepare_shard(std::int64_t batch, std::int64_t step, const Shard& shard) override {
    std::vector<std::int64_t> chosen = shard.dealt(batches_[batch]);
    for (std::int64_t& one : chosen) one = used_[one];
    Translator& network = model_.network();
    batch_ = encoded_.with(chosen, [&](const EncodedPairs& pairs, std::span<const std::int64_t> places) {
      std::vector<std::span<const std::int32_t>> sources, targets;
      for (const std::int64_t place : places) {
        sources.emplace_back(pairs[place].source);
        targets.emplace_back(pairs[place].target);
      }
      return std::make_unique<Translator::Batch>(
          network.batch(sources, targets, model_.end(), true, seed(), shard.draw(step)));
    });
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
  Metrics evaluate_dev(ThreadPool& pool, const DevShare& share) override {
    model_.prepare(pool);
    Metrics out{{"loss", mean_loss(model_, dev_, share, pool)}};
    TranslationOptions options;
    options.beam = 1;
    options.attention = false;
    const std::vector<std::string> sources = sources_of(dev_pairs_);
    std::vector<std::string> found;
    for (const auto& hypotheses :
         translate(model_, own_part(std::span<const std::string>(sources), share), options, pool))
      found.push_back(hypotheses.front().text);
    found = share.joined(found);
    BleuCounts bleu_sum;
    ChrfCounts chrf_sum;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string reference(dev_pairs_.entry(static_cast<std::int64_t>(i)).target);
      bleu_sum += count_bleu(found[i], reference, bleu_);
      chrf_sum += count_chrf(found[i], reference);
    }
    out["bleu"] = bleu(bleu_sum);
    out["chrf"] = chrf(chrf_sum);
    return out;
  }

 private:
  EncodedRecords<EncodedPairs, PairLengths>::Encoder encoder() const {
    const auto encode = [this](std::span<const std::int64_t> records, EncodedPairs& out) {
      Tokens tokens;
      const double rate = config_.text.merge_dropout;
      for (const std::int64_t i : records) {
        const PairSet::Entry entry = train_.entry(i);
        EncodedPair pair;
        cut_anew(rate, seed(), epoch_, 2 * i, [&](const MergeDropout& dropout) {
          model_.encode_source(entry.source, tokens, pair.source, dropout);
        });
        cut_anew(rate, seed(), epoch_, 2 * i + 1, [&](const MergeDropout& dropout) {
          model_.encode_target(entry.target, tokens, pair.target, dropout);
        });
        out.add(std::move(pair));
      }
    };
    const auto measure = [this](std::int64_t first, std::int64_t end) {
      return pair_lengths(model_, train_, first, end);
    };
    return {encode, [](const EncodedPairs& pairs, std::int64_t place) { return lengths_of(pairs[place]); }, measure};
  }

  TextTranslator& model_;
  const PairSet &train_, &dev_pairs_;
  std::int64_t epoch_ = 0;
  EncodedRecords<EncodedPairs, PairLengths> encoded_;
  std::vector<EncodedPair> dev_;
  StoredArray<std::uint32_t> used_;  // the pairs that data.max_length and data.max_ratio allow
  BleuTokens bleu_;
  StoredArray<std::int32_t> lengths_;  // of the targets of those
  std::int64_t units_ = 0;
  Batches batches_;
  std::unique_ptr<Translator::Batch> batch_;
  std::vector<std::int32_t> source_rows_, target_rows_;
};

void add_units(std::string_view line, const Tokenizer& tokenizer, Tokens& tokens, VocabularyBuilder& builder) {
  tokenizer.tokenize(line, tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) builder.add(tokens.text(i));
}

bool without_blanks(const PairSet& pairs) {
  std::int64_t letters = 0, blanks = 0, wide = 0;
  for (const PairSet::Entry& entry : pairs.entries())
    for (std::size_t at = 0; at < entry.target.size(); at += utf8_length(entry.target[at])) {
      const char32_t c = decode_utf8(&entry.target[at]).value;
      ++letters;
      blanks += c == ' ' ? 1 : 0;
      wide += is_unsegmented(c) ? 1 : 0;
    }
  return 2 * wide > letters && 10 * blanks < letters;
}

struct SideBuilders {
  VocabularyBuilder sources, targets;

  void append(SideBuilders&& other) {
    sources.append(std::move(other.sources));
    targets.append(std::move(other.targets));
  }
};

// A new translator with the units of these pairs.
std::unique_ptr<TextTranslator> with_units_of(const PairSet& pairs, const Config& config, const Log& log) {
  const TextConfig source = source_text(config), target = target_text(config);
  const Tokenizer source_tokenizer(tokenizer_options(source)), target_tokenizer(tokenizer_options(target));
  const bool joint = config.text.joint;
  auto counted = counted_units<SideBuilders>(pairs, [&](std::int64_t first, std::int64_t end, SideBuilders& out) {
    Tokens tokens;
    for (std::int64_t i = first; i < end; ++i) {
      const PairSet::Entry entry = pairs.entry(i);
      add_units(entry.source, source_tokenizer, tokens, out.sources);
      add_units(entry.target, target_tokenizer, tokens, joint ? out.sources : out.targets);
    }
  });
  VocabularyBuilder &sources = counted.sources, &targets = counted.targets;
  (joint ? sources : targets)
      .add(TextTranslator::kEnd,
           static_cast<std::uint64_t>(pairs.size()) + static_cast<std::uint64_t>(source.min_count));
  Vocabulary first = vocabulary_from(source, sources, nullptr, log, config.text.joint ? "source and target" : "source");
  Vocabulary second = config.text.joint ? first : vocabulary_from(target, targets, nullptr, log, "target");
  return std::make_unique<TextTranslator>(config, std::move(first), std::move(second));
}

void report_lengths(const TextTranslator& model, const PairSet& train, const Log& log) {
  const DataConfig& data = model.config().data;
  const StoredArray<PairLengths> lengths = pair_lengths(model, train);
  if (const std::int64_t extreme = data.max_ratio > 0 ? 0 : extreme_pairs(lengths); extreme > 0)
    log(fmt::format("pairs of train whose sides differ extremely in length: {}{}", extreme, kLeavesOut));
  const LeftOut left = left_out(lengths, train, data);
  if (left.too_long > 0) log(fmt::format("left out by data.max_length: {}", counted(left.too_long, "pair")));
  if (left.too_uneven > 0) log(fmt::format("left out by data.max_ratio: {}", counted(left.too_uneven, "pair")));
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
  std::unique_ptr<RecordSet> used;
  if (leaves_out) {
    const StoredArray<PairLengths> lengths = pair_lengths(*out, train);
    used = train.select([&](std::int64_t i) { return usable(lengths[i], train, i, config.data) == Usable::kYes; });
  }
  if (!used || used->size() == 0 || used->size() == train.size())
    std::ranges::for_each(said, request.log);
  else
    out = with_units_of(static_cast<const PairSet&>(*used), config, request.log);
  report_lengths(*out, train, request.log);
  return out;
}

std::unique_ptr<ModelTraining> translation_training(const Config& config, const TranslationData& data,
                                                    TextTranslator& model) {
  return std::make_unique<TranslationTraining>(config, data, model);
}

}  // namespace mnemo
