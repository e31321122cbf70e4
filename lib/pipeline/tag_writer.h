// Sentences with their predicted tags, in the formats that `mnemo tag` writes.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/highlight.h"
#include "pipeline/text_tagger.h"
#include "text/sentences.h"

namespace mnemo {

enum class TagFormat { kConll, kConllu, kJsonl, kHtml, kSlashed };

struct TagWriterOptions {
  TagFormat format = TagFormat::kConll;
  bool marginals = false;      ///< every tag's probability; the predictions must have them
  double least = 0;            ///< less probable spans are left out; if tags spell none, less probable tags become `_`
  bool colour = false;         ///< conll: tags of spans are highlighted
  std::string separator = {};  ///< conll: between columns of rows; empty: a tab if the row has one, else a blank
  bool rows = false;           ///< sentences were read as rows of tokens, which conll and conllu write again
  bool keys = false;           ///< jsonl: sentences are lines of JSON, whose other keys are kept
  std::string text_key = "text", spans_key = "spans";  ///< jsonl: the keys under which text and spans are written
  std::int64_t best = 0;  ///< sequences that were requested; conll rows get `_` for those that do not exist
};

/// Written sentences, and what a terminal shows of them in colour.
struct TaggedText {
  std::string text;
  std::vector<Highlight> highlights;
};

/// conll   a token's line as it was read, followed for each column by its tag, its marginals as `TAG=P|TAG=P` and the
///         tags of the second and further sequences, if these were requested; comments are kept
/// conllu  the lines as they were read, with the predicted columns replaced
/// jsonl   {"text", "tokens", "spans", "nbest"}, no spans if tags spell none; with several columns also "columns"
/// slashed a sentence per line, token/tag of the first column separated by blanks; for a model that finds words, the
///         words, each with its tag if the model predicts tags too, or with `_` if that is too unlikely
/// html    one self-contained page: spans in colours, or tags above their tokens
class TagWriter {
 public:
  TagWriter(const std::vector<TagColumn>& columns, bool characters, const TagWriterOptions& options)
      : columns_(columns), characters_(characters), options_(options) {
    for (const TagColumn& column : columns)
      for (const std::string& tag : column.tags)
        if (const auto parts = split_tag(tag, column.scheme); parts && parts->letter != 'O')
          types_.insert(std::string(parts->type));
  }

  /// Whether the output needs neither probabilities nor spans.
  bool needs_tags_alone() const;

  /// The first token that the format cannot hold, as blanks in it would split it; null if there is none.
  const std::string* unwritable(const Sentence& sentence) const;

  /// The text before the first and after the last sentence.
  std::string head() const;
  std::string tail() const;

  /// A sentence's object in jsonl; `predicted` [columns], from which nothing is left out.
  Json json(const Sentence& sentence, const std::vector<PredictedTags>& predicted) const;

  /// Appends a sentence to `out`; `predicted` [columns].
  void append(const Sentence& sentence, std::vector<PredictedTags> predicted, TaggedText& out) const;

 private:
  void drop_unlikely(const TagColumn& column, PredictedTags& p) const;
  std::string marginals_of(const TagColumn& column, const PredictedTags& p, std::size_t token) const;
  void append_token(std::string_view before, char separator, const std::vector<PredictedTags>& predicted,
                    std::size_t token, TaggedText& out) const;
  void append_conll(const Sentence& s, const std::vector<PredictedTags>& predicted, TaggedText& out) const;
  void append_conllu(const Sentence& s, const std::vector<PredictedTags>& predicted, std::string& out) const;
  void append_slashed(const Sentence& s, const PredictedTags& predicted, std::string& out) const;
  void append_html(const Sentence& s, const std::vector<PredictedTags>& predicted, std::string& out) const;
  Json column_json(const Sentence& s, const TagColumn& column, const PredictedTags& p, const PlacedText& placed) const;
  PlacedText place(const Sentence& s) const;
  std::size_t colour_of(std::string_view type) const;

  const std::vector<TagColumn>& columns_;
  bool characters_;  // tokens are characters, without blanks between them
  TagWriterOptions options_;
  std::set<std::string, std::less<>> types_;  // of spans, of all columns
};

}  // namespace mnemo
