// Sentences with what a tagger says of them, in the forms that `mnemo tag` writes.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text_tagger.h"
#include "text/sentences.h"

namespace mnemo {

enum class TagFormat { kConll, kConllu, kJsonl, kHtml, kSlashed };

struct TagWriterOptions {
  TagFormat format = TagFormat::kConll;
  bool marginals = false;      ///< every tag's probability; the predictions must have them
  double least = 0;            ///< spans (where tags spell none, tags) that are less probable are left out (are `_`)
  bool colour = false;         ///< conll: spans' tags in colours of a terminal
  std::string separator = {};  ///< conll: between columns of rows; empty: a tab where the row has one, else a blank
  bool rows = false;           ///< sentences were read as rows of tokens, which conll and conllu write again
  bool keys = false;           ///< jsonl: sentences are lines of JSON, whose other keys stay
  std::string text_key = "text", spans_key = "spans";  ///< jsonl: under which they are written
  std::int64_t best = 0;  ///< sequences that were asked for; conll rows get `_` for those that there are not
};

/// conll   a token's line as it was read, the tag of each column behind it, then its marginals as `TAG=P|TAG=P` and the
///         tags of the second and further sequences, where these were asked for; comments stay
/// conllu  the lines as they were read, the predicted columns replaced
/// jsonl   {"text", "tokens", "spans", "nbest"}, no spans where tags spell none; with several columns also "columns"
/// slashed a sentence a line, token/tag of the first column between blanks; of a model that finds words, the words,
///         each with its tag if it finds these too, or `_` if that is too unlikely
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

  /// Whether what is written needs neither probabilities nor spans.
  bool needs_tags_alone() const;

  /// The first token that the format cannot hold, as blanks in it would part it; null if there is none.
  const std::string* unwritable(const Sentence& sentence) const;

  /// What stands before the first and behind the last sentence.
  std::string head() const;
  std::string tail() const;

  /// The object of a sentence as jsonl has it; `predicted` [columns], from which nothing is left out.
  Json json(const Sentence& sentence, const std::vector<PredictedTags>& predicted) const;

  /// Appends a sentence to `out`; `predicted` [columns].
  void append(const Sentence& sentence, std::vector<PredictedTags> predicted, std::string& out) const;

 private:
  void drop_unlikely(const TagColumn& column, PredictedTags& p) const;
  std::string marginals_of(const TagColumn& column, const PredictedTags& p, std::size_t token) const;
  void append_token(std::string_view before, char separator, const std::vector<PredictedTags>& predicted,
                    std::size_t token, std::string& out) const;
  void append_conll(const Sentence& s, const std::vector<PredictedTags>& predicted, std::string& out) const;
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
