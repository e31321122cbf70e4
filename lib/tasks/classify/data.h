// Labelled texts as a configuration names them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tasks/task.h"
#include "text/records.h"
#include "text/string_table.h"

namespace mnemo {

/// Texts with the names of their labels, in the order of the files.
class LabelledTexts : public RecordSet {
 public:
  struct Entry {
    std::string_view text;
    const std::vector<std::string>& labels;
    std::uint64_t line;
  };

  explicit LabelledTexts(std::shared_ptr<Storage> storage = nullptr) : RecordSet(std::move(storage)) {}

  void add(const std::vector<std::string>& labels, std::string_view text, std::uint32_t file, std::uint64_t line);
  void finish() { store().finish(); }

  Entry entry(std::int64_t record) const {
    const std::int64_t i = number(record);
    return {store().bytes(i), lists_->labels[store().tag(i)], store().line(i)};
  }
  EntriesOf<LabelledTexts> entries() const { return EntriesOf(*this); }

  /// The number of a record's list of labels among those that occur in its files.
  std::size_t label_list(std::int64_t record) const { return store().tag(number(record)); }
  /// By number. A selection may lack some of them.
  const std::vector<std::vector<std::string>>& label_lists() const { return lists_->labels; }

 protected:
  std::string text_of(RecordStore::Copy record) const override { return std::move(record.bytes); }
  std::unique_ptr<RecordSet> copy() const override { return std::make_unique<LabelledTexts>(*this); }

 private:
  struct LabelLists {
    std::vector<std::vector<std::string>> labels;
    StringTable numbers;  // by the labels, joined
    std::string joined;
  };

  std::shared_ptr<LabelLists> lists_ = std::make_shared<LabelLists>();
};

/// How a file is to be read, from the configuration's keys and those of the file itself.
RecordOptions record_options(const DataConfig& data, const DataFile& file, InvalidUtf8 invalid_utf8);

/// Reads all files. Throws Error for a file that cannot be read, and if there is no record in any of them; `what`
/// ("train") names them in that message. Byte order marks, CRLF, skipped lines and repaired bytes are reported to the
/// request's log.
LabelledTexts read_texts(const std::vector<DataFile>& files, const DataConfig& data, const ReadRequest& request,
                         const std::string& what);

/// Sorted names of all labels. Throws Error if there are fewer than two (one, if texts may have several labels).
std::vector<std::string> collect_labels(const LabelledTexts& texts, bool multi_label);

/// The gold labels of texts as ids. A label that does not occur in train can never be predicted, and so counts as
/// missed: it gets an id after those of the model.
struct TextGold {
  using Ids = std::vector<std::int32_t>;

  const LabelledTexts* texts;
  std::vector<std::string> labels;  ///< the model's, then the unseen ones, each part sorted
  std::vector<Ids> of_list;         ///< of each list of labels
  std::int64_t unseen = 0;          ///< occurrences of labels that the model does not know
  std::string first_unseen;         ///< name and place of the first one

  const Ids& of(std::int64_t text) const { return of_list[texts->label_list(text)]; }
  std::vector<Ids> all() const;  ///< [texts]
};
/// `texts` must outlive the result.
TextGold gold_labels(const LabelledTexts& texts, const std::vector<std::string>& labels);
/// The same where all labels must be the model's. Throws Error for others.
TextGold known_labels(const LabelledTexts& texts, const std::vector<std::string>& labels);
/// Reports how many there are and where the first is; nothing if there is none.
void report_unseen(const TextGold& gold, const std::string& what, const Log& log);

/// The number of records of each of the first `labels` labels, by id.
std::vector<std::int64_t> label_counts(const TextGold& gold, std::size_t labels);

class ClassificationData : public TaskData {
 public:
  explicit ClassificationData(std::vector<std::string> labels) : labels_(std::move(labels)) {}

  std::vector<std::string> labels() const override { return labels_; }
  void describe_labels(const Log& log) const override;
  std::unique_ptr<TaskData> with(std::unique_ptr<Dataset> train, std::unique_ptr<Dataset> dev,
                                 std::unique_ptr<Dataset> test) const override;

  const LabelledTexts& train_texts() const { return static_cast<const LabelledTexts&>(*train); }
  const LabelledTexts& dev_texts() const { return static_cast<const LabelledTexts&>(*dev); }

 private:
  std::vector<std::string> labels_;
};

/// Reads the data that the configuration names, and holds out dev_fraction of train where there is no dev.
std::unique_ptr<ClassificationData> read_classification_data(const Config& config, const ReadRequest& request);

}  // namespace mnemo
