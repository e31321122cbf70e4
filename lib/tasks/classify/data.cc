// Texts keep their labels as names until the model's labels are known: those of train, sorted, so that the ids do not
// depend on the order of the files. Only then are gold labels turned into ids.
#include "tasks/classify/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/shown.h"
#include "tasks/label_list.h"
#include "tasks/split.h"
#include "text/normalize.h"

namespace mnemo {

std::string LabelledTexts::place(std::int64_t record) const {
  return fmt::format("{}:{}", shown_path(files[entries[record].file].path), entries[record].line);
}

std::unique_ptr<RecordSet> LabelledTexts::select(std::span<const std::int64_t> records) const {
  auto out = std::make_unique<LabelledTexts>();
  out->files = files;
  for (const std::int64_t i : records) out->entries.push_back(entries[i]);
  return out;
}

void LabelledTexts::append(const RecordSet& other) {
  const auto& texts = static_cast<const LabelledTexts&>(other);
  entries.insert(entries.end(), texts.entries.begin(), texts.entries.end());
}

RecordOptions record_options(const DataConfig& data, const DataFile& file, InvalidUtf8 invalid_utf8) {
  RecordOptions out;
  const std::string format = file.format.value_or(data.format);
  const auto known = format_from_name(format);
  if (!known) throw UsageError(fmt::format("format \"{}\" is not one of labelled texts", format));
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

LabelledTexts read_texts(const std::vector<DataFile>& files, const DataConfig& data, const ReadRequest& request,
                         const std::string& what) {
  LabelledTexts out;
  for (const DataFile& file : files) {
    const std::string path = data_path(file.file, data.dir, request.config_path);
    out.files.push_back({path});
    const auto reader = open_records(path, record_options(data, file, request.invalid_utf8));
    Record record;
    while (reader->next(record))
      out.entries.push_back(
          {record.text, record.labels, static_cast<std::uint32_t>(out.files.size() - 1), record.line});
    out.files.back().records = static_cast<std::int64_t>(reader->counts().records);
    out.files.back().read = reader->digest();
    report_counts(path, reader->counts(), request.log);
  }
  if (out.entries.empty())
    fail("{}: {} has no records", out.files.empty() ? "data." + what : shown_path(out.files.front().path), what);
  return out;
}

std::vector<std::string> collect_labels(const LabelledTexts& texts, bool multi_label) {
  std::set<std::string> names;
  for (const auto& entry : texts.entries) names.insert(entry.labels.begin(), entry.labels.end());
  if (names.size() < (multi_label ? 1u : 2u))
    fail("{}: {}; a classifier needs at least {}", texts.files.front().path,
         names.empty() ? "no labels" : fmt::format("all records have the label \"{}\"", shown(*names.begin())),
         multi_label ? "one label" : "two labels");
  return {names.begin(), names.end()};
}

TextGold gold_labels(const LabelledTexts& texts, const std::vector<std::string>& labels) {
  TextGold out{labels, std::vector<std::vector<std::int32_t>>(texts.entries.size()), 0, {}};
  std::set<std::string> unseen;
  const auto known = [&](const std::string& label) { return std::binary_search(labels.begin(), labels.end(), label); };
  for (std::size_t i = 0; i < texts.entries.size(); ++i)
    for (const std::string& label : texts.entries[i].labels) {
      if (known(label)) continue;
      if (out.unseen++ == 0)
        out.first_unseen = fmt::format("\"{}\" at {}", shown(label), texts.place(static_cast<std::int64_t>(i)));
      unseen.insert(label);
    }
  out.labels.insert(out.labels.end(), unseen.begin(), unseen.end());
  const auto middle = out.labels.begin() + std::ssize(labels);
  for (std::size_t i = 0; i < texts.entries.size(); ++i)
    for (const std::string& label : texts.entries[i].labels) {
      const auto match = known(label) ? std::lower_bound(out.labels.begin(), middle, label)
                                      : std::lower_bound(middle, out.labels.end(), label);
      out.gold[i].push_back(static_cast<std::int32_t>(match - out.labels.begin()));
    }
  return out;
}

TextGold known_labels(const LabelledTexts& texts, const std::vector<std::string>& labels) {
  TextGold out = gold_labels(texts, labels);
  if (out.unseen > 0) fail("labels that the model does not know: {}, the first {}", out.unseen, out.first_unseen);
  return out;
}

void report_unseen(const TextGold& gold, const std::string& what, const Log& log) {
  if (gold.unseen > 0)
    log(fmt::format("{}: labels that do not occur in train and so count as missed: {}, the first {}", what, gold.unseen,
                    gold.first_unseen));
}

std::vector<std::int64_t> label_counts(const std::vector<std::vector<std::int32_t>>& gold, std::size_t labels) {
  std::vector<std::int64_t> counts(labels);
  for (const auto& ids : gold)
    for (const std::int32_t id : ids)
      if (static_cast<std::size_t>(id) < labels) ++counts[id];
  return counts;
}

namespace {

// A label without the differences that are easily made by mistake: blanks around it, and case.
std::string folded(std::string_view label) {
  constexpr const char* kBlanks = " \t\r\u00a0";
  std::string out = to_lower(label);
  const std::size_t begin = out.find_first_not_of(kBlanks), end = out.find_last_not_of(kBlanks);
  return begin == std::string::npos ? "" : out.substr(begin, end - begin + 1);
}

}  // namespace

void ClassificationData::describe_labels(const Log& log) const {
  const auto counts = label_counts(gold_labels(train_texts(), labels_).gold, labels_.size());
  std::vector<std::pair<std::string, std::int64_t>> names;
  names.reserve(labels_.size());
  std::vector<std::string> alike, rare;
  std::map<std::string, std::string> seen;
  for (std::size_t k = 0; k < labels_.size(); ++k) {
    const std::string label = shown(labels_[k]), fold = folded(labels_[k]);
    names.emplace_back(shown_label(labels_[k]), counts[k]);
    if (const auto [match, fresh] = seen.emplace(fold, label); !fresh)
      alike.push_back(fmt::format("the labels \"{}\" and \"{}\" differ only in blanks or case", match->second, label));
    if (counts[k] < 2)
      rare.push_back(fmt::format("the label \"{}\" has {} in train{}", label,
                                 counts[k] == 0 ? "no record" : "one record",
                                 counts[k] == 0 ? ", as all of them were held out as dev" : ""));
  }
  log("labels in train: " + listed_by_count(std::move(names)));
  report_warnings(alike, log);
  report_warnings(rare, log);
}

std::unique_ptr<TaskData> ClassificationData::with(std::unique_ptr<Dataset> its_train, std::unique_ptr<Dataset> its_dev,
                                                   std::unique_ptr<Dataset> its_test) const {
  auto out = std::make_unique<ClassificationData>(labels_);
  out->train = std::move(its_train);
  out->dev = std::move(its_dev);
  out->test = std::move(its_test);
  return out;
}

std::unique_ptr<ClassificationData> read_classification_data(const Config& config, const ReadRequest& request) {
  const DataConfig& d = config.data;
  check_train_named(d);
  const auto read = [&](const std::vector<DataFile>& files, const char* what) {
    return std::make_unique<LabelledTexts>(files.empty() ? LabelledTexts() : read_texts(files, d, request, what));
  };
  auto train = read(d.train, "train");
  auto out = std::make_unique<ClassificationData>(collect_labels(*train, d.multi_label));
  if (config.training.early_stopping.metric == "auc" && out->labels().size() != 2)
    throw UsageError(
        fmt::format("training.early_stopping.metric: auc needs two classes, train has {}", out->labels().size()));
  out->train = std::move(train);
  out->dev = read(d.dev, "dev");
  out->test = read(d.test, "test");
  if (d.dev.empty()) keep_dev_out(config, "text", *out, request.log);
  for (const auto& [part, what] : {std::pair{&out->dev, "dev"}, {&out->test, "test"}})
    report_unseen(gold_labels(static_cast<const LabelledTexts&>(**part), out->labels()), what, request.log);
  return out;
}

}  // namespace mnemo
