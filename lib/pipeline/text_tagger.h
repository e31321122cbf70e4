// A tagger with everything it needs to tag a sentence, as stored in a model file.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_file.h"
#include "config/config.h"
#include "models/tagger.h"
#include "pipeline/corpus.h"
#include "pipeline/tag_decoder.h"
#include "pipeline/text_model.h"
#include "pipeline/word_table.h"
#include "text/tags.h"
#include "text/vectors.h"

namespace mnemo {

struct Sentence;
struct SentenceOptions;

/// The column names for the words themselves: their characters are the tokens, tagged B, M, E and S, or B-TAG, M-TAG,
/// E-TAG and S-TAG with each word's own tag.
inline constexpr const char *kWordsColumn = "words", *kTaggedWordsColumn = "tagged-words";
inline bool finds_words(std::string_view column) { return column == kWordsColumn || column == kTaggedWordsColumn; }

/// Sentences as rows of the network's tables.
class TaggerCorpus {
 public:
  std::int64_t size() const { return words.size(); }
  /// Adds the sentences of another corpus.
  void append(const TaggerCorpus& other);
  /// Memory taken, nearly.
  std::int64_t bytes() const;
  /// Those of one sentence; empty if the corpus has none.
  std::span<const std::uint8_t> breaks_of(std::int64_t sentence) const;
  std::span<const std::int32_t> gold_of(std::size_t column, std::int64_t sentence) const;

  Corpus words;
  std::vector<std::int32_t> types;   // [tokens] the token's distinct word
  std::vector<std::int32_t> shapes;  // [tokens]
  // Characters of the distinct words: word w has letters [letter_starts[w], letter_starts[w + 1]).
  std::vector<std::int64_t> letter_starts{0};
  std::vector<std::int32_t> letters;
  std::vector<std::vector<std::int32_t>> gold;  // [columns][tokens], or empty
  std::vector<std::uint8_t> breaks;             // [tokens] 1: a word must begin here; or empty

 private:
  friend class TextTagger;
  StringTable distinct_;
};

class TextTagger : public TextModel {
 public:
  static constexpr const char* kTask = "tag";  ///< its name in configurations and model files
  static constexpr std::int32_t kShapes = 8;   ///< word shapes, as shape_of gives them

  /// With weights initialised from the configuration's seed. `vectors` may be null.
  TextTagger(const Config& config, std::vector<TagColumn> columns, Vocabulary words, Vocabulary letters,
             const PretrainedVectors* vectors);

  /// Throws Error if the file is not a valid tagger.
  static std::unique_ptr<TextTagger> load(const std::string& path);
  static std::unique_ptr<TextTagger> map(const std::string& path);  ///< as TextModel::map
  /// Reads a model from a file except for its weights.
  static std::unique_ptr<TextModel> read(const ModelContents& contents);

  /// Adds a sentence of tokens that are valid UTF-8. `breaks` [tokens], if not empty, has 1 for tokens at which a span
  /// must begin, so that no span crosses the boundary before them.
  void encode(std::span<const std::string> tokens, TaggerCorpus& corpus, std::span<const std::uint8_t> breaks = {},
              const MergeDropout& dropout = {}) const;

  /// A batch of sentences: the rows of the tokens, and the characters of the distinct words in the batch.
  TaggerBatch batch(const TaggerCorpus& corpus, std::span<const std::int64_t> sentences,
                    const Corpus::UnknownUnits& unknown) const;

  /// Calls `use` with the scores [tokens, K] of each column for every batch of the corpus, in no particular order.
  using UseScores = std::function<void(std::int64_t batch, std::span<const std::int64_t> sentences,
                                       const Packing& packing, const std::vector<Activation>& scores)>;
  std::int64_t for_scores(const TaggerCorpus& corpus, Workspace& workspace, const UseScores& use) const;

  /// The decoder of each column, with the current weights.
  std::vector<TagDecoder> decoders() const;
  /// Calls `use` with the scores of column k of each sentence, from several threads and in no particular order.
  using UseSentence = std::function<void(std::int64_t sentence, std::size_t k, ChainScores& scores)>;
  void for_sentences(const TaggerCorpus& corpus, Workspace& workspace, const UseSentence& use) const;

  /// [sentences][columns], in the corpus's order. A sentence's answer does not depend on the others.
  std::vector<std::vector<PredictedTags>> predict(const TaggerCorpus& corpus, const TagRequest& request,
                                                  Workspace& workspace) const;

  /// The corpus's gold tags of a batch, [columns][tokens] in the packing's order.
  std::vector<std::vector<std::int32_t>> gold(const TaggerCorpus& corpus, std::span<const std::int64_t> sentences,
                                              const Packing& packing) const;

  /// The best tags alone, as numbers in a column's `tags`, and if the corpus has gold tags the loss. 0 in batches that
  /// are not the workspace's part.
  struct BestTags {
    std::vector<std::vector<std::int32_t>> tags;  ///< [columns][tokens], in the corpus's order
    std::vector<double> losses, weights;          ///< by batch
    /// The mean over sentences with tokens, or without a CRF over tokens.
    double loss() const;
  };
  BestTags best_tags(const TaggerCorpus& corpus, Workspace& workspace) const;

  /// The output of `tag --format jsonl` for each record's "text", cut by the model's tokenizer, or its "tokens".
  std::vector<Json> answer(const std::vector<Json>& records, Workspace& workspace) const override;
  std::span<const Skill> skills() const override;
  Observed observe(const std::string& text, Workspace& workspace) const override;
  /// The same for the only sentence of a corpus.
  Observed observe(const TaggerCorpus& corpus, std::vector<std::string> tokens, Workspace& workspace) const;
  std::unique_ptr<Attributed> attributed(const std::string& text, const AttributionTarget& target,
                                         Workspace& workspace) override;

  Tagger& network() override { return *network_; }
  const Tagger& network() const { return *network_; }
  const std::vector<TagColumn>& columns() const { return columns_; }
  const WordTable& words() const { return words_; }
  const Vocabulary& vocabulary() const override { return words_.vocabulary(); }
  const char* task() const override { return kTask; }

 private:
  TextTagger(const Config& config, std::vector<TagColumn> columns, Vocabulary words, Vocabulary letters,
             std::int64_t dimension);

  SentenceOptions record_options() const;
  Sentence add_record(const Json& record, std::size_t number, const SentenceOptions& options,
                      TaggerCorpus& corpus) const;
  void describe(ModelMetadata& metadata) const override;
  void append_tables(std::vector<TensorView>& tensors, NarrowTensors& narrow,
                     std::deque<std::string>& held) const override;
  void load_tables(const ModelContents& contents) override { words_.load(contents, network_->embedding()); }
  void round_tables(kernels::Precision precision) override { words_.round(precision); }
  std::vector<std::string> sample_texts() const override { return words_.sample_texts(); }
  std::vector<float> sample_probabilities(const std::vector<std::string>& texts, ThreadPool& pool,
                                          std::vector<std::size_t>& lengths) const override;

  std::vector<TagColumn> columns_;
  WordTable words_;
  Vocabulary letters_;
  std::unique_ptr<Tagger> network_;
};

/// The model's scheme for a column with this data scheme.
TagScheme model_scheme(const Config& config, TagScheme data_scheme);

}  // namespace mnemo
