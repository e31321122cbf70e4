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
#include "text/packed_bytes.h"

namespace mnemo {

void LabelledTexts::add(const std::vector<std::string>& labels, std::string_view text, std::uint32_t file,
                        std::uint64_t line) {
  LabelLists& lists = *lists_;
  lists.joined.clear();
  for (const std::string& label : labels) {
    append_number(lists.joined, label.size());
    lists.joined += label;
  }
  const auto number = static_cast<std::size_t>(lists.numbers.insert(lists.joined));
  if (number == lists.labels.size()) lists.labels.push_back(labels);
  store().add(file, line, static_cast<std::uint32_t>(number), {text});
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
  LabelledTexts out(request.storage);
  for (const DataFile& file : files) {
    const std::string path = data_path(file.file, data.dir, request.config_path);
    out.files.push_back({path});
    const auto reader = open_records(path, record_options(data, file, request.invalid_utf8));
    Record record;
    while (reader->next(record))
      out.add(record.labels, record.text, static_cast<std::uint32_t>(out.files.size() - 1), record.line);
    out.files.back().records = static_cast<std::int64_t>(reader->counts().records);
    out.files.back().read = reader->digest();
    report_counts(path, reader->counts(), request.log);
  }
  out.finish();
  if (out.size() == 0)
    fail("{}: {} has no records", out.files.empty() ? "data." + what : shown_path(out.files.front().path), what);
  return out;
}

std::vector<std::string> collect_labels(const LabelledTexts& texts, bool multi_label) {
  std::set<std::string> names;
  std::vector<bool> occurs(texts.label_lists().size());
  for (std::int64_t i = 0; i < texts.size(); ++i) occurs[texts.label_list(i)] = true;
  for (std::size_t list = 0; list < occurs.size(); ++list)
    if (occurs[list]) names.insert(texts.label_lists()[list].begin(), texts.label_lists()[list].end());
  if (names.size() < (multi_label ? 1u : 2u))
    fail("{}: {}; a classifier needs at least {}", texts.files.front().path,
         names.empty() ? "no labels" : fmt::format("all records have the label \"{}\"", shown(*names.begin())),
         multi_label ? "one label" : "two labels");
  return {names.begin(), names.end()};
}

TextGold gold_labels(const LabelledTexts& texts, const std::vector<std::string>& labels) {
  TextGold out{&texts, labels, {}, 0, {}};
  std::set<std::string> unseen;
  const auto known = [&](const std::string& label) { return std::binary_search(labels.begin(), labels.end(), label); };
  const auto all_known = [&](const std::vector<std::string>& list) { return std::ranges::all_of(list, known); };
  if (!std::ranges::all_of(texts.label_lists(), all_known))
    for (std::int64_t i = 0; i < texts.size(); ++i)
      for (const std::string& label : texts.label_lists()[texts.label_list(i)]) {
        if (known(label)) continue;
        if (out.unseen++ == 0) out.first_unseen = fmt::format("\"{}\" at {}", shown(label), texts.place(i));
        unseen.insert(label);
      }
  out.labels.insert(out.labels.end(), unseen.begin(), unseen.end());
  const auto middle = out.labels.begin() + std::ssize(labels);
  for (const std::vector<std::string>& list : texts.label_lists()) {
    TextGold::Ids& ids = out.of_list.emplace_back();
    for (const std::string& label : list) {
      const auto match = known(label) ? std::lower_bound(out.labels.begin(), middle, label)
                                      : std::lower_bound(middle, out.labels.end(), label);
      ids.push_back(static_cast<std::int32_t>(match - out.labels.begin()));
    }
  }
  return out;
}

std::vector<TextGold::Ids> TextGold::all() const {
  std::vector<Ids> out;
  out.reserve(static_cast<std::size_t>(texts->size()));
  for (std::int64_t i = 0; i < texts->size(); ++i) out.push_back(of(i));
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

std::vector<std::int64_t> label_counts(const TextGold& gold, std::size_t labels) {
  std::vector<std::int64_t> lists(gold.of_list.size()), counts(labels);
  for (std::int64_t i = 0; i < gold.texts->size(); ++i) ++lists[gold.texts->label_list(i)];
  for (std::size_t list = 0; list < lists.size(); ++list)
    for (const std::int32_t id : gold.of_list[list])
      if (static_cast<std::size_t>(id) < labels) counts[static_cast<std::size_t>(id)] += lists[list];
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
  const auto counts = label_counts(gold_labels(train_texts(), labels_), labels_.size());
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
    return std::make_unique<LabelledTexts>(files.empty() ? LabelledTexts(request.storage)
                                                         : read_texts(files, d, request, what));
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
