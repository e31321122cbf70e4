#include "tasks/dataset.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/json.h"
#include "base/random.h"

namespace mnemo {
namespace {

Json files_json(const std::vector<SourceFile>& files) {
  Json out = Json::array();
  for (const SourceFile& f : files)
    out.push_back(
        {{"bytes", f.read.bytes}, {"records", f.records}, {"fnv1a64", fmt::format("{:016x}", f.read.fnv1a64)}});
  return out;
}

}  // namespace

Json data_provenance(const Dataset& train, const Dataset& dev) {
  return {{"train", files_json(train.files)},
          {"dev", files_json(dev.files)},
          {"train_records", train.size()},
          {"dev_records", dev.size()}};
}

std::string data_identity(const std::vector<std::string>& labels, const Dataset& train, const Dataset& dev) {
  ModelMetadata model;
  model.labels = labels;
  model.provenance = data_provenance(train, dev);
  return data_identity(model);
}

std::string data_identity(const ModelMetadata& model) {
  Json out{{"labels", model.labels}};
  for (const char* part : {"train", "dev"}) {
    Json hashes = Json::array();
    const auto value = [](const Json& object, const std::string& key) {
      return object.is_object() && object.contains(key) ? object[key] : Json();
    };
    for (const Json& file : value(model.provenance, part)) hashes.push_back(value(file, "fnv1a64"));
    out[part] = {hashes, value(model.provenance, std::string(part) + "_records")};
  }
  return out.dump();
}

std::vector<int> split_by_text(const RecordSet& records, const std::vector<double>& shares, std::uint64_t seed) {
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < records.size(); ++i) texts.push_back(records.text(i));
  return split_by_text({texts.begin(), texts.end()}, shares, seed);
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

std::unique_ptr<RecordSet> part_of(const RecordSet& records, const std::vector<int>& parts, int part, bool equal) {
  std::vector<std::int64_t> chosen;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if ((parts[i] == part) == equal) chosen.push_back(static_cast<std::int64_t>(i));
  return records.select(chosen);
}

}  // namespace mnemo
