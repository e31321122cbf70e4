#include "tasks/translate/data.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/translation.h"
#include "tasks/blocks.h"
#include "tasks/split.h"
#include "text/pairs.h"

namespace mnemo {
namespace {

PairOptions pair_options(const DataConfig& data, const DataFile& file, InvalidUtf8 invalid_utf8) {
  const std::string format = file.format.value_or(data.format);
  const auto known = pair_format_from_name(format);
  if (!known) throw UsageError(fmt::format("format \"{}\" is not one of pairs", format));
  return {*known, data.source, data.target, invalid_utf8};
}

// The lengths of the shorter and of the longer side, without the end.
struct Sides {
  std::int64_t shorter, longer;

  explicit Sides(PairLengths n) : shorter(std::min(n.source, n.target - 1)), longer(std::max(n.source, n.target - 1)) {}
  bool differ_by_more(double ratio) const { return static_cast<double>(longer) > ratio * static_cast<double>(shorter); }
};

}  // namespace

// The tag of a record is the length of its source.
void PairSet::add(std::string_view source, std::string_view target, std::uint32_t file, std::uint64_t line) {
  store().add(file, line, static_cast<std::uint32_t>(source.size()), {source, target});
}

std::string PairSet::text_of(RecordStore::Copy record) const { return record.bytes.insert(record.tag, "\t"); }

void TranslationData::describe_labels(const Log& log) const {
  std::int64_t empty = 0;
  std::int64_t first = -1;
  for (std::int64_t i = 0; i < train->size(); ++i)
    if (has_blank_side(train_pairs().entry(i)) && empty++ == 0) first = i;
  if (empty > 0)
    log(fmt::format("pairs of train with an empty side: {}, the first at {}{}", empty, train_pairs().place(first),
                    leaves_out_ ? "" : kLeavesOut));
}

std::unique_ptr<TaskData> TranslationData::with(std::unique_ptr<Dataset> its_train, std::unique_ptr<Dataset> its_dev,
                                                std::unique_ptr<Dataset> its_test) const {
  auto out = std::make_unique<TranslationData>(leaves_out_);
  out->train = std::move(its_train);
  out->dev = std::move(its_dev);
  out->test = std::move(its_test);
  return out;
}

PairSet read_pairs(const std::vector<DataFile>& files, const DataConfig& data, const ReadRequest& request,
                   const std::string& what) {
  PairSet out(request.storage);
  for (const DataFile& file : files) {
    const auto path_of = [&](const std::string& name) { return data_path(name, data.dir, request.config_path); };
    const std::string path = path_of(file.file);
    const auto reader = PairReader::open(path, file.target ? path_of(*file.target) : "",
                                         pair_options(data, file, request.invalid_utf8));
    const auto number = static_cast<std::uint32_t>(out.files.size());
    TextPair pair;
    while (reader->next(pair)) out.add(pair.source, pair.target, number, pair.line);
    for (const PairReader::File& one : reader->files()) {
      const bool is_source = out.files.size() == number;
      out.files.push_back(
          {is_source ? path : path_of(*file.target), static_cast<std::int64_t>(one.counts.records), one.digest});
      report_counts(one.name, one.counts, request.log);
    }
  }
  out.finish();
  if (out.size() == 0)
    fail("{}: {} has no pairs", out.files.empty() ? "data." + what : shown_path(out.files.front().path), what);
  return out;
}

std::unique_ptr<TranslationData> read_translation_data(const Config& config, const ReadRequest& request) {
  const DataConfig& d = config.data;
  check_train_named(d);
  const auto read = [&](const std::vector<DataFile>& files, const char* what) {
    return std::make_unique<PairSet>(files.empty() ? PairSet(request.storage) : read_pairs(files, d, request, what));
  };
  auto out = std::make_unique<TranslationData>(d.max_ratio > 0);
  out->train = read(d.train, "train");
  out->dev = read(d.dev, "dev");
  out->test = read(d.test, "test");
  if (d.dev.empty()) keep_dev_out(config, "pair", *out, request.log);
  return out;
}

std::vector<EncodedPair> encode_pairs(const TextTranslator& model, const PairSet& pairs) {
  std::vector<EncodedPair> out;
  out.reserve(static_cast<std::size_t>(pairs.size()));
  Tokens tokens;
  for (const PairSet::Entry& entry : pairs.entries()) {
    EncodedPair& pair = out.emplace_back();
    model.encode_source(entry.source, tokens, pair.source);
    model.encode_target(entry.target, tokens, pair.target);
  }
  return out;
}

PairLengths lengths_of(const EncodedPair& pair) {
  return {static_cast<std::int32_t>(pair.source.size()), static_cast<std::int32_t>(pair.target.size())};
}

std::vector<PairLengths> pair_lengths(const TextTranslator& model, const PairSet& pairs, std::int64_t first,
                                      std::int64_t end) {
  std::vector<PairLengths> out;
  for (std::int64_t i = first; i < end; ++i) {
    const PairSet::Entry entry = pairs.entry(i);
    out.push_back(lengths_of(model.encode(entry.source, entry.target)));
  }
  return out;
}

StoredArray<PairLengths> pair_lengths(const TextTranslator& model, const PairSet& pairs) {
  constexpr std::int64_t kBlock = 2048;
  StoredArray<PairLengths> out(pairs.storage());
  in_blocks(
      pairs.size(), kBlock, pairs.storage() ? pairs.storage()->pool : nullptr,
      [&](std::int64_t first, std::int64_t end) { return pair_lengths(model, pairs, first, end); },
      [&](const std::vector<PairLengths>& more) { out.append(more); });
  out.finish();
  return out;
}

// Not a matter of units: blanks are units among characters.
bool has_blank_side(const PairSet::Entry& pair) {
  return words_of(pair.source, TextConfig()).empty() || words_of(pair.target, TextConfig()).empty();
}

Usable usable(PairLengths lengths, const PairSet& pairs, std::int64_t pair, const DataConfig& data) {
  const Sides n(lengths);
  if (data.max_length > 0 && n.longer > data.max_length) return Usable::kTooLong;
  const bool uneven =
      data.max_ratio > 0 && (n.shorter == 0 || n.differ_by_more(data.max_ratio) || has_blank_side(pairs.entry(pair)));
  return uneven ? Usable::kTooUneven : Usable::kYes;
}

LeftOut left_out(const StoredArray<PairLengths>& lengths, const PairSet& pairs, const DataConfig& data) {
  LeftOut out;
  for (std::int64_t i = 0; i < lengths.size(); ++i) {
    const Usable one = usable(lengths[i], pairs, i, data);
    out.too_long += one == Usable::kTooLong ? 1 : 0;
    out.too_uneven += one == Usable::kTooUneven ? 1 : 0;
  }
  return out;
}

std::int64_t extreme_pairs(const StoredArray<PairLengths>& lengths) {
  constexpr double kExtreme = 9;
  std::int64_t out = 0;
  for (std::int64_t i = 0; i < lengths.size(); ++i) {
    const Sides n(lengths[i]);
    out += n.shorter > 0 && n.differ_by_more(kExtreme) ? 1 : 0;
  }
  return out;
}

std::vector<std::string> sources_of(const PairSet& pairs) {
  std::vector<std::string> out;
  out.reserve(static_cast<std::size_t>(pairs.size()));
  for (const PairSet::Entry& entry : pairs.entries()) out.emplace_back(entry.source);
  return out;
}

}  // namespace mnemo
