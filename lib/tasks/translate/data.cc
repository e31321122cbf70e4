#include "tasks/translate/data.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/translation.h"
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

// Units of the sides of a pair, without the end.
struct Lengths {
  std::int64_t shorter, longer;

  bool differ_by_more(double ratio) const { return static_cast<double>(longer) > ratio * static_cast<double>(shorter); }
};

Lengths lengths_of(const EncodedPair& pair) {
  const auto [shorter, longer] = std::minmax({std::ssize(pair.source), std::ssize(pair.target) - 1});
  return {shorter, longer};
}

}  // namespace

std::string PairSet::place(std::int64_t record) const {
  return fmt::format("{}:{}", shown_path(files[entries[record].file].path), entries[record].line);
}

std::unique_ptr<RecordSet> PairSet::select(std::span<const std::int64_t> records) const {
  auto out = std::make_unique<PairSet>();
  out->files = files;
  for (const std::int64_t i : records) out->entries.push_back(entries[i]);
  return out;
}

void PairSet::append(const RecordSet& other) {
  const auto& pairs = static_cast<const PairSet&>(other);
  entries.insert(entries.end(), pairs.entries.begin(), pairs.entries.end());
}

void TranslationData::describe_labels(const Log& log) const {
  std::int64_t empty = 0;
  std::int64_t first = -1;
  for (std::int64_t i = 0; i < train->size(); ++i)
    if (has_blank_side(train_pairs().entries[i]) && empty++ == 0) first = i;
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
  PairSet out;
  for (const DataFile& file : files) {
    const auto path_of = [&](const std::string& name) { return data_path(name, data.dir, request.config_path); };
    const std::string path = path_of(file.file);
    const auto reader = PairReader::open(path, file.target ? path_of(*file.target) : "",
                                         pair_options(data, file, request.invalid_utf8));
    const auto number = static_cast<std::uint32_t>(out.files.size());
    TextPair pair;
    while (reader->next(pair))
      out.entries.push_back({std::move(pair.source), std::move(pair.target), number, pair.line});
    for (const PairReader::File& one : reader->files()) {
      const bool is_source = out.files.size() == number;
      out.files.push_back(
          {is_source ? path : path_of(*file.target), static_cast<std::int64_t>(one.counts.records), one.digest});
      report_counts(one.name, one.counts, request.log);
    }
  }
  if (out.entries.empty())
    fail("{}: {} has no pairs", out.files.empty() ? "data." + what : shown_path(out.files.front().path), what);
  return out;
}

std::unique_ptr<TranslationData> read_translation_data(const Config& config, const ReadRequest& request) {
  const DataConfig& d = config.data;
  check_train_named(d);
  const auto read = [&](const std::vector<DataFile>& files, const char* what) {
    return std::make_unique<PairSet>(files.empty() ? PairSet() : read_pairs(files, d, request, what));
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
  out.reserve(pairs.entries.size());
  Tokens tokens;
  for (const PairSet::Entry& entry : pairs.entries) {
    EncodedPair& pair = out.emplace_back();
    model.encode_source(entry.source, tokens, pair.source);
    model.encode_target(entry.target, tokens, pair.target);
  }
  return out;
}

// Not a matter of units: blanks are units among characters.
bool has_blank_side(const PairSet::Entry& pair) {
  return words_of(pair.source, TextConfig()).empty() || words_of(pair.target, TextConfig()).empty();
}

UsablePairs usable_pairs(const std::vector<EncodedPair>& encoded, const PairSet& pairs, const DataConfig& data) {
  UsablePairs out;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const Lengths n = lengths_of(encoded[i]);
    const bool too_long = data.max_length > 0 && n.longer > data.max_length;
    const bool uneven =
        data.max_ratio > 0 && (n.shorter == 0 || n.differ_by_more(data.max_ratio) || has_blank_side(pairs.entries[i]));
    out.too_long += too_long ? 1 : 0;
    out.too_uneven += uneven && !too_long ? 1 : 0;
    if (!too_long && !uneven) out.places.push_back(static_cast<std::int64_t>(i));
  }
  return out;
}

std::int64_t extreme_pairs(const std::vector<EncodedPair>& pairs) {
  constexpr double kExtreme = 9;
  return std::ranges::count_if(pairs, [&](const EncodedPair& pair) {
    const Lengths n = lengths_of(pair);
    return n.shorter > 0 && n.differ_by_more(kExtreme);
  });
}

std::vector<std::string> sources_of(const PairSet& pairs) {
  std::vector<std::string> out;
  out.reserve(pairs.entries.size());
  for (const PairSet::Entry& entry : pairs.entries) out.push_back(entry.source);
  return out;
}

}  // namespace mnemo
