// Tagged sentences as a configuration names them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/tagger_input.h"
#include "pipeline/text_tagger.h"
#include "tasks/task.h"
#include "text/sentences.h"
#include "text/string_table.h"

namespace mnemo {

/// Sentences with their columns of tags, in the order of the files.
class TaggedSentences : public RecordSet {
 public:
  struct Entry {
    std::vector<std::string> tokens;
    std::vector<std::vector<std::string>> tags;  ///< [columns][tokens]
    std::vector<std::size_t> lines;              ///< [tokens] of the file
    std::vector<std::uint8_t> breaks;            ///< as TextTagger::encode takes them
    std::uint32_t file;                          ///< index into files
    bool by_spans;                               ///< as Sentence::by_spans
  };

  explicit TaggedSentences(std::shared_ptr<Storage> storage = nullptr) : RecordSet(std::move(storage)) {}

  void add(const Entry& entry);
  void finish() { store().finish(); }

  Entry entry(std::int64_t record) const;
  EntriesOf<TaggedSentences> entries() const { return EntriesOf(*this); }
  /// The number of its tokens.
  std::int32_t length(std::int64_t record) const;
  bool by_spans(std::int64_t record) const;
  std::string place(std::int64_t record) const override;

  /// "FILE:LINE" of a token.
  std::string place(const Entry& entry, std::size_t token) const;

 protected:
  std::string text_of(RecordStore::Copy record) const override;
  std::unique_ptr<RecordSet> copy() const override { return std::make_unique<TaggedSentences>(*this); }

 private:
  std::shared_ptr<StringTable> tags_ = std::make_shared<StringTable>();  // all that occur
};

/// Reports what a reader found that is not an error: byte order marks, CRLF, invalid UTF-8, spans that cut tokens.
void report_reader(const SentenceReader& reader, const Log& log);

/// Reads all files. Throws as the readers do, and if there is no token in any of them.
TaggedSentences read_sentences(const std::vector<DataFile>& files, const Config& config, const ReadRequest& request,
                               const std::string& what);

/// Respells tags that were read as spans in the scheme of the first column.
void respell_spans(TaggedSentences& sentences, const std::vector<TagColumn>& columns);

/// Throws Error that names file, line and tag for a tag that is not of a column's scheme.
void check_schemes(const TaggedSentences& sentences, const std::vector<TagColumn>& columns);

/// Tags that do not occur in train; they can never be predicted, and so count as missed.
struct UnseenTags {
  std::int64_t count = 0;
  std::string first;  ///< the tag, its column and its place
};
UnseenTags unseen_tags(const TaggedSentences& sentences, const std::vector<TagColumn>& columns);
/// Reports how many there are and where the first is; nothing if there is none.
void report_unseen(const UnseenTags& unseen, const std::string& what, const Log& log);

/// Reports how many sentences the scheme would spell otherwise, and where the first one is.
void report_repairs(const TaggedSentences& sentences, const std::vector<TagColumn>& columns, const Log& log);

/// Whether the first column's gold tags mark any span; without one F1 is not defined.
bool has_spans(const TaggedSentences& sentences, const TagColumn& column);

class TaggingData : public TaskData {
 public:
  explicit TaggingData(std::vector<TagColumn> its_columns) : columns(std::move(its_columns)) {}

  std::vector<std::string> labels() const override { return columns.front().tags; }
  void describe_labels(const Log& log) const override;
  std::unique_ptr<TaskData> with(std::unique_ptr<Dataset> train, std::unique_ptr<Dataset> dev,
                                 std::unique_ptr<Dataset> test) const override;

  const TaggedSentences& train_sentences() const { return static_cast<const TaggedSentences&>(*train); }
  const TaggedSentences& dev_sentences() const { return static_cast<const TaggedSentences&>(*dev); }

  std::vector<TagColumn> columns;
};

/// Reads the data that the configuration names; determines the schemes, and reports misspelled sequences, which are
/// read by conlleval's rule.
std::unique_ptr<TaggingData> read_tagging_data(const Config& config, const ReadRequest& request);

}  // namespace mnemo
