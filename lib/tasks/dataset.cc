#include "tasks/dataset.h"

#include <fmt/format.h>

#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "tasks/files.h"
#include "tasks/repeats.h"

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

std::string RecordSet::place(std::int64_t record) const {
  const std::int64_t i = number(record);
  return fmt::format("{}:{}", shown_path(files[store_->file(i)].path), store_->line(i));
}

std::unique_ptr<RecordSet> RecordSet::select(const std::function<bool(std::int64_t record)>& wanted) const {
  auto out = copy();
  out->chosen_ = std::make_shared<StoredArray<std::uint32_t>>(storage_);
  for (std::int64_t i = 0; i < size(); ++i)
    if (wanted(i)) out->chosen_->push_back(static_cast<std::uint32_t>(number(i)));
  out->chosen_->finish();
  return out;
}

std::unique_ptr<RecordSet> RecordSet::none() const {
  auto out = copy();
  out->chosen_ = std::make_shared<StoredArray<std::uint32_t>>();
  return out;
}

void RecordSet::append(const RecordSet& other) {
  if (other.size() == 0) return;
  if (other.store_ != store_) fail("records of different files cannot be put together");
  auto both = std::make_shared<StoredArray<std::uint32_t>>(storage_);
  for (const RecordSet* set : {static_cast<const RecordSet*>(this), &other})
    for (std::int64_t i = 0; i < set->size(); ++i) both->push_back(static_cast<std::uint32_t>(set->number(i)));
  both->finish();
  chosen_ = std::move(both);
}

namespace {

// Deals groups of equal texts to parts. `first` gives the first text that equals the i-th, or i itself.
template <class First>
std::vector<std::uint16_t> split_groups(std::int64_t size, const First& first, const std::vector<double>& shares,
                                        std::uint64_t seed) {
  std::vector<std::uint32_t> order;                                  // the first text of each group
  std::vector<std::uint8_t> others(static_cast<std::size_t>(size));  // of a group; at most 255, beyond which
  std::unordered_map<std::uint32_t, std::int64_t> many;              // the rest is counted here
  for (std::int64_t i = 0; i < size; ++i) {
    const auto group = static_cast<std::uint32_t>(first(i));
    if (group == i)
      order.push_back(group);
    else if (others[group] < 255)
      ++others[group];
    else
      ++many[group];
  }
  RandomStream(seed, Purpose::kSplit).shuffle(order);
  std::vector<std::uint16_t> parts(static_cast<std::size_t>(size));
  double limit = shares[0];
  std::uint16_t part = 0;
  std::int64_t placed = 0;
  const auto total = static_cast<double>(size);
  for (const std::uint32_t group : order) {
    while (static_cast<double>(placed) >= limit * total - 0.5 && part + 1 < static_cast<int>(shares.size()))
      limit += shares[++part];
    parts[group] = part;
    placed += 1 + others[group];
    if (others[group] == 255)
      if (const auto rest = many.find(group); rest != many.end()) placed += rest->second;
  }
  for (std::int64_t i = 0; i < size; ++i)
    parts[static_cast<std::size_t>(i)] = parts[static_cast<std::size_t>(first(i))];
  return parts;
}

}  // namespace

std::vector<std::uint16_t> split_by_text(const RecordSet& records, const std::vector<double>& shares,
                                         std::uint64_t seed) {
  std::vector<std::uint32_t> found(static_cast<std::size_t>(records.size()));
  std::iota(found.begin(), found.end(), 0);
  find_repeats(records, {}, [&](std::size_t, std::int64_t record, std::int64_t first) {
    found[static_cast<std::size_t>(record)] = static_cast<std::uint32_t>(first);
  });
  StoredArray<std::uint32_t> first(records.storage());
  first.append(found);
  first.finish();
  std::vector<std::uint32_t>().swap(found);
  return split_groups(
      records.size(), [&](std::int64_t i) { return first[i]; }, shares, seed);
}

std::vector<std::uint16_t> split_by_text(const std::vector<std::string_view>& texts, const std::vector<double>& shares,
                                         std::uint64_t seed) {
  std::unordered_map<std::string_view, std::int64_t> seen;
  std::vector<std::int64_t> first;
  first.reserve(texts.size());
  for (const std::string_view text : texts) first.push_back(seen.emplace(text, std::ssize(first)).first->second);
  return split_groups(
      std::ssize(texts), [&](std::int64_t i) { return first[static_cast<std::size_t>(i)]; }, shares, seed);
}

std::unique_ptr<RecordSet> part_of(const RecordSet& records, const std::vector<std::uint16_t>& parts, int part,
                                   bool equal) {
  return records.select([&](std::int64_t i) { return (parts[static_cast<std::size_t>(i)] == part) == equal; });
}

}  // namespace mnemo
