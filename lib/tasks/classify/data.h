// Labelled texts as a configuration names them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tasks/task.h"
#include "text/records.h"

namespace mnemo {

/// Texts with the names of their labels, in the order of the files.
class LabelledTexts : public RecordSet {
 public:
  struct Entry {
    std::string text;
    std::vector<std::string> labels;
    std::uint32_t file;  ///< index into files
    std::uint64_t line;
  };

  std::int64_t size() const override { return std::ssize(entries); }
  std::string text(std::int64_t record) const override { return entries[record].text; }
  std::string place(std::int64_t record) const override;
  std::unique_ptr<RecordSet> select(std::span<const std::int64_t> records) const override;
  void append(const RecordSet& other) override;

  std::vector<Entry> entries;
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
  std::vector<std::string> labels;              ///< the model's, then the unseen ones, each part sorted
  std::vector<std::vector<std::int32_t>> gold;  ///< [texts]
  std::int64_t unseen = 0;                      ///< occurrences of labels that the model does not know
  std::string first_unseen;                     ///< name and place of the first one
};
TextGold gold_labels(const LabelledTexts& texts, const std::vector<std::string>& labels);
/// The same where all labels must be the model's. Throws Error for others.
TextGold known_labels(const LabelledTexts& texts, const std::vector<std::string>& labels);
/// Reports how many there are and where the first is; nothing if there is none.
void report_unseen(const TextGold& gold, const std::string& what, const Log& log);

/// The number of records of each label, by id.
std::vector<std::int64_t> label_counts(const std::vector<std::vector<std::int32_t>>& gold, std::size_t labels);

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
