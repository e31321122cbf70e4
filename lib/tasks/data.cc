#include "tasks/data.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace mnemo {
namespace {

void report_counts(const std::string& path, const ReadCounts& counts, const Log& log) {
  if (counts.had_bom) log(fmt::format("{}: begins with a byte order mark, which was dropped", path));
  if (counts.crlf_lines > 0) log(fmt::format("{}: {} lines end in CRLF", path, counts.crlf_lines));
  if (counts.empty_lines > 0) log(fmt::format("{}: {} empty lines skipped", path, counts.empty_lines));
  if (counts.invalid_sequences > 0)
    log(fmt::format("{}: {} invalid UTF-8 sequences replaced or skipped", path, counts.invalid_sequences));
}

}  // namespace

SourceFile describe_file(const std::string& path) {
  SourceFile out{path, 0, 0, 0xcbf29ce484222325ull};
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return out;  // a pipe can be read only once
  read_file_in_blocks(path, [&](std::string_view block) {
    out.bytes += std::ssize(block);
    for (const char byte : block) out.hash = (out.hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
  });
  return out;
}

Json files_json(const std::vector<SourceFile>& files) {
  Json out = Json::array();
  for (const SourceFile& f : files)
    out.push_back({{"bytes", f.bytes}, {"records", f.records}, {"fnv1a64", fmt::format("{:016x}", f.hash)}});
  return out;
}

Json data_provenance(const DataPart& train, const DataPart& dev) {
  return {{"train", files_json(train.files)},
          {"dev", files_json(dev.files)},
          {"train_records", train.records},
          {"dev_records", dev.records}};
}

std::string data_identity(const std::vector<std::string>& labels, const DataPart& train, const DataPart& dev) {
  ModelMetadata model;
  model.labels = labels;
  model.provenance = data_provenance(train, dev);
  return data_identity(model);
}

std::string data_identity(const ModelMetadata& model) {
  Json out{{"labels", model.labels}};
  for (const char* part : {"train", "dev"}) {
    Json hashes = Json::array();
    for (const Json& file : model.provenance.value(part, Json::array())) hashes.push_back(file.value("fnv1a64", ""));
    out[part] = {hashes, model.provenance.value(std::string(part) + "_records", std::int64_t{-1})};
  }
  return out.dump();
}

std::string LabelledTexts::place(std::size_t entry) const {
  return fmt::format("{}:{}", files[entries[entry].file].path, entries[entry].line);
}

RecordOptions record_options(const DataConfig& data, const DataFile& file, InvalidUtf8 invalid_utf8) {
  RecordOptions out;
  const std::string format = file.format.value_or(data.format);
  const auto known = format_from_name(format);
  if (!known) throw UsageError(fmt::format("format \"{}\" is not one of texts with labels", format));
  out.format = *known;
  out.label = file.label.value_or(data.label);
  out.text = file.text.value_or(data.text);
  out.header = file.header ? file.header : data.header;
  out.separator = file.separator.value_or(data.separator);
  out.multi_label = data.multi_label;
  out.label_separator = file.label_separator.value_or(data.label_separator);
  out.phrases = file.phrases.value_or(data.phrases) && out.format == Format::kTrees;
  out.invalid_utf8 = invalid_utf8;
  return out;
}

std::string data_path(const std::string& file, const std::string& data_dir, const std::string& config_path) {
  const std::filesystem::path path(file);
  if (path.is_absolute() || file == "-") return file;
  if (!data_dir.empty()) return (std::filesystem::path(data_dir) / path).lexically_normal().string();
  return (std::filesystem::path(config_path).parent_path() / path).lexically_normal().string();
}

LabelledTexts read_texts(const std::vector<DataFile>& files, const DataConfig& data, const std::string& config_path,
                         InvalidUtf8 invalid_utf8, const std::string& what, const Log& log) {
  LabelledTexts out;
  for (const DataFile& file : files) {
    const std::string path = data_path(file.file, data.dir, config_path);
    out.files.push_back(describe_file(path));
    const auto reader = open_records(path, record_options(data, file, invalid_utf8));
    Record record;
    while (reader->next(record))
      out.entries.push_back(
          {record.text, record.labels, static_cast<std::uint32_t>(out.files.size() - 1), record.line});
    out.files.back().records = static_cast<std::int64_t>(reader->counts().records);
    report_counts(path, reader->counts(), log);
  }
  if (out.entries.empty())
    fail("{}: {} has no records", out.files.empty() ? "data." + what : out.files.front().path, what);
  return out;
}

std::vector<std::string> collect_labels(const LabelledTexts& texts, bool multi_label) {
  std::set<std::string> names;
  for (const auto& entry : texts.entries) names.insert(entry.labels.begin(), entry.labels.end());
  if (names.size() < (multi_label ? 1u : 2u))
    fail("{}: {}; a classifier needs at least {}", texts.files.front().path,
         names.empty() ? "no labels" : fmt::format("all records have the label \"{}\"", *names.begin()),
         multi_label ? "one label" : "two labels");
  return {names.begin(), names.end()};
}

std::vector<std::vector<std::int32_t>> label_ids(const LabelledTexts& texts, const std::vector<std::string>& labels) {
  std::vector<std::vector<std::int32_t>> out(texts.entries.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    for (const std::string& label : texts.entries[i].labels) {
      const auto match = std::lower_bound(labels.begin(), labels.end(), label);
      if (match == labels.end() || *match != label)
        fail("{}: label \"{}\" does not occur in train, which has {}{}", texts.place(i), label,
             fmt::join(labels.begin(), labels.begin() + std::min<std::ptrdiff_t>(10, std::ssize(labels)), ", "),
             labels.size() > 10 ? ", ..." : "");
      out[i].push_back(static_cast<std::int32_t>(match - labels.begin()));
    }
  return out;
}

std::vector<int> split_by_text(const LabelledTexts& texts, const std::vector<double>& shares, std::uint64_t seed) {
  std::vector<std::string_view> views;
  for (const auto& entry : texts.entries) views.push_back(entry.text);
  return split_by_text(views, shares, seed);
}

std::vector<int> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                               std::uint64_t seed) {
  std::unordered_map<std::string_view, std::vector<std::size_t>> groups;
  std::vector<std::string_view> order;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto& group = groups[texts[i]];
    if (group.empty()) order.push_back(texts[i]);
    group.push_back(i);
  }
  RandomStream(seed, Purpose::kSplit).shuffle(order);
  std::vector<int> parts(texts.size());
  double limit = shares[0];
  int part = 0;
  std::size_t placed = 0;
  const auto total = static_cast<double>(texts.size());
  for (std::string_view text : order) {
    while (static_cast<double>(placed) >= limit * total - 0.5 && part + 1 < static_cast<int>(shares.size()))
      limit += shares[++part];
    for (std::size_t i : groups[text]) parts[i] = part;
    placed += groups[text].size();
  }
  return parts;
}

LabelledTexts select(const LabelledTexts& texts, const std::vector<int>& parts, int part, bool equal) {
  LabelledTexts out;
  out.files = texts.files;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if ((parts[i] == part) == equal) out.entries.push_back(texts.entries[i]);
  return out;
}

}  // namespace mnemo
